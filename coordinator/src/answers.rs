//! Tests that any answer of a coordinator is shown without a panic: numbers of every size, missing parts, names with
//! any characters in them. No shown text contains terminal control sequences.

use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressDrawTarget};
use pretext_proto::v1 as pb;
use pretext_shared::stage::Extent;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::console::{Show, Terminal};
use super::data::{Gone, Listed};
use super::progress::{ProgressBars, left, summary};
use super::status::{Counts, Sweeps};
use super::submit::Submitted;
use super::watch::EventLine;
use super::workers::Workers;

/// A name or a sentence, or a string that contains terminal control sequences.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        10 => any::<String>(),
        5 => Just(String::new()),
        20 => "[a-z]{1,8}",
        5 => "[a-z]{0,3}\u{1b}\\[2J[a-z]{0,3}",
        1 => Just("long ".repeat(20_000)),
    ]
}

/// A number, often one of the ends of its range.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![any::<u64>(), Just(0), Just(u64::MAX), 0..100u64]
}

fn short() -> impl Strategy<Value = u32> {
    prop_oneof![any::<u32>(), Just(0), Just(u32::MAX), 0..100u32]
}

fn counts() -> impl Strategy<Value = pb::CellCounts> {
    (short(), short(), short(), short(), short()).prop_map(|(pending, running, succeeded, failed, cancelled)| {
        pb::CellCounts { pending, running, succeeded, failed, cancelled }
    })
}

fn running() -> impl Strategy<Value = pb::RunningStage> {
    ([text(), text(), text()], short(), [text(), text()], number(), number()).prop_map(
        |([stage, kind, cell], cells, [worker, device], step, total)| pb::RunningStage {
            stage,
            kind,
            cell,
            cells,
            worker,
            device,
            step,
            total,
        },
    )
}

fn event() -> impl Strategy<Value = pb::WatchEvent> {
    let numbers = [number(), number(), number(), number()];
    let left = option::of((number(), any::<u32>()))
        .prop_map(|left| left.map(|(known_ms, unknown_stages)| pb::TimeLeft { known_ms, unknown_stages }));
    (text(), option::of(counts()), vec(running(), 0..4), numbers, any::<bool>(), vec(text(), 0..3), left).prop_map(
        |(sweep, cells, running, [steps_done, steps_total, images_done, images_total], r#final, obstacles, left)| {
            pb::WatchEvent {
                sweep,
                cells,
                running,
                steps_done,
                steps_total,
                r#final,
                obstacles,
                images_done,
                images_total,
                left,
            }
        },
    )
}

fn sweep() -> impl Strategy<Value = pb::SweepSummary> {
    (text(), option::of(counts()), number(), any::<bool>(), any::<bool>()).prop_map(
        |(sweep, cells, submitted_ms, cancelled, smoke)| pb::SweepSummary {
            sweep,
            cells,
            submitted_ms,
            cancelled,
            smoke,
        },
    )
}

fn dataset() -> impl Strategy<Value = pb::Dataset> {
    ([text(), text(), text()], vec(text(), 0..3), vec(short(), 0..4), vec(short(), 0..4)).prop_map(
        |([key, fingerprint, problem], classes, train, test)| pb::Dataset {
            key,
            fingerprint,
            classes,
            train,
            test,
            problem,
            groups: Vec::new(),
            validation: Vec::new(),
            notes: Vec::new(),
        },
    )
}

fn worker() -> impl Strategy<Value = pb::WorkerSummary> {
    let id = option::of((text(), text()).prop_map(|(name, boot)| pb::Worker { name, boot }));
    let device = ([text(), text(), text()], short())
        .prop_map(|([name, description, numeric_class], slots)| pb::Device { name, description, numeric_class, slots });
    let attempt =
        option::of((text(), number()).prop_map(|(stage, fence)| pb::Attempt { stage, fence, ..Default::default() }));
    let held = (attempt, text(), number()).prop_map(|(attempt, device, step)| pb::HeldStage { attempt, device, step });
    let unwell =
        (text(), text(), text()).prop_map(|(device, state, reason)| pb::UnwellDevice { device, state, reason });
    let devices = (vec(device, 0..3), vec(unwell, 0..3));
    (id, devices, vec(dataset(), 0..3), vec(held, 0..3), number(), any::<bool>(), text()).prop_map(
        |(worker, (devices, unwell), datasets, holds, silent_ms, connected, version)| pb::WorkerSummary {
            worker,
            devices,
            datasets,
            holds,
            silent_ms,
            connected,
            version,
            unwell,
        },
    )
}

/// Both forms of an answer.
fn shown(answer: &impl Show) {
    let text = answer.text();
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    serde_json::to_string(answer).expect("an answer is valid JSON");
}

fn sums(counts: Counts, message: Option<pb::CellCounts>) {
    let pb::CellCounts { pending, running, succeeded, failed, cancelled } = message.unwrap_or_default();
    assert_eq!(
        (counts.pending, counts.running, counts.succeeded, counts.failed, counts.cancelled),
        (pending, running, succeeded, failed, cancelled)
    );
    let all = [pending, running, succeeded, failed, cancelled].map(u64::from).iter().sum::<u64>();
    assert_eq!((counts.total(), counts.is_final()), (all, pending.max(running) == 0));
}

proptest! {
    #[test]
    fn events_are_shown(mut events in vec(event(), 1..4), rate in option::of(any::<f64>())) {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        let mut progress = ProgressBars::new(&Terminal { bars, interactive: true, colours: false });
        // Failures that become more are reported, and so are obstacles.
        events.sort_by_key(|event| std::cmp::Reverse(Counts::from(event.cells).failed));
        let begin = Instant::now();
        for (second, event) in (0..).zip(events) {
            sums(Counts::from(event.cells), event.cells);
            shown(&EventLine::from(event.clone()));
            summary(&event, rate, left(&event, Duration::from_secs(second)));
            progress.update(pb::WatchEvent { obstacles: Vec::new(), ..event }, begin + Duration::from_secs(second));
        }
        progress.tick(begin + Duration::from_secs(9));
    }

    #[test]
    fn lists_are_shown(sweeps in vec(sweep(), 0..3), workers in vec(worker(), 0..3), now in number()) {
        shown(&Sweeps::new(sweeps, Duration::from_millis(now)));
        shown(&Workers::new(workers));
    }

    #[test]
    fn pushed_data_are_shown(
        data in vec((option::of(dataset()), number(), number(), number(), number()), 0..3), key in text(), artifacts in number(),
    ) {
        let pushed = data.into_iter().map(|(dataset, files, bytes, packs, pushed_ms)| {
            pb::PushedDataset { dataset, files, bytes, packs, pushed_ms }
        });
        shown(&Listed::new(pushed.collect()));
        shown(&Gone::from(pb::RemoveDataReply { fingerprint: key.clone(), key, artifacts }));
    }

    #[test]
    fn submissions_are_shown(
        sweep in text(), cells in short(), stages in short(), cached in short(), existed: bool, cancelled: bool,
    ) {
        let reply = pb::SubmitReply { sweep, existed, cells, stages, cached, cancelled };
        shown(&Submitted::new(&reply, Extent::Smoke));
    }
}
