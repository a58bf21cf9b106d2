//! Tests of complete sequences of events in the engine, without a clock.

use pretext_shared::dataset::Procedural;
use pretext_shared::device::NumericClass;
use pretext_shared::ids::{AttemptId, ContentHash, Fence, WorkerId};
use pretext_shared::outcome::FailureCode;
use pretext_shared::point::{Metric, Part, Point};
use pretext_shared::stage::StageKind;

use super::*;
use crate::fixtures::*;

/// Advances the time in the steps of a running coordinator.
fn pass(engine: &mut Engine, until: Millis) {
    while engine.heard < until {
        let next = until.min(engine.heard + 250);
        engine.tick(next);
    }
}

fn point(step: u64) -> Point {
    Point { part: Part::Train, metric: Metric::Loss, epoch: 1, step, value: 1.0 }
}

#[test]
fn a_sweep_runs_to_its_end_in_order_of_its_chains() {
    let mut engine = engine_with(&[("a", 1)]);
    let submitted = submission(SWEEP, 1);
    let id = submitted.sweep.id.clone();
    assert_eq!(submitted.stages.len(), 5, "rotation's pretext, two downstream, two tests");
    assert!(!engine.submit(submitted).existed);
    let mut kinds = Vec::new();
    for n in 0.. {
        let Some(grant) = lease(&mut engine, "a", &n.to_string(), 10) else { break };
        assert!(lease(&mut engine, "a", "another", 10).is_none(), "the one slot is taken");
        kinds.push(grant.kind);
        engine.complete(grant.attempt, result(), 0).expect("the holder completes");
    }
    // The longest chain first; a test as soon as there is one.
    use StageKind::*;
    assert_eq!(kinds, [Pretext, Downstream, Test, Downstream, Test]);
    assert!(engine.cell_counts(&id).expect("known").is_final());
    assert_eq!(engine.cell_counts(&id).expect("known").succeeded, 2);
    // The same file again makes no second copy; a sweep that needs the same stages finds them done.
    assert_eq!(engine.submit(submission(SWEEP, 2)), Submitted { existed: true, cancelled: false, cached: 5 });
    let other = submission(&SWEEP.replace("methods: [supervised, rotation]", "methods: [rotation]"), 3);
    assert_eq!(engine.submit(other), Submitted { existed: false, cancelled: false, cached: 3 });
}

#[test]
fn a_repeated_request_gets_the_same_grant() {
    let mut engine = engine_with(&[("a", 2)]);
    engine.submit(submission(SWEEP, 1));
    let first = lease(&mut engine, "a", "r1", 0).expect("work");
    assert_eq!(lease(&mut engine, "a", "r1", 5).as_ref(), Some(&first));
    let second = lease(&mut engine, "a", "r2", 5).expect("more work");
    assert_ne!(first.attempt.stage, second.attempt.stage);
}

#[test]
fn an_expired_holder_comes_back_with_its_fence_unless_the_stage_was_granted_again() {
    let mut engine = engine_with(&[("a", 1), ("bb", 1)]);
    engine.submit(submission(SWEEP, 1));
    let grant = lease(&mut engine, "a", "r", 0).expect("work");
    pass(&mut engine, 20_000);
    // Not granted again: the same fence continues.
    let beat = engine.heartbeat(&worker("a"), &[(grant.attempt, 3, 24)], 20_001);
    assert_eq!(beat, [Directive::Continue]);
    engine.points(grant.attempt, 0, vec![point(3)], 20_002).expect("accepted");
    // Expired and granted again: refused everywhere.
    pass(&mut engine, 50_000);
    let again = lease(&mut engine, "bb", "r", 50_000).expect("work");
    assert_eq!(again.attempt.stage, grant.attempt.stage);
    assert_eq!(again.attempt.fence, grant.attempt.fence.next("r"));
    assert_eq!(engine.heartbeat(&worker("a"), &[(grant.attempt, 4, 0)], 50_001), [Directive::Superseded]);
    let checkpoint = Checkpoint { artifact: pretext_shared::ids::ArtifactId(ContentHash::of(b"x")), step: 3 };
    assert!(engine.points(grant.attempt, 1, vec![point(4)], 50_001).is_err());
    assert!(engine.register_checkpoint(grant.attempt, checkpoint, 2, 1, 50_001).is_err());
    assert!(engine.complete(grant.attempt, result(), 1).is_err());
    assert!(engine.fail(grant.attempt, failure(FailureCode::Crashed), 50_001).is_err());
    assert!(engine.release(grant.attempt).is_err());
    engine.complete(again.attempt, result(), 0).expect("the holder completes");
    // One result, and only one.
    assert_eq!(engine.complete(again.attempt, result(), 0), Ok(vec![]), "said again by the holder");
    assert!(engine.complete(grant.attempt, result(), 0).is_err());
    let future = AttemptId { fence: Fence(99 << Fence::MARK_BITS), ..again.attempt };
    assert!(matches!(engine.check(future), Err(Refusal::FromTheFuture { .. })));
}

#[test]
fn points_are_kept_once_and_a_result_waits_for_them() {
    let mut engine = engine_with(&[("a", 1)]);
    engine.submit(submission(SWEEP, 1));
    let grant = lease(&mut engine, "a", "r", 0).expect("work");
    engine.take_changes();
    engine.points(grant.attempt, 0, vec![point(1)], 1).expect("accepted");
    engine.points(grant.attempt, 0, vec![point(1)], 2).expect("accepted again");
    let appended =
        engine.take_changes().into_iter().filter(|change| matches!(change, Change::AppendPoints(..))).count();
    assert_eq!(appended, 1);
    assert!(matches!(engine.points(grant.attempt, 2, vec![], 3), Err(Refusal::Gap { expected: 1, .. })));
    assert!(matches!(engine.complete(grant.attempt, result(), 2), Err(Refusal::Gap { .. })));
    engine.complete(grant.attempt, result(), 1).expect("all points are here");
}

#[test]
fn failures_that_may_pass_are_tried_again_after_a_back_off_and_others_are_not() {
    let mut engine = engine_with(&[("a", 1)]);
    let text = SWEEP.replace("methods: [supervised, rotation]", "methods: [rotation]");
    let id = submission(&text, 1).sweep.id;
    engine.submit(submission(&text, 1));
    let mut now = 0;
    for n in 1..=Limits::default().max_failed {
        let grant = lease(&mut engine, "a", &format!("r{n}"), now).expect("work");
        engine.fail(grant.attempt, failure(FailureCode::Crashed), now).expect("the holder fails");
        assert!(lease(&mut engine, "a", "early", now).is_none(), "backs off");
        now += 60_000;
    }
    assert!(lease(&mut engine, "a", "late", now).is_none(), "the budget is spent");
    assert_eq!(engine.cell_counts(&id).expect("known").failed, 1);
    assert_eq!(engine.retry(&id).expect("known"), Retried { stages: 1 });
    let grant = lease(&mut engine, "a", "again", now).expect("work");
    assert_eq!(grant.attempt.fence.count(), 4, "fences only rise");
    engine.fail(grant.attempt, failure(FailureCode::Diverged), now).expect("the holder fails");
    assert!(lease(&mut engine, "a", "no", now + 600_000).is_none(), "diverged is not tried again");
}

#[test]
fn a_stage_that_loses_its_workers_is_quarantined() {
    let mut engine = engine_with(&[("a", 1)]);
    let text = SWEEP.replace("methods: [supervised, rotation]", "methods: [rotation]");
    let id = submission(&text, 1).sweep.id;
    engine.submit(submission(&text, 1));
    let mut now = 0;
    for n in 0..Limits::default().max_lost {
        lease(&mut engine, "a", &format!("r{n}"), now).expect("work");
        now += 60_000;
        pass(&mut engine, now);
    }
    assert!(lease(&mut engine, "a", "once more", now).is_none());
    assert_eq!(engine.cell_counts(&id).expect("known").failed, 1);
}

#[test]
fn cancelling_stops_what_no_other_sweep_needs() {
    let mut engine = engine_with(&[("a", 2)]);
    let both = submission(SWEEP, 1);
    let rotation = submission(&SWEEP.replace("methods: [supervised, rotation]", "methods: [rotation]"), 2);
    let (first, second) = (both.sweep.id.clone(), rotation.sweep.id.clone());
    engine.submit(both);
    engine.submit(rotation);
    let pretext = lease(&mut engine, "a", "r1", 0).expect("work");
    let supervised = lease(&mut engine, "a", "r2", 0).expect("work");
    let cancelled = engine.cancel(&first).expect("known");
    assert_eq!(cancelled, Cancelled { cells: 2, stages: 2 });
    let held = [(pretext.attempt, 0, 0), (supervised.attempt, 0, 0)];
    assert_eq!(engine.heartbeat(&worker("a"), &held, 1), [Directive::Continue, Directive::Cancel]);
    assert!(engine.complete(supervised.attempt, result(), 0).is_err(), "cancelled is final");
    engine.cancel(&second).expect("known");
    assert_eq!(engine.heartbeat(&worker("a"), &held[..1], 2), [Directive::Cancel]);
    engine.retry(&second).expect("known");
    assert_eq!(lease(&mut engine, "a", "r3", 3).expect("work").attempt.stage, pretext.attempt.stage);
}

#[test]
fn a_restart_forgets_nothing_durable_and_gives_holders_time() {
    let mut engine = engine_with(&[("a", 2)]);
    let mut snapshot = Snapshot::default();
    engine.submit(submission(SWEEP, 1));
    let grant = lease(&mut engine, "a", "r", 0).expect("work");
    engine.points(grant.attempt, 0, vec![point(1)], 1).expect("accepted");
    persist(&mut snapshot, engine.take_changes());
    let mut engine = Engine::restore(Limits::default(), snapshot, 0);
    assert!(!engine.knows(&worker("a")));
    pass(&mut engine, 14_000);
    assert_eq!(engine.heartbeat(&worker("a"), &[(grant.attempt, 2, 0)], 14_001), [Directive::Continue]);
    engine.points(grant.attempt, 1, vec![point(2)], 14_002).expect("goes on where it was");
    engine.complete(grant.attempt, result(), 2).expect("completes");
}

#[test]
fn what_waits_behind_a_failure_is_no_prospect() {
    let mut engine = engine_with(&[("a", 1)]);
    engine.submit(submission(&SWEEP.replace("[supervised, rotation]", "[rotation]"), 1));
    let grant = lease(&mut engine, "a", "r", 0).expect("work");
    assert!(engine.has_prospects(&worker("a"), "cpu"), "two stages wait for this one");
    engine.fail(grant.attempt, failure(FailureCode::Data), 0).expect("the holder fails");
    assert!(!engine.has_prospects(&worker("a"), "cpu"), "nobody can run them until somebody retries");
    let sweep = engine.list(0)[0].id.clone();
    engine.retry(&sweep).expect("known");
    assert!(engine.has_prospects(&worker("a"), "cpu"));
}

#[test]
fn slots_fit_class_device_and_data() {
    let mut engine = Engine::restore(Limits::default(), Snapshot::default(), 0);
    let devices = vec![
        device("cuda:0", NumericClass::Gpu, 2),
        device("stub:0", NumericClass::Cpu, 1),
        device("stub:1", NumericClass::Cpu, 2),
    ];
    engine.register(worker("a"), Offer { devices, datasets: vec![], version: String::new(), data_cache: 0 }, 0);
    let seeds = SWEEP.replace("seeds: [0]", "seeds: [0, 1, 2, 3]");
    let submitted = submission(&seeds, 1);
    let id = submitted.sweep.id.clone();
    engine.submit(submitted);
    let mut granted: BTreeMap<&str, usize> = BTreeMap::new();
    for device in ["cuda:0", "stub:0", "stub:1"] {
        for n in 0..4 {
            let grant = engine.lease(&worker("a"), device, &format!("{device}{n}"), 0, 0).expect("registered");
            *granted.entry(device).or_default() += usize::from(grant.is_some());
        }
    }
    assert_eq!(granted, BTreeMap::from([("cuda:0", 0), ("stub:0", 1), ("stub:1", 2)]));
    assert_eq!(engine.status(&id, 0).expect("known").running.len(), 3);
    assert!(matches!(engine.lease(&worker("a"), "vulkan:7", "r", 0, 0), Err(Refusal::UnknownDevice { .. })));

    // Data: only a worker with the same fingerprint gets the stage, and the obstacle names the difference.
    let mut engine = Engine::restore(Limits::default(), Snapshot::default(), 0);
    let mut folder = submission(SWEEP, 1);
    let facts = Procedural { train_per_class: 40, test_per_class: 10, seed: 0 }.facts();
    for (_, record) in &mut folder.stages {
        record.source = "image-folder:cells".parse().expect("a key");
    }
    let id = folder.sweep.id.clone();
    engine.submit(folder);
    let announce = |facts: Result<_, String>, key: &str| Offer {
        devices: vec![device("cpu", NumericClass::Cpu, 1)],
        datasets: vec![Announcement { key: key.to_owned(), facts }],
        version: String::new(),
        data_cache: 0,
    };
    let mut other = facts.clone();
    other.fingerprint = pretext_shared::ids::Fingerprint(ContentHash::of(b"other"));
    engine.register(worker("a"), announce(Ok(other), "image-folder:cells"), 0);
    assert!(lease(&mut engine, "a", "r", 0).is_none());
    let obstacles = engine.status(&id, 0).expect("known").obstacles;
    assert!(obstacles[0].contains("its copy of image-folder:cells differs"), "{obstacles:?}");
    engine.register(worker("bb"), announce(Ok(facts), "image-folder:elsewhere"), 0);
    let grant = lease(&mut engine, "bb", "r", 0).expect("the right copy");
    assert_eq!(grant.place.as_deref(), Some("image-folder:elsewhere"), "where this worker has it");
    assert_eq!(grant.packing, None);
}

#[test]
fn max_parallel_is_kept() {
    let mut engine = engine_with(&[("a", 8)]);
    let text = format!("{SWEEP}max_parallel: 1\n").replace("seeds: [0]", "seeds: [0, 1]");
    engine.submit(submission(&text, 1));
    assert!(lease(&mut engine, "a", "r1", 0).is_some());
    assert!(lease(&mut engine, "a", "r2", 0).is_none());
}

#[test]
fn sweeps_are_found_by_the_beginning_of_their_id() {
    let mut engine = engine_with(&[]);
    let id = submission(SWEEP, 1).sweep.id;
    engine.submit(submission(SWEEP, 1));
    assert_eq!(engine.find_sweep("small"), Ok(id.clone()));
    engine.submit(submission(&SWEEP.replace("seeds: [0]", "seeds: [1]"), 2));
    assert!(matches!(engine.find_sweep("small"), Err(Refusal::AmbiguousSweep { .. })));
    assert_eq!(engine.find_sweep(id.as_str()), Ok(id));
    assert!(engine.find_sweep("large").is_err());
    let lines = engine.explain(&format!("{}/supervised/0.5/fixed/1", engine.list(0)[0].id), 0).expect("a cell");
    assert!(lines[1].contains("cannot run: no worker is connected"), "{lines:?}");
    let percent = engine.explain(&format!("{}/supervised/50%/fixed/1", engine.list(0)[0].id), 0);
    assert_eq!(percent, Ok(lines));
}

#[test]
fn a_cancelled_cell_stays_cancelled_when_another_sweep_finishes_its_stages() {
    let only_rotation = SWEEP.replace("methods: [supervised, rotation]", "methods: [rotation]");
    let (first, second) = (submission(SWEEP, 1).sweep.id, submission(&only_rotation, 2).sweep.id);
    // The rotation cell ends in the first sweep before it is cancelled, or after.
    for cancel_after in [0, 3] {
        let mut engine = engine_with(&[("a", 1)]);
        engine.submit(submission(SWEEP, 1));
        engine.submit(submission(&only_rotation, 2));
        for n in 0.. {
            if n == cancel_after {
                engine.cancel(&first).expect("known");
            }
            let Some(grant) = lease(&mut engine, "a", &n.to_string(), 0) else { break };
            engine.complete(grant.attempt, result(), 0).expect("the holder completes");
        }
        let counts = engine.cell_counts(&first).expect("known");
        let ended = usize::from(cancel_after == 3);
        assert_eq!((counts.succeeded, counts.cancelled), (ended, 2 - ended));
        assert_eq!(engine.cell_counts(&second).expect("known").succeeded, 1);
        let standing = engine.standing(&first).expect("known");
        let plans = submission(SWEEP, 1).stages.into_iter().collect();
        let view = standing.with_plans(plans).expect("every stage was planned");
        let states: Vec<_> = view.cells.iter().map(|cell| view.state(cell)).collect();
        assert_eq!(states.iter().filter(|state| **state == pretext_shared::sweep::CellState::Succeeded).count(), ended);
        assert!(engine.submit(submission(SWEEP, 3)).cancelled, "submitting it again says so");
    }
}

#[test]
fn two_workers_of_one_name_are_two_workers() {
    let mut engine = engine_with(&[]);
    let offer = || Offer {
        devices: vec![device("cpu", NumericClass::Cpu, 1)],
        datasets: vec![],
        version: String::new(),
        data_cache: 0,
    };
    let twin = |boot| WorkerId { name: "host".to_owned(), boot: uuid::Uuid::from_u128(boot) };
    engine.register(twin(1), offer(), 0);
    engine.register(twin(2), offer(), 1_000);
    assert!(engine.knows(&twin(1)) && engine.knows(&twin(2)), "both are alive");
    // A silent one was an earlier run of that worker.
    engine.heartbeat(&twin(2), &[], 20_000);
    engine.register(twin(3), offer(), 20_001);
    assert!(!engine.knows(&twin(1)) && engine.knows(&twin(2)));
}

#[test]
fn a_store_that_went_back_never_grants_again_unseen() {
    let mut engine = engine_with(&[("a", 2), ("bb", 1)]);
    engine.submit(submission(SWEEP, 1));
    let first = lease(&mut engine, "a", "r1", 0).expect("ready");
    engine.take_changes();
    // The holder has an attempt that this store does not know: a later grant than the first.
    let lost = AttemptId { fence: Fence(first.attempt.fence.0 + 5), ..first.attempt };
    assert_eq!(engine.heartbeat(&worker("bb"), &[(lost, 7, 8)], 1), [Directive::Superseded]);
    let changes = engine.take_changes();
    // The fence rises above the attempt's fence, so the attempt is refused even after `retry`. The grant log has only
    // the grants of this store, so it does not contain the attempt.
    assert!(
        matches!(changes.as_slice(), [
            Change::SetProgress(stage, progress),
        ] if *stage == lost.stage && progress.fence > lost.fence
            && matches!(&progress.state, State::Failed(failure)
                if failure.message.contains("older state") && failure.message.contains("worker bb holds it"))),
        "{changes:?}"
    );
    assert!(matches!(engine.check(first.attempt), Err(Refusal::Superseded { .. })));
    // A fence that cannot have been granted changes nothing.
    let absurd = AttemptId { fence: Fence(u64::MAX), ..first.attempt };
    engine.heartbeat(&worker("bb"), &[(absurd, 7, 8)], 2);
    assert_eq!(engine.take_changes(), []);

    // After a restart on the older state, every new grant is above all earlier grants.
    let mut engine = engine_with(&[("a", 2)]);
    engine.raise_fences(Fence::of_count(1000));
    engine.submit(submission(SWEEP, 1));
    let raised = lease(&mut engine, "a", "r1", 0).expect("ready").attempt;
    assert_eq!((raised.stage, raised.fence.count()), (first.attempt.stage, 1001));
    // An earlier, lost grant is below it, and refused: the new holder continues.
    assert!(matches!(engine.check(lost), Err(Refusal::Superseded { .. })));
    engine.release(raised).expect("held");
    assert_eq!(lease(&mut engine, "a", "r2", 0).expect("ready").attempt.fence.count(), 1002);
}

#[test]
fn time_in_which_the_coordinator_heard_nobody_is_not_held_against_workers() {
    let mut engine = engine_with(&[("a", 1), ("bb", 1)]);
    engine.submit(submission(&SWEEP.replace("methods: [supervised, rotation]", "methods: [rotation]"), 1));
    let grant = lease(&mut engine, "a", "r", 0).expect("work");
    pass(&mut engine, 5_000);
    engine.tick(125_000);
    assert!(lease(&mut engine, "bb", "r", 125_000).is_none(), "the holder could not be heard");
    assert_eq!(engine.heartbeat(&worker("a"), &[(grant.attempt, 1, 8)], 125_001), [Directive::Continue]);
}

#[test]
fn budgets_are_apart_and_a_quarantine_shows_its_evidence() {
    let mut engine = engine_with(&[("a", 1)]);
    let text = SWEEP.replace("methods: [supervised, rotation]", "methods: [rotation]");
    let id = submission(&text, 1).sweep.id;
    engine.submit(submission(&text, 1));
    let mut now = 0;
    let mut lose = |engine: &mut Engine, request: &str| {
        now += 60_000;
        pass(engine, now);
        let grant = lease(engine, "a", request, now).expect("work");
        now += 60_000;
        (grant, now)
    };
    // Two crashes, one out-of-memory failure and two losses exhaust no budget.
    for (n, code) in [FailureCode::Crashed, FailureCode::OutOfMemory, FailureCode::Crashed].into_iter().enumerate() {
        let (grant, now) = lose(&mut engine, &format!("f{n}"));
        engine.fail(grant.attempt, failure(code), now).expect("the holder fails");
    }
    for n in 0..2 {
        lose(&mut engine, &format!("l{n}"));
    }
    // A newer checkpoint shows progress, so the count of losses starts anew.
    let (grant, now) = lose(&mut engine, "c");
    let checkpoint = Checkpoint { artifact: pretext_shared::ids::ArtifactId(ContentHash::of(b"x")), step: 3 };
    engine.register_checkpoint(grant.attempt, checkpoint, 2, 0, now).expect("registered");
    assert_eq!(engine.progress(grant.attempt.stage).expect("known").lost, 0);
    lose(&mut engine, "m");
    let (_, now) = lose(&mut engine, "last");
    pass(&mut engine, now);
    assert!(lease(&mut engine, "a", "none", now).is_none());
    let Some(State::Failed(failure)) = engine.progress(grant.attempt.stage).map(|progress| &progress.state) else {
        panic!("not quarantined")
    };
    assert_eq!(failure.code, FailureCode::Lost);
    assert_eq!(failure.log.len(), 3, "a line for each loss: {:?}", failure.log);
    assert!(failure.log[0].contains("fell silent on cpu"), "{:?}", failure.log);
    assert_eq!(engine.cell_counts(&id).expect("known").failed, 1);
}

#[test]
fn a_fence_that_the_store_has_forgotten_is_quarantined_and_never_given_again() {
    let text = SWEEP.replace("methods: [supervised, rotation]", "methods: [rotation]");
    let mut engine = engine_with(&[("a", 1)]);
    let id = submission(&text, 1).sweep.id;
    engine.submit(submission(&text, 1));
    let mut snapshot = Snapshot::default();
    persist(&mut snapshot, engine.take_changes());
    let before = lease(&mut engine, "a", "before", 0).expect("work");
    let offer = || Offer {
        devices: vec![device("cpu", NumericClass::Cpu, 1)],
        datasets: vec![],
        version: String::new(),
        data_cache: 0,
    };
    for granted_again in [false, true] {
        // The store is what it was before the grant.
        let mut engine = Engine::restore(Limits::default(), snapshot.clone(), 0);
        engine.register(worker("bb"), offer(), 0);
        let twin = granted_again.then(|| lease(&mut engine, "bb", "after", 1).expect("work"));
        let told = engine.points(before.attempt, 0, vec![point(1)], 2);
        assert!(matches!(told, Err(Refusal::FromTheFuture { .. })), "{told:?}");
        if let Some(twin) = twin {
            assert_ne!(twin.attempt, before.attempt);
            assert!(engine.complete(twin.attempt, result(), 0).is_err(), "quarantined");
        }
        assert_eq!(engine.cell_counts(&id).expect("known").failed, 1);
        engine.retry(&id).expect("known");
        let again = lease(&mut engine, "bb", "again", 3).expect("work");
        assert!(again.attempt.fence > before.attempt.fence.above(), "{} {}", again.attempt, before.attempt);
        assert!(matches!(engine.complete(before.attempt, result(), 0), Err(Refusal::Superseded { .. })));
        engine.complete(again.attempt, result(), 0).expect("the holder completes");
    }
}

#[test]
fn a_late_copy_of_a_request_is_granted_nothing() {
    let mut engine = engine_with(&[("a", 2)]);
    engine.submit(submission(SWEEP, 1));
    let grant = lease(&mut engine, "a", "r1", 0).expect("work");
    // Its answer was lost and its lease expired: the same request is the same grant.
    pass(&mut engine, 20_000);
    assert_eq!(lease(&mut engine, "a", "r1", 20_000).map(|again| again.attempt), Some(grant.attempt));
    engine.fail(grant.attempt, failure(FailureCode::Invalid), 20_001).expect("the holder fails");
    assert!(lease(&mut engine, "a", "r1", 20_002).is_none(), "its sender has received the answer");
    assert!(lease(&mut engine, "a", "r2", 20_003).is_some());
}

#[test]
fn a_curve_is_what_was_acknowledged_and_not_superseded() {
    let grant = |resume_step| GrantRecord {
        holder: Holder { worker: worker("a"), device: "cpu".to_owned(), request: "r".to_owned() },
        granted_ms: 0,
        resume_step,
    };
    let batch = |fence, sequence, steps: std::ops::RangeInclusive<u64>| Batch {
        fence: Fence(fence),
        sequence,
        points: steps.map(point).collect(),
    };
    let steps = |batches: &[Batch]| -> Vec<u64> {
        curve(batches, &[(Fence(1), grant(0)), (Fence(2), grant(4))]).iter().map(|point| point.step).collect()
    };
    let first = [batch(1, 0, 1..=3), batch(1, 1, 4..=6)];
    assert_eq!(steps(&first), [1, 2, 3, 4], "steps 5 and 6 are superseded by the second grant");
    let resumed = [first[0].clone(), first[1].clone(), batch(2, 0, 1..=4), batch(2, 1, 5..=5)];
    assert_eq!(steps(&resumed), [1, 2, 3, 4, 5]);
}
