//! Tests that every kind of damage is found, and that a sound sweep has no finding.

use std::collections::BTreeMap;

use pretext_engine::submission::{self, Announced};
use pretext_engine::{Checkpoint, Engine, Grant, Limits, Offer, Snapshot, State};
use pretext_shared::device::{DeviceFacts, NumericClass};
use pretext_shared::ids::{ArtifactId, ContentHash, WorkerId};
use pretext_shared::outcome::{ArtifactKind, Score, StageResult};
use pretext_shared::point::Point;
use pretext_shared::stage::Extent;
use pretext_shared::verification::Checked;

use super::*;
use crate::RedbStore;
use crate::view;

const SWEEP: &str = "
name: verified
dataset: {kind: procedural, train_per_class: 40, test_per_class: 10, seed: 0, image_size: 16}
encoder: {kind: small-cnn, width: 4, blocks: 2}
methods: [rotation]
fractions: [50%]
lr: {fixed: {kind: constant, base: 0.01}}
seeds: [0]
pretext: {data: all, epochs: 1, batch: 8}
downstream: {epochs: 1, batch: 8}
";

fn artifact(name: &[u8]) -> ArtifactId {
    ArtifactId(ContentHash::of(name))
}

fn result() -> StageResult {
    StageResult {
        selected_epoch: 1,
        score: Score { loss: 1.0, accuracy: 0.5, seen: 2 },
        steps: 2,
        images: 8,
        artifacts: BTreeMap::from([(ArtifactKind::Model, artifact(b"model"))]),
        device: "cpu (x86-64 with AVX2 and FMA)".to_owned(),
        seconds: 0.1,
    }
}

/// Returns a sweep of three stages: the first has a result after two attempts, the second is running and has a
/// checkpoint.
fn evidence() -> (Evidence, SweepView) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = RedbStore::open(&folder.path().join("state.redb")).expect("opens");
    let mut engine = Engine::restore(Limits::default(), Snapshot::default(), 0);
    let worker = WorkerId { name: "w".to_owned(), boot: uuid::Uuid::from_u128(1) };
    let device = DeviceFacts { name: "cpu".to_owned(), description: String::new(), class: NumericClass::Cpu, slots: 1 };
    engine.register(
        worker.clone(),
        Offer { devices: vec![device], datasets: vec![], version: String::new(), data_cache: 0 },
        0,
    );
    let planned = submission::plan(SWEEP, Extent::Whole, &Announced::new(), NumericClass::Cpu).expect("good");
    let submission = planned.submission(SWEEP.to_owned(), 1, None);
    let id = submission.sweep.id.clone();
    engine.submit(submission);
    let mut requests = 0;
    let mut lease = |engine: &mut Engine| -> Grant {
        requests += 1;
        engine.lease(&worker, "cpu", &format!("r{requests}"), 0, 0).expect("known").expect("work")
    };
    let point = |step| Point {
        part: pretext_shared::point::Part::Train,
        metric: pretext_shared::point::Metric::Loss,
        epoch: 1,
        step,
        value: 1.0,
    };
    let first = lease(&mut engine);
    engine.points(first.attempt, 0, vec![point(1)], 0).expect("accepted");
    engine.release(first.attempt).expect("released");
    let again = lease(&mut engine);
    engine.points(again.attempt, 0, vec![point(1)], 0).expect("accepted");
    engine.points(again.attempt, 1, vec![point(2)], 0).expect("accepted");
    engine.complete(again.attempt, result(), 2).expect("completes");
    let second = lease(&mut engine);
    engine.points(second.attempt, 0, vec![point(1)], 0).expect("accepted");
    let checkpoint = Checkpoint { artifact: artifact(b"checkpoint"), step: 1 };
    engine.register_checkpoint(second.attempt, checkpoint, 2, 1, 0).expect("registered");
    store.commit(&engine.take_changes()).expect("committed");
    let evidence = collect(&store, &id).expect("readable").expect("there");
    let standing = engine.standing(&id).expect("there");
    (evidence, view::view(&store, standing).expect("readable"))
}

fn check(evidence: &Evidence, view: &SweepView) -> Verification {
    verify(evidence, view, &|_| Ok(()), &|_| Some(1))
}

/// Returns the invariants that a change to a sound sweep breaks.
fn broken(damage: impl FnOnce(&mut Evidence)) -> Vec<(String, Harm)> {
    let (mut evidence, view) = evidence();
    damage(&mut evidence);
    let findings = check(&evidence, &view).findings;
    findings.into_iter().map(|finding| (finding.invariant, finding.harm)).collect()
}

fn stage(evidence: &mut Evidence, is: impl Fn(&State) -> bool) -> &mut StageEvidence {
    evidence.stages.iter_mut().find(|stage| is(&stage.progress.state)).expect("there is one")
}

fn done(state: &State) -> bool {
    matches!(state, State::Succeeded(_))
}

fn held(state: &State) -> bool {
    matches!(state, State::Leased(_))
}

#[test]
fn a_sound_sweep_has_nothing_lost_and_nothing_doubled() {
    let (evidence, view) = evidence();
    let verification = check(&evidence, &view);
    assert_eq!(verification.findings, []);
    assert_eq!((verification.lost, verification.doubled), (0, 0));
    assert_eq!(verification.checked, Checked { cells: 1, stages: 3, attempts: 3, points: 4, artifacts: 2 });
}

#[test]
fn damage_is_found() {
    let found = |invariant: &str, harm| vec![(invariant.to_owned(), harm)];
    let lost_batch = broken(|evidence| drop(stage(evidence, done).batches.pop()));
    assert_eq!(lost_batch, found("I4", Harm::Lost));
    // A damaged number may have any value: the check must not count up to it.
    let far = broken(|evidence| stage(evidence, done).batches[0].sequence = u64::MAX);
    assert_eq!(far, found("I4", Harm::Lost));
    let doubled = broken(|evidence| {
        let batch = stage(evidence, done).batches[0].clone();
        stage(evidence, done).batches.push(batch);
    });
    assert_eq!(doubled, found("I4", Harm::Doubled));
    let stranger = broken(|evidence| {
        stage(evidence, held).batches[0].fence = Fence(7);
        stage(evidence, held).progress.batches = 0;
    });
    assert_eq!(stranger, found("I3", Harm::Doubled));
    let elsewhere = broken(|evidence| {
        if let State::Succeeded(result) = &mut stage(evidence, done).progress.state {
            result.device = "cpu1 (x86-64 with AVX2 and FMA)".to_owned();
        }
    });
    assert!(elsewhere.contains(&("I3".to_owned(), Harm::Wrong)), "{elsewhere:?}");
    let unlogged = broken(|evidence| stage(evidence, held).grants.clear());
    assert!(unlogged.contains(&("I2".to_owned(), Harm::Wrong)), "{unlogged:?}");
    let orphan = broken(|evidence| stage(evidence, done).progress.state = State::Cancelled);
    assert!(orphan.contains(&("I1".to_owned(), Harm::Lost)), "{orphan:?}");
    assert!(orphan.contains(&("I11".to_owned(), Harm::Wrong)), "{orphan:?}");
    let missing = broken(|evidence| drop(evidence.stages.pop()));
    assert!(missing.contains(&("I10".to_owned(), Harm::Lost)), "{missing:?}");
    let twice = broken(|evidence| evidence.sweep.cells.push(evidence.sweep.cells[0].clone()));
    assert!(twice.contains(&("I10".to_owned(), Harm::Doubled)), "{twice:?}");
    let (sound, view) = evidence();
    let unreadable = verify(&sound, &view, &|_| Err("it is not there".to_owned()), &|_| Some(0));
    let harms: Vec<&str> = unreadable.findings.iter().map(|finding| finding.invariant.as_str()).collect();
    assert_eq!(harms, ["I6", "I6", "I9"]);
}

#[test]
fn a_table_that_is_not_the_fold_of_the_store_is_found() {
    let (evidence, mut view) = evidence();
    for stage in view.stages.values_mut() {
        if let pretext_shared::sweep::StageStatus::Succeeded(result) = &mut stage.status {
            result.score.accuracy = 0.75;
        }
    }
    assert_eq!(check(&evidence, &view).findings[0].invariant, "I12");
}
