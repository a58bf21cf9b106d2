//! One attempt, from grant to end: prepares its files, drives the trainer, and writes the trainer's reports to the
//! spool, from where they are handed over.

use std::time::Duration;

use pretext_proto::v1 as pb;
use pretext_shared::outcome::{Failure, FailureCode};
use pretext_shared::trainer::{Order, Report, Run};
use tokio::sync::watch;

use super::cache::Hold;
use super::handover::Handover;
use super::messages::{self, Granted};
use super::process::{Signal, Trainer, TrainerError};
use super::slot::SlotPlan;
use super::transfer::{self, TransferError};
use super::{HANDED_OVER_WITHIN, Held, Shared, TRAINERS_STOP_WITHIN, Verdict, becomes, stopped};
use crate::refusal::Refused;
use crate::spool::{Ending, Entry, Opening};

/// Longest time that the trainer of an ended attempt may take for its last step.
const STOP_PATIENCE: Duration = Duration::from_secs(8);

/// The inputs of an attempt.
struct Prepared {
    order: Order,
    data: Option<Hold>,
}

/// How an attempt ended on this machine.
enum End {
    /// The trainer reported the end of the stage.
    Ended(Ending),
    /// The trainer was stopped.
    Stopped,
}

/// Runs an attempt. Returns the trainer if it can be reused.
pub(super) async fn run(
    shared: &Shared,
    plan: &SlotPlan,
    trainer: Option<Trainer>,
    grant: pb::Grant,
) -> Option<Trainer> {
    let granted = match messages::granted(grant) {
        Ok(granted) => granted,
        Err(sentence) => {
            tracing::error!(%sentence, "a grant could not be read and is ignored; its lease will expire");
            tokio::time::sleep(Duration::from_secs(1)).await;
            return trainer;
        }
    };
    let attempt = granted.claim.attempt;
    let (verdict, verdicts) = watch::channel(Verdict::Continue);
    let (proof, device) = (granted.claim.proof.clone(), plan.device.clone());
    shared.held().insert(attempt, Held { proof, device, step: 0, images: 0, verdict });
    let resume_step = granted.resume_from.map(|(_, step)| step);
    tracing::info!(%attempt, kind = granted.stage.spec.kind().as_str(), device = %plan.device, resume_step, "stage begins");
    let handover = Handover::new(shared, granted.claim.clone(), &plan.label);
    let mut course = Course { shared, plan, granted, verdicts, handover };
    let overdue = overdue(shared, course.verdicts.clone());
    let (end, trainer) = tokio::select! {
        ended = course.drive(trainer) => ended,
        () = overdue => {
            // Dropping the future with everything that waits in it kills the process.
            tracing::warn!(%attempt, "the trainer did not stop in time and is killed; its newest checkpoint is kept");
            (End::Stopped, None)
        }
    };
    // At a shutdown the worker does not wait for a coordinator that does not answer. The spool keeps what the
    // coordinator did not hear, and the next daemon hands it over.
    let patience = async {
        tokio::time::sleep_until(stopped(shared).await + HANDED_OVER_WITHIN).await;
    };
    tokio::select! {
        () = course.conclude(end) => {}
        () = patience => tracing::warn!(%attempt, "the end of this attempt has not reached the coordinator; it stays in the spool"),
    }
    shared.held().remove(&attempt);
    shared.ended.notify_waiters();
    trainer
}

/// Returns when the trainer's time to stop has run out, after the daemon or its attempt was told to stop.
async fn overdue(shared: &Shared, mut verdicts: watch::Receiver<Verdict>) {
    let shutdown = async { tokio::time::sleep_until(stopped(shared).await + TRAINERS_STOP_WITHIN).await };
    let verdict = async {
        becomes(&mut verdicts, |verdict| *verdict != Verdict::Continue).await;
        tokio::time::sleep(STOP_PATIENCE).await;
    };
    tokio::select! {
        () = shutdown => {}
        () = verdict => {}
    }
}

/// An attempt in progress.
struct Course<'a> {
    shared: &'a Shared,
    plan: &'a SlotPlan,
    granted: Granted,
    verdicts: watch::Receiver<Verdict>,
    handover: Handover<'a>,
}

impl Course<'_> {
    async fn drive(&mut self, trainer: Option<Trainer>) -> (End, Option<Trainer>) {
        let prepared = tokio::select! {
            prepared = self.prepare() => prepared,
            _ = stopped(self.shared) => return (End::Stopped, trainer),
        };
        // The hold on the data cache lasts until this returns.
        let Prepared { order, data: _data } = match prepared {
            Ok(prepared) => prepared,
            Err(end) => return (end, trainer),
        };
        let ready = tokio::select! {
            ready = self.ready(trainer) => ready,
            _ = stopped(self.shared) => return (End::Stopped, None),
        };
        let mut trainer = match ready {
            Ok(trainer) => trainer,
            Err(end) => return (end, None),
        };
        trainer.clear_log();
        if let Err(error) = trainer.order(&order).await {
            return (lost(trainer, &error).await, None);
        }
        self.follow(trainer).await
    }

    /// Brings everything that the trainer needs to this machine's disk.
    async fn prepare(&self) -> Result<Prepared, End> {
        let storage = |error: TransferError| failed(FailureCode::Storage, error.to_string());
        let opening = Opening { device: self.plan.label.clone(), proof: self.granted.claim.proof.clone() };
        self.handover.keep(Entry::Begin(self.granted.claim.attempt, opening)).await;
        self.shared.supersede(self.granted.claim.attempt).await;
        let folder = self.handover.folder();
        let models = self.shared.options.state_dir.join("models");
        for folder in [&folder, &models] {
            transfer::make_folder(folder).await.map_err(storage)?;
        }
        let parent = match self.granted.parent {
            Some(artifact) => {
                let path = models.join(format!("{artifact}.model"));
                transfer::download(&self.shared.link, artifact, &path).await.map_err(storage)?;
                Some(path)
            }
            None => None,
        };
        // Takes the newest checkpoint that can be fetched. Without it the stage begins at an older one or at step 0,
        // which costs time and changes no result.
        for (artifact, step) in self.granted.resume_from.iter().chain(&self.granted.predecessors) {
            let path = folder.join(pretext_shared::checkpoint::file_name(*step));
            match transfer::download(&self.shared.link, *artifact, &path).await {
                Ok(()) => break,
                Err(error) => {
                    tracing::warn!(attempt = %self.granted.claim.attempt, step, %error, "a registered checkpoint could not be fetched; trying an older one");
                }
            }
        }
        let source = &self.granted.source;
        let data = match self.granted.packing {
            None => None,
            Some(packing) => {
                let fingerprint = self.granted.stage.spec.data().fingerprint;
                let held = loop {
                    match self.shared.cache.hold(&self.shared.link, fingerprint, packing, source).await {
                        Err(error) if error.is_full() => {
                            tracing::error!(%error, "the disk is full: waiting until there is room for the data");
                            tokio::time::sleep(transfer::NO_ROOM).await;
                        }
                        held => break held,
                    }
                };
                Some(held.map_err(|error| failed(error.code(), error.to_string()))?)
            }
        };
        let order = Order::Run(Box::new(Run {
            stage: self.granted.stage.clone(),
            source: data.as_ref().map_or_else(|| source.clone(), |held| held.source(source)),
            data_root: self.shared.options.data_root.clone(),
            fetched: data.as_ref().map(|held| held.root.clone()),
            folder,
            weights: self.granted.weights.clone(),
            parent,
            checkpoint: self.granted.policy,
        }));
        Ok(Prepared { order, data })
    }

    /// Returns a trainer that has opened its device: the slot's trainer, or a new one.
    async fn ready(&self, trainer: Option<Trainer>) -> Result<Trainer, End> {
        if let Some(trainer) = trainer {
            return Ok(trainer);
        }
        let mut trainer = Trainer::start(self.plan).map_err(|error| failed(FailureCode::Crashed, error.to_string()))?;
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

    /// Follows the trainer's reports until the stage ends.
    async fn follow(&mut self, mut trainer: Trainer) -> (End, Option<Trainer>) {
        let mut verdicts = self.verdicts.clone();
        let (mut told, mut orphaned) = (false, false);
        loop {
            let report = tokio::select! {
                report = trainer.report() => report,
                _ = stopped(self.shared), if !told => {
                    told = true;
                    tell_to_stop(&mut trainer).await;
                    continue;
                }
                () = becomes(&mut verdicts, |verdict| *verdict != Verdict::Continue), if !told => {
                    told = true;
                    tell_to_stop(&mut trainer).await;
                    continue;
                }
                refused = self.handover.orphaned(), if !orphaned => {
                    orphaned = true;
                    tracing::warn!(attempt = %self.granted.claim.attempt, reason = %refused, "this attempt cannot continue; it is stopped");
                    if let Refused::Invalid(reason) = refused {
                        let failure = self.handover.invalid(&reason, None).await;
                        return (with_log(failure, trainer).await, None);
                    }
                    if let Some(held) = self.shared.held().get(&self.granted.claim.attempt) {
                        held.judge(Verdict::Superseded);
                    }
                    continue;
                }
            };
            match report {
                Ok(Report::Ready | Report::Started { .. }) => {}
                Ok(Report::Points { points }) => {
                    if let Err(error) = self.handover.outbox.push(&points).await {
                        return (failed(FailureCode::Storage, error.to_string()), None);
                    }
                }
                Ok(Report::Progress { step, images }) => self.progress(step, images),
                Ok(Report::Checkpoint { path, step }) => self.handover.checkpoint(path, step).await,
                Ok(Report::Finished(finished)) => {
                    let next_sequence = self.handover.outbox.next();
                    return (End::Ended(Ending::Finished { finished: *finished, next_sequence }), Some(trainer));
                }
                Ok(Report::Stopped { .. }) if told => return (End::Stopped, Some(trainer)),
                // A signal stopped the trainer before this daemon asked: the process ends now.
                Ok(Report::Stopped { .. }) => return (End::Stopped, None),
                Ok(Report::Failed(failure)) => return (with_log(failure, trainer).await, None),
                // While this daemon stops, a signal for everyone may be faster than its own order.
                Err(TrainerError::Killed(_)) if told => return (End::Stopped, None),
                Err(error) => return (lost(trainer, &error).await, None),
            }
        }
    }

    fn progress(&self, step: u64, images: u64) {
        tracing::trace!(attempt = %self.granted.claim.attempt, step, images, "progress");
        if let Some(held) = self.shared.held().get_mut(&self.granted.claim.attempt) {
            (held.step, held.images) = (step, images);
        }
    }

    /// Tells the coordinator how the attempt ended. If the coordinator refuses, another attempt has the stage.
    async fn conclude(self, end: End) {
        let attempt = self.granted.claim.attempt;
        let mut verdicts = self.verdicts.clone();
        let over = verdicts.borrow().to_owned();
        let ending = match (end, over) {
            (_, Verdict::Superseded) => {
                tracing::warn!(%attempt, "the attempt is superseded and is dropped");
                return self.handover.abandon().await;
            }
            (End::Stopped, Verdict::Cancelled) => {
                tracing::info!(%attempt, "cancelled");
                return self.handover.forget().await;
            }
            (End::Stopped, Verdict::Continue) => return self.handover.release().await,
            (End::Ended(ending), _) => ending,
        };
        if let Ending::Failed { failure } = &ending {
            tracing::warn!(%attempt, code = failure.code.as_str(), message = %failure.message, "attempt failed");
        }
        let spool = self.shared.spool.clone();
        tokio::select! {
            () = self.handover.end(ending) => {}
            () = becomes(&mut verdicts, |verdict| *verdict != Verdict::Continue) => {
                tracing::warn!(%attempt, "the attempt is superseded; its end is dropped");
                if let Err(error) = spool.write(Entry::Forget(attempt)).await {
                    tracing::warn!(%attempt, %error, "the spool is closed; the end of this attempt is lost");
                }
            }
        }
    }
}

async fn tell_to_stop(trainer: &mut Trainer) {
    // If the order cannot be sent, the next report says why.
    let _ = trainer.order(&Order::Stop).await;
}

/// Returns a failure with the last lines of its trainer, which is not reused.
async fn with_log(mut failure: Failure, trainer: Trainer) -> End {
    failure.log = trainer.last_lines().await;
    End::Ended(Ending::Failed { failure })
}

/// Returns how an attempt ends whose trainer ended. A signal from outside is a stop or a loss, not a crash of the program.
async fn lost(trainer: Trainer, error: &TrainerError) -> End {
    let code = match error {
        TrainerError::Killed(Signal::Stop(_)) => return End::Stopped,
        TrainerError::Killed(Signal::Kill) => FailureCode::Lost,
        TrainerError::Killed(Signal::OutOfMemory | Signal::NoMemory) => FailureCode::OutOfMemory,
        TrainerError::Start(_) | TrainerError::Ended(_) | TrainerError::Garbled(_) => FailureCode::Crashed,
    };
    with_log(Failure { code, message: error.to_string(), log: Vec::new() }, trainer).await
}

fn failed(code: FailureCode, message: String) -> End {
    End::Ended(Ending::Failed { failure: Failure { code, message, log: Vec::new() } })
}
