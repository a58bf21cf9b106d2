//! One round of the rehearsal of a cluster's maintenance. `campaign rehearsal --rounds N` runs more.

use std::process::Command;

use pretext_tests::{Output, turn};

#[test]
fn everything_is_restarted_during_a_sweep_and_nothing_is_lost_or_changed() {
    let _turn = turn::training_alone();
    let mut command = Command::new(env!("CARGO_BIN_EXE_campaign"));
    let output: Output = command.args(["rehearsal", "--rounds", "1"]).output().expect("the program starts").into();
    let row = output.expect(0).stdout;
    assert!(row.lines().count() == 3, "{row}");
}
