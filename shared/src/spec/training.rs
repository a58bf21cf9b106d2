//! What `pretext` and `downstream` have in common: how long, in what batches, with what optimizer.

use super::field::{Field, Section};
use super::node::Value;
use super::schedule;
use crate::stage::{Budget, LrSpec, OptimizerSpec, TrainSpec};

/// Keys of a training section that every kind of training has.
pub(super) const KEYS: [&str; 5] = ["epochs", "steps", "batch", "optimizer", "lr"];

const DEFAULT_BATCH: u32 = 64;
const MAX_BATCH: u32 = 65_536;
const MAX_EPOCHS: u32 = 1_000_000;
const MAX_STEPS: u64 = 1_000_000_000;
const DEFAULT_MOMENTUM: f64 = 0.9;

/// A training section without the schedule, which depends on the policy.
#[derive(Debug, Clone)]
pub(super) struct Training {
    pub(super) budget: Budget,
    batch: u32,
    optimizer: OptimizerSpec,
    /// The rate for policies that do not apply.
    pub(super) own_lr: Option<LrSpec>,
}

impl Training {
    pub(super) fn with(&self, lr: LrSpec) -> TrainSpec {
        TrainSpec { budget: self.budget, batch: self.batch, optimizer: self.optimizer.clone(), lr }
    }
}

/// Reads the common keys. `least_batch` is the smallest batch that the loss is defined for.
pub(super) fn read(section: &Section<'_>, least_batch: u32) -> Option<Training> {
    let budget = budget(section);
    let batch = section.or("batch", DEFAULT_BATCH, |field| field.small(least_batch..=MAX_BATCH));
    let optimizer = section.or("optimizer", OptimizerSpec::Adam { weight_decay: 0.0 }, |field| optimizer(&field));
    let own_lr = section.optional("lr", |field| schedule::own(&field));
    Some(Training { budget: budget?, batch: batch?, optimizer: optimizer?, own_lr: own_lr? })
}

/// `epochs` or `steps`; an override of one replaces the other.
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

fn optimizer(field: &Field<'_>) -> Option<OptimizerSpec> {
    let kinds = [
        ("adam", OptimizerSpec::Adam { weight_decay: 0.0 }),
        ("sgd", OptimizerSpec::Sgd { momentum: DEFAULT_MOMENTUM, weight_decay: 0.0 }),
    ];
    if !matches!(field.node.value, Value::Map(_)) {
        return field.choice("an optimizer", &kinds);
    }
    let section = field.section()?;
    let kind = section.need("kind", "`adam` or `sgd`", |field| field.choice("an optimizer", &kinds))?;
    let decay = || section.or("weight_decay", 0.0, |f| f.number("a number of at least 0", |decay| decay >= 0.0));
    Some(match kind {
        OptimizerSpec::Adam { .. } => {
            section.only(&["kind", "weight_decay"]);
            OptimizerSpec::Adam { weight_decay: decay()? }
        }
        OptimizerSpec::Sgd { momentum, .. } => {
            section.only(&["kind", "momentum", "weight_decay"]);
            let in_range = |momentum: f64| (0.0..1.0).contains(&momentum);
            let momentum =
                section.or("momentum", momentum, |f| f.number("a number of at least 0 and below 1", in_range));
            let weight_decay = decay();
            OptimizerSpec::Sgd { momentum: momentum?, weight_decay: weight_decay? }
        }
    })
}
