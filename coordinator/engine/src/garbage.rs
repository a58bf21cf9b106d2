//! Finds the artifacts that are needed, and those that are garbage.

use std::collections::BTreeSet;
use std::time::Duration;

use pretext_shared::artifact::StoredArtifact;
use pretext_shared::ids::{ArtifactId, Fence};

use super::{Engine, Progress, Refusal, State};

/// A number of kept artifacts, and their total size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    /// Number of artifacts.
    pub artifacts: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Artifacts, sorted by whether they are needed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Garbage {
    /// Artifacts that are old and not needed.
    pub garbage: Vec<StoredArtifact>,
    /// Artifacts that are needed.
    pub needed: Kept,
    /// Artifacts that are not needed yet, but may be soon: their upload is recent.
    pub young: Kept,
}

/// An event of a collection of garbage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collected {
    /// An artifact was removed, or would be.
    Garbage(StoredArtifact),
    /// The end: counts of needed and of young artifacts.
    Stays(Kept, Kept),
}

impl Kept {
    fn add(&mut self, holding: StoredArtifact) {
        self.artifacts += 1;
        self.bytes += holding.bytes;
    }
}

impl Progress {
    /// Returns the artifacts that a stage needs: those of its result, else the checkpoints to resume from. A failed or
    /// cancelled stage keeps its checkpoints, because `retry` resumes from them.
    pub(super) fn artifacts(&self) -> impl Iterator<Item = ArtifactId> {
        let outputs = match &self.state {
            State::Succeeded(result) => Some(result.artifacts.values().copied()),
            _ => None,
        };
        let checkpoints = self.checkpoint.iter().chain(&self.predecessors).map(|checkpoint| checkpoint.artifact);
        outputs.into_iter().flatten().chain(checkpoints)
    }
}

impl Engine {
    /// Returns those of `artifacts` that no stage of any sweep and no pushed data set needs, sorted.
    pub fn unreferenced(&self, artifacts: impl IntoIterator<Item = ArtifactId>) -> Vec<ArtifactId> {
        let index = self.table.index();
        let left: BTreeSet<ArtifactId> = artifacts.into_iter().filter(|artifact| !index.needs(*artifact)).collect();
        left.into_iter().collect()
    }

    /// Sorts the stored artifacts. Those that no stage of any sweep and no pushed data set needs are garbage once they
    /// are older than `grace`.
    ///
    /// # Errors
    /// If there are artifacts although nothing was ever submitted or pushed here.
    pub fn garbage(&self, held: &[StoredArtifact], grace: Duration) -> Result<Garbage, Refusal> {
        let is_new = self.table.sweeps().is_empty() && self.table.data().is_empty() && self.newborn_fence == Fence(0);
        if is_new && !held.is_empty() {
            return Err(Refusal::NothingKnown);
        }
        let mut sorted = Garbage::default();
        for holding in held {
            if self.table.index().needs(holding.artifact) {
                sorted.needed.add(*holding);
            } else if holding.age <= grace {
                sorted.young.add(*holding);
            } else {
                sorted.garbage.push(*holding);
            }
        }
        Ok(sorted)
    }
}

#[cfg(test)]
mod tests {
    use pretext_shared::ids::ContentHash;
    use pretext_shared::outcome::{ArtifactKind, StageResult};

    use super::*;
    use crate::fixtures::{SWEEP, engine_with, lease, result, submission};
    use crate::{Checkpoint, Grant};

    const KEEP: u32 = 3;
    const GRACE: Duration = Duration::from_secs(60);

    fn artifact(name: &str) -> ArtifactId {
        ArtifactId(ContentHash::of(name.as_bytes()))
    }

    fn aged(name: &str, seconds: u64) -> StoredArtifact {
        StoredArtifact { artifact: artifact(name), bytes: 10, age: Duration::from_secs(seconds) }
    }

    fn register(engine: &mut Engine, grant: &Grant, name: &str, step: u64) -> Vec<ArtifactId> {
        let checkpoint = Checkpoint { artifact: artifact(name), step };
        engine.register_checkpoint(grant.attempt, checkpoint, KEEP, 0, 0).expect("the holder registers")
    }

    fn begun(text: &str) -> (Engine, Grant) {
        let mut engine = engine_with(&[("a", 1)]);
        engine.submit(submission(text, 1));
        let grant = lease(&mut engine, "a", "first", 0).expect("work");
        (engine, grant)
    }

    #[test]
    fn checkpoints_beyond_what_a_sweep_keeps_are_given_up_and_at_the_end_all() {
        let (mut engine, grant) = begun(SWEEP);
        for (name, step) in [("one", 1), ("two", 2), ("three", 3)] {
            assert_eq!(register(&mut engine, &grant, name, step), [], "three are kept");
        }
        assert_eq!(register(&mut engine, &grant, "four", 4), [artifact("one")]);
        assert_eq!(register(&mut engine, &grant, "late", 2), [], "an older one takes nothing's place");
        // The next holder learns of all kept checkpoints.
        engine.release(grant.attempt).expect("given back");
        let again = lease(&mut engine, "a", "again", 0).expect("work");
        let steps = |checkpoints: &[Checkpoint]| checkpoints.iter().map(|each| each.step).collect::<Vec<_>>();
        assert_eq!(again.resume_from.map(|checkpoint| checkpoint.step), Some(4));
        assert_eq!(steps(&again.predecessors), [3, 2]);
        let mut given_up = engine.complete(again.attempt, result(), 0).expect("the holder completes");
        given_up.sort();
        let mut all = ["two", "three", "four"].map(artifact);
        all.sort();
        assert_eq!(given_up, all);
    }

    #[test]
    fn what_another_sweep_refers_to_stays() {
        let (mut engine, grant) = begun(SWEEP);
        // Both sweeps share the stage; then one of them is cancelled.
        let other = submission(&SWEEP.replace("[supervised, rotation]", "[rotation]"), 2);
        let sweep = other.sweep.id.clone();
        engine.submit(other);
        let outputs = [(ArtifactKind::Model, artifact("model"))].into();
        engine.complete(grant.attempt, StageResult { artifacts: outputs, ..result() }, 0).expect("completes");
        engine.cancel(&sweep).expect("known");
        // A checkpoint of one stage happens to be the model of another.
        let child = lease(&mut engine, "a", "child", 0).expect("work");
        register(&mut engine, &child, "model", 1);
        assert_eq!(engine.complete(child.attempt, result(), 0).expect("completes"), [], "it is a model still");

        let held = [aged("model", 100), aged("nobody's", 100), aged("on its way", 60)];
        let Garbage { garbage, needed, young } = engine.garbage(&held, GRACE).expect("a store with sweeps");
        assert_eq!(garbage, [held[1]]);
        assert_eq!((needed.artifacts, young.artifacts), (1, 1));
        assert_eq!(engine.unreferenced(held.map(|each| each.artifact)).len(), 2);
    }

    #[test]
    fn checkpoints_of_what_may_be_tried_again_stay() {
        let (mut engine, grant) = begun(SWEEP);
        register(&mut engine, &grant, "one", 1);
        register(&mut engine, &grant, "two", 2);
        let sweep = engine.list(0)[0].id.clone();
        engine.cancel(&sweep).expect("known");
        let sorted = engine.garbage(&[aged("one", 100), aged("two", 100)], GRACE).expect("a store with sweeps");
        assert_eq!((sorted.garbage.len(), sorted.needed.bytes), (0, 20));
    }

    #[test]
    fn a_store_that_knows_nothing_judges_nothing() {
        let engine = engine_with(&[]);
        assert_eq!(engine.garbage(&[aged("a", 100)], GRACE), Err(Refusal::NothingKnown));
        assert_eq!(engine.garbage(&[], GRACE), Ok(Garbage::default()));
    }
}
