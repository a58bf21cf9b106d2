//! Refusals that pass: they cost time, and never an attempt or a result.

use pretext_tests::processes::{grants, read};
use pretext_tests::{Daemon, Scratch, Server, members, turn, until};

use super::outage::{FOR_EVER, ONE_SLOT, SWEEP, log_of, under_way};

#[test]
fn an_unreadable_register_costs_no_attempt() {
    let _turn = turn::training();
    let folder = Scratch::new();
    members::authority(&folder);
    let arguments = ["--tls", FOR_EVER[0], FOR_EVER[1]];
    let server = Server::start(&folder, &arguments);
    let credentials = members::join(&folder, &server.url, "submit", "ann");
    let token = members::token(&folder, "worker", "steady");
    let token = token.to_str().expect("a text path");
    let _worker = Daemon::start(&folder, &server.url, "steady", &[&ONE_SLOT[..], &["--token-file", token]].concat());
    let mine = credentials.to_str().expect("a text path");
    let ask = |args: &[&str]| server.ask(&folder, &[args, &["--credentials", mine]].concat());
    let file = folder.file("sweep.yaml", SWEEP);
    until("the worker has joined", || ask(&["workers"]).stdout.contains("steady").then_some(()));
    ask(&["submit", file.to_str().expect("a text path")]).expect(0);
    let stage = under_way(&folder, "steady", 3);
    // A file where a folder should be: nothing below it can be read, as on a file system that fails.
    let (revoked, away) = (folder.path("state/identity/revoked"), folder.path("state/identity/away"));
    let was_there = std::fs::rename(&revoked, &away).is_ok();
    std::fs::write(&revoked, "").expect("writable");
    until("calls are refused", || read(&folder.path("serve.log")).contains("cannot be read").then_some(()));
    // The end of the stage is refused too, for now.
    until("the stage has ended", || log_of(&folder, "steady").contains("the trainer is done").then_some(()));
    std::fs::remove_file(&revoked).expect("it is there");
    if was_there {
        std::fs::rename(&away, &revoked).expect("it was there");
    }
    until("the sweep ends", || {
        let answer = ask(&["status", "--json"]);
        (answer.json()["sweeps"][0]["cells"]["succeeded"] == 1).then_some(())
    });
    assert_eq!(grants(&folder, &stage), 1, "{}", read(&folder.path("serve.log")));
}
