//! The gRPC service for people and scripts.

use std::time::Duration;

use pretext_artifacts::Artifacts;
use pretext_engine::{Collected, Engine, Forecast, Holder, Millis, Refusal, SweepStatus};
use pretext_messages::{self as messages, parsed};
use pretext_proto::v1 as pb;
use pretext_proto::v1::sweeps_server::Sweeps;
use pretext_shared::ids::SweepId;
use pretext_shared::stage::Extent;
use pretext_shared::sweep::Build;
use pretext_store::StoreError;
use pretext_store::{backup, verify, view};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::large::{self, LargeAnswers};
use super::limits::MAX_SPEC;
use super::submit;
use super::transfer::send_artifact;
use super::{Answers, artifact_failed, refused, unavailable};
use crate::authorization::peer;
use crate::clearing;
use crate::core::{Core, CoreError};
use crate::gc;

/// Shortest time between two events of a watch.
const WATCH_PACE: Duration = Duration::from_millis(200);

/// See the module.
pub struct SweepsService {
    core: Core,
    artifacts: Artifacts,
    /// What this program was built from, for the provenance of what it takes.
    build: Option<Build>,
    large: LargeAnswers,
}

impl SweepsService {
    /// Returns the service for this core and these artifacts.
    pub fn new(core: Core, artifacts: Artifacts, build: Option<Build>) -> Self {
        Self { core, artifacts, build, large: LargeAnswers::default() }
    }
}

/// Returns a sweep file that is short enough to be read.
fn bounded(spec: String) -> Result<String, Status> {
    if spec.len() <= MAX_SPEC {
        return Ok(spec);
    }
    Err(Status::invalid_argument(format!(
        "a sweep file may have at most {MAX_SPEC} bytes, this one has {}",
        spec.len()
    )))
}

fn unreadable(error: StoreError) -> Status {
    Status::unavailable(error.to_string())
}

fn collect_failed(error: gc::GcError) -> Status {
    match error {
        gc::GcError::Artifacts(error) => artifact_failed(error),
        gc::GcError::Core(error) => unavailable(error),
        gc::GcError::Refused(refusal) => refused(refusal),
    }
}

/// Returns the state of a sweep in brief, with the time that it still needs.
fn shown(engine: &Engine, sweep: &SweepId, now: Millis) -> Result<(SweepStatus, Option<Forecast>), Refusal> {
    Ok((engine.status(sweep, now)?, engine.forecast(sweep, now)))
}

fn extent(smoke: bool) -> Extent {
    if smoke { Extent::Smoke } else { Extent::Whole }
}

#[tonic::async_trait]
impl Sweeps for SweepsService {
    async fn submit(&self, request: Request<pb::SubmitRequest>) -> Result<Response<pb::SubmitReply>, Status> {
        let pb::SubmitRequest { spec, smoke, request_id } = request.into_inner();
        let asked = submit::Asked { spec: bounded(spec)?, extent: extent(smoke), build: self.build.clone() };
        let reply = submit::submit(self.core.clone(), asked).await?;
        tracing::info!(sweep = %reply.sweep, existed = reply.existed, request = %request_id, "sweep submitted");
        Ok(Response::new(reply))
    }

    async fn plan(&self, request: Request<pb::PlanRequest>) -> Result<Response<pb::PlanReply>, Status> {
        let pb::PlanRequest { spec, smoke } = request.into_inner();
        Ok(Response::new(submit::plan(&self.core, bounded(spec)?, extent(smoke)).await?))
    }

    async fn list(&self, _: Request<pb::ListRequest>) -> Result<Response<pb::ListReply>, Status> {
        let sweeps = self.core.call(|engine, now| engine.list(now.mono)).await.map_err(unavailable)?;
        Ok(Response::new(pb::ListReply { sweeps: sweeps.iter().map(messages::summary).collect() }))
    }

    type GetStream = Answers<pb::Chunk>;

    async fn get(&self, request: Request<pb::GetRequest>) -> Result<Response<Self::GetStream>, Status> {
        let turn = self.large.turn(&peer(&request)).await?;
        let pb::GetRequest { sweep, points } = request.into_inner();
        let standing = self
            .core
            .call(move |engine, _| engine.find_sweep(&sweep).and_then(|id| engine.standing(&id)))
            .await
            .map_err(unavailable)?
            .map_err(refused)?;
        let store = self.core.store().clone();
        Ok(Response::new(large::stream(turn, move |out| {
            let mut view = view::view(store.as_ref(), standing).map_err(unreadable)?;
            if points {
                view::add_all_points(&mut view, store.as_ref()).map_err(unreadable)?;
            }
            serde_json::to_writer(out, &view).map_err(|error| Status::unavailable(error.to_string()))
        })))
    }

    type WatchStream = Answers<pb::WatchEvent>;

    async fn watch(&self, request: Request<pb::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let asked = request.into_inner().sweep;
        let id =
            self.core.call(move |engine, _| engine.find_sweep(&asked)).await.map_err(unavailable)?.map_err(refused)?;
        let core = self.core.clone();
        let (events, stream) = tokio::sync::mpsc::channel(4);
        tokio::spawn(async move {
            let (mut changes, mut full) = (core.changes(), core.full());
            let mut last = None;
            loop {
                changes.mark_unchanged();
                let asked = id.clone();
                let event = match core.call(move |engine, now| shown(engine, &asked, now.mono)).await {
                    Ok(Ok((status, forecast))) => Ok(messages::watch_event(status, forecast)),
                    Ok(Err(refusal)) => Err(refused(refusal)),
                    // The stream lasts: its reader waits for the sweep, which continues once there is room.
                    Err(CoreError::Full(_)) => {
                        let room = async { full.wait_for(Option::is_none).await.is_ok() };
                        tokio::select! {
                            _ = events.closed() => return,
                            has_room = room => if !has_room { return },
                        }
                        continue;
                    }
                    Err(error) => Err(unavailable(error)),
                };
                let over = event.as_ref().map_or(true, |event| event.r#final);
                // The time left changes all the time, which alone is no news.
                let news = event.as_ref().ok().map(|event| pb::WatchEvent { left: None, ..event.clone() });
                if news != last || over {
                    last = news;
                    if events.send(event).await.is_err() {
                        return;
                    }
                }
                tokio::select! {
                    _ = events.closed() => return,
                    _ = tokio::time::sleep(WATCH_PACE), if !over => {}
                    else => return,
                }
                if changes.changed().await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn cancel(&self, request: Request<pb::CancelRequest>) -> Result<Response<pb::CancelReply>, Status> {
        let asked = request.into_inner().sweep;
        let reply = self
            .core
            .call(move |engine, _| {
                let id = engine.find_sweep(&asked)?;
                let done = engine.cancel(&id)?;
                Ok::<_, Refusal>(pb::CancelReply {
                    sweep: id.to_string(),
                    cells: done.cells as u32,
                    stages: done.stages as u32,
                })
            })
            .await
            .map_err(unavailable)?
            .map_err(refused)?;
        tracing::info!(sweep = %reply.sweep, cells = reply.cells, "sweep cancelled");
        Ok(Response::new(reply))
    }

    async fn retry(&self, request: Request<pb::RetryRequest>) -> Result<Response<pb::RetryReply>, Status> {
        let asked = request.into_inner().sweep;
        let reply = self
            .core
            .call(move |engine, _| {
                let id = engine.find_sweep(&asked)?;
                let done = engine.retry(&id)?;
                Ok::<_, Refusal>(pb::RetryReply { sweep: id.to_string(), stages: done.stages as u32 })
            })
            .await
            .map_err(unavailable)?
            .map_err(refused)?;
        tracing::info!(sweep = %reply.sweep, stages = reply.stages, "stages reset");
        Ok(Response::new(reply))
    }

    async fn delete(&self, request: Request<pb::DeleteRequest>) -> Result<Response<pb::DeleteReply>, Status> {
        let asked = request.into_inner().sweep;
        let (id, deleted) = self
            .core
            .call(move |engine, _| {
                let id = engine.find_sweep(&asked)?;
                let deleted = engine.delete(&id)?;
                Ok::<_, Refusal>((id, deleted))
            })
            .await
            .map_err(unavailable)?
            .map_err(refused)?;
        let (sweep, cells) = (id.to_string(), deleted.cells as u32);
        tracing::info!(%sweep, cells, "sweep deleted");
        let stages = clearing::clear(&self.core).await.map_err(unavailable)? as u32;
        tracing::info!(%sweep, stages, "stages deleted that no sweep needs");
        Ok(Response::new(pb::DeleteReply { sweep, cells, stages }))
    }

    async fn explain(&self, request: Request<pb::ExplainRequest>) -> Result<Response<pb::ExplainReply>, Status> {
        let cell = request.into_inner().cell;
        let lines = self
            .core
            .call(move |engine, now| engine.explain(&cell, now.mono))
            .await
            .map_err(unavailable)?
            .map_err(refused)?;
        Ok(Response::new(pb::ExplainReply { lines }))
    }

    async fn workers(&self, _: Request<pb::WorkersRequest>) -> Result<Response<pb::WorkersReply>, Status> {
        let workers = self.core.call(|engine, now| engine.workers(now.mono)).await.map_err(unavailable)?;
        Ok(Response::new(pb::WorkersReply { workers: workers.into_iter().map(messages::worker_summary).collect() }))
    }

    async fn verify(&self, request: Request<pb::VerifyRequest>) -> Result<Response<pb::VerifyReply>, Status> {
        let turn = self.large.turn(&peer(&request)).await?;
        let asked = request.into_inner().sweep;
        let (standing, workers) = self
            .core
            .call(move |engine, now| {
                let standing = engine.find_sweep(&asked).and_then(|id| engine.standing(&id))?;
                Ok::<_, Refusal>((standing, engine.workers(now.mono)))
            })
            .await
            .map_err(unavailable)?
            .map_err(refused)?;
        let (store, artifacts) = (self.core.store().clone(), self.artifacts.clone());
        let checked = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let Some(evidence) = verify::collect(store.as_ref(), &standing.id)? else { return Ok(None) };
            let view = view::of_plans(standing, evidence.plans())?;
            let slots = |holder: &Holder| {
                let worker = workers.iter().find(|worker| worker.worker == holder.worker)?;
                let device = worker.offer.devices.iter().find(|device| device.name == holder.device)?;
                Some(device.slots)
            };
            let artifact = |id| artifacts.blocking_read(id).map(drop).map_err(|error| error.to_string());
            Ok::<_, StoreError>(Some(verify::verify(&evidence, &view, &artifact, &slots)))
        });
        let verification = checked
            .await
            .map_err(|error| Status::internal(error.to_string()))?
            .map_err(|error| Status::unavailable(error.to_string()))?
            .ok_or_else(|| Status::not_found("the store has no such sweep"))?;
        let verification_json =
            serde_json::to_string(&verification).map_err(|error| Status::internal(error.to_string()))?;
        Ok(Response::new(pb::VerifyReply { verification_json }))
    }

    type BackupStream = Answers<pb::Chunk>;

    async fn backup(&self, request: Request<pb::BackupRequest>) -> Result<Response<Self::BackupStream>, Status> {
        let turn = self.large.turn(&peer(&request)).await?;
        let store = self.core.store().clone();
        Ok(Response::new(large::stream(turn, move |out| {
            backup::write(store.as_ref(), out).map(drop).map_err(|error| Status::unavailable(error.to_string()))
        })))
    }

    type FetchStream = Answers<pb::Chunk>;

    async fn fetch(&self, request: Request<pb::FetchRequest>) -> Result<Response<Self::FetchStream>, Status> {
        let artifact = parsed(&request.into_inner().artifact, "artifact")?;
        Ok(Response::new(send_artifact(&self.artifacts, artifact).await?))
    }

    type CollectStream = Answers<pb::Collected>;

    async fn collect(&self, request: Request<pb::CollectRequest>) -> Result<Response<Self::CollectStream>, Status> {
        let pb::CollectRequest { dry_run, grace_s } = request.into_inner();
        let mode = if dry_run { gc::Mode::DryRun } else { gc::Mode::Remove };
        let (core, artifacts) = (self.core.clone(), self.artifacts.clone());
        let (events, mut told) = tokio::sync::mpsc::channel(16);
        let (answers, stream) = tokio::sync::mpsc::channel(16);
        tokio::spawn(async move {
            let collecting = gc::collect(&core, &artifacts, Duration::from_secs(grace_s), mode, events);
            let telling = async {
                while let Some(event) = told.recv().await {
                    if let Collected::Garbage(held) = event {
                        tracing::info!(artifact = %held.artifact.short(), bytes = held.bytes, dry_run, "garbage");
                    }
                    if answers.send(Ok(messages::collected(event))).await.is_err() {
                        // The receiver has gone away: closing this end stops the collection.
                        told.close();
                    }
                }
            };
            if let (Err(error), ()) = tokio::join!(collecting, telling) {
                let _ = answers.send(Err(collect_failed(error))).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}
