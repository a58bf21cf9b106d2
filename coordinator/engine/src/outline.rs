//! The part of a stage's plan that the scheduler needs. The engine keeps only this part in memory. The rest stays in
//! the store until a worker or a reader needs it, so that a restart does not have to load it.

use pretext_shared::dataset::Source;
use pretext_shared::device::NumericClass;
use pretext_shared::ids::{Fingerprint, StageId};
use pretext_shared::stage::{Stage, StageKind};
use pretext_shared::sweep::Cost;

use super::StageRecord;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// Its kind.
    pub kind: StageKind,
    /// The numeric class of the device that it needs.
    pub class: NumericClass,
    /// The stage whose output it starts from.
    pub parent: Option<StageId>,
    /// The data that it reads.
    pub data: Fingerprint,
    /// Key of these data in announcements (`KIND:PATH`); `None` for data that every worker draws itself.
    pub place: Option<Box<str>>,
    /// Its cost.
    pub cost: Cost,
}

impl Outline {
    /// Returns the outline of a planned stage that reads `source`.
    pub fn planned(stage: &Stage, source: &Source, cost: Cost) -> Self {
        let spec = &stage.spec;
        Self {
            kind: spec.kind(),
            class: stage.class,
            parent: spec.parent(),
            data: spec.data().fingerprint,
            place: source.path().map(|_| source.key().into()),
            cost,
        }
    }
}

impl From<&StageRecord> for Outline {
    fn from(record: &StageRecord) -> Self {
        Self::planned(&record.stage, &record.source, record.cost)
    }
}
