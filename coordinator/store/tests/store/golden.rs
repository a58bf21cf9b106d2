//! Stores as this version wrote them, committed beside the tests. If a change of a stored format breaks these tests,
//! raise the format, and read the old format too.
//!
//! Write them anew with `PRETEXT_WRITE_GOLDEN=1 cargo test --release -p pretext-store --test store golden`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pretext_engine::{Change, Checkpoint, Progress, State, SweepMark, Waiting};
use pretext_shared::ids::{ArtifactId, ContentHash, Fence};
use pretext_shared::outcome::{ArtifactKind, Failure, FailureCode, Score, StageResult};

use pretext_store::{RedbStore, Store};

use super::records::{batch, grant, holder, leased, submission};
use super::server::{RedisServer, Sync, leads};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/store/golden").join(name)
}

fn is_to_be_written() -> bool {
    std::env::var_os("PRETEXT_WRITE_GOLDEN").is_some()
}

/// Writes every kind of record in every state, one state after the other.
fn write(store: &impl Store) {
    let (sweep, stages) = submission();
    let (a, b) = (stages[0].0, stages[1].0);
    let mut changes =
        vec![Change::AddSweep(Box::new(sweep.clone())), Change::MarkSweep(sweep.id, SweepMark::Cancelled(vec![0]))];
    changes.extend(stages.iter().map(|(id, record)| Change::AddStage(*id, Box::new(record.clone()))));
    let states: Vec<Progress> = states();
    changes.extend([&a, &b].map(|id| Change::SetProgress(*id, Box::default())));
    store.commit(&changes).expect("committed");
    for (fence, progress) in (1..).zip(&states[..states.len() - 1]) {
        let progress = Progress { fence: Fence(fence), ..progress.clone() };
        store
            .commit(&[
                Change::SetProgress(a, Box::new(progress)),
                Change::LogGrant(a, Fence(fence), grant(1_795_000_000_000 + fence)),
                Change::AppendPoints(a, batch(fence, 0, 0.1)),
                Change::AppendPoints(a, batch(fence, 1, f64::from_bits(0x3fb9_9999_9999_999b))),
            ])
            .expect("committed");
    }
    let last = states.last().expect("states").clone();
    store.commit(&[Change::SetProgress(b, Box::new(last))]).expect("committed");
}

fn states() -> Vec<Progress> {
    let hash = ContentHash::of(b"artifact");
    let failure = Failure { code: FailureCode::OutOfMemory, message: "why".to_owned(), log: vec!["line".to_owned()] };
    let result = StageResult {
        selected_epoch: 3,
        score: Score { loss: 0.25, accuracy: 0.75, seen: 4 },
        steps: 10,
        images: 80,
        artifacts: BTreeMap::from([(ArtifactKind::Model, ArtifactId(hash))]),
        device: "cpu".to_owned(),
        seconds: 1.5,
    };
    let state = |state| Progress { state, ..leased(0) };
    vec![
        state(State::Waiting(Waiting::BackOff(1500))),
        state(State::Waiting(Waiting::Expired(holder()))),
        state(State::Cancelled),
        Progress {
            checkpoint: Some(Checkpoint { artifact: ArtifactId(hash), step: 7 }),
            history: vec![(Fence(2), failure.clone())],
            lost: 1,
            failed: 2,
            ..state(State::Failed(failure))
        },
        state(State::Succeeded(result)),
    ]
}

/// Reads what [`write`] wrote, and continues with it.
fn check(store: &impl Store) {
    let snapshot = store.load().expect("a format that this version reads");
    // Find the stages by their content: ids change with the algorithm versions and do not matter for the format.
    let [(sweep, mark)] = &snapshot.sweeps[..] else { panic!("one sweep was stored") };
    assert_eq!((sweep.name.as_str(), sweep.submitted_ms, mark), ("stored", 7, &SweepMark::Cancelled(vec![0])));
    let states = states();
    let stage = |n: usize, fence| {
        let expected = Progress { fence: Fence(fence), ..states[n].clone() };
        let found = snapshot.stages.iter().find(|(_, (_, progress))| **progress == expected);
        *found.unwrap_or_else(|| panic!("no stage stands at {expected:?}")).0
    };
    assert_eq!(snapshot.stages.len(), 2);
    let (a, b) = (stage(3, 4), stage(4, 0));
    let exact = f64::from_bits(0x3fb9_9999_9999_999b);
    let batches: Vec<_> = (1..=4).flat_map(|fence| [batch(fence, 0, 0.1), batch(fence, 1, exact)]).collect();
    assert_eq!(store.points(a).expect("readable"), batches);
    let grants: Vec<_> = (1..=4).map(|fence| (Fence(fence), grant(1_795_000_000_000 + fence))).collect();
    assert_eq!(store.grants(a).expect("readable"), grants);
    assert_eq!(store.grants(b).expect("readable"), []);
    assert!(store.commit(&[Change::SetProgress(a, Box::new(leased(3)))]).is_err(), "fences were read");
    store.commit(&[Change::SetProgress(a, Box::new(leased(5)))]).expect("goes on");
}

#[test]
fn this_version_reads_the_embedded_store_of_format_1() {
    let golden = path("format-1.redb");
    if is_to_be_written() {
        let _ = std::fs::remove_file(&golden);
        write(&RedbStore::open(&golden).expect("opens"));
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let copy = folder.path().join("state.redb");
    std::fs::copy(&golden, &copy).expect("the golden file");
    check(&RedbStore::open(&copy).expect("opens"));
}

/// Keys, fields and values in hexadecimal: the content of a server as comparable text.
type Hashes = BTreeMap<String, BTreeMap<String, String>>;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal")).collect()
}

#[test]
fn this_version_reads_the_server_store_of_format_1() {
    let golden = path("format-1.redis.json");
    if is_to_be_written() {
        let server = RedisServer::start(Sync::Never);
        let store = leads(server.options());
        write(&store);
        store.close();
        let mut connection = server.connection();
        let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).expect("keys");
        let hashes: Hashes = keys
            .into_iter()
            .map(|key| {
                let hash: BTreeMap<Vec<u8>, Vec<u8>> =
                    redis::cmd("HGETALL").arg(&key).query(&mut connection).expect("a hash");
                (key, hash.iter().map(|(field, value)| (hex(field), hex(value))).collect())
            })
            .collect();
        std::fs::write(&golden, serde_json::to_string_pretty(&hashes).expect("JSON")).expect("a writable folder");
    }
    let text = std::fs::read_to_string(&golden).expect("the golden file");
    let hashes: Hashes = serde_json::from_str(&text).expect("JSON");
    let server = RedisServer::start(Sync::Never);
    let mut pipe = redis::pipe();
    for (key, hash) in &hashes {
        for (field, value) in hash {
            pipe.cmd("HSET").arg(key).arg(bytes(field)).arg(bytes(value)).ignore();
        }
    }
    pipe.exec(&mut server.connection()).expect("written");
    check(&leads(server.options()));
}
