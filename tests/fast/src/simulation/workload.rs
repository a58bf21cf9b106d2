//! The requests for the coordinator: a few small sweeps that share stages, planned once by the real planner, and a data
//! set that only some machines have.

use pretext_engine::submission::{self, Announced};
use pretext_engine::{PushedData, Submission};
use pretext_shared::dataset::{DatasetFacts, Procedural};
use pretext_shared::device::NumericClass;
use pretext_shared::ids::{ArtifactId, ContentHash, StageId};
use pretext_shared::stage::Extent;

const BASE: &str = "
name: small
dataset: {kind: procedural, train_per_class: 40, test_per_class: 10, seed: 0, image_size: 16}
encoder: {kind: small-cnn, width: 4, blocks: 2}
methods: [METHODS]
fractions: [FRACTIONS]
lr: {fixed: {kind: constant, base: 0.01}}
seeds: [SEEDS]
pretext: {data: all, epochs: 1, batch: 8}
downstream: {epochs: 1, batch: 8}
";

/// The sweeps from which every seed takes some.
#[derive(Debug, Clone)]
pub struct Workload {
    /// Planned sweeps; those of the same seed list share stages.
    pub submissions: Vec<Submission>,
}

impl Workload {
    /// Plans the sweeps.
    ///
    /// # Panics
    /// If the sweeps of this file are invalid.
    pub fn new() -> Self {
        let sweeps = [
            ("supervised, rotation", "50%", "0", ""),
            ("rotation", "50%", "0", ""),
            ("supervised", "50%", "0", ""),
            ("rotation", "50%, 100%", "0", ""),
            ("supervised", "50%", "1, 2", "max_parallel: 1\n"),
            ("rotation", "50%", "1", ""),
            ("rotation", "50%, 100%", "4, 3", "priority: 2\n"),
        ];
        let submissions = sweeps.into_iter().map(|(methods, fractions, seeds, more)| {
            let text = BASE.replace("METHODS", methods).replace("FRACTIONS", fractions).replace("SEEDS", seeds) + more;
            let mut submission = submission::plan(&text, Extent::Whole, &Announced::new(), NumericClass::Cpu)
                .map(|planned| planned.submission(text, 0, None))
                .unwrap_or_else(|error| panic!("a sweep of the workload is not good: {error}"));
            // Hundreds of names that the engine does not use, and that would be copied with every state.
            submission.sweep.provenance.spec.clear();
            submission.sweep.provenance.build = None;
            if submission.sweep.priority > 0 {
                for (_, record) in &mut submission.stages {
                    record.source = format!("image-folder:{FOLDER}").parse().expect("a key");
                }
            }
            submission
        });
        Self { submissions: submissions.collect() }
    }

    /// Returns a sweep of one supervised cell: two stages.
    pub fn two_stages(&self) -> &Submission {
        &self.submissions[2]
    }
}

impl Default for Workload {
    fn default() -> Self {
        Self::new()
    }
}

/// Folder of the data of the sweep with a priority.
const FOLDER: &str = "cells";

/// Returns the facts of the data that only some machines have.
pub(super) fn data() -> DatasetFacts {
    let mut facts = Procedural { train_per_class: 40, test_per_class: 10, seed: 0 }.facts();
    facts.key = format!("image-folder:{FOLDER}");
    facts
}

/// Returns these data as they are pushed.
pub(super) fn pushed(pushed_ms: u64) -> PushedData {
    let artifact = |name: &str| ArtifactId(ContentHash::of(name.as_bytes()));
    let packs = vec![artifact("one pack"), artifact("another pack")];
    PushedData { facts: data(), packing: artifact("packing"), packs, files: 2, bytes: 1_000, pushed_ms }
}

/// Returns the number of steps of a stage in the simulation: a function of its id.
pub(super) fn steps(stage: StageId) -> u64 {
    2 + u64::from(stage.0.as_bytes()[0] % 5)
}

/// Returns the value that training computes at a step: a function of stage and step, as in training.
pub(super) fn value(stage: StageId, step: u64) -> f64 {
    f64::from(stage.0.as_bytes()[1]) + step as f64 / 16.0
}
