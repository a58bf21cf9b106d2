//! The campaign `resumes`: `kill -9` of a trainer in the middle of a stage, once a run, for all four methods. The next
//! trainer resumes from the newest checkpoint. Curves, scores and final weights equal those of an undisturbed run, bit
//! for bit.

use std::collections::BTreeSet;
use std::time::Instant;

use pretext_shared::draw::Draw;
use pretext_shared::stage::Method;
use pretext_tests::processes::{grants, saved};
use pretext_tests::{Daemon, Scratch, Server, until};
use rustix::process::{Signal, kill_process};
use serde_json::Value;

use super::row::{Row, draws};
use super::workers::{differences, start, undisturbed};

const METHODS: [Method; 4] = [Method::Supervised, Method::Rotation, Method::RotationJitter, Method::Simclr];
const NAME: &str = "left";
/// Stages are long enough that a kill hits a working trainer: 480 training images by 16.
const PRETEXT_EPOCHS: usize = 10;
const DOWNSTREAM_EPOCHS: usize = 30;
const STEPS_PER_EPOCH: usize = 30;
/// Allowed number of kills that come too late, for each kill that counts.
const TOO_LATE: u64 = 4;

fn sweep(method: Method) -> String {
    format!(
        "
name: resume
dataset: {{kind: procedural, train_per_class: 200, test_per_class: 20, seed: 0, image_size: 16}}
encoder: {{kind: small-cnn, width: 8, blocks: 2}}
methods: [{method}]
fractions: [100%]
lr: {{cosine: {{kind: cosine, base: 0.003, warmup_epochs: 1}}}}
seeds: [0]
pretext: {{data: all, epochs: {PRETEXT_EPOCHS}, batch: 16}}
downstream: {{epochs: {DOWNSTREAM_EPOCHS}, batch: 16}}
checkpoint: {{every: 100ms, keep: 2}}
"
    )
}

/// The place of a kill: a stage of the cell, and a step of it.
#[derive(Debug, Clone, Copy)]
struct Cut {
    stage: usize,
    step: u64,
}

impl Cut {
    /// Returns any step of a cell's training except the last tenth of a stage, because observations are one heartbeat
    /// old.
    fn draw(method: Method, draw: &mut Draw) -> Self {
        let lengths = match method {
            Method::Supervised => vec![DOWNSTREAM_EPOCHS * STEPS_PER_EPOCH],
            _ => vec![PRETEXT_EPOCHS * STEPS_PER_EPOCH, DOWNSTREAM_EPOCHS * STEPS_PER_EPOCH],
        };
        let stage = draw.below(lengths.len());
        Self { stage, step: draw.below(lengths[stage] * 9 / 10) as u64 }
    }
}

/// Sums over all runs.
#[derive(Debug, Default)]
struct Tally {
    kills: u64,
    in_pretext: u64,
    resumed: u64,
    too_late: u64,
    deepest: u64,
    violations: Vec<String>,
}

pub(crate) fn run(runs: u64, seed: u64) -> Row {
    let begin = Instant::now();
    let (mut draw, mut tally) = (draws(seed), Tally::default());
    for method in METHODS {
        let (sweep, target) = (sweep(method), tally.kills + runs);
        let expected = undisturbed(&sweep);
        let models = if method == Method::Supervised { 1 } else { 2 };
        assert_eq!(weights(&expected.0).len(), models, "every training stage leaves a model");
        while tally.kills < target && tally.violations.is_empty() {
            one(method, &sweep, &expected, &mut draw, &mut tally);
            if tally.too_late > TOO_LATE * runs {
                tally.violations.push(format!("{} kills came too late: stages are too short", tally.too_late));
            }
        }
        eprintln!("{method}: {} kills, {} in pretext stages", tally.kills + runs - target, tally.in_pretext);
    }
    let Tally { kills, in_pretext, resumed, too_late, deepest, violations } = tally;
    let measured = vec![
        format!("{} of each of {} methods", runs, METHODS.len()),
        format!("{in_pretext} in pretext stages, the rest downstream"),
        format!("{resumed} resumed from a checkpoint, the latest of step {deepest}; the rest began again"),
        format!("{too_late} more found no stage under way"),
    ];
    let (campaign, faults) = ("trainers".to_owned(), "kill -9 of a trainer process in mid-stage".to_owned());
    Row { campaign, faults, runs: kills, seed, violations, measured, took: begin.elapsed() }
}

/// Runs one cell from nothing to its report, with one kill.
fn one(method: Method, text: &str, expected: &(Value, String), draw: &mut Draw, tally: &mut Tally) {
    let place = Cut::draw(method, draw);
    let folder = Scratch::new();
    let server = Server::start(&folder, &["--lease-ms", "2000"]);
    let worker = start(&folder, &server, NAME);
    server.registered(&folder, 1);
    let sweep = server.submit(&folder, text);
    let mut stages: Vec<String> = Vec::new();
    let target = until("a trainer is where it is to die, or all is done", || {
        for (stage, step) in server.holds(&folder, NAME) {
            if !stages.contains(&stage) {
                stages.push(stage.clone());
            }
            if stages.get(place.stage) == Some(&stage) && step > place.step {
                return Some(Some(stage));
            }
        }
        is_over(&folder, &server, &sweep).then_some(None)
    });
    let Some(stage) = target else {
        tally.too_late += 1;
        return;
    };
    kill_trainers(&worker);
    let checkpoint = saved(&folder, NAME).into_iter().find(|(of, _)| *of == stage).map(|(_, step)| step);
    until("all is done", || is_over(&folder, &server, &sweep).then_some(()));
    // Proof that the trainer was killed at work: its stage was granted again.
    if grants(&folder, &stage) < 2 {
        tally.too_late += 1;
    } else {
        tally.kills += 1;
        tally.in_pretext += u64::from(method != Method::Supervised && place.stage == 0);
        tally.resumed += u64::from(checkpoint.is_some());
        tally.deepest = tally.deepest.max(checkpoint.unwrap_or(0));
    }
    let found = server.report(&folder, &sweep);
    let mut wrong = differences(&found, expected);
    if weights(&found.0) != weights(&expected.0) {
        wrong.push(format!("other weights: {:?} and not {:?}", weights(&found.0), weights(&expected.0)));
    }
    tally.violations.extend(wrong.into_iter().map(|what| format!("{method}, killed at {place:?}: {what}")));
}

fn kill_trainers(worker: &Daemon) {
    for trainer in worker.trainers() {
        // The trainer may have ended by itself.
        let _ = kill_process(trainer, Signal::KILL);
    }
}

fn is_over(folder: &Scratch, server: &Server, sweep: &str) -> bool {
    let status = server.ask(folder, &["status", sweep, "--json"]);
    let Ok(status) = serde_json::from_str::<Value>(&status.stdout) else { return false };
    let count = |state: &str| status["states"][state].as_u64().unwrap_or(0);
    count("succeeded") + count("failed") == 1
}

/// Returns the content hashes of all models of a report.
fn weights(results: &Value) -> BTreeSet<String> {
    let cells = results["cells"].as_array().cloned().unwrap_or_default();
    let models = cells.iter().flat_map(|cell| ["pretext", "downstream"].map(|stage| cell[stage]["model"].clone()));
    models.filter_map(|model| model.as_str().map(str::to_owned)).collect()
}
