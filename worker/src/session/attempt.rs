//! One attempt, from grant to its end: prepares the files, drives the trainer, hands over points,
//! checkpoints and the result.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pretext_proto::v1 as pb;
use pretext_shared::dataset::Source;
use pretext_shared::ids::{ArtifactId, AttemptId, Fence};
use pretext_shared::outcome::{ArtifactKind, Failure, FailureCode, StageResult};
use pretext_shared::stage::Stage;
use pretext_shared::trainer::{CheckpointPolicy, Finished, Order, Report, Run};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::link::Link;
use super::outbox::Outbox;
use super::process::{Trainer, TrainerError};
use super::slot::SlotPlan;
use super::transfer::{self, TransferError, attempt_message};
use super::{Held, Shared, Verdict, becomes};

/// How long a trainer that was told to stop may take for its last step and checkpoint.
const STOP_PATIENCE: Duration = Duration::from_secs(8);

/// How long a daemon that is stopping tries to hand over the end of an attempt.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A grant that has been read.
struct Granted {
    attempt: AttemptId,
    stage: Stage,
    source: Source,
    policy: CheckpointPolicy,
    parent: Option<ArtifactId>,
    /// The registered checkpoint, with its step.
    resume_from: Option<(ArtifactId, u64)>,
}

/// How an attempt ended on this machine.
enum End {
    /// The stage is done.
    Finished(Box<Finished>),
    /// The trainer stopped when it was told to.
    Stopped,
    /// The attempt failed.
    Failed(Failure),
}

/// Runs an attempt. Returns the trainer if it can be used again.
pub(super) async fn run(
    shared: &Shared,
    plan: &SlotPlan,
    trainer: Option<Trainer>,
    grant: pb::Grant,
) -> Option<Trainer> {
    let granted = match read(grant) {
        Ok(granted) => granted,
        Err(sentence) => {
            tracing::error!(%sentence, "a grant could not be read; its lease will expire");
            tokio::time::sleep(Duration::from_secs(1)).await;
            return trainer;
        }
    };
    let attempt = granted.attempt;
    let (verdict, verdicts) = watch::channel(Verdict::Continue);
    shared.held().insert(attempt, Held { device: plan.device.clone(), step: 0, images: 0, verdict });
    tracing::info!(%attempt, kind = granted.stage.spec.kind().as_str(), device = %plan.device, "stage begins");
    let mut course =
        Course { shared, plan, granted, verdicts, outbox: Outbox::new(shared.link.clone(), attempt), upload: None };
    shared.supersede(attempt).await;
    let (end, trainer) = course.drive(trainer).await;
    // At a shutdown nobody waits for a coordinator that does not answer: the lease expires by itself, and the
    // stage goes on from its newest checkpoint.
    let mut stopping = shared.stopping.clone();
    let patience = async {
        becomes(&mut stopping, |stop| *stop).await;
        tokio::time::sleep(LAST_WORDS).await;
    };
    tokio::select! {
        () = course.conclude(end) => {}
        () = patience => tracing::warn!(%attempt, "the coordinator did not hear the end of this attempt"),
    }
    shared.held().remove(&attempt);
    shared.ended.notify_waiters();
    trainer
}

fn read(grant: pb::Grant) -> Result<Granted, String> {
    let attempt = grant.attempt.ok_or("no attempt")?;
    let artifact = |text: &str| match text {
        "" => Ok(None),
        text => text.parse::<ArtifactId>().map(Some).map_err(|error| error.to_string()),
    };
    Ok(Granted {
        attempt: AttemptId {
            stage: attempt.stage.parse().map_err(|error| format!("stage: {error}"))?,
            fence: Fence(attempt.fence),
        },
        stage: serde_json::from_str(&grant.stage_json).map_err(|error| format!("stage: {error}"))?,
        source: serde_json::from_str(&grant.source_json).map_err(|error| format!("source: {error}"))?,
        policy: serde_json::from_str(&grant.checkpoint_json).map_err(|error| format!("checkpoint: {error}"))?,
        parent: artifact(&grant.parent_model)?,
        resume_from: artifact(&grant.resume_from)?.map(|artifact| (artifact, grant.resume_step)),
    })
}

/// An attempt under way.
struct Course<'a> {
    shared: &'a Shared,
    plan: &'a SlotPlan,
    granted: Granted,
    verdicts: watch::Receiver<Verdict>,
    outbox: Outbox,
    /// The checkpoint upload in flight: at most one, the next checkpoint waits for none.
    upload: Option<JoinHandle<()>>,
}

impl Course<'_> {
    fn folder(&self) -> PathBuf {
        self.shared.options.state_dir.join("stages").join(self.granted.attempt.stage.to_string())
    }

    async fn drive(&mut self, trainer: Option<Trainer>) -> (End, Option<Trainer>) {
        let mut stopping = self.shared.stopping.clone();
        let prepared = tokio::select! {
            prepared = self.prepare() => prepared,
            () = becomes(&mut stopping, |stop| *stop) => return (End::Stopped, trainer),
        };
        let order = match prepared {
            Ok(order) => order,
            Err(error) => return (End::Failed(failure(FailureCode::Storage, error.to_string(), Vec::new())), trainer),
        };
        let mut trainer = match self.ready(trainer).await {
            Ok(trainer) => trainer,
            Err(end) => return (end, None),
        };
        trainer.clear_log();
        if let Err(error) = trainer.order(&order).await {
            return (lost(trainer, &error).await, None);
        }
        self.follow(trainer).await
    }

    /// Brings what the trainer needs onto this machine's disk.
    async fn prepare(&self) -> Result<Order, TransferError> {
        let folder = self.folder();
        let models = self.shared.options.state_dir.join("models");
        for folder in [&folder, &models] {
            tokio::fs::create_dir_all(folder).await.map_err(|cause| TransferError::Disk {
                action: "make",
                path: folder.clone(),
                cause,
            })?;
        }
        let parent = match self.granted.parent {
            Some(artifact) => {
                let path = models.join(format!("{artifact}.model"));
                transfer::download(&self.shared.link, artifact, &path).await?;
                Some(path)
            }
            None => None,
        };
        if let Some((artifact, step)) = self.granted.resume_from {
            let path = folder.join(crate::checkpoint::file_name(step));
            // Without it the stage begins at an older checkpoint or at step 0: slower, not wrong.
            if let Err(error) = transfer::download(&self.shared.link, artifact, &path).await {
                tracing::warn!(attempt = %self.granted.attempt, %error, "the registered checkpoint could not be fetched");
            }
        }
        Ok(Order::Run(Box::new(Run {
            stage: self.granted.stage.clone(),
            source: self.granted.source.clone(),
            data_root: self.shared.options.data_root.clone(),
            folder,
            parent,
            checkpoint: self.granted.policy,
        })))
    }

    /// A trainer that has opened its device: the slot's, or a new one.
    async fn ready(&self, trainer: Option<Trainer>) -> Result<Trainer, End> {
        if let Some(trainer) = trainer {
            return Ok(trainer);
        }
        let mut trainer = Trainer::start(self.plan)
            .map_err(|error| End::Failed(failure(FailureCode::Crashed, error.to_string(), Vec::new())))?;
        match trainer.report().await {
            Ok(Report::Ready) => Ok(trainer),
            Ok(Report::Failed(failure)) => Err(with_log(failure, trainer).await),
            Ok(other) => {
                let error = TrainerError::Garbled(format!("{other:?} before it was ready"));
                Err(lost(trainer, &error).await)
            }
            Err(error) => Err(lost(trainer, &error).await),
        }
    }

    /// Follows the trainer's reports until the stage ends, one way or another.
    async fn follow(&mut self, mut trainer: Trainer) -> (End, Option<Trainer>) {
        let mut stopping = self.shared.stopping.clone();
        let mut verdicts = self.verdicts.clone();
        let mut deadline: Option<tokio::time::Instant> = None;
        loop {
            let told = deadline.is_some();
            let report = tokio::select! {
                report = trainer.report() => report,
                () = becomes(&mut stopping, |stop| *stop), if !told => {
                    deadline = Some(self.tell_to_stop(&mut trainer).await);
                    continue;
                }
                () = becomes(&mut verdicts, |verdict| *verdict != Verdict::Continue), if !told => {
                    deadline = Some(self.tell_to_stop(&mut trainer).await);
                    continue;
                }
                _ = tokio::time::sleep_until(deadline.unwrap_or_else(tokio::time::Instant::now)), if told => {
                    tracing::warn!(attempt = %self.granted.attempt, "the trainer did not stop in time; its newest checkpoint stands");
                    trainer.kill().await;
                    return (End::Stopped, None);
                }
            };
            match report {
                Ok(Report::Ready | Report::Started { .. }) => {}
                Ok(Report::Points { points }) => self.outbox.push(&points),
                Ok(Report::Progress { step, images }) => self.progress(step, images),
                Ok(Report::Checkpoint { path, step }) => self.keep(path, step),
                Ok(Report::Finished(finished)) => return (End::Finished(finished), Some(trainer)),
                Ok(Report::Stopped { .. }) => return (End::Stopped, Some(trainer)),
                Ok(Report::Failed(failure)) => return (with_log(failure, trainer).await, None),
                Err(error) => return (lost(trainer, &error).await, None),
            }
        }
    }

    async fn tell_to_stop(&self, trainer: &mut Trainer) -> tokio::time::Instant {
        // If it cannot be told any more, its next report says so.
        let _ = trainer.order(&Order::Stop).await;
        tokio::time::Instant::now() + STOP_PATIENCE
    }

    fn progress(&self, step: u64, images: u64) {
        if let Some(held) = self.shared.held().get_mut(&self.granted.attempt) {
            (held.step, held.images) = (step, images);
        }
    }

    /// Uploads and registers a checkpoint in the background; one that comes while another is on its way
    /// is skipped (it is on the disk here, and the next one is newer).
    fn keep(&mut self, path: PathBuf, step: u64) {
        if self.upload.as_ref().is_some_and(|upload| !upload.is_finished()) {
            return;
        }
        let sequence = self.outbox.next();
        let (link, attempt) = (self.shared.link.clone(), self.granted.attempt);
        self.upload = Some(tokio::spawn(async move {
            if let Err(error) = register_checkpoint(&link, attempt, &path, step, sequence).await {
                tracing::warn!(%attempt, step, %error, "a checkpoint was not registered; it stays on this machine");
            }
        }));
    }

    /// Tells the coordinator how it ended. Whatever it refuses is over: somebody else has the stage.
    async fn conclude(mut self, end: End) {
        let attempt = self.granted.attempt;
        let mut verdicts = self.verdicts.clone();
        let over = verdicts.borrow().to_owned();
        let told = match (end, over) {
            (_, Verdict::Superseded) => {
                tracing::warn!(%attempt, "the stage is somebody else's now; this attempt is dropped");
                return;
            }
            (End::Finished(finished), _) => {
                tokio::select! {
                    told = self.hand_over(*finished) => told,
                    () = becomes(&mut verdicts, |verdict| *verdict != Verdict::Continue) => Err("it was superseded".to_owned()),
                }
            }
            (End::Failed(failure), _) => {
                tracing::warn!(%attempt, code = failure.code.as_str(), message = %failure.message, "attempt failed");
                // Points that are on their way belong to the evidence.
                let _ = tokio::time::timeout(Duration::from_secs(5), self.outbox.flushed(self.outbox.next())).await;
                self.fail(failure).await
            }
            (End::Stopped, Verdict::Cancelled) => {
                tracing::info!(%attempt, "cancelled");
                return;
            }
            (End::Stopped, _) => self.release().await,
        };
        if let Err(reason) = told {
            tracing::warn!(%attempt, %reason, "the coordinator did not take the end of this attempt");
        }
    }

    /// Uploads the outputs and completes the stage. Outputs that cannot be stored (a full disk there) fail the
    /// attempt: another one may find room.
    async fn hand_over(&self, finished: Finished) -> Result<(), String> {
        let attempt = self.granted.attempt;
        let mut artifacts = BTreeMap::new();
        for (kind, path) in &finished.files {
            match transfer::upload(&self.shared.link, attempt, *kind, path).await {
                Ok(artifact) => artifacts.insert(*kind, artifact),
                Err(error) => {
                    let message = format!("the {} could not be stored: {error}", kind.as_str());
                    return self.fail(failure(FailureCode::Storage, message, Vec::new())).await;
                }
            };
        }
        self.complete(finished, artifacts).await
    }

    async fn complete(&self, finished: Finished, artifacts: BTreeMap<ArtifactKind, ArtifactId>) -> Result<(), String> {
        let link = &self.shared.link;
        let attempt = self.granted.attempt;
        let sequence = self.outbox.next();
        self.outbox.flushed(sequence).await?;
        let result = StageResult {
            selected_epoch: finished.selected_epoch,
            score: finished.score,
            steps: finished.steps,
            images: finished.images,
            artifacts,
            device: self.plan.label.clone(),
            seconds: finished.seconds,
        };
        let result_json = serde_json::to_string(&result).map_err(|error| error.to_string())?;
        let request =
            pb::CompleteRequest { attempt: Some(attempt_message(attempt)), result_json, next_sequence: sequence };
        link.persist("complete", || {
            let (mut client, request) = (link.client(), request.clone());
            async move { client.complete(request).await }
        })
        .await
        .map_err(|status| status.message().to_owned())?;
        tracing::info!(%attempt, seconds = finished.seconds, "stage done");
        // The results are with the coordinator; what is left here is only in the way.
        if let Err(error) = tokio::fs::remove_dir_all(self.folder()).await {
            tracing::warn!(%error, "could not remove the folder of a finished stage");
        }
        Ok(())
    }

    async fn fail(&self, failure: Failure) -> Result<(), String> {
        let link = &self.shared.link;
        let request = pb::FailRequest {
            attempt: Some(attempt_message(self.granted.attempt)),
            code: failure.code.as_str().to_owned(),
            message: failure.message,
            log: failure.log,
        };
        link.persist("fail", || {
            let (mut client, request) = (link.client(), request.clone());
            async move { client.fail(request).await }
        })
        .await
        .map(drop)
        .map_err(|status| status.message().to_owned())
    }

    /// Gives the lease back at a shutdown, after the last checkpoint had a moment to get away.
    async fn release(&mut self) -> Result<(), String> {
        if let Some(upload) = self.upload.take() {
            let _ = tokio::time::timeout(Duration::from_secs(5), upload).await;
        }
        let link = &self.shared.link;
        let request = pb::ReleaseRequest { attempt: Some(attempt_message(self.granted.attempt)) };
        let call = link.persist("release", || {
            let (mut client, request) = (link.client(), request.clone());
            async move { client.release(request).await }
        });
        match tokio::time::timeout(Duration::from_secs(2), call).await {
            Ok(answer) => answer.map(drop).map_err(|status| status.message().to_owned()),
            Err(_) => Err("it did not answer; the lease will expire".to_owned()),
        }
    }
}

/// A failure with the last lines of its trainer, which is of no more use.
async fn with_log(mut failure: Failure, trainer: Trainer) -> End {
    failure.log = trainer.last_lines().await;
    End::Failed(failure)
}

async fn lost(trainer: Trainer, error: &TrainerError) -> End {
    with_log(failure(FailureCode::Crashed, error.to_string(), Vec::new()), trainer).await
}

fn failure(code: FailureCode, message: String, log: Vec<String>) -> Failure {
    Failure { code, message, log }
}

async fn register_checkpoint(
    link: &Link,
    attempt: AttemptId,
    path: &Path,
    step: u64,
    next_sequence: u64,
) -> Result<(), TransferError> {
    let artifact = transfer::upload(link, attempt, ArtifactKind::Checkpoint, path).await?;
    let request = pb::RegisterCheckpointRequest {
        attempt: Some(attempt_message(attempt)),
        artifact: artifact.to_string(),
        step,
        next_sequence,
    };
    link.persist("register checkpoint", || {
        let (mut client, request) = (link.client(), request.clone());
        async move {
            match client.register_checkpoint(request).await {
                // Points that it depends on are still on their way.
                Err(status) if status.code() == tonic::Code::OutOfRange => {
                    Err(tonic::Status::unavailable("points are missing"))
                }
                other => other,
            }
        }
    })
    .await
    .map(drop)
    .map_err(|status| TransferError::Refused(status.message().to_owned()))
}
