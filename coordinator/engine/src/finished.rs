//! Sweeps that are finished: all of their cells are final.

use pretext_shared::ids::{ContentHash, SweepId};
use pretext_shared::stage::Extent;

use super::{CellCounts, Engine, State};

/// A sweep that is finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishedSweep {
    /// Its id.
    pub sweep: SweepId,
    /// Its name, as in the file.
    pub name: String,
    /// Number of its cells in each state.
    pub cells: CellCounts,
    /// Whether it was cancelled.
    pub is_cancelled: bool,
    /// Whether it is a rehearsal.
    pub extent: Extent,
    /// Milliseconds since the Unix epoch.
    pub submitted_ms: u64,
    /// Differs each time that the sweep is finished: after a retry it finishes again, on another occasion.
    pub occasion: ContentHash,
}

impl Engine {
    /// Returns the sweeps that are finished.
    pub fn finished_ids(&self) -> Vec<SweepId> {
        let sweeps = self.table.sweeps().iter();
        sweeps.filter(|(_, sweep)| sweep.counts().is_final()).map(|(id, _)| id.clone()).collect()
    }

    /// Returns a sweep that is finished; `None` if it is not. Walks over its stages.
    pub fn finished(&self, sweep: &SweepId) -> Option<FinishedSweep> {
        let entry = self.table.sweeps().get(sweep).filter(|entry| entry.counts().is_final())?;
        let mut occasion = Vec::with_capacity(entry.stages.len() * 41);
        for (id, stage) in entry.stages.iter().filter_map(|id| Some((id, self.table.stages().get(id)?))) {
            occasion.extend_from_slice(id.0.as_bytes());
            occasion.extend_from_slice(&stage.progress.fence.0.to_be_bytes());
            occasion.push(match &stage.progress.state {
                State::Waiting(_) => 0,
                State::Leased(_) => 1,
                State::Succeeded(_) => 2,
                State::Failed(_) => 3,
                State::Cancelled => 4,
            });
        }
        Some(FinishedSweep {
            sweep: sweep.clone(),
            name: entry.record.name.clone(),
            cells: entry.counts(),
            is_cancelled: entry.mark.is_cancelled(),
            extent: entry.record.provenance.extent,
            submitted_ms: entry.record.submitted_ms,
            occasion: ContentHash::of(&occasion),
        })
    }
}

#[cfg(test)]
mod tests {
    use pretext_shared::outcome::{Failure, FailureCode};

    use crate::fixtures::{SWEEP, engine_with, lease, result, submission};

    #[test]
    fn a_sweep_finishes_again_after_a_retry() {
        let mut engine = engine_with(&[("a", 1)]);
        let sweep = submission(SWEEP, 1).sweep.id;
        engine.submit(submission(SWEEP, 1));
        let mut now = 0;
        let mut occasions = Vec::new();
        for _ in 0..2 {
            assert_eq!((engine.finished_ids().len(), engine.finished(&sweep)), (0, None));
            while let Some(grant) = lease(&mut engine, "a", &format!("r{now}"), now) {
                now += 1;
                let failure = Failure { code: FailureCode::Diverged, message: "nan".to_owned(), log: Vec::new() };
                engine.fail(grant.attempt, failure, now).expect("the holder fails");
            }
            assert_eq!(engine.finished_ids(), std::slice::from_ref(&sweep));
            let finished = engine.finished(&sweep).expect("all cells failed");
            assert_eq!((finished.cells.failed, finished.is_cancelled), (2, false));
            assert_eq!(engine.finished(&sweep), Some(finished.clone()), "the same until it changes");
            occasions.push(finished.occasion);
            engine.retry(&sweep).expect("it is known");
        }
        assert_ne!(occasions[0], occasions[1]);
        while let Some(grant) = lease(&mut engine, "a", &format!("r{now}"), now) {
            now += 1;
            engine.complete(grant.attempt, result(), 0).expect("the holder completes");
        }
        assert_eq!(engine.finished(&sweep).expect("all cells succeeded").cells.succeeded, 2);
    }
}
