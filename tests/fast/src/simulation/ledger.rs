//! The ledger: everything that the coordinator acknowledged, as clients saw it, and its comparison with the store at
//! the end.

use std::collections::{BTreeMap, BTreeSet};

use pretext_engine::State;
use pretext_shared::ids::{AttemptId, StageId, SweepId};
use pretext_shared::outcome::StageResult;
use pretext_shared::point::Point;

use super::store::{Store, Violation, violation};

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    pub(super) points: BTreeMap<(AttemptId, u64), Vec<Point>>,
    pub(super) checkpoints: BTreeMap<StageId, u64>,
    pub(super) results: BTreeMap<StageId, StageResult>,
    pub(super) sweeps: BTreeSet<SweepId>,
    /// Whether the last acknowledged change of a sweep was its cancellation.
    pub(super) cancelled: BTreeMap<SweepId, bool>,
}

impl Ledger {
    pub(super) fn size(&self) -> usize {
        self.points.len() + self.checkpoints.len() + self.results.len() + self.sweeps.len()
    }

    /// Forgets a stage that was deleted.
    pub(super) fn forget(&mut self, stage: StageId) {
        self.points.retain(|(attempt, _), _| attempt.stage != stage);
        self.checkpoints.remove(&stage);
        self.results.remove(&stage);
    }

    /// Checks that everything that was acknowledged is in the store, unchanged.
    pub(super) fn compare(&self, store: &Store) -> Result<(), Violation> {
        for ((attempt, sequence), points) in &self.points {
            let stored = store.points.get(&attempt.stage).and_then(|all| all.get(&(attempt.fence, *sequence)));
            if stored != Some(points) {
                return violation("I5", format!("acknowledged points {attempt} #{sequence} are {stored:?}"));
            }
        }
        for (stage, step) in &self.checkpoints {
            let progress = store.progress(*stage);
            let kept =
                progress.and_then(|progress| progress.checkpoint.as_ref()).is_some_and(|kept| kept.step >= *step);
            let done = progress.is_some_and(|progress| matches!(progress.state, State::Succeeded(_)));
            if !kept && !done {
                return violation("I5", format!("the acknowledged checkpoint {} of {} is lost", step, stage.short()));
            }
        }
        for (stage, result) in &self.results {
            match store.progress(*stage).map(|progress| &progress.state) {
                Some(State::Succeeded(stored)) if stored == result => {}
                other => {
                    return violation("I5", format!("the acknowledged result of {} is {other:?}", stage.short()));
                }
            }
        }
        for sweep in &self.sweeps {
            if !store.snapshot.sweeps.iter().any(|(stored, _)| stored.id == *sweep) {
                return violation("I5", format!("the acknowledged sweep {sweep} is lost"));
            }
        }
        for (sweep, cancelled) in &self.cancelled {
            let mark = store.snapshot.sweeps.iter().find(|(stored, _)| stored.id == *sweep).map(|(_, mark)| mark);
            if mark.is_some_and(|mark| mark.is_cancelled() != *cancelled) {
                return violation("I11", format!("sweep {sweep} is {mark:?}, acknowledged as cancelled: {cancelled}"));
            }
        }
        Ok(())
    }
}
