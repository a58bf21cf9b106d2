//! The campaigns of worker faults in the middle of a stage. Each round is one sweep from nothing. At the end of a
//! round, points and results equal those of an undisturbed run, bit for bit: nothing is lost, doubled or stale.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use pretext_shared::draw::Draw;
use pretext_tests::processes::{grants, read};
use pretext_tests::{Daemon, Scratch, Server, until};
use rustix::process::{Signal, kill_process};
use serde_json::Value;

use super::row::{Row, draws};

/// A fault of a daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `kill -9`, then a new start.
    Kill,
    /// SIGSTOP past its lease, then SIGCONT.
    Pause,
    /// SIGTERM, then a new start.
    Stop,
    /// SIGTERM to the daemon and to each of its trainers, as a scheduler ends a job, then a new start.
    Job,
}

const SWEEP: &str = "
name: workers
dataset: {kind: procedural, train_per_class: 120, test_per_class: 20, seed: 0, image_size: 16}
encoder: {kind: small-cnn, width: 8, blocks: 2}
methods: [supervised, rotation]
fractions: [50%, 100%]
lr: {fixed: {kind: constant, base: 0.003}}
seeds: [0, 1]
pretext: {data: fraction, epochs: 12, batch: 16}
downstream: {epochs: 30, batch: 16}
checkpoint: {every: 100ms, keep: 2}
";
const NAMES: [&str; 2] = ["left", "right"];
/// Largest number of steps into a stage before a fault.
const DEEPEST: usize = 60;
/// Promised time to stop after SIGTERM.
const STOPPED_WITHIN: Duration = Duration::from_secs(10);

impl Fault {
    fn words(self) -> &'static str {
        match self {
            Fault::Kill => "kill -9 of a worker daemon in mid-stage",
            Fault::Pause => "SIGSTOP of a worker daemon past its lease, then SIGCONT",
            Fault::Stop => "SIGTERM to a worker daemon in mid-stage",
            Fault::Job => {
                "SIGTERM to a worker daemon and each of its trainers in mid-stage, to the trainers first in half of the runs"
            }
        }
    }

    fn lease_ms(self) -> &'static str {
        match self {
            // Heartbeats, which show how deep in its stage a worker is, come five times a lease.
            Fault::Kill | Fault::Stop | Fault::Job => "2000",
            Fault::Pause => "1000",
        }
    }
}

/// Sums over all rounds.
#[derive(Debug, Default)]
struct Tally {
    faults: u64,
    rounds: u64,
    granted: usize,
    refused: usize,
    retried: usize,
    /// Attempts at stages that had an attempt before.
    again: usize,
    /// Attempts that resumed from a checkpoint.
    resumed: usize,
    slowest_stop: Duration,
    violations: Vec<String>,
}

pub(crate) fn run(fault: Fault, runs: u64, seed: u64) -> Row {
    let begin = Instant::now();
    let expected = undisturbed(SWEEP);
    let mut draw = draws(seed);
    let mut tally = Tally::default();
    while tally.faults < runs && tally.violations.is_empty() {
        round(fault, runs, &mut draw, &mut tally, &expected);
        eprintln!("{} of {runs} faults in {} rounds", tally.faults, tally.rounds);
    }
    let mut measured = vec![
        format!("{} rounds", tally.rounds),
        format!("{} stages granted again", tally.granted),
        format!("{} stale calls refused", tally.refused),
        format!("{} retries of quarantined stages", tally.retried),
    ];
    if matches!(fault, Fault::Stop | Fault::Job) {
        // The others were stopped before their first step: observations are one heartbeat old.
        measured.push(format!("{} of {} later attempts resumed from a checkpoint", tally.resumed, tally.again));
        measured.push(format!("slowest stop {} ms", tally.slowest_stop.as_millis()));
    }
    let (campaign, faults) = ("worker daemons".to_owned(), fault.words().to_owned());
    Row { campaign, faults, runs: tally.faults, seed, violations: tally.violations, measured, took: begin.elapsed() }
}

/// Returns results and points of `sweep` without faults.
pub(crate) fn undisturbed(sweep: &str) -> (Value, String) {
    let folder = Scratch::new();
    let server = Server::start(&folder, &[]);
    let _workers = NAMES.map(|name| start(&folder, &server, name));
    server.registered(&folder, NAMES.len());
    let sweep = server.submit(&folder, sweep);
    server.ask(&folder, &["watch", &sweep]).expect(0);
    server.report(&folder, &sweep)
}

pub(crate) fn start(folder: &Scratch, server: &Server, name: &str) -> Daemon {
    Daemon::start(folder, &server.url, name, &["--slots", "1", "--no-datasets"])
}

/// Returns lost, doubled and changed points and results, compared with a run without faults.
pub(crate) fn differences(found: &(Value, String), expected: &(Value, String)) -> Vec<String> {
    let mut violations = Vec::new();
    let (have, want): (Vec<&str>, Vec<&str>) = (found.1.lines().collect(), expected.1.lines().collect());
    if have != want {
        let (have_set, want_set): (BTreeSet<&str>, BTreeSet<&str>) =
            (have.iter().copied().collect(), want.iter().copied().collect());
        let lost = want_set.difference(&have_set).count();
        let foreign = have_set.difference(&want_set).count();
        violations.push(format!("{lost} points lost, {foreign} foreign, {} doubled", have.len() - have_set.len()));
    }
    let scores = |results: &Value| -> Vec<(Value, Value)> {
        let cells = results["cells"].as_array().cloned().unwrap_or_default();
        cells.iter().map(|cell| (cell["id"].clone(), cell["test"].clone())).collect()
    };
    if scores(&found.0) != scores(&expected.0) {
        violations.push(format!("other results: {}", found.0["cells"]));
    }
    violations
}

fn round(fault: Fault, runs: u64, draw: &mut Draw, tally: &mut Tally, expected: &(Value, String)) {
    let folder = Scratch::new();
    let server = Server::start(&folder, &["--lease-ms", fault.lease_ms()]);
    let mut workers = NAMES.map(|name| start(&folder, &server, name));
    server.registered(&folder, NAMES.len());
    let sweep = server.submit(&folder, SWEEP);
    while tally.faults < runs {
        let chosen = draw.below(NAMES.len());
        let depth = draw.below(DEEPEST) as u64;
        let target = until("a worker is in mid-stage, or all is done", || {
            let held = server.held_past(&folder, NAMES[chosen], depth).map(Some);
            held.or_else(|| over(&folder, &server, &sweep, tally).then_some(None))
        });
        let Some(stage) = target else { break };
        let worker = &mut workers[chosen];
        match fault {
            Fault::Kill => {
                worker.process.kill();
                *worker = start(&folder, &server, NAMES[chosen]);
            }
            Fault::Pause => {
                let before = grants(&folder, &stage);
                worker.process.signal(Signal::STOP);
                let again = until("the stage is granted again, or all is done", || {
                    let again = (grants(&folder, &stage) > before).then_some(true);
                    again.or_else(|| over(&folder, &server, &sweep, tally).then_some(false))
                });
                worker.process.signal(Signal::CONT);
                if !again {
                    break;
                }
            }
            Fault::Stop | Fault::Job => {
                let told = Instant::now();
                if fault == Fault::Job {
                    stop_job(worker, if tally.faults.is_multiple_of(2) { First::Trainers } else { First::Daemon });
                } else {
                    worker.process.signal(Signal::TERM);
                }
                let code = worker.process.ended();
                tally.slowest_stop = tally.slowest_stop.max(told.elapsed());
                if code != 0 || told.elapsed() > STOPPED_WITHIN {
                    tally.violations.push(format!("a stop took {:?} and ended with {code}", told.elapsed()));
                }
                *worker = start(&folder, &server, NAMES[chosen]);
            }
        }
        tally.faults += 1;
    }
    until("all is done", || over(&folder, &server, &sweep, tally).then_some(()));
    let mut found = differences(&server.report(&folder, &sweep), expected);
    found.extend(server.verify(&folder, &sweep));
    if matches!(fault, Fault::Stop | Fault::Job) {
        if tally.retried > 0 {
            found.push("a stop failed a stage".to_owned());
        }
        let [resumed, again] = resumes(&folder);
        tally.resumed += resumed;
        tally.again += again;
    }
    tally.violations.extend(found.into_iter().map(|what| format!("round {}: {what}", tally.rounds)));
    tally.rounds += 1;
    let log = read(&folder.path("serve.log"));
    let granted = |line: &&str| line.contains("stage granted");
    let stages: BTreeSet<&str> = expected.1.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
    tally.granted += log.lines().filter(granted).count().saturating_sub(stages.len());
    for name in NAMES {
        let log = read(&folder.path(&format!("{name}.log")));
        tally.refused += log.lines().filter(|line| line.contains("is superseded: the stage was granted again")).count();
    }
}

/// The processes that get the signal first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    Trainers,
    Daemon,
}

/// Signals every process of a worker.
fn stop_job(worker: &Daemon, first: First) {
    let trainers = worker.trainers();
    let tell_trainers = || {
        for trainer in &trainers {
            // The daemon may have ended it already.
            let _ = kill_process(*trainer, Signal::TERM);
        }
    };
    match first {
        First::Trainers => {
            tell_trainers();
            worker.process.signal(Signal::TERM);
        }
        First::Daemon => {
            worker.process.signal(Signal::TERM);
            tell_trainers();
        }
    }
}

/// Returns how many attempts resumed from a checkpoint, and how many were at stages that had an attempt before, as the
/// workers' logs tell it.
fn resumes(folder: &Scratch) -> [usize; 2] {
    let logs = NAMES.map(|name| read(&folder.path(&format!("{name}.log"))));
    let begins: Vec<&str> =
        logs.iter().flat_map(|log| log.lines()).filter(|line| line.contains("stage begins")).collect();
    let stage = |line: &&str| Some(line.split_once("attempt=")?.1.split_once('@')?.0.to_owned());
    let stages: BTreeSet<String> = begins.iter().filter_map(stage).collect();
    let resumed = begins.iter().filter(|line| line.contains("resume_step=")).count();
    [resumed, begins.len() - stages.len()]
}

/// Returns whether the sweep is final. A stage that lost three workers is quarantined, as intended, and retried.
fn over(folder: &Scratch, server: &Server, sweep: &str, tally: &mut Tally) -> bool {
    let status = server.ask(folder, &["status", sweep, "--json"]);
    let Ok(status) = serde_json::from_str::<Value>(&status.stdout) else { return false };
    let count = |state: &str| status["states"][state].as_u64().unwrap_or(0);
    if count("failed") > 0 && count("pending") + count("running") == 0 {
        tally.retried += 1;
        server.ask(folder, &["retry", sweep, "--failed"]).expect(0);
        return false;
    }
    count("succeeded") > 0 && count("pending") + count("running") + count("failed") == 0
}
