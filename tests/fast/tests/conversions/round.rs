//! One program reads what the other one writes as the same value, over bytes.

use pretext_daemon::refusal::Refused;
use pretext_daemon::spool::{Batch, Saved};
use pretext_daemon::{Verdict, messages};
use pretext_engine::demand::{ScaleDown, Trigger};
use pretext_engine::{CellCounts, Checkpoint, DeviceState, Directive, Forecast, SweepStatus};
use pretext_messages as convert;
use pretext_proto::externalscaler as scaler;
use pretext_proto::v1 as pb;
use pretext_shared::claim::Claim;
use pretext_shared::outcome::ArtifactKind;
use pretext_shared::point::Point;
use pretext_shared::stage::Extent;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::catalogue::{nobody, sent};
use super::domain;

/// Returns the message of a trigger, which an autoscaler writes.
pub(crate) fn trigger_message(trigger: &Trigger) -> scaler::ScaledObjectRef {
    let down = match trigger.scale_down {
        ScaleDown::Drained => "drained",
        ScaleDown::Eager => "eager",
    };
    let pairs = [
        ("class", trigger.class.to_string()),
        ("slotsPerWorker", trigger.slots_per_worker.to_string()),
        ("scaleDown", down.to_owned()),
    ];
    let scaler_metadata = pairs.map(|(key, value)| (key.to_owned(), value)).into();
    scaler::ScaledObjectRef { scaler_metadata, ..Default::default() }
}

fn counts(message: Option<pb::CellCounts>) -> CellCounts {
    let pb::CellCounts { pending, running, succeeded, failed, cancelled } = message.expect("always there");
    let [pending, running, succeeded, failed, cancelled] =
        [pending, running, succeeded, failed, cancelled].map(|count| count as usize);
    CellCounts { pending, running, succeeded, failed, cancelled }
}

/// Returns the status that an event and a summary were made of.
fn status(event: pb::WatchEvent, summary: pb::SweepSummary, was: &SweepStatus) -> SweepStatus {
    let kind = |text: &str| ["pretext", "downstream", "test"].into_iter().find(|kind| *kind == text).expect("a kind");
    let running = event.running.into_iter().zip(&was.running).map(|(stage, was)| pretext_engine::RunningStage {
        attempt: pretext_shared::ids::AttemptId {
            stage: stage.stage.parse().expect("a hash"),
            // This message does not show the fence.
            fence: was.attempt.fence,
        },
        cell: stage.cell,
        cells: stage.cells as usize,
        kind: kind(&stage.kind),
        worker: stage.worker,
        device: stage.device,
        step: stage.step,
        total: stage.total,
    });
    assert_eq!((&event.sweep, event.cells), (&summary.sweep, summary.cells));
    assert_eq!(summary.cancelled, was.mark.is_cancelled());
    SweepStatus {
        id: event.sweep.parse().expect("an id"),
        cells: counts(event.cells),
        submitted_ms: summary.submitted_ms,
        mark: was.mark.clone(),
        extent: if summary.smoke { Extent::Smoke } else { Extent::Whole },
        running: running.collect(),
        steps: (event.steps_done, event.steps_total),
        images: (event.images_done, event.images_total),
        obstacles: event.obstacles,
    }
}

proptest! {
    #[test]
    fn who_works_and_under_which_grant(worker in domain::worker(), claim in domain::claim()) {
        let read = convert::worker(Some(sent(&messages::worker(&worker)))).expect("a worker");
        prop_assert_eq!(&read, &worker);
        prop_assert_eq!(convert::worker_message(read), messages::worker(&worker));
        let message = messages::attempt(&claim);
        prop_assert_eq!(&convert::claim(Some(sent(&message))).expect("an attempt"), &claim);
        prop_assert_eq!(&convert::claim(sent(&messages::release(&claim)).attempt).expect("an attempt"), &claim);
        prop_assert_eq!(&convert::claim_message(claim.clone()), &message);
        // People see the attempt without its proof.
        prop_assert_eq!(convert::attempt(Some(message)).expect("an attempt"), claim.attempt);
        prop_assert!(convert::attempt_message(claim.attempt).proof.is_empty());
    }

    #[test]
    fn what_a_worker_offers(offer in domain::offer()) {
        let message = pb::RegisterRequest {
            devices: offer.devices.iter().map(messages::device).collect(),
            datasets: offer.datasets.iter().map(|data| messages::dataset(data.key.clone(), data.facts.clone())).collect(),
            version: offer.version.clone(),
            data_cache: offer.data_cache,
            ..Default::default()
        };
        prop_assert_eq!(convert::offer(sent(&message)).expect("an offer"), offer);
    }

    #[test]
    fn points(claim in domain::claim(), sequence in domain::number(), points in vec(domain::point(), 0..6)) {
        let message = sent(&messages::batch(&claim, &Batch { sequence, points: points.clone() }));
        prop_assert_eq!(convert::claim(message.attempt).expect("an attempt"), claim);
        prop_assert_eq!(message.sequence, sequence);
        let read: Vec<Point> = message.points.iter().map(|point| convert::point(point).expect("a point")).collect();
        // The wire does not carry the sign of a zero: a field that equals its default is not sent.
        let bits = |points: &[Point]| points.iter().map(|point| (point.value + 0.0).to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&read), bits(&points));
        prop_assert_eq!(read, points);
    }

    #[test]
    fn a_point_that_is_no_number_is_refused(
        point in domain::point(), value in select(vec![f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
    ) {
        let batch = Batch { sequence: 0, points: vec![Point { value, ..point }] };
        let message = sent(&messages::batch(&nobody(), &batch));
        let refused = convert::point(&message.points[0]).expect_err("no number");
        prop_assert!(refused.message().contains("finite"), "{}", refused);
    }

    #[test]
    fn what_a_worker_holds(held in vec((domain::claim(), domain::number(), domain::number()), 0..5)) {
        let message = |(id, step, images): &_| sent(&messages::held(id, *step, *images, "cuda:0"));
        let sent: Vec<pb::Held> = held.iter().map(message).collect();
        prop_assert!(sent.iter().all(|held| held.device == "cuda:0"));
        prop_assert_eq!(convert::held(sent).expect("attempts"), held);
    }

    #[test]
    fn grants((grant, plan) in domain::grant(), proof in domain::proof()) {
        let message = convert::grant_message(grant.clone(), plan.clone(), proof.clone()).expect("finite");
        let read = messages::granted(sent(&message)).expect("a grant");
        prop_assert_eq!(read.stage.id(), plan.stage.id(), "its hash is its name");
        let pair = |checkpoint: Checkpoint| (checkpoint.artifact, checkpoint.step);
        let resume_from = grant.resume_from.map(pair);
        let predecessors = grant.predecessors.into_iter().map(pair).collect();
        let expected = messages::Granted {
            claim: Claim { attempt: grant.attempt, proof },
            stage: plan.stage,
            source: plan.source,
            packing: grant.packing,
            weights: plan.weights,
            policy: plan.checkpoint,
            parent: grant.parent_model,
            resume_from,
            predecessors,
        };
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn checkpoints_and_uploads(
        claim in domain::claim(), artifact in domain::artifact(), kind in domain::kind(),
        step in domain::number(), next_sequence in domain::number(), length in domain::number(),
    ) {
        let message = sent(&messages::checkpoint(&claim, artifact, &Saved { path: "x".into(), step, next_sequence }));
        prop_assert_eq!(&convert::claim(message.attempt).expect("an attempt"), &claim);
        prop_assert_eq!(message.artifact.parse(), Ok(artifact));
        prop_assert_eq!((message.step, message.next_sequence), (step, next_sequence));
        let header = sent(&messages::upload(&claim, kind, artifact, length));
        prop_assert_eq!(convert::claim(header.attempt).expect("an attempt"), claim);
        prop_assert_eq!(header.artifact.parse(), Ok(artifact));
        prop_assert_eq!((ArtifactKind::parse(&header.kind), header.length), (Some(kind), length));
    }

    #[test]
    fn results(claim in domain::claim(), result in domain::result(), next in domain::number()) {
        let message = sent(&messages::complete(&claim, &result, next).expect("numbers and names"));
        prop_assert_eq!(convert::claim(message.attempt).expect("an attempt"), claim);
        prop_assert_eq!(message.next_sequence, next);
        prop_assert_eq!(convert::result(&message.result_json).expect("a result"), result);
    }

    #[test]
    fn a_result_that_is_no_number_is_refused(
        mut result in domain::result(), value in select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
    ) {
        result.score.loss = value;
        let message = sent(&messages::complete(&nobody(), &result, 0).expect("numbers and names"));
        prop_assert!(convert::result(&message.result_json).expect_err("no number").message().contains("result_json"));
    }

    #[test]
    fn failures(claim in domain::claim(), failure in domain::failure()) {
        let message = sent(&messages::fail(&claim, failure.clone()));
        prop_assert_eq!(convert::claim(message.attempt.clone()).expect("an attempt"), claim);
        prop_assert_eq!(convert::failure(message).expect("a failure"), failure);
    }

    #[test]
    fn acknowledgements(sequence in 0..u64::MAX, refused in "[a-z]{0,8}", kind in -1..6_i32) {
        let ack = pb::PointAck { attempt: None, sequence, refused: refused.clone(), kind };
        let expected = match kind {
            _ if refused.is_empty() => Ok(sequence + 1),
            // An older coordinator states no kind.
            0 | 1 => Err(Some(Refused::Superseded(refused))),
            2 => Err(Some(Refused::Invalid(refused))),
            // Retryable, and every kind that this version does not know.
            _ => Err(None),
        };
        prop_assert_eq!(messages::durable(sent(&ack)), expected);
    }

    #[test]
    fn what_people_are_shown_of_sweeps(was in domain::status(), left in proptest::option::of((0_u64..1 << 50, 0..9_usize))) {
        let forecast = left.map(|(ms, unknown)| Forecast { left_ms: ms as f64, unknown });
        let (event, summary) = (sent(&convert::watch_event(was.clone(), forecast)), sent(&convert::summary(&was)));
        let shown = event.left.map(|left| (left.known_ms, left.unknown_stages as usize));
        prop_assert_eq!(shown, left);
        prop_assert_eq!(event.r#final, was.cells.is_final());
        prop_assert_eq!(status(event, summary, &was), was);
    }

    #[test]
    fn what_people_are_shown_of_workers(view in domain::view()) {
        let message = sent(&convert::worker_summary(view.clone()));
        prop_assert_eq!(convert::worker(message.worker).expect("a worker"), view.worker);
        let offer = pb::RegisterRequest {
            devices: message.devices,
            datasets: message.datasets,
            version: message.version,
            // People do not see this field.
            data_cache: view.offer.data_cache,
            ..Default::default()
        };
        prop_assert_eq!(convert::offer(offer).expect("an offer"), view.offer);
        let holds = message.holds.into_iter().map(|held| {
            (convert::attempt(held.attempt).expect("an attempt"), held.device, held.step)
        });
        prop_assert_eq!(holds.collect::<Vec<_>>(), view.holds);
        let unwell: Vec<_> = message.unwell.into_iter().map(|it| (it.device, it.state, it.reason)).collect();
        let expected = view.unwell.into_iter().map(|(device, state)| match state {
            DeviceState::Drained { reason } => (device, "drained".to_owned(), reason),
            other => (device, other.as_str().to_owned(), String::new()),
        });
        prop_assert_eq!(unwell, expected.collect::<Vec<_>>());
        prop_assert_eq!((message.silent_ms, message.connected), (view.silent_ms, view.connected));
    }

    #[test]
    fn triggers(class in domain::class(), slots_per_worker in 1..=1024u32, eager: bool) {
        let scale_down = if eager { ScaleDown::Eager } else { ScaleDown::Drained };
        let trigger = Trigger { class, slots_per_worker, scale_down };
        prop_assert_eq!(Trigger::parse(&sent(&trigger_message(&trigger)).scaler_metadata), Ok(trigger));
    }
}

#[test]
fn directives() {
    let pairs = [
        (Directive::Continue, Verdict::Continue),
        (Directive::Cancel, Verdict::Cancelled),
        (Directive::Superseded, Verdict::Superseded),
    ];
    for (directive, verdict) in pairs {
        assert_eq!(messages::verdict(convert::directive(directive).into()), verdict);
    }
}

#[test]
fn counts_beyond_their_range_are_the_largest() {
    let message = convert::counts(CellCounts { pending: usize::MAX, running: 7, ..CellCounts::default() });
    assert_eq!((message.pending, message.running), (u32::MAX, 7));
}

#[test]
fn the_end_of_a_long_log_is_kept() {
    let log = (0..300).map(|line| format!("{line} {}", "é".repeat(2_000))).collect();
    let message = pb::FailRequest { code: "crashed".to_owned(), message: "é".repeat(9_000), log, attempt: None };
    let failure = convert::failure(message).expect("a failure");
    assert_eq!((failure.log.len(), failure.message.chars().count()), (200, 4_000));
    assert!(failure.log[0].starts_with("100 ") && failure.log[199].starts_with("299 "));
    assert!(failure.log.iter().all(|line| line.chars().count() == 1_000));
}
