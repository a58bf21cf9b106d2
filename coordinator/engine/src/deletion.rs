//! Deletes sweeps, with everything that only they needed.
//!
//! [`Engine::delete`] removes the sweep, which is one small change. [`Engine::clear`] then removes the stages that no
//! sweep needs, a few at a time, so that the deletion of a large sweep does not keep other requests waiting. If the
//! coordinator stops in between, the next start goes on. A deleted stage may be submitted again, and has the same id
//! then. It begins at a fence above those of all deleted stages, so no former holder of it is taken for the new one.

use pretext_shared::ids::{Fence, StageId, SweepId};

use super::{Change, Engine, Refusal};

/// The outcome of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deleted {
    /// Number of cells of the sweep.
    pub cells: usize,
}

impl Engine {
    /// Deletes a sweep that does not run: it was cancelled, or all its cells are final. Its stages stay until
    /// [`Engine::clear`].
    ///
    /// # Errors
    /// If the sweep is not known, or runs.
    pub fn delete(&mut self, sweep: &SweepId) -> Result<Deleted, Refusal> {
        let entry = self.table.sweeps().get(sweep).ok_or_else(|| Refusal::UnknownSweep(sweep.to_string()))?;
        if !entry.mark.is_cancelled() && !entry.counts().is_final() {
            return Err(Refusal::StillRuns(sweep.clone()));
        }
        let cells = entry.record.cells.len();
        // A stage behind a failed one still waits. If only cancelled sweeps need it besides this one, it must not.
        self.cancel(sweep)?;
        self.table.remove_sweep(sweep);
        self.changes.push(Change::DeleteSweep(sweep.clone()));
        Ok(Deleted { cells })
    }

    /// Deletes at most `most` stages that no sweep needs, and returns their number. New stages begin above their
    /// fences.
    pub fn clear(&mut self, most: usize) -> usize {
        let loose: Vec<StageId> = self.loose_stages().take(most).collect();
        let first = self.newborn_fence;
        for id in &loose {
            let Some(progress) = self.table.remove_stage(*id) else { continue };
            if progress.fence > Fence(0) && progress.fence >= self.newborn_fence {
                self.newborn_fence = progress.fence.above();
            }
            self.changes.push(Change::DeleteStage(*id));
        }
        if self.newborn_fence > first {
            self.changes.push(Change::RaiseFences(self.newborn_fence));
        }
        loose.len()
    }

    /// Returns the stages that no sweep needs, published or not.
    pub fn loose_stages(&self) -> impl Iterator<Item = StageId> {
        self.table.index().loose()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pretext_shared::artifact::StoredArtifact;
    use pretext_shared::ids::{ArtifactId, ContentHash};
    use pretext_shared::outcome::{ArtifactKind, Failure, FailureCode, StageResult};

    use super::*;
    use crate::fixtures::*;
    use crate::{Directive, Limits, Snapshot, State};

    const ROTATION: &str = "methods: [rotation]";

    fn artifact(name: &str) -> ArtifactId {
        ArtifactId(ContentHash::of(name.as_bytes()))
    }

    #[test]
    fn a_sweep_goes_with_all_that_only_it_needed() {
        let mut engine = engine_with(&[("a", 1)]);
        let mut snapshot = Snapshot::default();
        let (both, one) =
            (submission(SWEEP, 1), submission(&SWEEP.replace("methods: [supervised, rotation]", ROTATION), 2));
        engine.submit(both.clone());
        engine.submit(one.clone());
        let mut now = 0;
        while let Some(grant) = lease(&mut engine, "a", &format!("r{now}"), now) {
            let outputs = [(ArtifactKind::Model, artifact(&grant.attempt.stage.to_string()))].into();
            engine.complete(grant.attempt, StageResult { artifacts: outputs, ..result() }, 0).expect("the holder");
            now += 1;
        }
        engine.delete(&both.sweep.id).expect("it has ended");
        assert_eq!((engine.clear(1), engine.clear(10), engine.clear(10)), (1, 1, 0), "two stages were its own");
        assert!(engine.find_sweep(both.sweep.id.as_str()).is_err());
        assert_eq!(engine.cell_counts(&one.sweep.id).expect("it stays").succeeded, 1);
        let held: Vec<StoredArtifact> = both
            .stages
            .iter()
            .map(|(id, _)| StoredArtifact { artifact: artifact(&id.to_string()), bytes: 1, age: Duration::MAX })
            .collect();
        let sorted = engine.garbage(&held, Duration::ZERO).expect("a store with sweeps");
        assert_eq!((sorted.garbage.len(), sorted.needed.artifacts), (2, 3));

        // A restart knows the same, and garbage of a store whose last sweep was deleted is garbage still.
        engine.delete(&one.sweep.id).expect("it has ended");
        while engine.clear(1) > 0 {}
        persist(&mut snapshot, engine.take_changes());
        assert_eq!((snapshot.sweeps.len(), snapshot.stages.len()), (0, 0));
        let restored = Engine::restore(Limits::default(), snapshot, 0);
        for engine in [&engine, &restored] {
            assert_eq!(engine.garbage(&held, Duration::ZERO).expect("it deleted sweeps").garbage.len(), 5);
        }
    }

    #[test]
    fn a_sweep_that_runs_stays() {
        let mut engine = engine_with(&[("a", 1)]);
        let submitted = submission(SWEEP, 1);
        let id = submitted.sweep.id.clone();
        engine.submit(submitted);
        let refused = engine.delete(&id).expect_err("it runs");
        assert!(refused.to_string().contains(&format!("coordinator cancel {id}")), "{refused}");
        let attempt = lease(&mut engine, "a", "r", 0).expect("work").attempt;
        engine.cancel(&id).expect("known");
        engine.delete(&id).expect("it was cancelled");
        assert!(matches!(engine.delete(&id), Err(Refusal::UnknownSweep(_))));
        assert_eq!(engine.clear(10), 5);
        assert_eq!(engine.heartbeat(&worker("a"), &[(attempt, 1, 1)], 1), [Directive::Superseded]);
    }

    #[test]
    fn a_former_holder_is_no_holder_of_the_stage_that_is_submitted_again() {
        for restarts in [false, true] {
            let mut engine = engine_with(&[("a", 1)]);
            let mut snapshot = Snapshot::default();
            let submitted = submission(SWEEP, 1);
            engine.submit(submitted.clone());
            let old = lease(&mut engine, "a", "old", 0).expect("work").attempt;
            engine.cancel(&submitted.sweep.id).expect("known");
            engine.delete(&submitted.sweep.id).expect("cancelled");
            while engine.clear(2) > 0 {}
            persist(&mut snapshot, engine.take_changes());
            if restarts {
                engine = Engine::restore(Limits::default(), snapshot, 0);
                engine.register(worker("a"), offer(0), 0);
            }
            engine.submit(submitted);
            // Before and after the next grant, the old one is superseded and harms nothing.
            let failure = Failure { code: FailureCode::Diverged, message: String::new(), log: vec![] };
            for granted in [false, true] {
                let new = granted.then(|| lease(&mut engine, "a", "new", 1).expect("work").attempt);
                assert!(matches!(engine.release(old), Err(Refusal::Superseded { .. })));
                assert!(matches!(engine.fail(old, failure.clone(), 1), Err(Refusal::Superseded { .. })));
                assert!(matches!(engine.complete(old, result(), 0), Err(Refusal::Superseded { .. })));
                assert!(new.is_none_or(|new| new.stage == old.stage && new.fence.count() > old.fence.count()));
            }
            let state = &engine.progress(old.stage).expect("submitted").state;
            assert!(matches!(state, State::Leased(_)), "{state:?}");
        }
    }
}
