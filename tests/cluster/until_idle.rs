//! Workers with `--until-idle`: they end when no stage is left that they can run, and not before.

use pretext_tests::processes::{Daemon, Server, read};
use pretext_tests::{Scratch, turn, until};
use rustix::process::Signal;

/// Two stages, one after the other.
fn sweep(steps: u32) -> String {
    format!(
        "
name: idle
dataset: {{kind: procedural, train_per_class: 40, test_per_class: 10, seed: 0, image_size: 16}}
encoder: {{kind: small-cnn, width: 4, blocks: 2}}
methods: [supervised]
fractions: [50%]
lr: {{fixed: {{kind: constant, base: 0.01}}}}
seeds: [0]
numeric: cpu
downstream: {{steps: {steps}, batch: 8}}
"
    )
}

const BATCH: [&str; 4] = ["--until-idle=1", "--slots", "1", "--no-datasets"];
const FILTER: &str = "info,pretext_daemon=debug";

/// Returns how often a worker was told that there is no stage at present.
fn refusals(folder: &Scratch, worker: &str) -> usize {
    let log = read(&folder.path(&format!("{worker}.log")));
    log.lines().filter(|line| line.contains("asked for work") && line.contains("granted=false")).count()
}

#[test]
fn a_worker_ends_with_its_sweeps_and_not_before() {
    let _turn = turn::training();
    let folder = Scratch::new();
    let server = Server::start(&folder, &[]);
    let sweep = server.submit(&folder, &sweep(30));
    let mut worker = Daemon::start(&folder, &server.url, "w", &BATCH);
    assert_eq!(worker.process.ended(), 0, "{}", read(&folder.path("w.log")));
    let status = server.ask(&folder, &["status", &sweep, "--json"]).expect(0).json();
    assert_eq!(status["cells"][0]["state"], "succeeded", "{status}");
    assert!(read(&folder.path("w.log")).contains("no stage that this worker can run has waited"));
    // With no stage at all, the worker ends too.
    let mut late = Daemon::start(&folder, &server.url, "late", &BATCH);
    assert_eq!(late.process.ended(), 0);
}

#[test]
fn a_worker_stays_while_a_stage_waits_for_one_that_runs_elsewhere() {
    let _turn = turn::training();
    let folder = Scratch::new();
    let server = Server::start(&folder, &[]);
    let sweep = server.submit(&folder, &sweep(1_000_000));
    let mut busy = Daemon::start(&folder, &server.url, "busy", &BATCH);
    until("the first stage runs", || server.held_past(&folder, "busy", 0));
    let mut waits = Daemon::start_logging(&folder, &server.url, "waits", &BATCH, FILTER);
    // Three times as long as it would stay if no stage waited.
    until("it has asked in vain", || (refusals(&folder, "waits") >= 4).then_some(()));
    let mut told = Daemon::start_logging(&folder, &server.url, "told", &BATCH, FILTER);
    until("it has asked in vain", || (refusals(&folder, "told") >= 1).then_some(()));
    assert!(
        [&mut waits, &mut busy].map(|worker| worker.process.0.try_wait().expect("a child")).iter().all(Option::is_none)
    );
    told.process.signal(Signal::TERM);
    assert_eq!(told.process.ended(), 130, "it was cut short");
    server.ask(&folder, &["cancel", &sweep]).expect(0);
    assert_eq!((waits.process.ended(), busy.process.ended()), (0, 0));
}
