//! A restarted daemon presents the proofs that its former life was given, and so does a person who hands in what was
//! refused.

use std::collections::BTreeSet;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use pretext_identity::Wire;
use pretext_proto::PROTOCOL;
use pretext_proto::v1::work_server::{Work, WorkServer};
use pretext_shared::claim::Proof;
use pretext_shared::ids::{AttemptId, ContentHash, Fence, StageId, WorkerId};
use pretext_shared::point::{Metric, Part, Point};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

use super::*;
use crate::hand_in::{HandInError, hand_in};
use crate::spool::{Batch, Opening, Spool, SpoolError};
use crate::{CacheOptions, End, Link, Options, ServeError, pb, serve};

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// A coordinator that takes everything, and records each call with its attempt. A defect makes it refuse results.
#[derive(Default)]
struct Taker(Arc<Mutex<Vec<(&'static str, pb::Attempt)>>>, Arc<AtomicBool>);

impl Taker {
    fn note<T: Default>(&self, call: &'static str, attempt: Option<pb::Attempt>) -> Result<Response<T>, Status> {
        self.0.lock().expect("nobody panics with it").push((call, attempt.expect("an attempt")));
        Ok(Response::new(T::default()))
    }
}

#[tonic::async_trait]
impl Work for Taker {
    type PointsStream = Answers<pb::PointAck>;
    type DownloadStream = Answers<pb::Chunk>;

    async fn register(&self, _: Request<pb::RegisterRequest>) -> Result<Response<pb::RegisterReply>, Status> {
        let reply = pb::RegisterReply { protocol: PROTOCOL, heartbeat_ms: 1_000, ..Default::default() };
        Ok(Response::new(reply))
    }

    async fn lease(&self, _: Request<pb::LeaseRequest>) -> Result<Response<pb::LeaseReply>, Status> {
        Err(Status::unimplemented("there is no slot"))
    }

    async fn heartbeat(&self, _: Request<pb::HeartbeatRequest>) -> Result<Response<pb::HeartbeatReply>, Status> {
        Ok(Response::new(pb::HeartbeatReply::default()))
    }

    async fn points(
        &self,
        request: Request<Streaming<pb::PointBatch>>,
    ) -> Result<Response<Self::PointsStream>, Status> {
        let calls = self.0.clone();
        let acks = request.into_inner().map(move |batch| {
            let batch = batch?;
            calls.lock().expect("nobody panics with it").push(("points", batch.attempt.expect("an attempt")));
            Ok(pb::PointAck { sequence: batch.sequence, ..Default::default() })
        });
        Ok(Response::new(Box::pin(acks)))
    }

    async fn upload(&self, request: Request<Streaming<pb::UploadPart>>) -> Result<Response<pb::UploadReply>, Status> {
        let mut parts = request.into_inner();
        while let Some(part) = parts.message().await? {
            if let Some(pb::upload_part::Part::Header(header)) = part.part {
                let _: Response<()> = self.note("upload", header.attempt)?;
            }
        }
        Ok(Response::new(pb::UploadReply::default()))
    }

    async fn download(&self, _: Request<pb::DownloadRequest>) -> Result<Response<Self::DownloadStream>, Status> {
        Err(Status::unimplemented("nothing is here"))
    }

    async fn register_checkpoint(
        &self,
        request: Request<pb::RegisterCheckpointRequest>,
    ) -> Result<Response<pb::RegisterCheckpointReply>, Status> {
        self.note("register checkpoint", request.into_inner().attempt)
    }

    async fn complete(&self, request: Request<pb::CompleteRequest>) -> Result<Response<pb::CompleteReply>, Status> {
        if self.1.load(Ordering::Relaxed) {
            return Err(Status::invalid_argument("a defect"));
        }
        self.note("complete", request.into_inner().attempt)
    }

    async fn fail(&self, request: Request<pb::FailRequest>) -> Result<Response<pb::FailReply>, Status> {
        self.note("fail", request.into_inner().attempt)
    }

    async fn release(&self, request: Request<pb::ReleaseRequest>) -> Result<Response<pb::ReleaseReply>, Status> {
        self.note("release", request.into_inner().attempt)
    }
}

fn attempt(fence: u64) -> AttemptId {
    AttemptId { stage: StageId(ContentHash::of(b"stage")), fence: Fence(fence) }
}

fn proof(fence: u64) -> Proof {
    Proof(vec![fence as u8; 16])
}

/// Serves on a free port, and returns its URL.
fn listen(taker: Taker) -> (String, JoinHandle<Result<(), tonic::transport::Error>>) {
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let url = format!("http://{}", incoming.local_addr().expect("bound"));
    (url, tokio::spawn(Server::builder().add_service(WorkServer::new(taker)).serve_with_incoming(incoming)))
}

/// Runs a daemon until it has handed over what a former life left in `folder`.
async fn hand_over(url: &str, folder: &Path) {
    let options = Options {
        worker: WorkerId { name: "w".to_owned(), boot: uuid::Uuid::nil() },
        coordinators: vec![url.to_owned()],
        // Without a slot the daemon ends as soon as everything is handed over.
        devices: Vec::new(),
        threads: 1,
        data_root: folder.into(),
        datasets: Vec::new(),
        state_dir: folder.into(),
        spool_limit: 1 << 20,
        until_idle: None,
        data_cache: CacheOptions { folder: folder.join("cache"), limit: 0 },
        wire: Wire::Plain,
    };
    let (_stop, stopping) = watch::channel(None);
    // The former life's thread closes the file soon after the drop.
    let ended = loop {
        match serve(options.clone(), stopping.clone()).await {
            Err(ServeError::Spool(SpoolError::Open { cause, .. })) if cause.contains("already open") => {
                tokio::task::yield_now().await;
            }
            ended => break ended,
        }
    };
    assert_eq!(ended.expect("everything is handed over"), End::Idle);
}

#[tokio::test]
async fn a_restarted_daemon_presents_the_proofs_of_its_former_life() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("checkpoint");
    std::fs::write(&file, "its content").expect("writable");

    // A former life was killed after it had taken three grants: one runs, one has failed, one has finished.
    let (spool, _) = Spool::open(&folder.path().join("spool.redb"), 1 << 20).expect("opens");
    let point = Point { part: Part::Train, metric: Metric::Loss, epoch: 1, step: 1, value: 0.5 };
    let failure = Failure { code: FailureCode::Crashed, message: "gone".to_owned(), log: Vec::new() };
    let score = pretext_shared::outcome::Score { loss: 0.1, accuracy: 0.9, seen: 10 };
    let files = BTreeMap::from([(ArtifactKind::Model, file.clone())]);
    let finished = Finished { selected_epoch: 1, score, steps: 1, images: 4, seconds: 1.5, files };
    for fence in 1..=3 {
        let opening = Opening { device: "cpu".to_owned(), proof: proof(fence) };
        spool.write(Entry::Begin(attempt(fence), opening)).await.expect("open");
        spool.points(attempt(fence), Batch { sequence: 0, points: vec![point] }).await.expect("open");
    }
    let saved = Saved { path: file, step: 1, next_sequence: 1 };
    spool.write(Entry::Checkpoint(attempt(1), saved)).await.expect("open");
    spool.write(Entry::End(attempt(2), Ending::Failed { failure })).await.expect("open");
    spool.write(Entry::End(attempt(3), Ending::Finished { finished, next_sequence: 1 })).await.expect("open");
    drop(spool);

    let taker = Taker::default();
    let calls = taker.0.clone();
    let (url, server) = listen(taker);
    hand_over(&url, folder.path()).await;
    server.abort();

    let calls = calls.lock().expect("nobody panics with it").clone();
    for (call, presented) in &calls {
        assert_eq!(presented.proof, proof(presented.fence).0, "{call} {presented:?}");
    }
    let made: BTreeSet<_> = calls.iter().map(|(call, attempt)| (attempt.fence, *call)).collect();
    let expected = [
        (1, "points"),
        (1, "register checkpoint"),
        (1, "release"),
        (1, "upload"),
        (2, "fail"),
        (2, "points"),
        (3, "complete"),
        (3, "points"),
        (3, "upload"),
    ];
    assert_eq!(made.into_iter().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_refused_result_is_kept_until_a_person_hands_it_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("model.bin");
    std::fs::write(&file, "weights").expect("writable");
    let (spool, _) = Spool::open(&folder.path().join("spool.redb"), 1 << 20).expect("opens");
    let score = pretext_shared::outcome::Score { loss: 0.1, accuracy: 0.9, seen: 10 };
    let files = BTreeMap::from([(ArtifactKind::Model, file.clone())]);
    let finished = Finished { selected_epoch: 1, score, steps: 1, images: 4, seconds: 1.5, files };
    let opening = Opening { device: "cpu".to_owned(), proof: proof(1) };
    spool.write(Entry::Begin(attempt(1), opening)).await.expect("open");
    spool.write(Entry::End(attempt(1), Ending::Finished { finished, next_sequence: 0 })).await.expect("open");
    drop(spool);

    let taker = Taker::default();
    let (calls, defect) = (taker.0.clone(), taker.1.clone());
    defect.store(true, Ordering::Relaxed);
    let (url, server) = listen(taker);
    hand_over(&url, folder.path()).await;
    let made = || {
        let calls = std::mem::take(&mut *calls.lock().expect("nobody panics with it"));
        calls.into_iter().map(|(call, presented)| (call, presented.proof)).collect::<Vec<_>>()
    };
    assert_eq!(made(), [("upload", proof(1).0), ("fail", proof(1).0)], "its lease ends");
    std::fs::remove_file(file).expect("the copy is another link");

    let copies = kept::list(folder.path()).expect("readable");
    let [copy] = &copies[..] else { panic!("one copy: {copies:?}") };
    let link = Link::to(&[url], &Wire::Plain).expect("a URL");
    let refused = hand_in(&link, copy).await.expect_err("the defect is still there");
    assert!(matches!(refused, HandInError::Refused(Refused::Invalid(_))), "{refused}");
    assert_eq!(made(), [("upload", proof(1).0)]);
    defect.store(false, Ordering::Relaxed);
    hand_in(&link, copy).await.expect("the defect is mended");
    assert_eq!(made(), [("upload", proof(1).0), ("complete", proof(1).0)]);
    server.abort();
}
