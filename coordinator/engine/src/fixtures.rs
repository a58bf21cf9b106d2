//! Small sweeps, workers and engines, for the tests of this crate and of those above it.

use std::collections::BTreeMap;

use pretext_shared::dataset::{Procedural, Source};
use pretext_shared::device::{DeviceFacts, NumericClass};
use pretext_shared::ids::{ArtifactId, ContentHash, WorkerId};
use pretext_shared::outcome::{Failure, FailureCode, Score, StageResult};
use pretext_shared::plan;
use pretext_shared::spec;
use pretext_shared::stage::Extent;

use crate::submission::Planned;
use crate::{Change, Engine, Grant, Limits, Millis, Offer, Outline, PushedData, Snapshot, Submission, SweepMark};

/// A sweep of two methods on drawn pictures: two cells, five stages.
pub const SWEEP: &str = "
name: small
dataset: {kind: procedural, train_per_class: 40, test_per_class: 10, seed: 0, image_size: 16}
encoder: {kind: small-cnn, width: 4, blocks: 2}
methods: [supervised, rotation]
fractions: [50%]
lr: {fixed: {kind: constant, base: 0.01}}
seeds: [0]
pretext: {data: all, epochs: 1, batch: 8}
downstream: {epochs: 1, batch: 8}
";

/// Plans the sweep in `text` for a CPU.
pub fn submission(text: &str, submitted_ms: u64) -> Submission {
    let sweep = spec::parse(text).expect("a good sweep");
    let Source::Procedural(procedural) = &sweep.source else { panic!("procedural") };
    let facts = procedural.facts();
    let plan = plan::expand(&sweep, &facts, NumericClass::Cpu, Extent::Whole).expect("a plan");
    Planned { sweep, facts, pretext_facts: None, plan }.submission(text.to_owned(), submitted_ms, None)
}

/// A worker of this name.
pub fn worker(name: &str) -> WorkerId {
    WorkerId { name: name.to_owned(), boot: uuid::Uuid::from_u128(name.len() as u128) }
}

/// A device that offers `slots` places.
pub fn device(name: &str, class: NumericClass, slots: u32) -> DeviceFacts {
    DeviceFacts { name: name.to_owned(), description: name.to_owned(), class, slots }
}

/// An offer of one CPU slot that can keep so many bytes of pushed data.
pub fn offer(data_cache: u64) -> Offer {
    let devices = vec![device("cpu", NumericClass::Cpu, 1)];
    Offer { devices, datasets: vec![], version: String::new(), data_cache }
}

/// The data of [`SWEEP`] as a pushed folder of 1000 bytes.
pub fn pushed() -> PushedData {
    let mut facts = Procedural { train_per_class: 40, test_per_class: 10, seed: 0 }.facts();
    facts.key = "image-folder:cells".to_owned();
    let artifact = |name: &str| ArtifactId(ContentHash::of(name.as_bytes()));
    let packs = vec![artifact("one"), artifact("two")];
    PushedData { facts, packing: artifact("list"), packs, files: 1, bytes: 1_000, pushed_ms: 1 }
}

/// An engine without state that knows these workers, each with so many slots on its CPU.
pub fn engine_with(workers: &[(&str, u32)]) -> Engine {
    let mut engine = Engine::restore(Limits::default(), Snapshot::default(), 0);
    for (name, slots) in workers {
        let offer = Offer {
            devices: vec![device("cpu", NumericClass::Cpu, *slots)],
            datasets: vec![],
            version: "0".to_owned(),
            data_cache: 0,
        };
        engine.register(worker(name), offer, 0);
    }
    engine
}

/// Asks for a stage in the name of a worker that is known.
pub fn lease(engine: &mut Engine, name: &str, request: &str, now: Millis) -> Option<Grant> {
    engine.lease(&worker(name), "cpu", request, now, 0).expect("a registered worker")
}

/// A result of one step.
pub fn result() -> StageResult {
    StageResult {
        selected_epoch: 1,
        score: Score { loss: 1.0, accuracy: 0.5, seen: 2 },
        steps: 1,
        images: 8,
        artifacts: BTreeMap::new(),
        device: "cpu".to_owned(),
        seconds: 0.1,
    }
}

/// Applies the changes to a snapshot, as a store would.
pub fn persist(snapshot: &mut Snapshot, changes: Vec<Change>) {
    for change in changes {
        match change {
            Change::AddSweep(sweep) => snapshot.sweeps.push((*sweep, SweepMark::Active)),
            Change::MarkSweep(id, mark) => {
                snapshot.sweeps.iter_mut().filter(|(sweep, _)| sweep.id == id).for_each(|(_, old)| *old = mark.clone());
            }
            Change::AddStage(id, stage) => {
                snapshot.stages.insert(id, (Box::new(Outline::from(&*stage)), Box::default()));
            }
            Change::SetProgress(id, progress) => {
                snapshot.stages.get_mut(&id).expect("added before").1 = progress;
            }
            Change::SetData(fingerprint, None) => drop(snapshot.data.remove(&fingerprint)),
            Change::SetData(fingerprint, Some(data)) => drop(snapshot.data.insert(fingerprint, *data)),
            Change::DeleteSweep(id) => snapshot.sweeps.retain(|(sweep, _)| sweep.id != id),
            Change::DeleteStage(id) => drop(snapshot.stages.remove(&id)),
            Change::RaiseFences(first) => snapshot.first_fence = first,
            Change::LogGrant(..) | Change::AppendPoints(..) => {}
        }
    }
}

/// A failure with this code.
pub fn failure(code: FailureCode) -> Failure {
    Failure { code, message: "for a reason".to_owned(), log: vec![] }
}
