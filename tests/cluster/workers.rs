//! A coordinator server with real workers.

use std::collections::BTreeSet;

use pretext_tests::{Daemon, Scratch, Server, coordinator, pictures, turn, until};
use rustix::process::Signal;
use serde_json::Value;

/// Long enough to catch a worker in the middle of a stage, short enough to run twice.
const SWEEP: &str = "
name: killed
dataset: {kind: procedural, train_per_class: 120, test_per_class: 20, seed: 0, image_size: 16}
encoder: {kind: small-cnn, width: 8, blocks: 2}
methods: [supervised, rotation]
fractions: [50%, 100%]
lr: {fixed: {kind: constant, base: 0.003}}
seeds: [0]
pretext: {data: fraction, epochs: 48, batch: 16}
downstream: {epochs: 48, batch: 16}
checkpoint: {every: 1s, keep: 2}
";

/// Returns the cells of a report, each exactly once.
#[track_caller]
fn cells(results: &Value) -> Vec<&Value> {
    let cells: Vec<&Value> = results["cells"].as_array().expect("cells").iter().collect();
    let ids: BTreeSet<&str> = cells.iter().map(|cell| cell["id"].as_str().expect("an id")).collect();
    assert_eq!(ids.len(), cells.len(), "each cell once");
    cells
}

fn report(folder: &Scratch, server: &Server, sweep: &str) -> Value {
    let out = folder.path("report");
    server.ask(folder, &["report", sweep, "--out", out.to_str().expect("a text path")]).expect(0);
    let results = std::fs::read_to_string(out.join("results.json")).expect("a report");
    for file in ["report.md", "report.html", "points.csv"] {
        assert!(out.join(file).is_file(), "{file}");
    }
    serde_json::from_str(&results).expect("JSON")
}

/// Returns the stage that `worker` holds at a step past `step`.
fn held_past(folder: &Scratch, server: &Server, worker: &str, step: u64) -> Option<String> {
    let workers = server.ask(folder, &["workers", "--json"]).expect(0).json();
    let workers = workers["workers"].as_array()?.clone();
    let worker = workers.iter().find(|candidate| candidate["name"] == worker)?;
    let held = worker["holds"].as_array()?.iter().find(|held| held["step"].as_u64() > Some(step))?;
    held["stage"].as_str().map(str::to_owned)
}

#[test]
fn a_worker_killed_in_mid_stage_costs_nothing_but_time() {
    let _turn = turn::training();
    let folder = Scratch::new();
    let server = Server::start(&folder, &["--lease-ms", "2000"]);
    let _steady = Daemon::start(&folder, &server.url, "steady", &["--slots", "1"]);
    let mut doomed = Daemon::start(&folder, &server.url, "doomed", &["--slots", "1"]);
    let file = folder.file("sweep.yaml", SWEEP);
    let file = file.to_str().expect("a text path");
    server.registered(&folder, 2);
    let submitted = server.ask(&folder, &["submit", file, "--json"]).expect(0).json();
    let sweep = submitted["sweep"].as_str().expect("an id").to_owned();

    // The same file again is the same sweep.
    let again = server.ask(&folder, &["submit", file, "--json"]).expect(0).json();
    assert_eq!((&again["sweep"], &again["existed"]), (&submitted["sweep"], &Value::Bool(true)));

    let stage = until("the doomed worker is in mid-stage", || held_past(&folder, &server, "doomed", 3));
    doomed.process.kill();
    server.ask(&folder, &["watch", &sweep]).expect(0);

    let results = report(&folder, &server, &sweep);
    let cells = cells(&results);
    assert_eq!(cells.len(), 4);
    assert!(cells.iter().all(|cell| cell["state"] == "succeeded"), "{results:#}");
    assert!(cells.iter().all(|cell| cell["test"]["seen"] == 60));
    // Curves of the interrupted stage are whole: every epoch once, with rising steps.
    let points = std::fs::read_to_string(folder.path("report").join("points.csv")).expect("a report");
    let epochs: Vec<u32> = points
        .lines()
        .filter(|line| line.starts_with(&stage) && line.contains(",validation,loss,"))
        .map(|line| line.split(',').nth(4).and_then(|epoch| epoch.parse().ok()).expect("an epoch"))
        .collect();
    assert_eq!(epochs, (1..=48).collect::<Vec<_>>());
}

#[test]
fn a_restarted_coordinator_goes_on_with_workers_that_never_stopped() {
    let _turn = turn::training();
    let folder = Scratch::new();
    let mut server = Server::start(&folder, &[]);
    let port = server.url.rsplit(':').next().expect("a port").to_owned();
    let mut worker = Daemon::start(&folder, &server.url, "steady", &["--slots", "2"]);
    let file = folder.file("sweep.yaml", SWEEP);
    server.registered(&folder, 1);
    let submitted = server.ask(&folder, &["submit", file.to_str().expect("text"), "--json"]).expect(0).json();
    let sweep = submitted["sweep"].as_str().expect("an id").to_owned();
    let stage = until("a stage is under way", || held_past(&folder, &server, "steady", 3));
    server.process.kill();
    let listen = format!("127.0.0.1:{port}");
    let server = Server::start_at(&folder, &listen, &[]);
    server.ask(&folder, &["watch", &sweep]).expect(0);
    let results = report(&folder, &server, &sweep);
    assert!(cells(&results).iter().all(|cell| cell["state"] == "succeeded"));
    // The stage continued under its first grant.
    let log = pretext_tests::processes::read(&folder.path("serve.log"));
    let grants = log.lines().filter(|line| line.contains("stage granted") && line.contains(&stage[..12])).count();
    assert_eq!(grants, 1, "{log}");
    // SIGTERM ends a worker with exit code 0.
    worker.process.signal(Signal::TERM);
    assert_eq!(worker.process.ended(), 0);
}

#[test]
fn a_worker_stops_although_its_coordinator_is_gone() {
    let _turn = turn::training();
    let folder = Scratch::new();
    let mut server = Server::start(&folder, &[]);
    let mut worker = Daemon::start(&folder, &server.url, "steady", &["--slots", "1"]);
    let file = folder.file("sweep.yaml", SWEEP);
    server.registered(&folder, 1);
    server.ask(&folder, &["submit", file.to_str().expect("text")]).expect(0);
    until("a stage is under way", || held_past(&folder, &server, "steady", 3));
    server.process.kill();
    // The stage ends, and its outputs cannot be sent.
    until("the worker tries to hand over what it has", || {
        let log = pretext_tests::processes::read(&folder.path("steady.log"));
        (log.contains("waiting for the coordinator") && log.contains("upload")).then_some(())
    });
    worker.process.signal(Signal::TERM);
    assert_eq!(worker.process.ended(), 0);
}

#[test]
fn a_stage_that_is_granted_again_on_the_same_machine_has_its_folder_to_itself() {
    let _turn = turn::training();
    let folder = Scratch::new();
    let server = Server::start(&folder, &[]);
    let _worker = Daemon::start(&folder, &server.url, "steady", &["--slots", "2"]);
    let text = SWEEP.replace("every: 1s", "every: 100ms").replace("[supervised, rotation]", "[rotation]");
    let file = folder.file("sweep.yaml", &text);
    server.registered(&folder, 1);
    let submitted = server.ask(&folder, &["submit", file.to_str().expect("text"), "--json"]).expect(0).json();
    let sweep = submitted["sweep"].as_str().expect("an id").to_owned();
    until("a stage is under way", || held_past(&folder, &server, "steady", 3));
    // The old attempt hears of the cancellation only with the next heartbeat; the new one begins at once.
    server.ask(&folder, &["cancel", &sweep]).expect(0);
    server.ask(&folder, &["retry", &sweep]).expect(0);
    server.ask(&folder, &["watch", &sweep]).expect(0);
    let log = pretext_tests::processes::read(&folder.path("steady.log"));
    assert!(!log.contains("attempt failed"), "{log}");
    assert!(cells(&report(&folder, &server, &sweep)).iter().all(|cell| cell["state"] == "succeeded"));
}

#[test]
fn slots_of_several_devices_are_used() {
    let _turn = turn::training();
    let folder = Scratch::new();
    let server = Server::start(&folder, &[]);
    let _worker =
        Daemon::start(&folder, &server.url, "twins", &["--device", "stub:0,stub:1", "--slots", "2", "--no-datasets"]);
    let text = SWEEP.replace("seeds: [0]", "seeds: [0, 1]").replace("name: killed", "name: placed");
    let file = folder.file("sweep.yaml", &text);
    server.registered(&folder, 1);
    let submitted = server.ask(&folder, &["submit", file.to_str().expect("text"), "--json"]).expect(0).json();
    let sweep = submitted["sweep"].as_str().expect("an id");
    until("two stages run on each device", || {
        let workers = server.ask(&folder, &["workers", "--json"]).expect(0).json();
        let holds = workers["workers"][0]["holds"].as_array()?.clone();
        let on = |device: &str| holds.iter().filter(|held| held["device"] == device).count();
        assert!(on("stub:0") <= 2 && on("stub:1") <= 2, "{holds:?}");
        (on("stub:0") == 2 && on("stub:1") == 2).then_some(())
    });
    server.ask(&folder, &["cancel", sweep]).expect(0);
    // The workers stop the cancelled stages, and a watcher sees the end.
    server.ask(&folder, &["watch", sweep]).expect(1);
    until("nothing is held", || {
        let workers = server.ask(&folder, &["workers", "--json"]).expect(0).json();
        workers["workers"][0]["holds"].as_array()?.is_empty().then_some(())
    });
}

#[test]
fn an_image_folder_runs_and_continues_from_the_command_line() {
    let _turn = turn::training();
    let folder = Scratch::new();
    let data = folder.path("data").join("discs");
    pictures::image_folder(&data, "train", &["left", "right"], 20);
    pictures::image_folder(&data, "test", &["left", "right"], 5);
    let text = "
name: discs
dataset: {kind: image-folder, path: discs, image_size: 16}
encoder: {kind: small-cnn, width: 4, blocks: 2}
methods: [supervised, rotation, rotation-jitter, simclr]
fractions: [50%]
lr: {scheduler: {kind: cosine, base: 0.01, warmup_epochs: 1}}
seeds: [0]
pretext: {data: all, epochs: 2, batch: 8}
downstream: {mode: fine-tune, epochs: 3, batch: 8}
overrides: {simclr: {downstream: {mode: frozen}}}
";
    let file = folder.file("sweep.yaml", text);
    let run =
        ["run", file.to_str().expect("text"), "--data-root", "data", "--out", "report", "--workers", "2", "--json"];
    let first = coordinator(&folder, &run).expect(0).json();
    let results = &first["results"];
    assert_eq!(cells(results).len(), 4);
    assert!(cells(results).iter().all(|cell| cell["state"] == "succeeded" && cell["test"]["seen"] == 10));
    let modes: BTreeSet<&str> = cells(results).iter().filter_map(|cell| cell["downstream"]["mode"].as_str()).collect();
    assert_eq!(modes, BTreeSet::from(["fine-tune", "frozen"]));
    assert!(folder.path("report").join("report.html").is_file());
    // The same command again finds everything done, and prints the same numbers.
    let second = coordinator(&folder, &run).expect(0).json();
    assert_eq!(second["results"], first["results"]);
    // A smoke run of two steps is a separate sweep.
    let smoke = coordinator(&folder, &[&run[..], &["--smoke"]].concat()).expect(0).json();
    assert_ne!(smoke["sweep"], first["sweep"]);
}

#[test]
fn an_interrupted_run_goes_on_where_it_stopped() {
    let _turn = turn::training();
    let folder = Scratch::new();
    let file = folder.file("sweep.yaml", &SWEEP.replace("name: killed", "name: cut"));
    let args = ["run", file.to_str().expect("text"), "--out", "report", "--workers", "2", "--json"];
    let child = pretext_tests::processes::coordinator_command(&folder, &args)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut run = pretext_tests::processes::Guarded(child);
    until("a trainer has written a checkpoint", || {
        let stages = std::fs::read_dir(folder.path(".pretext").join("worker").join("stages")).ok()?;
        stages
            .flatten()
            .any(|stage| std::fs::read_dir(stage.path()).is_ok_and(|mut files| files.next().is_some()))
            .then_some(())
    });
    run.signal(Signal::INT);
    assert_eq!(run.ended(), 130);
    let results = coordinator(&folder, &args).expect(0).json();
    assert!(cells(&results["results"]).iter().all(|cell| cell["state"] == "succeeded"));
    // An uninterrupted run in another state folder gives the same numbers, bit for bit.
    let fresh = ["--state-dir", "elsewhere"];
    let other = coordinator(&folder, &[&args[..], &fresh].concat()).expect(0).json();
    assert_eq!(other["results"], results["results"]);
}

#[test]
fn protocol_versions_that_do_not_fit_are_refused_in_words() {
    let _turn = turn::training();
    use pretext_proto::v1 as pb;
    let folder = Scratch::new();
    let server = Server::start(&folder, &[]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let status = runtime.block_on(async {
        let mut client = pb::work_client::WorkClient::connect(server.url.clone()).await.expect("reachable");
        let worker = pb::Worker { name: "old".to_owned(), boot: "0193f2a0-0000-7000-8000-000000000000".to_owned() };
        let request = pb::RegisterRequest { protocol: 99, worker: Some(worker), ..Default::default() };
        client.register(request).await.expect_err("another protocol")
    });
    assert_eq!(status.code(), tonic::Code::FailedPrecondition);
    assert!(status.message().contains("speaks protocol 99: install the same version on both"), "{status}");
}
