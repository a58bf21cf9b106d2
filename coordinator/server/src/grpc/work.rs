//! The gRPC service for workers.

#[cfg(test)]
mod tests;

use std::time::Duration;

use pretext_artifacts::Artifacts;
use pretext_engine::{Checkpoint, Directive, Grant, Limits, Refusal};
use pretext_messages::{self as messages, parsed};
use pretext_proto::PROTOCOL;
use pretext_proto::v1 as pb;
use pretext_proto::v1::work_server::Work;
use pretext_shared::claim::Proof;
use pretext_shared::ids::{ArtifactId, AttemptId, StageId};
use pretext_shared::outcome::{ArtifactKind, Failure, FailureCode};
use pretext_store::StoreError;
use pretext_store::view;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::transfer::{receive_artifact, send_artifact};
use super::{Answers, artifact_failed, refused, unavailable};
use crate::authorization::{Authorizer, peer};
use crate::core::Core;
use crate::gc;
use crate::identity::Peer;
use crate::metrics::Outcome;

/// Longest duration of a long poll.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// Longest time until a waiting slot learns that its worker was revoked.
const RECHECK: Duration = Duration::from_secs(1);
/// Most points in a batch.
const MAX_POINTS: usize = 1000;

/// See the module.
pub struct WorkService {
    core: Core,
    artifacts: Artifacts,
    limits: Limits,
    authorizer: Authorizer,
}

impl WorkService {
    /// Returns the service for this core and these artifacts.
    pub fn new(core: Core, artifacts: Artifacts, limits: Limits, authorizer: Authorizer) -> Self {
        Self { core, artifacts, limits, authorizer }
    }

    /// Returns the worker's order for a grant with its proof. `None` if this version cannot read the plan: only that
    /// stage fails, with a reason. If the store cannot be asked, a repeated request gets the same grant again.
    async fn order(&self, grant: Grant, proof: Proof) -> Result<Option<pb::Grant>, Status> {
        let (store, attempt) = (self.core.store().clone(), grant.attempt);
        let plan = tokio::task::spawn_blocking(move || view::plan(store.as_ref(), attempt.stage));
        match plan.await.map_err(|error| Status::internal(error.to_string()))? {
            Ok(plan) => messages::grant_message(grant, plan, proof).map(Some),
            Err(error @ StoreError::Damaged { .. }) => {
                tracing::error!(stage = %attempt.stage, %error, "a stage cannot run as it is stored");
                let failure = Failure { code: FailureCode::Invalid, message: error.to_string(), log: Vec::new() };
                let fail = self.core.call(move |engine, now| engine.fail(attempt, failure, now.mono));
                fail.await.map_err(unavailable)?.map_err(refused)?;
                Ok(None)
            }
            Err(error) => Err(Status::unavailable(error.to_string())),
        }
    }

    /// Returns how many checkpoints of a stage its sweep keeps.
    async fn keep(&self, stage: StageId) -> Result<u32, Status> {
        let store = self.core.store().clone();
        let plan = tokio::task::spawn_blocking(move || view::plan(store.as_ref(), stage));
        let plan = plan.await.map_err(|error| Status::internal(error.to_string()))?;
        Ok(plan.map_err(|error| Status::unavailable(error.to_string()))?.checkpoint.keep)
    }

    /// Removes unused checkpoints in the background. If this process ends before that, `coordinator gc` removes them.
    fn discard(&self, surplus: Vec<ArtifactId>) {
        if surplus.is_empty() {
            return;
        }
        let (core, artifacts) = (self.core.clone(), self.artifacts.clone());
        tokio::spawn(async move {
            if let Err(error) = gc::discard(&core, &artifacts, surplus).await {
                tracing::warn!(%error, "could not remove a superseded checkpoint");
            }
        });
    }
}

#[tonic::async_trait]
impl Work for WorkService {
    async fn register(&self, request: Request<pb::RegisterRequest>) -> Result<Response<pb::RegisterReply>, Status> {
        let caller = peer(&request);
        let request = request.into_inner();
        if request.protocol != PROTOCOL {
            return Err(Status::failed_precondition(format!(
                "this coordinator ({}) speaks protocol {PROTOCOL} and the worker ({}) speaks protocol {}: \
                 install the same version on both",
                env!("CARGO_PKG_VERSION"),
                request.version,
                request.protocol
            )));
        }
        let worker = messages::worker(request.worker.clone())?;
        self.authorizer.speaks_for(&caller, &worker)?;
        let offer = messages::offer(request)?;
        tracing::info!(worker = %worker, devices = offer.devices.len(), datasets = offer.datasets.len(), "worker registered");
        self.core.call(move |engine, now| engine.register(worker, offer, now.mono)).await.map_err(unavailable)?;
        Ok(Response::new(pb::RegisterReply {
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            lease_ms: self.limits.lease_ms,
            heartbeat_ms: self.limits.lease_ms / 5,
        }))
    }

    async fn lease(&self, request: Request<pb::LeaseRequest>) -> Result<Response<pb::LeaseReply>, Status> {
        let caller = peer(&request);
        let request = request.into_inner();
        let worker = messages::worker(request.worker)?;
        self.authorizer.speaks_for(&caller, &worker)?;
        let wait = Duration::from_millis(request.wait_ms).min(MAX_WAIT);
        let deadline = tokio::time::Instant::now() + wait;
        let mut wakes = self.core.wakes((worker.clone(), request.device.clone()));
        let ended = self.core.ended();
        tokio::pin!(ended);
        'ask: loop {
            wakes.mark_unchanged();
            // A worker that was revoked while it waited gets no stage.
            self.authorizer.still_valid(&caller).await?;
            let (asker, device, id) = (worker.clone(), request.device.clone(), request.request_id.clone());
            let grant = self
                .core
                .call(move |engine, now| engine.lease(&asker, &device, &id, now.mono, now.wall))
                .await
                .map_err(unavailable)?
                .map_err(refused)?;
            if let Some(grant) = grant {
                let (AttemptId { stage, fence }, kind) = (grant.attempt, grant.kind.as_str());
                let proof = self.authorizer.proof(grant.attempt, &worker.name);
                let Some(order) = self.order(grant, proof).await? else { continue };
                tracing::info!(%stage, fence = fence.0, kind, worker = %worker, grant_request = %request.request_id, "stage granted");
                self.authorizer.metrics().attempt(Outcome::Granted);
                return Ok(Response::new(pb::LeaseReply { grant: Some(order), nothing_waits: false }));
            }
            loop {
                tokio::select! {
                    biased;
                    () = &mut ended => return Err(Status::unavailable("the coordinator is shutting down")),
                    _ = wakes.changed() => continue 'ask,
                    () = tokio::time::sleep_until(deadline) => break 'ask,
                    () = tokio::time::sleep(RECHECK) => self.authorizer.still_valid(&caller).await?,
                }
            }
        }
        let asked = self.core.call(move |engine, _| engine.has_prospects(&worker, &request.device));
        let nothing_waits = !asked.await.map_err(unavailable)?;
        Ok(Response::new(pb::LeaseReply { grant: None, nothing_waits }))
    }

    async fn heartbeat(&self, request: Request<pb::HeartbeatRequest>) -> Result<Response<pb::HeartbeatReply>, Status> {
        let caller = peer(&request);
        let request = request.into_inner();
        let worker = messages::worker(request.worker)?;
        self.authorizer.speaks_for(&caller, &worker)?;
        let held = messages::held(request.held)?;
        let claims = held.iter().map(|(claim, ..)| claim.clone()).collect();
        let refused = self.authorizer.refused(&caller, claims, &self.core).await?;
        let admitted = held.into_iter().zip(&refused).filter(|(_, refused)| refused.is_none());
        let admitted: Vec<_> = admitted.map(|((claim, step, images), _)| (claim.attempt, step, images)).collect();
        let (directives, known) = self
            .core
            .call(move |engine, now| (engine.heartbeat(&worker, &admitted, now.mono), engine.knows(&worker)))
            .await
            .map_err(unavailable)?;
        // One refused attempt must not cost the worker its other leases.
        let mut directives = directives.into_iter();
        let told = refused.iter().map(|refused| match refused {
            None => directives.next().unwrap_or(Directive::Superseded),
            Some(_) => Directive::Superseded,
        });
        let directives = told.map(|said| messages::directive(said).into()).collect();
        Ok(Response::new(pb::HeartbeatReply { directives, register_again: !known }))
    }

    type PointsStream = Answers<pb::PointAck>;

    async fn points(
        &self,
        request: Request<Streaming<pb::PointBatch>>,
    ) -> Result<Response<Self::PointsStream>, Status> {
        let caller = peer(&request);
        let mut batches = request.into_inner();
        let (core, authorizer) = (self.core.clone(), self.authorizer.clone());
        let (acks, stream) = tokio::sync::mpsc::channel(64);
        tokio::spawn(async move {
            let ended = core.ended();
            tokio::pin!(ended);
            loop {
                let batch = tokio::select! {
                    batch = batches.next() => batch,
                    () = &mut ended => return,
                };
                let Some(Ok(batch)) = batch else { return };
                let ack = accept(&core, &authorizer, &caller, batch).await;
                let over = ack.is_err();
                if acks.send(ack).await.is_err() || over {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn upload(&self, request: Request<Streaming<pb::UploadPart>>) -> Result<Response<pb::UploadReply>, Status> {
        let caller = peer(&request);
        let mut parts = request.into_inner();
        let first = parts.message().await?.and_then(|part| part.part);
        let Some(pb::upload_part::Part::Header(header)) = first else {
            return Err(Status::invalid_argument("an upload begins with its header"));
        };
        let claim = messages::claim(header.attempt)?;
        let attempt = claim.attempt;
        // Check the owner first: the caller must learn nothing about another worker's lease.
        self.authorizer.owns(&caller, claim, &self.core).await?;
        let artifact: ArtifactId = parsed(&header.artifact, "artifact")?;
        if ArtifactKind::parse(&header.kind).is_none() {
            return Err(Status::invalid_argument(format!(
                "`{}` is not a kind of artifact",
                messages::shown(&header.kind)
            )));
        }
        self.core.call(move |engine, _| engine.check_outputs(attempt)).await.map_err(unavailable)?.map_err(refused)?;
        if self.artifacts.has(artifact).await.map_err(artifact_failed)? {
            return Ok(Response::new(pb::UploadReply { existed: true }));
        }
        let chunk = |part: pb::UploadPart| match part.part {
            Some(pb::upload_part::Part::Chunk(chunk)) => Some(chunk),
            _ => None,
        };
        receive_artifact(&self.artifacts, artifact, header.length, &mut parts, chunk).await?;
        self.authorizer.metrics().uploaded(header.length);
        Ok(Response::new(pb::UploadReply { existed: false }))
    }

    type DownloadStream = Answers<pb::Chunk>;

    async fn download(&self, request: Request<pb::DownloadRequest>) -> Result<Response<Self::DownloadStream>, Status> {
        let artifact = parsed(&request.into_inner().artifact, "artifact")?;
        Ok(Response::new(send_artifact(&self.artifacts, artifact).await?))
    }

    async fn register_checkpoint(
        &self,
        request: Request<pb::RegisterCheckpointRequest>,
    ) -> Result<Response<pb::RegisterCheckpointReply>, Status> {
        let caller = peer(&request);
        let request = request.into_inner();
        let claim = messages::claim(request.attempt)?;
        let attempt = claim.attempt;
        self.authorizer.owns(&caller, claim, &self.core).await?;
        let artifact: ArtifactId = parsed(&request.artifact, "artifact")?;
        let keep = self.keep(attempt.stage).await?;
        let referring = self.artifacts.referring().await;
        if !self.artifacts.has(artifact).await.map_err(artifact_failed)? {
            return Err(Status::failed_precondition(format!("checkpoint {} was not uploaded", artifact.short())));
        }
        let (checkpoint, batches) = (Checkpoint { artifact, step: request.step }, request.next_sequence);
        let surplus = self
            .core
            .call(move |engine, now| engine.register_checkpoint(attempt, checkpoint, keep, batches, now.mono))
            .await
            .map_err(unavailable)?
            .map_err(refused)?;
        drop(referring);
        self.discard(surplus);
        Ok(Response::new(pb::RegisterCheckpointReply {}))
    }

    async fn complete(&self, request: Request<pb::CompleteRequest>) -> Result<Response<pb::CompleteReply>, Status> {
        let caller = peer(&request);
        let request = request.into_inner();
        let claim = messages::claim(request.attempt)?;
        let attempt = claim.attempt;
        self.authorizer.owns(&caller, claim, &self.core).await?;
        let result = messages::result(&request.result_json)?;
        let referring = self.artifacts.referring().await;
        for (kind, artifact) in &result.artifacts {
            if !self.artifacts.has(*artifact).await.map_err(artifact_failed)? {
                let message = format!("artifact {} ({}) was not uploaded", artifact.short(), kind.as_str());
                return Err(Status::failed_precondition(message));
            }
        }
        let batches = request.next_sequence;
        let surplus = self
            .core
            .call(move |engine, _| engine.complete(attempt, result, batches))
            .await
            .map_err(unavailable)?
            .map_err(refused)?;
        tracing::info!(stage = %attempt.stage, fence = attempt.fence.0, "stage succeeded");
        self.authorizer.metrics().attempt(Outcome::Succeeded);
        drop(referring);
        self.discard(surplus);
        Ok(Response::new(pb::CompleteReply {}))
    }

    async fn fail(&self, request: Request<pb::FailRequest>) -> Result<Response<pb::FailReply>, Status> {
        let caller = peer(&request);
        let request = request.into_inner();
        let claim = messages::claim(request.attempt.clone())?;
        let attempt = claim.attempt;
        self.authorizer.owns(&caller, claim, &self.core).await?;
        let failure = messages::failure(request)?;
        let code = failure.code;
        tracing::warn!(
            stage = %attempt.stage, fence = attempt.fence.0, code = code.as_str(), message = %failure.message, "attempt failed"
        );
        self.core
            .call(move |engine, now| engine.fail(attempt, failure, now.mono))
            .await
            .map_err(unavailable)?
            .map_err(refused)?;
        self.authorizer.metrics().attempt(Outcome::Failed(code));
        Ok(Response::new(pb::FailReply {}))
    }

    async fn release(&self, request: Request<pb::ReleaseRequest>) -> Result<Response<pb::ReleaseReply>, Status> {
        let caller = peer(&request);
        let claim = messages::claim(request.into_inner().attempt)?;
        let attempt = claim.attempt;
        self.authorizer.owns(&caller, claim, &self.core).await?;
        self.core.call(move |engine, _| engine.release(attempt)).await.map_err(unavailable)?.map_err(refused)?;
        tracing::info!(stage = %attempt.stage, fence = attempt.fence.0, "lease given back");
        self.authorizer.metrics().attempt(Outcome::Released);
        Ok(Response::new(pb::ReleaseReply {}))
    }
}

/// Handles one batch: acknowledges it when it is durable, or refuses it with a reason and a kind.
async fn accept(
    core: &Core,
    authorizer: &Authorizer,
    caller: &Peer,
    batch: pb::PointBatch,
) -> Result<pb::PointAck, Status> {
    let claim = messages::claim(batch.attempt)?;
    let attempt = claim.attempt;
    if batch.points.len() > MAX_POINTS {
        return Err(Status::invalid_argument(format!("a batch has at most {MAX_POINTS} points")));
    }
    authorizer.owns(caller, claim, core).await?;
    let count = batch.points.len();
    let points = batch.points.iter().map(messages::point).collect::<Result<Vec<_>, _>>()?;
    let sequence = batch.sequence;
    let accepted =
        core.call(move |engine, now| engine.points(attempt, sequence, points, now.mono)).await.map_err(unavailable)?;
    match &accepted {
        Ok(()) => authorizer.metrics().points(count),
        Err(refusal @ Refusal::Gap { .. }) => {
            authorizer.metrics().refused_batch();
            tracing::warn!(stage = %attempt.stage, fence = attempt.fence.0, sequence, %refusal, "the store has fewer points than the worker was told: was it set back?");
        }
        Err(refusal) => {
            authorizer.metrics().refused_batch();
            tracing::info!(stage = %attempt.stage, fence = attempt.fence.0, sequence, %refusal, "batch of points refused");
        }
    }
    let (refused, kind) = match accepted {
        Ok(()) => (String::new(), pb::RefusalKind::Unspecified),
        // A gap too: the attempt cannot continue on a store that lost its points.
        Err(refusal) => (refusal.to_string(), pb::RefusalKind::Superseded),
    };
    Ok(pb::PointAck { attempt: Some(messages::attempt_message(attempt)), sequence, refused, kind: kind.into() })
}
