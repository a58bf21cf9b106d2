//! `lr`: learning-rate policies, which stages they apply to, and a method's own rates in them.

use super::error::quoted;
use super::field::{Field, Section};
use super::file::NAME_RULE;
use super::node::Value;
use crate::ids::is_valid_name;
use crate::stage::{LrSpec, Method, StageKind};

/// Each is a table of the report.
const MAX_POLICIES: usize = 1000;

/// A policy as the file gives it.
pub(super) struct Policy<'a> {
    pub(super) name: String,
    field: Field<'a>,
    shape: Shape,
    base: Base,
    applies: Vec<StageKind>,
}

#[derive(Debug, Clone, Copy)]
enum Shape {
    Constant,
    Cosine { warmup_epochs: f64 },
}

impl Shape {
    fn at(self, base: f64) -> LrSpec {
        match self {
            Shape::Constant => LrSpec::Constant { base },
            Shape::Cosine { warmup_epochs } => LrSpec::Cosine { base, warmup_epochs },
        }
    }
}

/// Base rates by stage: one number for both, or one for each.
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
    /// Whether the policy sets the rate of `stage`.
    pub(super) fn applies_to(&self, stage: StageKind) -> bool {
        self.applies.contains(&stage)
    }

    /// The schedule of `stage`, where the policy applies to it; `own` is what the method overrides.
    pub(super) fn schedule(&self, stage: StageKind, own: Base) -> Option<LrSpec> {
        match own.of(stage).or(self.base.of(stage)) {
            Some(base) => Some(self.shape.at(base)),
            None => self.field.refuse_with(
                format!("`base.{}` is missing", stage.as_str()),
                format!("give a rate for {0}, or leave {0} out of `applies`", stage.as_str()),
            ),
        }
    }

    /// Reports that `schedule` warms up for longer than `epochs`, which are all there are.
    pub(super) fn refuse_long_warmup(&self, epochs: u32, stage: StageKind) -> Option<()> {
        match self.shape {
            Shape::Cosine { warmup_epochs } if warmup_epochs >= f64::from(epochs) => self.field.refuse_with(
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
    section.only(&["kind", "base", "warmup_epochs", "applies"]);
    let shape = shape(&section);
    let base = section.need("base", "the (peak) learning rate, for example 1e-3", |field| base(&field));
    let both = vec![StageKind::Pretext, StageKind::Downstream];
    let applies = section.or("applies", both, |field| {
        let choices = [("pretext", StageKind::Pretext), ("downstream", StageKind::Downstream)];
        field.list("stage")?.iter().map(|item| item.choice("a stage with a learning rate", &choices)).collect()
    });
    Some(Policy { name: name.to_owned(), field, shape: shape?, base: base?, applies: applies? })
}

/// Reads a section's own `lr`: a number, or a schedule as in a policy.
pub(super) fn own(field: &Field<'_>) -> Option<LrSpec> {
    if !matches!(field.node.value, Value::Map(_)) {
        return rate(field).map(|base| LrSpec::Constant { base });
    }
    let section = field.section()?;
    section.only(&["kind", "base", "warmup_epochs"]);
    let shape = shape(&section);
    let base = section.need("base", "the (peak) learning rate, for example 1e-3", |field| rate(&field));
    Some(shape?.at(base?))
}

fn shape(section: &Section<'_>) -> Option<Shape> {
    let kinds = [("constant", Shape::Constant), ("cosine", Shape::Cosine { warmup_epochs: 0.0 })];
    let kind = section.need("kind", "`constant` or `cosine`", |field| field.choice("a kind of schedule", &kinds))?;
    let Some(field) = section.get("warmup_epochs") else { return Some(kind) };
    match kind {
        Shape::Constant => field.refuse_with("a constant rate has no warm-up", "use `kind: cosine`, or remove it"),
        Shape::Cosine { .. } => {
            let warmup_epochs =
                field.number("a number from 0 to 10000", |epochs| (0.0..=10_000.0).contains(&epochs))?;
            Some(Shape::Cosine { warmup_epochs })
        }
    }
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
    // Linear scaling with the batch size makes rates above 1 (LARS recipes reach 4.8).
    field.number("a learning rate above 0", |rate| rate > 0.0)
}

/// What a method overrides of each policy's base rates, aligned with `policies`.
pub(super) fn overrides(section: Option<Section<'_>>, policies: &[Policy<'_>], method: Method) -> Vec<Base> {
    let Some(section) = section else { return vec![Base::default(); policies.len()] };
    let names: Vec<&str> = policies.iter().map(|policy| policy.name.as_str()).collect();
    section.only(&names);
    let own = |policy: &Policy<'_>| {
        let section = section.get(&policy.name)?.section()?;
        section.only(&["base"]);
        let field = section.get("base")?;
        let own = base(&field)?;
        if method == Method::Supervised && own.downstream.is_none() && own.pretext.is_some() {
            return field.refuse("supervised cells have no pretext stage");
        }
        Some(own)
    };
    policies.iter().map(|policy| own(policy).unwrap_or_default()).collect()
}
