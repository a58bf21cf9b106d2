//! Every request of every service as a target: bytes from the wire are decoded, converted and applied to a real engine.
//!
//! An input is the number of a procedure, a form, and a body. In one form the body is one message, which is framed
//! here; in the other form it is the frames themselves.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use pretext_artifacts::{ArtifactOptions, Artifacts};
use pretext_engine::Limits;
use pretext_proto::PROTOCOL;
use pretext_proto::externalscaler as scaler;
use pretext_proto::v1 as pb;
use pretext_server::authorization::Authorizer;
use pretext_server::authorization::table::TABLE;
use pretext_server::core::{Core, CoreThread};
use pretext_server::grpc::{self, Parts};
use pretext_server::identity::{IdentityService, Peer};
use pretext_server::leadership::Leadership;
use pretext_server::metrics::Metrics;
use pretext_shared::ids::{ArtifactId, ContentHash, SweepId};
use pretext_shared::packing::Packing;
use prost::Message;
use tokio::runtime::Runtime;
use tonic::codegen::{Body as _, Service, http};
use tonic::{Code, Status};

use super::memory::Memory;
use super::target::{Fate, Target};

/// Streams and long polls are abandoned after this time.
const PATIENCE: Duration = Duration::from_millis(5);
/// Sweeps are planned outside the core, which takes longer for the largest.
const PLANNING: Duration = Duration::from_secs(30);
/// Form: one message, which is framed here.
const MESSAGE: u8 = 0;
/// Form: the frames themselves.
const FRAMES: u8 = 1;

const SWEEP: &str = "
name: fuzzed
numeric: cpu
dataset: {kind: procedural, train_per_class: 40, test_per_class: 10, seed: 0, image_size: 16}
encoder: {kind: small-cnn, width: 4, blocks: 1}
methods: [supervised, rotation]
fractions: [50%]
lr: {fixed: {kind: constant, base: 0.003}}
seeds: [0]
pretext: {data: fraction, epochs: 1, batch: 8}
downstream: {epochs: 1, batch: 8}
";

/// See the module.
pub(crate) struct Requests {
    runtime: Runtime,
    router: Router,
    core: Core,
    thread: Option<CoreThread>,
    sweep: SweepId,
    attempt: pb::Attempt,
    _folder: tempfile::TempDir,
}

fn worker() -> Option<pb::Worker> {
    Some(pb::Worker { name: "fuzzed".to_owned(), boot: "0190a0a0-0000-7000-8000-000000000001".to_owned() })
}

fn register() -> pb::RegisterRequest {
    let device = pb::Device {
        name: "cpu".to_owned(),
        description: "a CPU".to_owned(),
        numeric_class: "cpu".to_owned(),
        slots: 2,
    };
    let dataset = pb::Dataset {
        key: "image-folder:set".to_owned(),
        fingerprint: ContentHash::of(b"data").to_string(),
        classes: vec!["a".to_owned(), "b".to_owned()],
        train: vec![10, 10],
        test: vec![5, 5],
        problem: String::new(),
        groups: Vec::new(),
        validation: Vec::new(),
        notes: Vec::new(),
    };
    pb::RegisterRequest {
        protocol: PROTOCOL,
        worker: worker(),
        version: "0".to_owned(),
        devices: vec![device],
        datasets: vec![dataset],
        data_cache: 0,
    }
}

fn lease(request: &str) -> pb::LeaseRequest {
    pb::LeaseRequest { worker: worker(), device: "cpu".to_owned(), wait_ms: 0, request_id: request.to_owned() }
}

/// Returns a message in a gRPC frame.
pub(crate) fn frame(message: &[u8]) -> Vec<u8> {
    [&[0], &(message.len() as u32).to_be_bytes()[..], message].concat()
}

/// Returns the number of a procedure.
pub(crate) fn number(name: &str) -> u8 {
    TABLE.iter().position(|rpc| rpc.name.ends_with(name)).expect("a procedure of the table") as u8
}

/// Returns an input of one message to `name`.
pub(crate) fn message(name: &str, message: &[u8]) -> Vec<u8> {
    [&[number(name), MESSAGE], message].concat()
}

/// Returns an input of frames to `name`.
pub(crate) fn frames(name: &str, frames: &[u8]) -> Vec<u8> {
    [&[number(name), FRAMES], frames].concat()
}

impl Requests {
    /// Returns a coordinator with a sweep, a worker, and a stage that the worker holds.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (core, thread) = Core::start(Arc::new(Memory::default()), Limits::default()).expect("an empty store");
        let parts = Parts {
            core: core.clone(),
            artifacts: runtime
                .block_on(Artifacts::open(&ArtifactOptions::in_folder(folder.path())))
                .expect("a writable folder"),
            limits: Limits::default(),
            build: None,
            web: None,
        };
        let authorizer = Authorizer::unrestricted(Arc::new(Metrics::new()));
        let services = grpc::services(parts, authorizer.clone(), IdentityService::closed()).expect("whole descriptors");
        let front = runtime.block_on(async {
            let leadership = Leadership::new().await;
            leadership.begin(core.clone(), services).await;
            leadership.front()
        });
        let router = grpc::guarded(front, authorizer);
        let mut requests = Self {
            runtime,
            router,
            core,
            thread: Some(thread),
            sweep: "nothing-00000000".parse().expect("an id"),
            attempt: pb::Attempt::default(),
            _folder: folder,
        };
        requests.ask::<pb::RegisterReply>("Work/Register", register());
        let submit = pb::SubmitRequest { spec: SWEEP.to_owned(), ..Default::default() };
        let submitted: pb::SubmitReply = requests.ask("Sweeps/Submit", submit);
        requests.sweep = submitted.sweep.parse().expect("a sweep's id");
        let grant: pb::LeaseReply = requests.ask("Work/Lease", lease("r"));
        requests.attempt = grant.grant.and_then(|grant| grant.attempt).expect("a stage is ready");
        requests
    }

    /// Makes a valid call.
    fn ask<T: Message + Default>(&self, name: &str, request: impl Message) -> T {
        let rpc = TABLE[usize::from(number(name))].name;
        let (_, body) = self.runtime.block_on(self.call(rpc, frame(&request.encode_to_vec())));
        T::decode(&body[5..]).expect("a reply")
    }

    /// Returns the status of an answer, from its head or from after its messages, and the messages.
    async fn call(&self, rpc: &str, body: Vec<u8>) -> (Option<Status>, Vec<u8>) {
        let mut request = http::Request::post(format!("/{rpc}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Body::from(body))
            .expect("a request");
        request.extensions_mut().insert(Peer::Open);
        let Ok(response) = self.router.clone().call(request).await;
        let mut status = Status::from_header_map(response.headers());
        let (mut body, mut messages) = (response.into_body(), Vec::new());
        while let Some(Ok(frame)) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            match frame.into_data() {
                Ok(data) => messages.extend_from_slice(&data),
                Err(frame) => {
                    status = frame.into_trailers().ok().and_then(|trailers| Status::from_header_map(&trailers));
                }
            }
        }
        (status, messages)
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.stop();
        }
    }
}

impl Target for Requests {
    fn name(&self) -> &'static str {
        "requests of all services"
    }

    fn corpus(&self) -> Vec<Vec<u8>> {
        let attempt = || Some(self.attempt.clone());
        let sweep = || self.sweep.to_string();
        let content = b"a checkpoint".to_vec();
        let artifact = ArtifactId(ContentHash::of(&content));
        let result = pretext_tests::stub::result();
        let point = pb::Point { part: "train".to_owned(), metric: "loss".to_owned(), epoch: 1, step: 1, value: 0.5 };
        let batch =
            |sequence| pb::PointBatch { attempt: attempt(), sequence, points: vec![point.clone(); 3] }.encode_to_vec();
        let header = pb::UploadHeader {
            attempt: attempt(),
            kind: "checkpoint".to_owned(),
            artifact: artifact.to_string(),
            length: content.len() as u64,
        };
        let part = |part| frame(&pb::UploadPart { part: Some(part) }.encode_to_vec());
        let upload = [
            part(pb::upload_part::Part::Header(header)),
            part(pb::upload_part::Part::Chunk(pb::Chunk { data: content })),
        ];
        let held = pb::Held { attempt: attempt(), step: 3, images: 24, device: "cpu".to_owned() };
        let registered = pb::RegisterCheckpointRequest {
            attempt: attempt(),
            artifact: artifact.to_string(),
            step: 3,
            next_sequence: 1,
        };
        let complete = pb::CompleteRequest {
            attempt: attempt(),
            result_json: serde_json::to_string(&result).expect("plain data"),
            next_sequence: 2,
        };
        let fail = pb::FailRequest {
            attempt: attempt(),
            code: "crashed".to_owned(),
            message: "it ended".to_owned(),
            log: vec!["a line".to_owned(); 3],
        };
        let submit = pb::SubmitRequest { spec: SWEEP.to_owned(), smoke: true, request_id: "r".to_owned() };
        // A whole list of packs, then the data set.
        let list = Packing::new(vec![], vec![]).and_then(|list| list.text()).expect("an empty list");
        let packing = ArtifactId(ContentHash::of(&list)).to_string();
        let header = pb::PackHeader { artifact: packing.clone(), length: list.len() as u64 };
        let packs = [pb::pack_part::Part::Header(header), pb::pack_part::Part::Chunk(pb::Chunk { data: list })]
            .map(|part| frame(&pb::PackPart { part: Some(part) }.encode_to_vec()));
        let pushed = pb::PushRequest { dataset: register().datasets.pop(), packing };
        let scaled = scaler::ScaledObjectRef {
            name: "worker".to_owned(),
            namespace: "pretext".to_owned(),
            scaler_metadata: [("class", "cpu"), ("slotsPerWorker", "2"), ("scaleDown", "eager")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
        };
        let metrics = scaler::GetMetricsRequest {
            scaled_object_ref: Some(scaled.clone()),
            metric_name: "pretext-cpu-slots".to_owned(),
        };
        let join =
            pb::JoinRequest { credentials: "id.secret".to_owned(), name: "worker".to_owned(), csr: vec![0x30; 64] };
        let cell = format!("{}/supervised/0.5/fixed/0", self.sweep);
        vec![
            message("Work/Register", &register().encode_to_vec()),
            message("Work/Lease", &lease("another").encode_to_vec()),
            message("Work/Heartbeat", &pb::HeartbeatRequest { worker: worker(), held: vec![held] }.encode_to_vec()),
            message("Work/Points", &batch(0)),
            frames("Work/Points", &[frame(&batch(0)), frame(&batch(1))].concat()),
            frames("Work/Upload", &upload.concat()),
            message("Work/Download", &pb::DownloadRequest { artifact: artifact.to_string() }.encode_to_vec()),
            message("Work/RegisterCheckpoint", &registered.encode_to_vec()),
            message("Work/Complete", &complete.encode_to_vec()),
            message("Work/Fail", &fail.encode_to_vec()),
            message("Work/Release", &pb::ReleaseRequest { attempt: attempt() }.encode_to_vec()),
            message("Sweeps/Submit", &submit.encode_to_vec()),
            message("Sweeps/Plan", &pb::PlanRequest { spec: SWEEP.to_owned(), smoke: false }.encode_to_vec()),
            message("Sweeps/List", &[]),
            message("Sweeps/Get", &pb::GetRequest { sweep: sweep(), points: true }.encode_to_vec()),
            message("Sweeps/Watch", &pb::WatchRequest { sweep: sweep() }.encode_to_vec()),
            message("Sweeps/Cancel", &pb::CancelRequest { sweep: sweep() }.encode_to_vec()),
            message("Sweeps/Retry", &pb::RetryRequest { sweep: sweep() }.encode_to_vec()),
            message("Sweeps/Explain", &pb::ExplainRequest { cell }.encode_to_vec()),
            message("Sweeps/Workers", &[]),
            message("Sweeps/Verify", &pb::VerifyRequest { sweep: sweep() }.encode_to_vec()),
            message("Sweeps/Backup", &[]),
            message("Sweeps/Fetch", &pb::FetchRequest { artifact: artifact.to_string() }.encode_to_vec()),
            message("Data/Missing", &pb::MissingRequest { artifacts: vec![artifact.to_string()] }.encode_to_vec()),
            frames("Data/Upload", &packs.concat()),
            message("Data/Push", &pushed.encode_to_vec()),
            message("Data/List", &[]),
            message("Data/Remove", &pb::RemoveDataRequest { fingerprint: "00".to_owned() }.encode_to_vec()),
            message("Identity/Join", &join.encode_to_vec()),
            message("Identity/Renew", &pb::RenewRequest { csr: vec![0x30; 64] }.encode_to_vec()),
            message("ExternalScaler/IsActive", &scaled.encode_to_vec()),
            message("ExternalScaler/StreamIsActive", &scaled.encode_to_vec()),
            message("ExternalScaler/GetMetricSpec", &scaled.encode_to_vec()),
            message("ExternalScaler/GetMetrics", &metrics.encode_to_vec()),
        ]
    }

    fn words(&self) -> Vec<Vec<u8>> {
        let mut words: Vec<Vec<u8>> =
            ["cpu", "gpu", "vulkan:0", "..", "/", "%2e", "\u{0}", "\u{1b}[31m", "5%", "{", "}", "-"]
                .iter()
                .map(|word| word.as_bytes().to_vec())
                .collect();
        words.push(self.attempt.stage.as_bytes().to_vec());
        words.push(self.sweep.to_string().into_bytes());
        // A length-delimited field that claims the largest length.
        words.push([vec![0x0a], super::mutate::varint(u64::MAX)].concat());
        words.push([vec![0x12], super::mutate::varint(1 << 31)].concat());
        words
    }

    fn bound(&self) -> usize {
        64 << 20
    }

    fn life(&self) -> u64 {
        5_000
    }

    fn feed(&mut self, input: &[u8]) -> Result<Fate, String> {
        let rpc = TABLE[usize::from(input.first().copied().unwrap_or(0)) % TABLE.len()];
        let content = input.get(2..).unwrap_or_default();
        let body = if input.get(1) == Some(&FRAMES) { content.to_vec() } else { frame(content) };
        let is_planned = ["Sweeps/Plan", "Sweeps/Submit"].iter().any(|name| rpc.name.ends_with(name));
        let patience = if is_planned { PLANNING } else { PATIENCE };
        let answered = self.runtime.block_on(async { tokio::time::timeout(patience, self.call(rpc.name, body)).await });
        // The engine's thread still runs.
        if let Err(error) = self.runtime.block_on(self.core.call(|_, _| ())) {
            return Err(format!("after {}: {error}", rpc.name));
        }
        match answered {
            Ok((Some(status), _)) if status.code() == Code::Ok => Ok(Fate::Taken),
            Ok((Some(status), _)) if status.message().is_empty() => Err(format!("{}: {status} alone", rpc.name)),
            Ok((Some(_), _)) => Ok(Fate::Refused),
            Ok((None, _)) => Err(format!("{} was not answered with a status", rpc.name)),
            // A stream that continues.
            Err(_) => Ok(Fate::Taken),
        }
    }
}
