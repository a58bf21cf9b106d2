//! Each campaign of docs/evidence/reliability.md with a few faults: the campaigns run, find nothing, and can be run longer.

use std::process::Command;

use pretext_tests::{Output, Redis, turn};

fn campaign(arguments: &str) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_campaign"));
    let output: Output = command.args(arguments.split(' ')).output().expect("the program starts").into();
    let row = output.expect(0).stdout;
    assert!(row.lines().count() == 3, "{row}");
}

#[test]
fn a_coordinator_that_is_killed_again_and_again_keeps_what_it_acknowledged() {
    campaign("coordinator-kills --runs 20 --seed 1");
}

#[test]
fn a_coordinator_on_a_server_s_store_keeps_what_it_acknowledged() {
    if !Redis::is_installed() {
        return eprintln!("skipped: redis-server is missing (tests/setup.sh test installs it)");
    }
    campaign("coordinator-kills --store redis --runs 5 --seed 1");
}

#[test]
fn a_server_that_is_killed_again_and_again_keeps_what_was_acknowledged() {
    if !Redis::is_installed() {
        return eprintln!("skipped: redis-server is missing (tests/setup.sh test installs it)");
    }
    campaign("redis-kills --runs 10 --seed 1");
}

#[test]
fn workers_that_are_killed_again_and_again_change_no_number() {
    let _turn = turn::training();
    campaign("worker-kills --runs 5 --seed 1");
}

#[test]
fn workers_that_are_paused_again_and_again_change_no_number() {
    let _turn = turn::training();
    campaign("zombies --runs 3 --seed 1");
}

#[test]
fn workers_that_are_stopped_again_and_again_change_no_number() {
    let _turn = turn::training();
    campaign("stops --runs 3 --seed 1");
}

#[test]
fn a_worker_that_is_stopped_in_mid_stage_leaves_a_checkpoint_to_go_on_from() {
    let _turn = turn::training();
    campaign("stop-large --runs 1 --encoder small-cnn --image-size 16");
}

#[test]
fn trainers_that_are_killed_change_no_curve_and_no_weight() {
    let _turn = turn::training();
    campaign("resumes --runs 1 --seed 1");
}
