//! A stub worker: it speaks the protocol over a connection of its own, trains nothing, and hands over results.

use std::collections::BTreeMap;
use std::time::Duration;

use pretext_proto::PROTOCOL;
use pretext_proto::v1 as pb;
use pretext_proto::v1::work_client::WorkClient;
use pretext_shared::outcome::{Score, StageResult};
use tonic::transport::{Channel, Endpoint};

use crate::error::BenchError;

/// Longest time for a connection.
const CONNECT: Duration = Duration::from_secs(20);
/// The one device of a stub.
const DEVICE: &str = "cpu";

/// Connects to the coordinator at `url`.
pub(crate) async fn connect(url: &str) -> Result<Channel, BenchError> {
    let unreachable = |error: tonic::transport::Error| BenchError::Answer(format!("{url}: {error}"));
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(unreachable)?.connect_timeout(CONNECT);
    endpoint.connect().await.map_err(unreachable)
}

/// See the module.
#[derive(Clone)]
pub(crate) struct Stub {
    client: WorkClient<Channel>,
    worker: pb::Worker,
    result: String,
    /// The time between heartbeats that the coordinator asks for.
    pub(crate) pace: Duration,
}

impl Stub {
    /// Connects and registers as `name`, with `slots` on a CPU.
    pub(crate) async fn register(url: &str, name: String, slots: u32) -> Result<Self, BenchError> {
        let mut client = WorkClient::new(connect(url).await?);
        let worker = pb::Worker { name, boot: uuid::Uuid::now_v7().to_string() };
        let device = pb::Device {
            name: DEVICE.to_owned(),
            description: "stub".to_owned(),
            numeric_class: "cpu".to_owned(),
            slots,
        };
        let request = pb::RegisterRequest {
            protocol: PROTOCOL,
            worker: Some(worker.clone()),
            version: "stub".to_owned(),
            devices: vec![device],
            ..Default::default()
        };
        let reply = client.register(request).await.map_err(BenchError::refused("register"))?.into_inner();
        let result = result()?;
        Ok(Self { client, worker, result, pace: Duration::from_millis(reply.heartbeat_ms.max(10)) })
    }

    /// Asks for a stage, and waits for one on the coordinator.
    pub(crate) async fn lease(&mut self, wait: Duration) -> Result<Option<pb::Attempt>, BenchError> {
        let request = pb::LeaseRequest {
            worker: Some(self.worker.clone()),
            device: DEVICE.to_owned(),
            wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            request_id: uuid::Uuid::now_v7().to_string(),
        };
        let reply = self.client.lease(request).await.map_err(BenchError::refused("lease"))?.into_inner();
        match reply.grant {
            None => Ok(None),
            Some(grant) => match grant.attempt {
                Some(attempt) => Ok(Some(attempt)),
                None => Err(BenchError::Answer("a grant has no attempt".to_owned())),
            },
        }
    }

    /// Completes a stage.
    pub(crate) async fn complete(&mut self, attempt: pb::Attempt) -> Result<(), BenchError> {
        let request =
            pb::CompleteRequest { attempt: Some(attempt), result_json: self.result.clone(), next_sequence: 0 };
        self.client.complete(request).await.map(drop).map_err(BenchError::refused("complete"))
    }

    /// Sends a heartbeat without attempts.
    pub(crate) async fn heartbeat(&mut self) -> Result<(), BenchError> {
        let request = pb::HeartbeatRequest { worker: Some(self.worker.clone()), held: Vec::new() };
        self.client.heartbeat(request).await.map(drop).map_err(BenchError::refused("heartbeat"))
    }

    /// Opens a stream of points.
    pub(crate) async fn points(
        &mut self,
        batches: impl tokio_stream::Stream<Item = pb::PointBatch> + Send + 'static,
    ) -> Result<tonic::Streaming<pb::PointAck>, BenchError> {
        Ok(self.client.points(batches).await.map_err(BenchError::refused("points"))?.into_inner())
    }
}

/// Returns the result that a stub hands over, as JSON.
fn result() -> Result<String, BenchError> {
    let result = StageResult {
        selected_epoch: 1,
        score: Score { loss: 0.5, accuracy: 0.5, seen: 100 },
        steps: 100,
        images: 800,
        artifacts: BTreeMap::new(),
        device: "cpu (x86-64 with AVX2 and FMA)".to_owned(),
        seconds: 1.0,
    };
    serde_json::to_string(&result).map_err(|error| BenchError::Answer(error.to_string()))
}
