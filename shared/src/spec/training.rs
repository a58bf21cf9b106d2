//! Reads the keys that `pretext` and `downstream` share: length, batches and optimizer.

use super::field::{Field, Section};
use super::node::Value;
use super::schedule;
use crate::stage::{Budget, DecayOn, LrSpec, OptimizerSpec, TrainSpec};

/// Keys that every training section has.
pub(super) const KEYS: [&str; 5] = ["epochs", "steps", "batch", "optimizer", "lr"];

const DEFAULT_BATCH: u32 = 64;
const MAX_BATCH: u32 = 65_536;
const MAX_EPOCHS: u32 = 1_000_000;
const MAX_STEPS: u64 = 1_000_000_000;
const DEFAULT_MOMENTUM: f64 = 0.9;
/// SimCLR's `eeta`.
const DEFAULT_TRUST: f64 = 1e-3;
/// PyTorch's default for AdamW.
const DEFAULT_DECOUPLED: f64 = 1e-2;

/// A training section without the schedule, which depends on the policy.
#[derive(Debug, Clone)]
pub(super) struct Training {
    pub(super) budget: Budget,
    pub(super) batch: u32,
    optimizer: OptimizerSpec,
    decay: DecayOn,
    /// The rate under policies that do not apply to this stage.
    pub(super) own_lr: Option<LrSpec>,
}

impl Training {
    pub(super) fn with(&self, lr: LrSpec) -> TrainSpec {
        let Self { budget, batch, ref optimizer, decay, .. } = *self;
        TrainSpec { budget, batch, optimizer: optimizer.clone(), decay, lr }
    }
}

/// Reads the common keys. `least_batch` is the smallest batch for which the loss is defined.
pub(super) fn read(section: &Section<'_>, least_batch: u32) -> Option<Training> {
    let budget = budget(section);
    let batch = section.or("batch", DEFAULT_BATCH, |field| field.small(least_batch..=MAX_BATCH));
    let default = (OptimizerSpec::Adam { weight_decay: 0.0 }, DecayOn::Weights);
    let optimizer = section.or("optimizer", default, |field| optimizer(&field));
    let own_lr = section.optional("lr", |field| schedule::own(&field, batch.unwrap_or(DEFAULT_BATCH)));
    let (optimizer, decay) = optimizer?;
    Some(Training { budget: budget?, batch: batch?, optimizer, decay, own_lr: own_lr? })
}

/// Reads `epochs` or `steps`; an override of one replaces the other.
fn budget(section: &Section<'_>) -> Option<Budget> {
    for layer in section.layers() {
        let epochs = |field: &Field<'_>| field.small(1..=MAX_EPOCHS).map(Budget::Epochs);
        let steps = |field: &Field<'_>| field.integer(1..=MAX_STEPS).map(Budget::Steps);
        match (layer.get("epochs"), layer.get("steps")) {
            (Some(_), Some(field)) => {
                return field.refuse_with("`epochs` and `steps` exclude each other", "remove one of them");
            }
            (Some(field), None) => return epochs(&field),
            (None, Some(field)) => return steps(&field),
            (None, None) => {}
        }
    }
    section.missing("epochs", "give `epochs`, or `steps` for a budget that is equal for all fractions")
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Adam,
    AdamW,
    Sgd,
    Lars,
}

const KINDS: [(&str, Kind); 4] =
    [("adam", Kind::Adam), ("adamw", Kind::AdamW), ("sgd", Kind::Sgd), ("lars", Kind::Lars)];

/// Reads the optimizer, and the parameters that its weight decay acts on.
fn optimizer(field: &Field<'_>) -> Option<(OptimizerSpec, DecayOn)> {
    if !matches!(field.node.value, Value::Map(_)) {
        let weight_decay = 0.0;
        let optimizer = match field.choice("an optimizer", &KINDS)? {
            Kind::Adam => OptimizerSpec::Adam { weight_decay },
            Kind::AdamW => OptimizerSpec::AdamW { weight_decay: DEFAULT_DECOUPLED },
            Kind::Sgd => OptimizerSpec::Sgd { momentum: DEFAULT_MOMENTUM, weight_decay },
            Kind::Lars => OptimizerSpec::Lars { momentum: DEFAULT_MOMENTUM, weight_decay, trust: DEFAULT_TRUST },
        };
        return Some((optimizer, DecayOn::Weights));
    }
    let section = field.section()?;
    let help = "`adam`, `adamw`, `sgd` or `lars`";
    let kind = section.need("kind", help, |field| field.choice("an optimizer", &KINDS))?;
    let own: &[&str] = match kind {
        Kind::Adam | Kind::AdamW => &["decay"],
        Kind::Sgd => &["momentum", "nesterov", "decay"],
        Kind::Lars => &["momentum", "trust"],
    };
    section.only(&[&["kind", "weight_decay"], own].concat());
    let default_decay = if matches!(kind, Kind::AdamW) { DEFAULT_DECOUPLED } else { 0.0 };
    let weight_decay =
        section.or("weight_decay", default_decay, |f| f.number("a number of at least 0", |decay| decay >= 0.0));
    let targets = [("weights", DecayOn::Weights), ("all", DecayOn::All)];
    let decay = section.or("decay", DecayOn::Weights, |field| field.choice("a set of parameters", &targets));
    let optimizer = match kind {
        Kind::Adam => OptimizerSpec::Adam { weight_decay: weight_decay? },
        Kind::AdamW => OptimizerSpec::AdamW { weight_decay: weight_decay? },
        Kind::Sgd => sgd(&section, weight_decay)?,
        Kind::Lars => {
            let momentum = momentum(&section);
            let trust = section.or("trust", DEFAULT_TRUST, |f| f.number("a number above 0", |trust| trust > 0.0));
            OptimizerSpec::Lars { momentum: momentum?, weight_decay: weight_decay?, trust: trust? }
        }
    };
    Some((optimizer, decay?))
}

fn momentum(section: &Section<'_>) -> Option<f64> {
    let in_range = |momentum: f64| (0.0..1.0).contains(&momentum);
    section.or("momentum", DEFAULT_MOMENTUM, |f| f.number("a number of at least 0 and below 1", in_range))
}

fn sgd(section: &Section<'_>, weight_decay: Option<f64>) -> Option<OptimizerSpec> {
    let momentum = momentum(section);
    let nesterov = section.or("nesterov", false, |field| field.switch());
    let (momentum, nesterov, weight_decay) = (momentum?, nesterov?, weight_decay?);
    match section.get("nesterov") {
        Some(field) if nesterov && momentum == 0.0 => {
            field.refuse_with("there is no Nesterov step without momentum", "set `momentum`, or remove `nesterov`")
        }
        _ if nesterov => Some(OptimizerSpec::Nesterov { momentum, weight_decay }),
        _ => Some(OptimizerSpec::Sgd { momentum, weight_decay }),
    }
}
