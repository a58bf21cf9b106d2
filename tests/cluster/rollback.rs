//! A store that was set back to an older state under a worker. Acknowledged points are gone, and the attempt that they
//! belong to ends. Its stage begins again from what is registered.

use pretext_daemon::spool::{Entry, Opening, Saved, Spool};
use pretext_shared::claim::Proof;
use pretext_shared::ids::{AttemptId, Fence};
use pretext_tests::processes::{grants, read, saved};
use pretext_tests::stub::Stub;
use pretext_tests::{Daemon, Scratch, Server, turn, until};

const SWEEP: &str = "
name: rollback
numeric: cpu
dataset: {kind: procedural, train_per_class: 120, test_per_class: 20, seed: 0, image_size: 16}
encoder: {kind: small-cnn, width: 8, blocks: 2}
methods: [supervised]
fractions: [100%]
lr: {fixed: {kind: constant, base: 0.003}}
seeds: [0]
downstream: {epochs: 100, batch: 16}
checkpoint: {every: 100ms, keep: 2}
";
const ONE_SLOT: [&str; 2] = ["--slots", "1"];

#[test]
fn points_that_the_store_has_forgotten_end_their_attempt() {
    let _turn = turn::training();
    // A holder that drops its attempt without a call loses its lease after this time.
    const LEASE: [&str; 2] = ["--lease-ms", "1000"];
    let folder = Scratch::new();
    let mut server = Server::start(&folder, &LEASE);
    let _worker = Daemon::start(&folder, &server.url, "steady", &ONE_SLOT);
    server.registered(&folder, 1);
    let sweep = server.submit(&folder, SWEEP);
    let stage = until("the stage is under way", || {
        saved(&folder, "steady").into_iter().find(|(_, step)| *step > 3).map(|(stage, _)| stage)
    });
    server.process.kill();
    let (state, older) = (folder.path("state/state.redb"), folder.path("older.redb"));
    std::fs::copy(&state, &older).expect("copied");
    server.restart(&folder, &LEASE);
    let points = || server.report(&folder, &sweep).1.lines().count();
    let before = points();
    until("more points are acknowledged", || (points() > before + 20).then_some(()));
    server.process.kill();
    std::fs::copy(&older, &state).expect("set back");
    server.restart(&folder, &LEASE);
    until("the stage is granted again", || (grants(&folder, &stage) == 2).then_some(()));
    let log = read(&folder.path("steady.log"));
    assert!(log.contains("this attempt cannot continue; it is stopped") && log.contains("came before batch"), "{log}");
    server.ask(&folder, &["watch", &sweep]).expect(0);
    assert_eq!(server.verify(&folder, &sweep), Vec::<String>::new());
}

#[test]
fn a_checkpoint_whose_points_the_store_has_forgotten_holds_nobody_up() {
    let _turn = turn::training();
    let folder = Scratch::new();
    // So long that no lease ends during the test.
    let server = Server::start(&folder, &["--lease-ms", "3600000"]);
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let mut stub = runtime.block_on(Stub::register(&server.url, "steady", 1));
    let sweep = server.submit(&folder, &SWEEP.replace("epochs: 100", "epochs: 2"));
    let grant = runtime.block_on(stub.lease("former life")).expect("a stage is ready");
    let granted = grant.attempt.expect("an attempt");
    let attempt = AttemptId { stage: granted.stage.parse().expect("a stage"), fence: Fence(granted.fence) };

    // An earlier process of the worker had three batches acknowledged, and a checkpoint that needs them.
    std::fs::create_dir(folder.path("steady")).expect("a folder");
    let checkpoint = Saved { path: folder.file("checkpoint", "its content"), step: 3, next_sequence: 3 };
    let (spool, _) = Spool::open(&folder.path("steady/spool.redb"), 1 << 20).expect("opens");
    runtime.block_on(async {
        let opening = Opening { device: "cpu".to_owned(), proof: Proof(granted.proof) };
        spool.write(Entry::Begin(attempt, opening)).await.expect("written");
        spool.write(Entry::Checkpoint(attempt, checkpoint)).await.expect("written");
    });
    drop(spool);

    // The spool's file is free soon after; the next process tries until it is.
    let _worker = until("the worker has its spool", || {
        let mut daemon = Daemon::start(&folder, &server.url, "steady", &ONE_SLOT);
        until("it hands over or has ended", || {
            let found = read(&folder.path("steady.log")).contains("handing over an attempt of an earlier run");
            let ended = daemon.process.0.try_wait().expect("a child of ours").is_some();
            (found || ended).then_some(found)
        })
        .then_some(daemon)
    });
    until("the former life's lease is given back", || (grants(&folder, &granted.stage) == 2).then_some(()));
    server.ask(&folder, &["watch", &sweep]).expect(0);
    let log = read(&folder.path("steady.log"));
    assert!(log.contains("the coordinator has lost points that it had acknowledged"), "{log}");
    assert_eq!(server.verify(&folder, &sweep), Vec::<String>::new());
}
