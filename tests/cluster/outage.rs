//! Workers during an outage of the coordinator, and workers that stop or die.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use pretext_tests::processes::{grants, read, saved};
use pretext_tests::{Daemon, Scratch, Server, turn, until};
use rustix::process::{Signal, kill_process};
use serde_json::Value;

/// One chain of stages; the first is long enough to catch a worker in it.
pub(crate) const SWEEP: &str = "
name: outage
dataset: {kind: procedural, train_per_class: 120, test_per_class: 20, seed: 0, image_size: 16}
encoder: {kind: small-cnn, width: 8, blocks: 2}
methods: [supervised]
fractions: [100%]
lr: {fixed: {kind: constant, base: 0.003}}
seeds: [0]
pretext: {data: all, epochs: 1, batch: 16}
downstream: {epochs: 100, batch: 16}
checkpoint: {every: 100ms, keep: 2}
";
/// So long that no lease ends during a test.
pub(crate) const FOR_EVER: [&str; 2] = ["--lease-ms", "3600000"];
pub(crate) const ONE_SLOT: [&str; 2] = ["--slots", "1"];

/// Returns results and points of the sweep without faults.
fn undisturbed() -> &'static (Value, String) {
    static ONCE: OnceLock<(Value, String)> = OnceLock::new();
    ONCE.get_or_init(|| {
        let folder = Scratch::new();
        let server = Server::start(&folder, &[]);
        let _worker = Daemon::start(&folder, &server.url, "steady", &ONE_SLOT);
        server.registered(&folder, 1);
        let sweep = server.submit(&folder, SWEEP);
        server.ask(&folder, &["watch", &sweep]).expect(0);
        server.report(&folder, &sweep)
    })
}

/// Checks that the sweep ends with the numbers of an undisturbed run, each point once.
#[track_caller]
pub(crate) fn ends_undisturbed(folder: &Scratch, server: &Server, sweep: &str) {
    server.ask(folder, &["watch", sweep]).expect(0);
    let (results, points) = server.report(folder, sweep);
    let (expected, expected_points) = undisturbed();
    assert_eq!(results["cells"][0]["test"], expected["cells"][0]["test"]);
    assert_eq!(&points, expected_points);
    let keys: BTreeSet<&str> = points.lines().filter_map(|line| line.rsplit_once(',')).map(|(key, _)| key).collect();
    assert_eq!(keys.len(), points.lines().count(), "each point once");
}

/// Returns the stage of which `worker` has saved a checkpoint past `step`.
#[track_caller]
pub(crate) fn under_way(folder: &Scratch, worker: &str, step: u64) -> String {
    until("the stage is under way", || {
        saved(folder, worker).into_iter().find(|(_, at)| *at > step).map(|(stage, _)| stage)
    })
}

pub(crate) fn log_of(folder: &Scratch, worker: &str) -> String {
    read(&folder.path(&format!("{worker}.log")))
}

#[track_caller]
fn until_it_says(folder: &Scratch, worker: &str, words: &str) {
    until(&format!("{worker} says `{words}`"), || log_of(folder, worker).contains(words).then_some(()));
}

#[test]
fn a_stage_that_ended_in_an_outage_is_handed_over_by_the_next_life_of_its_worker() {
    let _turn = turn::training();
    let folder = Scratch::new();
    let mut server = Server::start(&folder, &FOR_EVER);
    let mut worker = Daemon::start(&folder, &server.url, "steady", &ONE_SLOT);
    server.registered(&folder, 1);
    let sweep = server.submit(&folder, SWEEP);
    let stage = under_way(&folder, "steady", 3);
    server.process.kill();
    until_it_says(&folder, "steady", "the trainer is done");
    worker.process.kill();
    server.restart(&folder, &FOR_EVER);
    let _next = Daemon::start(&folder, &server.url, "steady", &ONE_SLOT);
    ends_undisturbed(&folder, &server, &sweep);
    assert_eq!(grants(&folder, &stage), 1, "the results of the outage were accepted");
}

#[test]
fn a_stage_that_was_cut_in_an_outage_goes_on_from_what_its_worker_left() {
    let _turn = turn::training();
    let folder = Scratch::new();
    let mut server = Server::start(&folder, &FOR_EVER);
    let mut worker = Daemon::start(&folder, &server.url, "steady", &ONE_SLOT);
    server.registered(&folder, 1);
    let sweep = server.submit(&folder, SWEEP);
    let stage = under_way(&folder, "steady", 3);
    server.process.kill();
    // Checkpoints of the outage, which only this machine has.
    under_way(&folder, "steady", 40);
    worker.process.kill();
    server.restart(&folder, &FOR_EVER);
    // The earlier process has the lease, which does not expire: no worker gets the stage unless the lease is given
    // back.
    let mut next = Daemon::start(&folder, &server.url, "steady", &ONE_SLOT);
    until_it_says(&folder, "steady", "handing over an attempt of an earlier run");
    until("the stage was granted again", || (grants(&folder, &stage) == 2).then_some(()));
    // The checkpoint was registered, so another machine could have resumed from it.
    until_it_says(&folder, "steady", "resume_step=");
    ends_undisturbed(&folder, &server, &sweep);
    next.process.signal(Signal::TERM);
    assert_eq!(next.process.ended(), 0);
}

#[test]
fn a_worker_that_is_told_to_stop_gives_its_stage_back_with_a_checkpoint() {
    let _turn = turn::training();
    let folder = Scratch::new();
    let server = Server::start(&folder, &FOR_EVER);
    // Nothing listens on the first address.
    let both = format!("http://127.0.0.1:1,{}", server.url);
    let mut worker = Daemon::start(&folder, &both, "leaving", &ONE_SLOT);
    server.registered(&folder, 1);
    let sweep = server.submit(&folder, SWEEP);
    let stage = under_way(&folder, "leaving", 3);
    worker.process.signal(Signal::TERM);
    assert_eq!(worker.process.ended(), 0);
    let serve = read(&folder.path("serve.log"));
    assert!(serve.lines().any(|line| line.contains("lease given back") && line.contains(&stage[..12])), "{serve}");
    let _other = Daemon::start(&folder, &both, "staying", &ONE_SLOT);
    until_it_says(&folder, "staying", "stage begins");
    let log = log_of(&folder, "staying");
    let begins = log.lines().find(|line| line.contains("stage begins")).expect("it just said so");
    assert!(begins.contains("resume_step="), "{begins}");
    ends_undisturbed(&folder, &server, &sweep);
    assert_eq!(grants(&folder, &stage), 2);
}

#[test]
fn a_step_that_does_not_end_costs_what_came_after_the_newest_checkpoint() {
    let _turn = turn::training();
    let folder = Scratch::new();
    let server = Server::start(&folder, &FOR_EVER);
    let mut worker = Daemon::start(&folder, &server.url, "leaving", &ONE_SLOT);
    server.registered(&folder, 1);
    let sweep = server.submit(&folder, SWEEP);
    let stage = under_way(&folder, "leaving", 30);
    let trainers = worker.trainers();
    assert_eq!(trainers.len(), 1);
    kill_process(trainers[0], Signal::STOP).expect("it runs");
    worker.process.signal(Signal::TERM);
    assert_eq!(worker.process.ended(), 0);
    assert!(log_of(&folder, "leaving").contains("its newest checkpoint is kept"));
    until("the trainer is gone", || rustix::process::test_kill_process(trainers[0]).is_err().then_some(()));
    let _other = Daemon::start(&folder, &server.url, "staying", &ONE_SLOT);
    ends_undisturbed(&folder, &server, &sweep);
    assert_eq!(grants(&folder, &stage), 2);
}

#[test]
fn a_worker_that_was_paused_beyond_its_lease_writes_nothing_any_more() {
    let _turn = turn::training();
    const LEASE: [&str; 2] = ["--lease-ms", "1000"];
    let folder = Scratch::new();
    let server = Server::start(&folder, &LEASE);
    let zombie = Daemon::start(&folder, &server.url, "zombie", &ONE_SLOT);
    server.registered(&folder, 1);
    let sweep = server.submit(&folder, SWEEP);
    let stage = under_way(&folder, "zombie", 3);
    zombie.process.signal(Signal::STOP);
    let _heir = Daemon::start(&folder, &server.url, "heir", &ONE_SLOT);
    until("the stage was granted again", || (grants(&folder, &stage) == 2).then_some(()));
    zombie.process.signal(Signal::CONT);
    // Its points, checkpoints and result have a superseded fence.
    until_it_says(&folder, "zombie", "the attempt is superseded and is dropped");
    ends_undisturbed(&folder, &server, &sweep);
}
