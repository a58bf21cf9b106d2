//! Data sets that are pushed to a coordinator: workers without a shared disk train on them as on local data.

use std::fs;
use std::path::{Path, PathBuf};

use pretext_proto::v1 as pb;
use pretext_proto::v1::data_client::DataClient;
use pretext_shared::ids::ContentHash;
use pretext_tests::processes::{Daemon, Server, read};
use pretext_tests::{Scratch, turn, until};
use serde_json::Value;
use tonic::{Code, Status};

/// Returns bytes that need no random generator: different pictures.
fn noise(seed: u32, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    })
    .take(count)
    .collect()
}

fn write(path: PathBuf, content: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a writable folder");
    fs::write(path, content).expect("a writable folder");
}

/// Writes two classes in `train/` and `test/`, in groups.
fn image_folder(at: &Path) {
    let mut groups = "path,group\n".to_owned();
    for (part, count) in [("train", 12), ("test", 4)] {
        for class in ["a", "b"] {
            for n in 0..count {
                let name = format!("{part}/{class}/{n}.png");
                let seed = u32::from_le_bytes([n as u8, class.as_bytes()[0], part.len() as u8, 0]);
                let picture = image::RgbImage::from_raw(16, 16, noise(seed, 768)).expect("768 bytes");
                fs::create_dir_all(at.join(&name).parent().expect("a folder")).expect("a writable folder");
                picture.save(at.join(&name)).expect("a writable folder");
                groups += &format!("{name},{part}-{}\n", n / 2);
            }
        }
    }
    write(at.join("groups.csv"), groups);
}

/// Writes five records of each class and one test record, with class names.
fn cifar10(at: &Path) {
    let batch = |seed: u32| {
        let record = |label: u8| [vec![label], noise(seed * 10 + u32::from(label), 3072)].concat();
        (0..10).flat_map(record).collect::<Vec<u8>>()
    };
    for n in 1..=5 {
        write(at.join(format!("data_batch_{n}.bin")), batch(n));
    }
    write(at.join("test_batch.bin"), batch(6));
    let names: Vec<String> = (0..10).map(|n| format!("class {n}")).collect();
    write(at.join("batches.meta.txt"), names.join("\n"));
}

/// Writes 34 large pictures in two classes: more than one pack.
fn idx(at: &Path) {
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    for (part, count) in [("train", 30u32), ("t10k", 4)] {
        let labels: Vec<u8> = (0..count).map(|n| (n % 2) as u8).collect();
        write(at.join(format!("{part}-labels-idx1-ubyte")), [words(&[0x801, count]), labels].concat());
        let pixels = noise(count, (count as usize) << 20);
        write(at.join(format!("{part}-images-idx3-ubyte")), [words(&[0x803, count, 1024, 1024]), pixels].concat());
    }
}

fn sweep(kind: &str, name: &str) -> String {
    format!(
        "
name: {name}
numeric: cpu
dataset: {{kind: {kind}, path: {name}, image_size: 16}}
encoder: {{kind: small-cnn, width: 4, blocks: 2}}
methods: [supervised]
fractions: [100%]
lr: {{fixed: {{kind: constant, base: 0.01}}}}
seeds: [0]
downstream: {{epochs: 2, batch: 8}}
"
    )
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a text path")
}

/// Pushes the data set `name` of `sets`.
#[track_caller]
fn push(server: &Server, folder: &Scratch, name: &str) -> Value {
    let path = folder.path("sets").join(name);
    server.ask(folder, &["data", "push", text(&path), "--json"]).expect(0).json()
}

/// Waits until a sweep is final, and returns its first cell.
#[track_caller]
fn ended(server: &Server, folder: &Scratch, sweep: &str) -> Value {
    until("the sweep has ended", || {
        let status = server.ask(folder, &["status", sweep, "--json"]).expect(0).json();
        let cell = status["cells"][0].clone();
        (!["pending", "running"].contains(&cell["state"].as_str().expect("a state"))).then_some(cell)
    })
}

/// Returns the test score and all points of a sweep.
#[track_caller]
fn numbers(server: &Server, folder: &Scratch, sweep: &str) -> (Value, String) {
    let cell = ended(server, folder, sweep);
    assert_eq!(cell["state"], "succeeded", "{cell}");
    let (results, points) = server.report(folder, sweep);
    (results["cells"][0]["test"].clone(), points)
}

/// Returns the data sets in a worker's cache, whole or partial.
fn cached(folder: &Scratch, worker: &str) -> Vec<String> {
    let entries = fs::read_dir(folder.path(worker).join("data")).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

fn fetching<'a>(root: &'a Path, limit: &'a str) -> [&'a str; 6] {
    ["--slots", "1", "--data-root", text(root), "--data-cache-limit", limit]
}

#[test]
fn every_kind_of_data_set_trains_the_same_from_the_coordinator_as_from_the_disk() {
    let _turn = turn::training();
    let folder = Scratch::new();
    let kinds = [("image-folder", "cells"), ("cifar10", "objects")];
    image_folder(&folder.path("sets/cells"));
    cifar10(&folder.path("sets/objects"));
    let (here, there) = (Scratch::new(), folder);
    let (disk, server) = (Server::start(&here, &[]), Server::start(&there, &[]));
    let _local = Daemon::start(&here, &disk.url, "local", &["--slots", "1", "--data-root", text(&there.path("sets"))]);
    disk.registered(&here, 1);

    for (kind, name) in kinds {
        let pushed = push(&server, &there, name);
        assert_eq!((&pushed["key"], &pushed["uploaded"]), (&Value::from(format!("{kind}:{name}")), &Value::from(1)));
        let again = push(&server, &there, name);
        assert_eq!((&again["uploaded"], &again["existed"]), (&Value::from(0), &Value::from(true)), "{again}");
    }
    let listed = server.ask(&there, &["data", "list", "--json"]).expect(0).json();
    assert_eq!(listed["datasets"].as_array().map(Vec::len), Some(2), "{listed}");
    // Both sweeps are planned before any worker starts; the cache cannot hold both data sets.
    let sweeps = kinds.map(|(kind, name)| server.submit(&there, &sweep(kind, name)));
    fs::create_dir(there.path("empty")).expect("a writable folder");
    let largest = listed["datasets"].as_array().into_iter().flatten().filter_map(|data| data["bytes"].as_u64()).max();
    let limit = largest.expect("two").to_string();
    let mut worker = Daemon::start(&there, &server.url, "remote", &fetching(&there.path("empty"), &limit));
    for ((kind, name), fetched) in kinds.iter().zip(&sweeps) {
        let local = disk.submit(&here, &sweep(kind, name));
        assert_eq!(&local, fetched, "the same data, the same sweep");
        assert_eq!(numbers(&server, &there, fetched), numbers(&disk, &here, &local), "{kind}");
    }
    let left = cached(&there, "remote");
    assert!(left.len() == 1 && left[0].len() == 64, "one of the two had to go: {left:?}");

    // A cache that is too small is reported, and nothing is granted.
    worker.process.kill();
    let _small = Daemon::start(&there, &server.url, "small", &fetching(&there.path("empty"), "1K"));
    let another = server.submit(&there, &sweep("cifar10", "objects").replace("seeds: [0]", "seeds: [1]"));
    until("it is explained", || {
        let cell = format!("{another}/supervised/1/fixed/1");
        let lines = server.ask(&there, &["explain", &cell]).expect(0).stdout;
        lines.contains("its --data-cache-limit is").then_some(())
    });
    let data = listed["datasets"][0]["fingerprint"].as_str().expect("a fingerprint");
    let refused = server.ask(&there, &["data", "remove", &data[..8]]).expect(2);
    assert!(refused.stderr.contains(&format!("stages of {another} still read cifar10:objects")), "{}", refused.stderr);
    server.ask(&there, &["cancel", &another]).expect(0);
    let gone = server.ask(&there, &["data", "remove", &data[..8], "--json"]).expect(0).json();
    assert_eq!(gone["artifacts"], 2, "the pack and the list");
}

/// A foreign client cannot register a data set whose packs are missing or whose files lead elsewhere.
#[tokio::test]
async fn lists_that_are_none_of_a_data_set_are_refused() {
    let folder = Scratch::new();
    let server = Server::start(&folder, &[]);
    let mut client = DataClient::connect(server.url.clone()).await.expect("a coordinator");
    let hash = |content: &[u8]| ContentHash::of(content).to_string();
    let list = |path: &str, packs: &str| {
        let file = format!(r#"{{"path":"{path}","bytes":3,"hash":"{}"}}"#, hash(b"abc"));
        format!(r#"{{"schema":1,"files":[{file}],"packs":[{packs}]}}"#).into_bytes()
    };
    let pack = format!("\"{}\"", hash(b"abc"));
    let dataset = |key: &str| pb::Dataset {
        key: key.to_owned(),
        fingerprint: hash(b"data"),
        classes: vec!["a".to_owned(), "b".to_owned()],
        train: vec![1, 1],
        ..Default::default()
    };
    let mut push = async |key: &str, content: Vec<u8>| {
        let artifact = hash(&content);
        let header = pb::PackHeader { artifact: artifact.clone(), length: content.len() as u64 };
        let parts = [pb::pack_part::Part::Header(header), pb::pack_part::Part::Chunk(pb::Chunk { data: content })];
        let parts = parts.map(|part| pb::PackPart { part: Some(part) });
        client.upload(tokio_stream::iter(parts)).await.expect("kept");
        client.push(pb::PushRequest { dataset: Some(dataset(key)), packing: artifact }).await.map(drop)
    };
    let good = || list("a/0.png", &pack);
    let refused = |answer: Result<(), Status>| answer.expect_err("refused").message().to_owned();
    assert!(refused(push("image-folder:set", good()).await).contains("was not uploaded"));
    assert!(
        refused(push("image-folder:set", b"abc".to_vec()).await).contains("cannot be read"),
        "and now the pack is there"
    );
    for path in ["../0.png", "/etc/passwd", "a/./b"] {
        assert!(
            refused(push("image-folder:set", list(path, &pack)).await).contains("is not the path of a file"),
            "{path}"
        );
    }
    assert!(refused(push("image-folder:set", list("a/0.png", "")).await).contains("take 1 pack, and 0 are listed"));
    for key in ["image-folder:../set", "image-folder:.", "procedural", "video:set"] {
        let refused = push(key, good()).await.expect_err("no name of a data set");
        assert_eq!(refused.code(), Code::InvalidArgument, "{key}: {refused}");
    }
    push("image-folder:set", good()).await.expect("a data set");
}

#[test]
fn a_damaged_pack_is_refused_and_a_killed_worker_goes_on_where_it_was() {
    let _turn = turn::training();
    let folder = Scratch::new();
    idx(&folder.path("sets/digits"));
    fs::create_dir(folder.path("empty")).expect("a writable folder");
    let server = Server::start(&folder, &[]);
    let pushed = push(&server, &folder, "digits");
    assert_eq!((&pushed["packs"], &pushed["uploaded"]), (&Value::from(2), &Value::from(2)), "{pushed}");
    // The shorter one is the second.
    let mut files: Vec<PathBuf> = Vec::new();
    for shelf in fs::read_dir(folder.path("state/artifacts")).expect("a folder").flatten() {
        files.extend(fs::read_dir(shelf.path()).expect("a folder").flatten().map(|file| file.path()));
    }
    let length = |path: &PathBuf| path.metadata().expect("a file").len();
    let pack = files.into_iter().filter(|path| (1 << 20..32 << 20).contains(&length(path))).min_by_key(length);
    let pack = pack.expect("the second pack");
    let whole = fs::read(&pack).expect("a file");
    let mut damaged = whole.clone();
    damaged[1000] ^= 1;
    fs::write(&pack, damaged).expect("a writable file");

    let sweep = server.submit(&folder, &sweep("idx", "digits"));
    let root = folder.path("empty");
    let arguments = fetching(&root, "1G");
    let mut worker = Daemon::start(&folder, &server.url, "w", &arguments);
    let cell = ended(&server, &folder, &sweep);
    assert_eq!(cell["state"], "failed", "{cell}");
    let why = server.ask(&folder, &["explain", &format!("{sweep}/supervised/1/fixed/0")]).expect(0).stdout;
    assert!(why.contains("is damaged: remove the data set and push it again"), "{why}");
    let left = cached(&folder, "w");
    assert!(left.len() == 1 && left[0].ends_with(".incoming"), "nothing of it is visible: {left:?}");

    worker.process.kill();
    fs::write(&pack, whole).expect("a writable file");
    server.ask(&folder, &["retry", &sweep]).expect(0);
    let _worker = Daemon::start(&folder, &server.url, "w", &arguments);
    let fetched = numbers(&server, &folder, &sweep);
    assert!(read(&folder.path("w.log")).contains("resuming the fetch of a data set"), "one pack was there");
    let left = cached(&folder, "w");
    assert!(left.len() == 1 && left[0] == pushed["fingerprint"], "{left:?}");
    // The same on the disk.
    let disk = Scratch::new();
    let reference = Server::start(&disk, &[]);
    let _local =
        Daemon::start(&disk, &reference.url, "l", &["--slots", "1", "--data-root", text(&folder.path("sets"))]);
    reference.registered(&disk, 1);
    let text = self::sweep("idx", "digits");
    assert_eq!(numbers(&reference, &disk, &reference.submit(&disk, &text)), fetched);
}
