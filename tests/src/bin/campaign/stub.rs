//! Stub workers: they speak the protocol, train nothing, and record everything that was acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use pretext_proto::PROTOCOL;
use pretext_proto::v1 as pb;
use pretext_proto::v1::work_client::WorkClient;
use pretext_shared::ids::{ArtifactId, ContentHash};
use pretext_shared::outcome::{ArtifactKind, Score, StageResult};
use pretext_shared::stage::{Stage, StageKind};
use tokio::sync::watch;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

/// Number of batches of an attempt, and of points in each batch.
const BATCHES: u64 = 6;
const POINTS: u64 = 20;
const PAUSE: Duration = Duration::from_millis(20);

/// Everything that the coordinator acknowledged as durable.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Points, by stage, fence and sequence number.
    pub(crate) points: BTreeMap<String, BTreeMap<u64, BTreeMap<u64, Vec<pb::Point>>>>,
    /// Test losses of completed stages, with the fence.
    pub(crate) results: BTreeMap<String, (u64, f64)>,
    pub(crate) checkpoints: BTreeSet<(String, u64)>,
    /// Number of acknowledged calls.
    pub(crate) acknowledged: u64,
    /// What went wrong.
    pub(crate) violations: Vec<String>,
}

/// State that the workers share.
#[derive(Clone)]
pub(crate) struct Stubs {
    ledger: Arc<Mutex<Ledger>>,
    url: String,
    stop: watch::Receiver<bool>,
}

impl Stubs {
    pub(crate) fn new(url: &str, stop: watch::Receiver<bool>) -> Self {
        Self { ledger: Arc::default(), url: url.to_owned(), stop }
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("nobody panics with it")
    }

    /// Works as `name` until told to stop.
    pub(crate) async fn work(self, name: String) {
        let endpoint = Endpoint::from_shared(self.url.clone()).expect("the server's address");
        let worker = pb::Worker { name, boot: uuid::Uuid::now_v7().to_string() };
        let stub = Stub { stubs: self.clone(), worker, client: WorkClient::new(endpoint.connect_lazy()) };
        let mut stop = self.stop.clone();
        tokio::select! {
            () = stub.run() => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
}

struct Stub {
    stubs: Stubs,
    worker: pb::Worker,
    client: WorkClient<Channel>,
}

fn is_passing(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal)
}

impl Stub {
    async fn run(&self) {
        self.register().await;
        loop {
            let request_id = uuid::Uuid::now_v7().to_string();
            let request = pb::LeaseRequest {
                worker: Some(self.worker.clone()),
                device: "cpu".to_owned(),
                wait_ms: 1000,
                request_id,
            };
            let grant = loop {
                let answer = self.call(|mut client| {
                    let request = request.clone();
                    async move { client.lease(request).await }
                });
                match answer.await {
                    Ok(reply) => break reply.grant,
                    // The coordinator was restarted.
                    Err(_) => self.register().await,
                }
            };
            if let Some(grant) = grant
                && let Err(status) = self.attempt(grant).await
            {
                self.stubs.ledger().violations.push(format!("refused: {}", status.message()));
            }
        }
    }

    async fn register(&self) {
        let devices = vec![pb::Device {
            name: "cpu".to_owned(),
            description: "stub".to_owned(),
            numeric_class: "cpu".to_owned(),
            slots: 1,
        }];
        let request = pb::RegisterRequest {
            protocol: PROTOCOL,
            worker: Some(self.worker.clone()),
            version: "stub".to_owned(),
            devices,
            datasets: Vec::new(),
            data_cache: 0,
        };
        let answer = self.call(|mut client| {
            let request = request.clone();
            async move { client.register(request).await }
        });
        if let Err(status) = answer.await {
            self.stubs.ledger().violations.push(format!("not registered: {status}"));
        }
    }

    /// Repeats a call until it is answered.
    async fn call<T, F>(&self, call: impl Fn(WorkClient<Channel>) -> F) -> Result<T, Status>
    where
        F: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        loop {
            match call(self.client.clone()).await {
                Err(status) if is_passing(&status) => tokio::time::sleep(PAUSE).await,
                answer => {
                    self.stubs.ledger().acknowledged += 1;
                    return answer.map(tonic::Response::into_inner);
                }
            }
        }
    }

    async fn attempt(&self, grant: pb::Grant) -> Result<(), Status> {
        let attempt = grant.attempt.expect("a grant has an attempt");
        let stage: Stage = serde_json::from_str(&grant.stage_json).expect("a stage");
        let half = BATCHES / 2;
        self.points(&attempt, 0..half).await?;
        let artifact = self.upload(&attempt, ArtifactKind::Checkpoint, "checkpoint").await?;
        let request = pb::RegisterCheckpointRequest {
            attempt: Some(attempt.clone()),
            artifact: artifact.to_string(),
            step: half * POINTS,
            next_sequence: half,
        };
        self.call(|mut client| {
            let request = request.clone();
            async move { client.register_checkpoint(request).await }
        })
        .await?;
        self.stubs.ledger().checkpoints.insert((attempt.stage.clone(), attempt.fence));
        self.points(&attempt, half..BATCHES).await?;
        let outputs: &[ArtifactKind] = match stage.spec.kind() {
            StageKind::Test => &[ArtifactKind::Predictions],
            _ => &[ArtifactKind::Model, ArtifactKind::Split],
        };
        let mut artifacts = BTreeMap::new();
        for kind in outputs {
            artifacts.insert(*kind, self.upload(&attempt, *kind, kind.as_str()).await?);
        }
        self.complete(attempt, artifacts).await
    }

    async fn complete(
        &self,
        attempt: pb::Attempt,
        artifacts: BTreeMap<ArtifactKind, ArtifactId>,
    ) -> Result<(), Status> {
        let loss = value(&attempt, u64::MAX);
        let result = StageResult {
            selected_epoch: 1,
            score: Score { loss, accuracy: 0.5, seen: 100 },
            steps: BATCHES * POINTS,
            images: BATCHES * POINTS,
            artifacts,
            device: "cpu".to_owned(),
            seconds: 0.0,
        };
        let request = pb::CompleteRequest {
            attempt: Some(attempt.clone()),
            result_json: serde_json::to_string(&result).expect("finite numbers"),
            next_sequence: BATCHES,
        };
        self.call(|mut client| {
            let request = request.clone();
            async move { client.complete(request).await }
        })
        .await?;
        let mut ledger = self.stubs.ledger();
        if let Some((fence, _)) = ledger.results.insert(attempt.stage.clone(), (attempt.fence, loss)) {
            let violation = format!("stage {} was completed as {fence} and as {}", attempt.stage, attempt.fence);
            ledger.violations.push(violation);
        }
        Ok(())
    }

    /// Streams batches until each is acknowledged.
    async fn points(&self, attempt: &pb::Attempt, range: std::ops::Range<u64>) -> Result<(), Status> {
        let mut next = range.start;
        while next < range.end {
            let batches: Vec<pb::PointBatch> = (next..range.end).map(|sequence| batch(attempt, sequence)).collect();
            match self.stream(batches, &mut next).await {
                Err(status) if !is_passing(&status) => return Err(status),
                Err(_) => tokio::time::sleep(PAUSE).await,
                Ok(()) => {}
            }
        }
        Ok(())
    }

    async fn stream(&self, batches: Vec<pb::PointBatch>, next: &mut u64) -> Result<(), Status> {
        let count = batches.len();
        let mut acks = self.client.clone().points(tokio_stream::iter(batches.clone())).await?.into_inner();
        for batch in batches.into_iter().take(count) {
            let ack = acks.message().await?.ok_or_else(|| Status::unavailable("the stream ended"))?;
            if !ack.refused.is_empty() {
                return Err(Status::failed_precondition(ack.refused));
            }
            let attempt = batch.attempt.unwrap_or_default();
            let mut ledger = self.stubs.ledger();
            ledger.acknowledged += 1;
            let fences = ledger.points.entry(attempt.stage).or_default();
            fences.entry(attempt.fence).or_default().insert(ack.sequence, batch.points);
            *next = ack.sequence + 1;
        }
        Ok(())
    }

    async fn upload(&self, attempt: &pb::Attempt, kind: ArtifactKind, what: &str) -> Result<ArtifactId, Status> {
        let data = format!("{what} of {}@{}", attempt.stage, attempt.fence).into_bytes();
        let artifact = ArtifactId(ContentHash::of(&data));
        let header = pb::UploadHeader {
            attempt: Some(attempt.clone()),
            kind: kind.as_str().to_owned(),
            artifact: artifact.to_string(),
            length: data.len() as u64,
        };
        let parts = [pb::upload_part::Part::Header(header), pb::upload_part::Part::Chunk(pb::Chunk { data })];
        self.call(|mut client| {
            let parts = parts.clone().map(|part| pb::UploadPart { part: Some(part) });
            async move { client.upload(tokio_stream::iter(parts)).await }
        })
        .await?;
        Ok(artifact)
    }
}

/// Returns a number that no other attempt has.
fn value(attempt: &pb::Attempt, n: u64) -> f64 {
    let hash = ContentHash::of(format!("{}@{} {n}", attempt.stage, attempt.fence).as_bytes());
    let bits = hash.as_bytes().iter().take(6).fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
    bits as f64 / (1u64 << 48) as f64
}

fn batch(attempt: &pb::Attempt, sequence: u64) -> pb::PointBatch {
    let points = (0..POINTS).map(|n| {
        let step = sequence * POINTS + n + 1;
        let (part, metric) = ("train".to_owned(), "step-loss".to_owned());
        pb::Point { part, metric, epoch: 1, step, value: value(attempt, step) }
    });
    pb::PointBatch { attempt: Some(attempt.clone()), sequence, points: points.collect() }
}
