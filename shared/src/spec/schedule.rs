//! Reads `lr`: learning-rate policies, the stages that they apply to, and the rates that a method overrides.

use super::error::quoted;
use super::field::{Field, Section};
use super::file::NAME_RULE;
use super::node::Value;
use crate::ids::is_valid_name;
use crate::stage::{CycleShape, LrSpec, Method, StageKind};

/// Most policies: each becomes a table of the report.
const MAX_POLICIES: usize = 1000;

/// A policy as written in the file.
pub(super) struct Policy<'a> {
    pub(super) name: String,
    field: Field<'a>,
    /// The schedule, with any peak.
    shape: LrSpec,
    scaling: Scaling,
    base: Base,
    applies: Vec<StageKind>,
}

/// How the peak depends on the batch size.
#[derive(Debug, Clone, Copy)]
enum Scaling {
    /// It does not depend on it.
    None,
    /// base · batch / 256 (Goyal et al. 2017; SimCLR's default).
    Linear,
    /// base · √batch (SimCLR's `learning_rate_scaling=sqrt`).
    Sqrt,
}

impl Scaling {
    fn peak(self, base: f64, batch: u32) -> f64 {
        match self {
            Scaling::None => base,
            Scaling::Linear => base * f64::from(batch) / 256.0,
            Scaling::Sqrt => base * f64::from(batch).sqrt(),
        }
    }
}

/// Base rates by stage: one number for both stages, or one for each.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Base {
    pretext: Option<f64>,
    downstream: Option<f64>,
}

impl Base {
    fn of(self, stage: StageKind) -> Option<f64> {
        match stage {
            StageKind::Pretext => self.pretext,
            StageKind::Downstream => self.downstream,
            StageKind::Test => None,
        }
    }
}

impl Policy<'_> {
    /// Returns whether the policy sets the rate of `stage`.
    pub(super) fn applies_to(&self, stage: StageKind) -> bool {
        self.applies.contains(&stage)
    }

    /// Returns the schedule of `stage` with batches of `batch`, if the policy applies to it; `own` are the rates that
    /// the method overrides.
    pub(super) fn schedule(&self, stage: StageKind, own: Base, batch: u32) -> Option<LrSpec> {
        match own.of(stage).or(self.base.of(stage)) {
            Some(base) => Some(self.shape.clone().with_base(self.scaling.peak(base, batch))),
            None => self.field.refuse_with(
                format!("`base.{}` is missing", stage.as_str()),
                format!("give a rate for {0}, or leave {0} out of `applies`", stage.as_str()),
            ),
        }
    }

    /// Reports that `schedule` warms up for longer than `epochs`, the length of the training.
    pub(super) fn refuse_long_warmup(&self, epochs: u32, stage: StageKind) -> Option<()> {
        match self.shape {
            LrSpec::Cosine { warmup_epochs, .. } if warmup_epochs >= f64::from(epochs) => self.field.refuse_with(
                format!("a warm-up of {warmup_epochs} epochs leaves nothing of {}, which has {epochs}", stage.as_str()),
                "shorten `warmup_epochs`",
            ),
            _ => Some(()),
        }
    }
}

/// Reads the policies, in the order of the file.
pub(super) fn policies<'a>(file: &Section<'a>) -> Vec<Policy<'a>> {
    let help = "for example `lr: {fixed: {kind: constant, base: 1e-3}}`";
    let Some(section) = file.need("lr", help, |field| field.section()) else { return Vec::new() };
    let entries = section.entries();
    if entries.is_empty() {
        file.get("lr").and_then(|field| field.refuse_with::<()>("there is no learning-rate policy", help));
    }
    if entries.len() > MAX_POLICIES {
        let message = format!("{} learning-rate policies; a sweep has at most {MAX_POLICIES}", entries.len());
        file.get("lr").and_then(|field| field.refuse::<()>(message));
        return Vec::new();
    }
    entries.into_iter().filter_map(|(key, field)| policy(&key.text, field)).collect()
}

fn policy<'a>(name: &str, field: Field<'a>) -> Option<Policy<'a>> {
    if !is_valid_name(name) {
        return field.refuse(format!("{} cannot name a policy: {NAME_RULE}", quoted(name)));
    }
    let section = field.section()?;
    let shape = shape(&section, &["base", "scale", "applies"]);
    let scaling = scaling(&section);
    let base = section.need("base", "the (peak) learning rate, for example 1e-3", |field| base(&field));
    let both = vec![StageKind::Pretext, StageKind::Downstream];
    let applies = section.or("applies", both, |field| {
        let choices = [("pretext", StageKind::Pretext), ("downstream", StageKind::Downstream)];
        field.list("stage")?.iter().map(|item| item.choice("a stage with a learning rate", &choices)).collect()
    });
    Some(Policy { name: name.to_owned(), field, shape: shape?, scaling: scaling?, base: base?, applies: applies? })
}

/// Reads a section's own `lr`: a number, or a schedule as in a policy.
pub(super) fn own(field: &Field<'_>, batch: u32) -> Option<LrSpec> {
    if !matches!(field.node.value, Value::Map(_)) {
        return rate(field).map(|base| LrSpec::Constant { base });
    }
    let section = field.section()?;
    let shape = shape(&section, &["base", "scale"]);
    let scaling = scaling(&section);
    let base = section.need("base", "the (peak) learning rate, for example 1e-3", |field| rate(&field));
    Some(shape?.with_base(scaling?.peak(base?, batch)))
}

fn scaling(section: &Section<'_>) -> Option<Scaling> {
    let choices = [("none", Scaling::None), ("linear", Scaling::Linear), ("sqrt", Scaling::Sqrt)];
    section.or("scale", Scaling::None, |field| field.choice("a scaling with the batch size", &choices))
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Constant,
    Cosine,
    Step,
    OneCycle,
    Cyclical,
}

const KINDS: [(&str, Kind); 5] = [
    ("constant", Kind::Constant),
    ("cosine", Kind::Cosine),
    ("step", Kind::Step),
    ("one-cycle", Kind::OneCycle),
    ("cyclical", Kind::Cyclical),
];

/// Returns the schedule of a section, with peak 1. `beside` are other keys that the section may have.
fn shape(section: &Section<'_>, beside: &[&str]) -> Option<LrSpec> {
    let help = "`constant`, `cosine`, `step`, `one-cycle` or `cyclical`";
    let kind = section.need("kind", help, |field| field.choice("a kind of schedule", &KINDS))?;
    let own: &[&str] = match kind {
        // `warmup_epochs` is accepted here and refused below, with a reason.
        Kind::Constant | Kind::Cosine => &["kind", "warmup_epochs"],
        Kind::Step => &["kind", "milestones", "gamma"],
        Kind::OneCycle => &["kind", "pct_start", "div_factor", "final_div_factor"],
        Kind::Cyclical => &["kind", "low", "half_cycle_epochs", "shape", "gamma"],
    };
    section.only(&[own, beside].concat());
    let base = 1.0;
    match kind {
        Kind::Constant => match section.get("warmup_epochs") {
            Some(field) => field.refuse_with("a constant rate has no warm-up", "use `kind: cosine`, or remove it"),
            None => Some(LrSpec::Constant { base }),
        },
        Kind::Cosine => {
            let warmup_epochs = section.or("warmup_epochs", 0.0, |field| {
                field.number("a number from 0 to 10000", |epochs| (0.0..=10_000.0).contains(&epochs))
            })?;
            Some(LrSpec::Cosine { base, warmup_epochs })
        }
        Kind::Step => {
            let milestones = section.need("milestones", "the epochs after which the rate drops", |f| milestones(&f));
            let gamma = section.or("gamma", 0.1, |field| gamma(&field));
            Some(LrSpec::Step { base, gamma: gamma?, milestones: milestones? })
        }
        Kind::OneCycle => {
            let pct_start = section
                .or("pct_start", 0.3, |field| field.number("a share above 0 and below 1", |x| x > 0.0 && x < 1.0));
            let factor = |key, default| {
                section.or(key, default, |field: Field<'_>| field.number("a number of at least 1", |x| x >= 1.0))
            };
            let (div_factor, final_div_factor) = (factor("div_factor", 25.0), factor("final_div_factor", 1e4));
            let (div_factor, final_div_factor) = (div_factor?, final_div_factor?);
            Some(LrSpec::OneCycle { base, pct_start: pct_start?, div_factor, final_div_factor })
        }
        Kind::Cyclical => cyclical(section, base),
    }
}

fn cyclical(section: &Section<'_>, base: f64) -> Option<LrSpec> {
    let low =
        section.or("low", 0.1, |f| f.number("a share of the upper rate from 0 to 1", |x| (0.0..=1.0).contains(&x)));
    let half_cycle_epochs = section.need("half_cycle_epochs", "the way up in epochs: 2 to 10 are usual", |field| {
        field.number("a number above 0 and at most 10000", |epochs| epochs > 0.0 && epochs <= 10_000.0)
    });
    let exp_range = CycleShape::ExpRange { gamma: 1.0 };
    let shapes =
        [("triangular", CycleShape::Triangular), ("triangular2", CycleShape::Triangular2), ("exp-range", exp_range)];
    let shape = section.or("shape", CycleShape::Triangular, |field| field.choice("a shape of cycles", &shapes))?;
    let shape = match (shape, section.get("gamma")) {
        (CycleShape::ExpRange { .. }, _) => {
            let help = "the factor of a step, a little below 1, for example 0.9999";
            section.need("gamma", help, |field| gamma(&field)).map(|gamma| CycleShape::ExpRange { gamma })
        }
        (_, Some(field)) => field.refuse_with("only `shape: exp-range` has a gamma", "change the shape, or remove it"),
        (shape, None) => Some(shape),
    };
    Some(LrSpec::Cyclical { base, low: low?, half_cycle_epochs: half_cycle_epochs?, shape: shape? })
}

fn gamma(field: &Field<'_>) -> Option<f64> {
    field.number("a factor above 0 and at most 1", |gamma| gamma > 0.0 && gamma <= 1.0)
}

/// Reads epochs in ascending order.
fn milestones(field: &Field<'_>) -> Option<Vec<u32>> {
    let items = field.list("milestone")?;
    let epochs: Vec<Option<u32>> = items.iter().map(|item| item.small(1..=1_000_000)).collect();
    let epochs = epochs.into_iter().collect::<Option<Vec<u32>>>()?;
    if epochs.is_sorted_by(|a, b| a < b) { Some(epochs) } else { field.refuse("milestones must ascend") }
}

fn base(field: &Field<'_>) -> Option<Base> {
    if !matches!(field.node.value, Value::Map(_)) {
        return rate(field).map(|rate| Base { pretext: Some(rate), downstream: Some(rate) });
    }
    let section = field.section()?;
    section.only(&["pretext", "downstream"]);
    let pretext = section.optional("pretext", |field| rate(&field));
    let downstream = section.optional("downstream", |field| rate(&field));
    Some(Base { pretext: pretext?, downstream: downstream? })
}

fn rate(field: &Field<'_>) -> Option<f64> {
    // No upper limit: linear scaling with the batch size gives rates above 1 (LARS recipes reach 4.8).
    field.number("a learning rate above 0", |rate| rate > 0.0)
}

/// Returns the base rates that a method overrides, in the order of `policies`.
pub(super) fn overrides(section: Option<Section<'_>>, policies: &[Policy<'_>], method: Method) -> Vec<Base> {
    let Some(section) = section else { return vec![Base::default(); policies.len()] };
    let names: Vec<&str> = policies.iter().map(|policy| policy.name.as_str()).collect();
    section.only(&names);
    let own = |policy: &Policy<'_>| {
        let section = section.get(&policy.name)?.section()?;
        section.only(&["base"]);
        let field = section.get("base")?;
        let own = base(&field)?;
        if !method.has_pretext() && own.downstream.is_none() && own.pretext.is_some() {
            return field.refuse(format!("{method} cells have no pretext stage"));
        }
        Some(own)
    };
    policies.iter().map(|policy| own(policy).unwrap_or_default()).collect()
}
