//! The campaign `restart`: measures the time from a coordinator's start to its first answer, with a large sweep in its
//! store.

use std::time::{Duration, Instant};

use pretext_engine::submission::{self, Announced};
use pretext_engine::{Batch, Change, Engine, GrantRecord, Holder, Limits, Progress, Snapshot, State};
use pretext_proto::v1 as pb;
use pretext_proto::v1::work_client::WorkClient;
use pretext_shared::device::NumericClass;
use pretext_shared::ids::{ArtifactId, Fence, StageId, WorkerId};
use pretext_shared::outcome::{ArtifactKind, Score, StageResult};
use pretext_shared::point::{Metric, Part, Point};
use pretext_shared::stage::{Extent, StageKind};
use pretext_store::{Lead, RedbStore, RedisHome, RedisOptions, Store};
use pretext_tests::{Redis, Scratch, Server, until};
use rustix::process::Signal;

use super::row::Row;
use super::system::Home;

/// Number of changes in a commit while the store is filled.
const PIECE: usize = 5_000;
/// Cells of the sweep for each of its seeds.
const CELLS_OF_A_SEED: u64 = 4 * 5 * 2;

/// Returns a sweep with a study's axes, and enough seeds for `cells` cells.
fn sweep(cells: u64) -> String {
    let seeds: Vec<String> = (0..cells.div_ceil(CELLS_OF_A_SEED)).map(|seed| seed.to_string()).collect();
    format!(
        "name: restart
numeric: cpu
dataset: {{kind: procedural, train_per_class: 400, test_per_class: 10, seed: 0, image_size: 16}}
encoder: {{kind: small-cnn, width: 4, blocks: 1}}
methods: [supervised, rotation, rotation-jitter, simclr]
fractions: [5%, 10%, 25%, 50%, 100%]
lr: {{fixed: {{kind: constant, base: 0.003}}, falling: {{kind: cosine, base: 0.001}}}}
seeds: [{}]
pretext: {{data: fraction, epochs: 1, batch: 8}}
downstream: {{epochs: 1, batch: 8}}
",
        seeds.join(", ")
    )
}

/// Returns the store's records of a trained stage.
fn trained(stage: StageId) -> [Change; 3] {
    let result = StageResult {
        selected_epoch: 1,
        score: Score { loss: 0.5, accuracy: 0.5, seen: 100 },
        steps: 100,
        images: 800,
        artifacts: [ArtifactKind::Model, ArtifactKind::Split].map(|kind| (kind, ArtifactId(stage.0))).into(),
        device: "cpu (x86-64 with AVX2 and FMA)".to_owned(),
        seconds: 1.0,
    };
    let fence = Fence(0).next("request");
    let worker = WorkerId { name: "worker".to_owned(), boot: uuid::Uuid::from_u128(1) };
    let holder = Holder { worker, device: "cpu".to_owned(), request: "request".to_owned() };
    let point = |step| Point { part: Part::Train, metric: Metric::Loss, epoch: 1, step, value: 1.0 / step as f64 };
    let progress = Progress { fence, state: State::Succeeded(result), batches: 1, ..Progress::new() };
    [
        Change::SetProgress(stage, Box::new(progress)),
        Change::LogGrant(stage, fence, GrantRecord { holder, granted_ms: 1, resume_step: 0 }),
        Change::AppendPoints(stage, Batch { fence, sequence: 0, points: (1..=10).map(point).collect() }),
    ]
}

/// Fills a store with the sweep: every stage is trained, no stage is tested. Returns the number of stages.
fn fill(store: &dyn Store, cells: u64) -> usize {
    let text = sweep(cells);
    let planned = submission::plan(&text, Extent::Whole, &Announced::new(), NumericClass::Cpu).expect("a good sweep");
    let submission = planned.submission(text, 1, None);
    let ready: Vec<StageId> = submission
        .stages
        .iter()
        .filter(|(_, record)| record.stage.spec.kind() != StageKind::Test)
        .map(|(id, _)| *id)
        .collect();
    let stages = submission.stages.len();
    let mut engine = Engine::restore(Limits::default(), Snapshot::default(), 0);
    engine.submit(submission);
    store.commit(&engine.take_changes()).expect("a writable store");
    for piece in ready.chunks(PIECE) {
        store.commit(&piece.iter().copied().flat_map(trained).collect::<Vec<_>>()).expect("a writable store");
    }
    store.close();
    stages
}

/// Starts a coordinator. Returns it with the time to its first answer to a worker.
fn serve(folder: &Scratch, arguments: &[&str], runtime: &tokio::runtime::Runtime) -> (Server, Duration) {
    let begin = Instant::now();
    let server = Server::start(folder, arguments);
    until("a worker is answered", || {
        runtime.block_on(async {
            let mut client = WorkClient::connect(server.url.clone()).await.ok()?;
            let worker = pb::Worker { name: "worker".to_owned(), boot: uuid::Uuid::now_v7().to_string() };
            let request =
                pb::RegisterRequest { protocol: pretext_proto::PROTOCOL, worker: Some(worker), ..Default::default() };
            client.register(request).await.ok()
        })
    });
    (server, begin.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

pub(crate) fn run(home: Home, cells: u64, runs: u64) -> Row {
    let begin = Instant::now();
    let folder = Scratch::new();
    let redis = (home == Home::Redis).then(|| Redis::start(&folder));
    let store = redis.as_ref().map(Redis::url).unwrap_or_default();
    let arguments = if store.is_empty() { Vec::new() } else { vec!["--store", store.as_str(), "--lead-ms", "500"] };
    let stages = match &redis {
        None => {
            std::fs::create_dir(folder.path("state")).expect("a writable folder");
            fill(&RedbStore::open(&folder.path("state/state.redb")).expect("a new store"), cells)
        }
        Some(redis) => {
            let options = RedisOptions::new(redis.url().parse().expect("a good address"));
            let home = std::sync::Arc::new(RedisHome::open(options).expect("a good server"));
            let Lead::Leads(store) = home.take_lead().expect("a good server") else { panic!("somebody else leads") };
            fill(&store, cells)
        }
    };
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let (mut stopped, mut killed) = (Vec::new(), Vec::new());
    let (mut server, _) = serve(&folder, &arguments, &runtime);
    for _ in 0..runs {
        server.process.signal(Signal::TERM);
        server.process.ended();
        let took;
        (server, took) = serve(&folder, &arguments, &runtime);
        stopped.push(took);
        server.process.kill();
        let took;
        (server, took) = serve(&folder, &arguments, &runtime);
        killed.push(took);
    }
    let name = match home {
        Home::Embedded => "restart, embedded store",
        Home::Redis => "restart, Redis store",
    };
    Row {
        campaign: name.to_owned(),
        faults: format!("SIGTERM and kill -9 of the coordinator with {cells} cells, {stages} stages"),
        runs: 2 * runs,
        seed: 0,
        violations: Vec::new(),
        measured: vec![
            format!("first answer {} ms after the start that followed SIGTERM (median)", median(stopped).as_millis()),
            format!("{} ms after kill -9 (median)", median(killed).as_millis()),
        ],
        took: begin.elapsed(),
    }
}
