//! Hostile input for a short time: every reader accepts or refuses it with a reason, without a panic and within its
//! memory limit.

use std::process::Command;

use pretext_tests::Output;

fn fuzz(arguments: &str) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fuzz"));
    let output: Output = command.args(arguments.split(' ')).output().expect("the program starts").into();
    let rows = output.expect(0).stdout;
    assert!(rows.lines().count() >= 3, "{rows}");
}

#[test]
fn the_named_bombs_do_no_harm() {
    fuzz("cases");
}

#[test]
fn sweep_files() {
    fuzz("run sweep --inputs 5000 --seed 1");
}

#[test]
fn requests_of_all_services() {
    fuzz("run requests --inputs 4000 --seed 1");
}

#[test]
fn checkpoints_and_manifests() {
    fuzz("run checkpoint --inputs 500 --seed 1");
}

#[test]
fn pictures() {
    fuzz("run pictures --inputs 5000 --seed 1");
}

#[test]
fn binary_data_sets() {
    fuzz("run records --inputs 500 --seed 1");
}
