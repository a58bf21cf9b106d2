//! A stub worker: it speaks the protocol, trains nothing, and completes the stages that it is granted.

use std::collections::BTreeMap;

use pretext_proto::PROTOCOL;
use pretext_proto::v1 as pb;
use pretext_proto::v1::work_client::WorkClient;
use pretext_shared::ids::ContentHash;
use pretext_shared::outcome::{ArtifactKind, Score, StageResult};
use tonic::Status;
use tonic::transport::Channel;

/// See the module.
pub struct Stub {
    /// The connection, for other calls.
    pub client: WorkClient<Channel>,
    worker: pb::Worker,
}

impl Stub {
    /// Registers as `name`, with `slots` on its CPU.
    pub async fn register(url: &str, name: &str, slots: u32) -> Self {
        let mut client = WorkClient::connect(url.to_owned()).await.expect("a coordinator");
        let worker = pb::Worker { name: name.to_owned(), boot: uuid::Uuid::now_v7().to_string() };
        let device = pb::Device {
            name: "cpu".to_owned(),
            description: "stub".to_owned(),
            numeric_class: "cpu".to_owned(),
            slots,
        };
        let request = pb::RegisterRequest {
            protocol: PROTOCOL,
            worker: Some(worker.clone()),
            version: "stub".to_owned(),
            devices: vec![device],
            datasets: vec![],
            data_cache: 0,
        };
        client.register(request).await.expect("a good worker");
        Self { client, worker }
    }

    /// Asks for a stage, once.
    pub async fn lease(&mut self, request_id: &str) -> Option<pb::Grant> {
        let request = pb::LeaseRequest {
            worker: Some(self.worker.clone()),
            device: "cpu".to_owned(),
            wait_ms: 0,
            request_id: request_id.to_owned(),
        };
        self.client.lease(request).await.expect("a registered worker").into_inner().grant
    }

    /// Uploads a checkpoint for the granted stage.
    pub async fn upload(&mut self, grant: &pb::Grant, content: &[u8]) -> Result<pb::UploadReply, Status> {
        let parts = Self::parts(grant, content);
        Ok(self.client.upload(tokio_stream::iter(parts)).await?.into_inner())
    }

    /// Returns the messages of that upload.
    pub fn parts(grant: &pb::Grant, content: &[u8]) -> Vec<pb::UploadPart> {
        use pb::upload_part::Part;
        let header = pb::UploadHeader {
            attempt: grant.attempt.clone(),
            kind: ArtifactKind::Checkpoint.as_str().to_owned(),
            artifact: ContentHash::of(content).to_string(),
            length: content.len() as u64,
        };
        let chunks = content.chunks(256 << 10).map(|data| Part::Chunk(pb::Chunk { data: data.to_vec() }));
        std::iter::once(Part::Header(header)).chain(chunks).map(|part| pb::UploadPart { part: Some(part) }).collect()
    }

    /// Registers the uploaded file as the checkpoint of `step`.
    pub async fn register_checkpoint(&mut self, grant: &pb::Grant, content: &[u8], step: u64) -> Result<(), Status> {
        let artifact = ContentHash::of(content).to_string();
        let attempt = grant.attempt.clone();
        let request = pb::RegisterCheckpointRequest { attempt, artifact, step, next_sequence: 0 };
        self.client.register_checkpoint(request).await.map(drop)
    }

    /// Completes the stage with [`result`].
    pub async fn complete(&mut self, grant: pb::Grant) {
        let result_json = serde_json::to_string(&result()).expect("plain data");
        let request = pb::CompleteRequest { attempt: grant.attempt, result_json, next_sequence: 0 };
        self.client.complete(request).await.expect("the holder completes");
    }
}

/// Returns the result that a stub reports.
pub fn result() -> StageResult {
    StageResult {
        selected_epoch: 1,
        score: Score { loss: 1.0, accuracy: 0.5, seen: 2 },
        steps: 1,
        images: 8,
        artifacts: BTreeMap::new(),
        device: "cpu".to_owned(),
        seconds: 0.1,
    }
}
