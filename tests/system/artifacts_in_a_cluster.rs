//! Coordinators with their artifacts in a bucket, with real workers, and the collection of garbage.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use pretext_proto::v1 as pb;
use pretext_shared::ids::ContentHash;
use pretext_tests::processes::{grants, read, saved};
use pretext_tests::relay::Relay;
use pretext_tests::s3::{BUCKET, S3};
use pretext_tests::stub::Stub;
use pretext_tests::{Daemon, Scratch, Server, turn, until};
use serde_json::Value;
use tokio_stream::StreamExt;
use tonic::Code;

const SWEEP: &str = "
name: in-a-bucket
dataset: {kind: procedural, train_per_class: 120, test_per_class: 20, seed: 0, image_size: 16}
encoder: {kind: small-cnn, width: 8, blocks: 2}
methods: [supervised, rotation]
fractions: [100%]
lr: {fixed: {kind: constant, base: 0.003}}
seeds: [0]
pretext: {data: all, epochs: 30, batch: 16}
downstream: {epochs: 30, batch: 16}
checkpoint: {every: 200ms, keep: 2}
";
/// So long that no lease ends during a test.
const FOR_EVER: [&str; 2] = ["--lease-ms", "3600000"];

/// Starts a coordinator at `listen`, on the bucket behind the relay.
fn serve(folder: &Scratch, listen: &str, relay: &Relay) -> Server {
    let place = format!("s3://{BUCKET}/runs");
    let arguments = [&FOR_EVER[..], &["--artifacts", &place]].concat();
    Server::start_in(folder, listen, &arguments, &S3::variables(relay.address))
}

fn gc(folder: &Scratch, server: &Server, extra: &[&str]) -> Value {
    server.ask(folder, &[&["gc", "--json"], extra].concat()).expect(0).json()
}

/// Checks that the sweep has its report and everything that the report refers to.
#[track_caller]
fn ends_well(folder: &Scratch, server: &Server, sweep: &str) {
    server.ask(folder, &["watch", sweep]).expect(0);
    let (results, points) = server.report(folder, sweep);
    let cells = results["cells"].as_array().expect("cells");
    assert!(cells.len() == 2 && cells.iter().all(|cell| cell["state"] == "succeeded"), "{results:#}");
    assert!(points.lines().count() > 100);
    assert!(folder.path("report/predictions").is_dir(), "predictions are artifacts, and are read from the bucket");
    assert_eq!(server.verify(folder, sweep), [""; 0]);
    // Every grant was the only one of its stage.
    let log = read(&folder.path("serve.log"));
    let granted = log.lines().filter(|line| line.contains("stage granted")).count();
    assert_eq!(granted, 5, "{log}");
}

#[test]
fn a_sweep_whose_artifacts_are_in_a_bucket_survives_its_coordinator_and_collections_of_garbage() {
    let _turn = turn::training();
    let folder = Scratch::new();
    let s3 = S3::start(&folder);
    let relay = Relay::start(Ipv4Addr::new(127, 0, 0, 2), s3.address);
    let mut server = serve(&folder, "127.0.0.1:0", &relay);
    let _worker = Daemon::start(&folder, &server.url, "steady", &["--slots", "2"]);
    server.registered(&folder, 1);
    let sweep = server.submit(&folder, SWEEP);
    until("checkpoints are in the bucket", || (s3.keys().len() >= 3).then_some(()));
    let listen = server.address().to_string();
    server.process.kill();
    let server = serve(&folder, &listen, &relay);
    // Meanwhile collections run that spare almost nothing: what they remove too early is uploaded again.
    let is_final = || {
        gc(&folder, &server, &["--grace", "1s"]);
        let status = server.ask(&folder, &["status", "--json"]).expect(0).json();
        (status["sweeps"][0]["cells"]["succeeded"] == 2).then_some(())
    };
    until("the sweep is done", is_final);
    ends_well(&folder, &server, &sweep);
    assert!(!folder.path("state/artifacts").exists(), "nothing is kept beside the bucket");

    // Only what the results need is left: no checkpoint of a finished stage.
    until("garbage is old enough", || {
        gc(&folder, &server, &["--grace", "1s"]);
        let left = gc(&folder, &server, &["--dry-run", "--grace", "1s"]);
        (left["garbage"] == Value::Array(vec![]) && left["kept"]["young"] == 0).then_some(())
    });
    let needed = gc(&folder, &server, &["--dry-run"])["kept"]["needed"].as_u64();
    assert_eq!(needed, Some(s3.keys().len() as u64));
    assert_eq!(server.verify(&folder, &sweep), [""; 0]);
}

#[test]
fn while_the_bucket_is_away_workers_keep_what_they_have() {
    let _turn = turn::training();
    let folder = Scratch::new();
    let s3 = S3::start(&folder);
    let relay = Relay::start(Ipv4Addr::new(127, 0, 0, 2), s3.address);
    let server = serve(&folder, "127.0.0.1:0", &relay);
    let _worker = Daemon::start(&folder, &server.url, "steady", &["--slots", "1"]);
    server.registered(&folder, 1);
    let sweep = server.submit(&folder, SWEEP);
    let stage = until("a stage is under way", || saved(&folder, "steady").into_iter().next()).0;
    until("a checkpoint is in the bucket", || (!s3.keys().is_empty()).then_some(()));
    relay.cut();
    until("the worker waits", || {
        let log = read(&folder.path("steady.log"));
        log.lines()
            .any(|line| line.contains("waiting for the coordinator") && line.contains("s3://lab/runs"))
            .then_some(())
    });
    // The stage ends meanwhile, and its outputs cannot be stored.
    until("the stage is done", || read(&folder.path("steady.log")).contains("the trainer is done").then_some(()));
    relay.mend();
    ends_well(&folder, &server, &sweep);
    assert_eq!(grants(&folder, &stage), 1);
}

#[test]
fn a_bucket_that_cannot_be_written_is_said_at_the_start() {
    let folder = Scratch::new();
    let s3 = S3::start(&folder);
    let mut command = pretext_tests::processes::coordinator_command(
        &folder,
        &["serve", "--listen", "127.0.0.1:0", "--state-dir", "state", "--artifacts", "s3://elsewhere/runs"],
    );
    let output: pretext_tests::Output =
        command.envs(S3::variables(s3.address)).output().expect("the program starts").into();
    assert!(output.code == 4 && output.stderr.contains("cannot write to s3://elsewhere/runs"), "{output:?}");
}

/// Makes an artifact two days old.
fn age(folder: &Scratch, content: &[u8]) {
    let name = ContentHash::of(content).to_string();
    let path = folder.path("state/artifacts").join(&name[..2]).join(&name[2..]);
    let file = std::fs::File::options().write(true).open(path).expect("it is there");
    file.set_modified(SystemTime::now() - Duration::from_secs(48 * 3600)).expect("a file of ours");
}

fn is_there(folder: &Scratch, content: &[u8]) -> bool {
    let name = ContentHash::of(content).to_string();
    Path::new(&folder.path("state/artifacts")).join(&name[..2]).join(&name[2..]).is_file()
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_what_nothing_refers_to_and_is_old() {
    let folder = Scratch::new();
    let server = Server::start(&folder, &FOR_EVER);
    let mut stub = Stub::register(&server.url, "stub", 1).await;
    let empty = server.ask(&folder, &["gc"]).expect(0);
    assert!(empty.stdout.contains("removed: 0 artifacts, 0 bytes"), "{empty:?}");
    server.submit(&folder, SWEEP);
    let grant = stub.lease("0193f2a0-0000-7000-8000-000000000001").await.expect("work");

    // Registered and old; uploaded and old; uploaded just now; still uploading.
    let (registered, lost, young, moving) = (vec![1; 300], vec![2; 400], vec![3; 500], vec![4; 600 << 10]);
    for content in [&registered, &lost, &young] {
        stub.upload(&grant, content).await.expect("room");
    }
    stub.register_checkpoint(&grant, &registered, 1).await.expect("it is there");
    age(&folder, &registered);
    age(&folder, &lost);
    let (parts, stream) = tokio::sync::mpsc::channel(1);
    let mut client = stub.client.clone();
    let stream = tokio_stream::wrappers::ReceiverStream::new(stream);
    let uploading = tokio::spawn(async move { client.upload(stream).await });
    let messages = Stub::parts(&grant, &moving);
    let (last, first) = messages.split_last().expect("a header and chunks");
    for message in first {
        parts.send(message.clone()).await.expect("it is taken");
    }

    let rehearsed = gc(&folder, &server, &["--dry-run"]);
    assert!(is_there(&folder, &lost), "nothing is removed by looking");
    let collected = gc(&folder, &server, &[]);
    assert_eq!(rehearsed["garbage"][0]["artifact"], ContentHash::of(&lost).to_string());
    assert_eq!((&collected["garbage"][0]["bytes"], &collected["bytes"]), (&400.into(), &400.into()));
    assert_eq!(
        collected["kept"],
        serde_json::json!({
            "needed": 1, "needed_bytes": 300, "young": 1, "young_bytes": 500,
        })
    );
    assert!(!is_there(&folder, &lost) && is_there(&folder, &registered) && is_there(&folder, &young));
    parts.send(last.clone()).await.expect("it is taken");
    drop(parts);
    uploading.await.expect("no panic").expect("the upload was not disturbed");
    stub.register_checkpoint(&grant, &moving, 2).await.expect("it is there");

    // An upload finds an old artifact there, and it is collected before it is registered. The coordinator reports that,
    // and the worker uploads it again.
    stub.upload(&grant, &lost).await.expect("room");
    age(&folder, &lost);
    assert!(stub.upload(&grant, &lost).await.expect("no trouble").existed);
    gc(&folder, &server, &[]);
    let missing = stub.register_checkpoint(&grant, &lost, 3).await.expect_err("it is gone");
    assert_eq!(missing.code(), Code::FailedPrecondition, "{missing}");
    assert!(!stub.upload(&grant, &lost).await.expect("room").existed);
    stub.register_checkpoint(&grant, &lost, 3).await.expect("it is there again");
    // More than the two that the sweep keeps.
    until_async("the superseded checkpoint goes by itself", || (!is_there(&folder, &registered)).then_some(())).await;
    assert!(is_there(&folder, &moving) && is_there(&folder, &lost));
    stub.complete(grant).await;
    until_async("checkpoints of what is done go too", || {
        (!is_there(&folder, &moving) && !is_there(&folder, &lost)).then_some(())
    })
    .await;
}

async fn until_async(what: &str, condition: impl FnMut() -> Option<()>) {
    tokio::task::block_in_place(|| until(what, condition));
}

#[tokio::test]
async fn a_store_without_sweeps_collects_nothing() {
    let folder = Scratch::new();
    std::fs::create_dir_all(folder.path("state/artifacts/ab")).expect("a writable folder");
    let name = format!("ab/{}", "0".repeat(62));
    std::fs::write(folder.path("state/artifacts").join(name), "another's").expect("a writable folder");
    let server = Server::start(&folder, &[]);
    let refused = server.ask(&folder, &["gc", "--grace", "1s"]).expect(2);
    assert!(refused.stderr.contains("may belong to another store"), "{refused:?}");
    assert!(folder.path("state/artifacts/ab").read_dir().expect("a folder").next().is_some());
}

#[tokio::test]
async fn a_download_is_what_was_uploaded() {
    let folder = Scratch::new();
    let server = Server::start(&folder, &FOR_EVER);
    let mut stub = Stub::register(&server.url, "stub", 1).await;
    server.submit(&folder, SWEEP);
    let grant = stub.lease("0193f2a0-0000-7000-8000-000000000001").await.expect("work");
    let content: Vec<u8> = (0..700_000u32).flat_map(u32::to_le_bytes).collect();
    stub.upload(&grant, &content).await.expect("room");
    let request = pb::DownloadRequest { artifact: ContentHash::of(&content).to_string() };
    let mut pieces = stub.client.download(request).await.expect("it is there").into_inner();
    let mut found = Vec::new();
    while let Some(piece) = pieces.next().await {
        found.extend(piece.expect("readable").data);
    }
    assert!(found == content);
}

/// Returns all files of the directory home, by name.
fn files(folder: &Scratch) -> Vec<std::path::PathBuf> {
    let halves = std::fs::read_dir(folder.path("state/artifacts")).into_iter().flatten().flatten();
    let halves = halves.filter(|half| half.file_name() != "incoming");
    let files = halves.flat_map(|half| std::fs::read_dir(half.path()).into_iter().flatten().flatten());
    files.map(|file| file.path()).collect()
}

#[test]
fn a_checkpoint_that_is_collected_before_it_is_registered_is_uploaded_again() {
    let _turn = turn::training();
    let folder = Scratch::new();
    let server = Server::start(&folder, &FOR_EVER);
    let _worker = Daemon::start_logging(&folder, &server.url, "steady", &["--slots", "1"], "debug,h2=info");
    server.registered(&folder, 1);
    let text = SWEEP.replace("[supervised, rotation]", "[supervised]").replace("every: 200ms", "every: 100ms");
    let sweep = server.submit(&folder, &text.replace("epochs: 30", "epochs: 100"));
    // Removes an artifact at the worst moment, between upload and registration. If that moment is missed, the next
    // checkpoint is used.
    let mut removed = std::collections::BTreeSet::new();
    until("a checkpoint came a second time", || {
        for _ in 0..1000 {
            for file in files(&folder) {
                if !removed.insert(file.clone()) {
                    return Some(());
                }
                std::fs::remove_file(&file).expect("nobody else removes it so soon");
            }
        }
        None
    });
    server.ask(&folder, &["watch", &sweep]).expect(0);
    let log = read(&folder.path("steady.log"));
    assert!(log.contains("checkpoint registered"), "{log}");
}
