//! Records for tests: those of a real submission, and any number of others.

use std::collections::BTreeMap;

use pretext_engine::submission::Planned;
use pretext_engine::{Batch, Change, GrantRecord, Holder, Progress, PushedData, StageRecord, State, SweepRecord};
use pretext_shared::dataset::{DatasetFacts, Procedural};
use pretext_shared::device::NumericClass;
use pretext_shared::ids::{ArtifactId, ContentHash, Fence, Fingerprint, StageId, WorkerId};
use pretext_shared::plan;
use pretext_shared::point::{Metric, Part, Point};
use pretext_shared::spec;
use pretext_shared::stage::Extent;

const SWEEP: &str = "
name: stored
dataset: {kind: procedural, train_per_class: 40, test_per_class: 10, seed: 0, image_size: 16}
encoder: {kind: small-cnn, width: 4, blocks: 2}
methods: [supervised]
fractions: [50%]
lr: {fixed: {kind: constant, base: 0.01}}
seeds: [0]
downstream: {epochs: 1, batch: 8}
";

/// A sweep of one cell with its two stages.
pub(crate) fn submission() -> (SweepRecord, Vec<(StageId, StageRecord)>) {
    let sweep = spec::parse(SWEEP).expect("a good sweep");
    let facts = Procedural { train_per_class: 40, test_per_class: 10, seed: 0 }.facts();
    let plan = plan::expand(&sweep, &facts, NumericClass::Cpu, Extent::Whole).expect("a plan");
    let submission = Planned { sweep, facts, pretext_facts: None, plan }.submission(SWEEP.to_owned(), 7, None);
    (submission.sweep, submission.stages)
}

/// Returns a pushed data set.
pub(crate) fn pushed(name: &str) -> PushedData {
    let artifact = |part: &str| ArtifactId(ContentHash::of(format!("{name} {part}").as_bytes()));
    let facts = Procedural { train_per_class: 40, test_per_class: 10, seed: 0 }.facts();
    let fingerprint = Fingerprint(ContentHash::of(name.as_bytes()));
    PushedData {
        facts: DatasetFacts { key: format!("image-folder:{name}"), fingerprint, ..facts },
        packing: artifact("list"),
        packs: vec![artifact("1"), artifact("2")],
        files: 150,
        bytes: 40 << 20,
        pushed_ms: 1_795_000_000_000,
    }
}

/// The changes of a submission, and its stages.
pub(crate) fn submitted() -> (Vec<Change>, Vec<StageId>) {
    let (sweep, stages) = submission();
    let ids = stages.iter().map(|(id, _)| *id).collect();
    let mut changes = vec![Change::AddSweep(Box::new(sweep))];
    for (id, record) in stages {
        changes.push(Change::AddStage(id, Box::new(record)));
        changes.push(Change::SetProgress(id, Box::default()));
    }
    (changes, ids)
}

/// A sweep with `cells` cells, each with a stage of its own.
pub(crate) fn large(cells: u32) -> (Vec<Change>, BTreeMap<StageId, StageRecord>) {
    let (mut sweep, stages) = submission();
    let (cell, record) = (sweep.cells[0].clone(), stages[0].1.clone());
    let id = |n: u32| StageId(ContentHash::of(&n.to_be_bytes()));
    sweep.cells = (0..cells)
        .map(|n| {
            let mut cell = cell.clone();
            cell.key.seed = u64::from(n);
            cell.downstream = id(n);
            cell
        })
        .collect();
    let mut changes = vec![Change::AddSweep(Box::new(sweep))];
    for n in 0..cells {
        changes.push(Change::AddStage(id(n), Box::new(record.clone())));
        changes.push(Change::SetProgress(id(n), Box::default()));
    }
    (changes, (0..cells).map(|n| (id(n), record.clone())).collect())
}

pub(crate) fn batch(fence: u64, sequence: u64, value: f64) -> Batch {
    let point = Point { part: Part::Train, metric: Metric::Loss, epoch: 1, step: sequence, value };
    Batch { fence: Fence(fence), sequence, points: vec![point] }
}

pub(crate) fn holder() -> Holder {
    Holder {
        worker: WorkerId { name: "w".to_owned(), boot: uuid::Uuid::from_u128(1) },
        device: "cpu".to_owned(),
        request: "r".to_owned(),
    }
}

pub(crate) fn leased(fence: u64) -> Progress {
    Progress { fence: Fence(fence), state: State::Leased(holder()), batches: 2, ..Progress::new() }
}

pub(crate) fn grant(granted_ms: u64) -> GrantRecord {
    GrantRecord { holder: holder(), granted_ms, resume_step: 0 }
}

pub(crate) fn progress(stage: StageId, fence: u64) -> Change {
    Change::SetProgress(stage, Box::new(leased(fence)))
}
