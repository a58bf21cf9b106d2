//! Signals to everyone: schedulers signal every process of a job, trainers too, and repeat themselves. Each is a stop, and
//! costs no stage.

use pretext_tests::processes::{grants, read};
use pretext_tests::{Daemon, Scratch, Server, turn, until};
use rustix::process::{Signal, kill_process};

use super::outage::{FOR_EVER, ONE_SLOT, SWEEP, ends_undisturbed, log_of, under_way};

/// Ends the worker `round` in the middle of its stage, and returns the stage.
fn stopped_in_the_middle(folder: &Scratch, server: &Server, round: usize, signal: Signal) -> String {
    let name = format!("leaving-{round}");
    let mut worker = Daemon::start(folder, &server.url, &name, &ONE_SLOT);
    let stage = under_way(folder, &name, 3);
    let trainers = worker.trainers();
    assert_eq!(trainers.len(), 1);
    // Trainers first: their daemon has not asked them to stop.
    for trainer in trainers {
        kill_process(trainer, signal).expect("it runs");
    }
    for _ in 0..3 {
        worker.process.signal(Signal::TERM);
    }
    assert_eq!(worker.process.ended(), 0, "{}", log_of(folder, &name));
    stage
}

#[test]
fn a_signal_to_daemon_and_trainers_gives_the_stage_back() {
    let _turn = turn::training();
    let folder = Scratch::new();
    let server = Server::start(&folder, &FOR_EVER);
    // No worker is there yet that would say what class of devices it has.
    let sweep = server.submit(&folder, &format!("{SWEEP}numeric: cpu\n"));
    let rounds = [Signal::TERM, Signal::INT, Signal::TERM];
    let stages: Vec<String> = rounds
        .into_iter()
        .enumerate()
        .map(|(round, signal)| stopped_in_the_middle(&folder, &server, round, signal))
        .collect();
    assert!(stages.iter().all(|stage| *stage == stages[0]), "{stages:?}");
    let _staying = Daemon::start(&folder, &server.url, "staying", &ONE_SLOT);
    ends_undisturbed(&folder, &server, &sweep);
    assert_eq!(grants(&folder, &stages[0]), rounds.len() + 1);
    let begins = until("the last worker resumes", || {
        let log = log_of(&folder, "staying");
        log.lines().find(|line| line.contains("stage begins")).map(str::to_owned)
    });
    assert!(begins.contains("resume_step="), "{begins}");
    let serve = read(&folder.path("serve.log"));
    assert!(!serve.contains("attempt failed"), "{serve}");
}

#[test]
fn a_trainer_that_is_stopped_alone_is_replaced() {
    let _turn = turn::training();
    let folder = Scratch::new();
    let server = Server::start(&folder, &FOR_EVER);
    let worker = Daemon::start(&folder, &server.url, "steady", &ONE_SLOT);
    server.registered(&folder, 1);
    let sweep = server.submit(&folder, SWEEP);
    let stage = under_way(&folder, "steady", 3);
    for trainer in worker.trainers() {
        kill_process(trainer, Signal::TERM).expect("it runs");
    }
    ends_undisturbed(&folder, &server, &sweep);
    assert_eq!(grants(&folder, &stage), 2);
    assert!(!read(&folder.path("serve.log")).contains("attempt failed"));
}
