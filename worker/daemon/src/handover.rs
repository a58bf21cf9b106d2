//! Hands over what an attempt left: its points, its newest checkpoint and its end. This works the same for an attempt
//! that ends now and for one that an earlier run of the daemon left in the spool. The coordinator accepts it if the
//! attempt's fence still holds. Only an attempt that is superseded is dropped: what the coordinator cannot take now is
//! sent again, and a copy of what it finds invalid stays on this machine.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;

use pretext_client::Backoff;
use pretext_proto::refusal::{self, Kind};
use pretext_shared::claim::Claim;
use pretext_shared::ids::ArtifactId;
use pretext_shared::outcome::{ArtifactKind, Failure, FailureCode};
use pretext_shared::trainer::Finished;
use tonic::Status;

use super::outbox::Outbox;
use super::registrar::Registrar;
use super::transfer::{self, TransferError};
use super::{Shared, messages};
use crate::kept::{self, Copy};
use crate::refusal::Refused;
use crate::spool::{Batch, Ending, Entry, Left, Saved};

/// The handover of one attempt.
pub(super) struct Handover<'a> {
    shared: &'a Shared,
    claim: Claim,
    /// The device that the attempt ran on.
    device: String,
    pub(super) outbox: Outbox,
    registrar: Registrar,
}

impl<'a> Handover<'a> {
    /// Returns the handover of an attempt that begins.
    pub(super) fn new(shared: &'a Shared, claim: Claim, device: &str) -> Self {
        Self::of(shared, claim, device.to_owned(), (0, 0), None)
    }

    fn of(shared: &'a Shared, claim: Claim, device: String, batches: (u64, u64), saved: Option<Saved>) -> Self {
        let (link, spool) = (&shared.link, &shared.spool);
        let outbox = Outbox::new(link.clone(), spool.clone(), claim.clone(), batches);
        let acknowledged = outbox.acknowledged().clone();
        let registrar = Registrar::new(link.clone(), spool.clone(), claim.clone(), saved, acknowledged);
        Self { shared, claim, device, outbox, registrar }
    }

    /// Returns the folder of the stage's checkpoints and outputs.
    pub(super) fn folder(&self) -> PathBuf {
        self.shared.options.state_dir.join("stages").join(self.claim.attempt.stage.to_string())
    }

    /// Spools a checkpoint and registers it in the background.
    pub(super) async fn checkpoint(&self, path: PathBuf, step: u64) {
        let saved = Saved { path, step, next_sequence: self.outbox.next() };
        self.keep(Entry::Checkpoint(self.claim.attempt, saved.clone())).await;
        self.registrar.keep(saved);
    }

    /// Spools `entry`. The spool is closed only while the daemon ends.
    pub(super) async fn keep(&self, entry: Entry) {
        if let Err(error) = self.shared.spool.write(entry).await {
            tracing::warn!(attempt = %self.claim.attempt, %error, "the spool is closed; the daemon is ending");
        }
    }

    /// Spools the end of the attempt and tells the coordinator.
    pub(super) async fn end(self, ending: Ending) {
        self.keep(Entry::End(self.claim.attempt, ending.clone())).await;
        tracing::info!(attempt = %self.claim.attempt, "the trainer is done; handing over its results");
        self.tell(ending).await;
    }

    async fn tell(self, ending: Ending) {
        let told = match &ending {
            Ending::Finished { finished, next_sequence } => self.finish(finished, *next_sequence).await,
            Ending::Failed { failure } => {
                // Points that are still to be sent belong to the evidence. Refused points do not hide the failure.
                match self.outbox.flushed(self.outbox.next()).await {
                    Ok(()) | Err(Refused::Invalid(_)) => self.fail(failure.clone()).await,
                    Err(superseded) => Err(superseded),
                }
            }
        };
        let told = match (told, &ending) {
            (Err(Refused::Invalid(reason)), Ending::Finished { .. }) => {
                let failure = self.invalid(&reason, Some(&ending)).await;
                self.fail(failure).await
            }
            (told, _) => told,
        };
        self.conclude(told, Some(&ending)).await;
    }

    /// Gives the lease back, after everything else of the attempt was handed over.
    pub(super) async fn release(self) {
        let told = match self.outbox.flushed(self.outbox.next()).await {
            Ok(()) => {
                self.registrar.settled().await;
                let link = &self.shared.link;
                let request = messages::release(&self.claim);
                link.persist("release", |mut client| {
                    let request = request.clone();
                    async move { client.release(request).await }
                })
                .await
                .map(drop)
                .map_err(|status| Refused::of(&status))
            }
            Err(refused) => Err(refused),
        };
        self.conclude(told, None).await;
    }

    /// Drops the attempt and tells the coordinator once. A coordinator whose store was set back believes that the
    /// attempt still runs. Without this call it would wait for the lease to expire and count this worker as lost.
    pub(super) async fn abandon(self) {
        let request = messages::release(&self.claim);
        if let Err(status) = self.shared.link.call(|mut client| async move { client.release(request).await }).await {
            tracing::debug!(attempt = %self.claim.attempt, error = status.message(), "the coordinator does not hold this attempt");
        }
        self.forget().await;
    }

    /// Waits until the coordinator refuses points of the attempt, or misses some that it had acknowledged, and returns
    /// the refusal. The attempt cannot continue then.
    pub(super) async fn orphaned(&self) -> Refused {
        tokio::select! {
            refused = self.outbox.acknowledged().refused() => refused,
            reason = self.registrar.orphaned() => Refused::Superseded(reason),
        }
    }

    /// Keeps a copy of what the coordinator refused as invalid, and returns the failure of the attempt.
    pub(super) async fn invalid(&self, reason: &str, ending: Option<&Ending>) -> Failure {
        let copy = Copy {
            claim: self.claim.clone(),
            device: self.device.clone(),
            reason: reason.to_owned(),
            points: self.spooled().await,
            ending: ending.cloned(),
        };
        let place = match kept::keep(&self.shared.options.state_dir, copy).await {
            Ok(folder) => {
                format!("a copy is kept in {} on worker {}", folder.display(), self.shared.options.worker.name)
            }
            Err(error) => format!("no copy could be kept: {error}"),
        };
        tracing::error!(attempt = %self.claim.attempt, reason, place, "the coordinator refused this attempt as invalid");
        let message = format!("the coordinator refused it as invalid: {reason}; {place}");
        Failure { code: FailureCode::Invalid, message, log: Vec::new() }
    }

    /// Returns all points that the coordinator has not acknowledged.
    async fn spooled(&self) -> Vec<Batch> {
        let (spool, mut all) = (&self.shared.spool, Vec::<Batch>::new());
        loop {
            let from = all.last().map_or(0, |batch| batch.sequence + 1);
            match spool.read(self.claim.attempt, from).await {
                Ok(more) if !more.is_empty() => all.extend(more),
                // The spool is closed only while the daemon ends.
                Ok(_) | Err(_) => return all,
            }
        }
    }

    /// Drops the attempt: it is superseded.
    pub(super) async fn forget(self) {
        self.keep(Entry::Forget(self.claim.attempt)).await;
    }

    async fn conclude(self, told: Result<(), Refused>, ending: Option<&Ending>) {
        let attempt = self.claim.attempt;
        match told {
            Ok(()) => {}
            Err(Refused::Superseded(reason)) => {
                tracing::warn!(%attempt, %reason, "the attempt is superseded; its end is dropped");
            }
            // The failure itself was refused: its lease expires, and the copy is the evidence.
            Err(Refused::Invalid(reason)) => drop(self.invalid(&reason, ending).await),
        }
        self.forget().await;
    }

    /// Uploads the outputs and completes the stage. If the coordinator refuses the outputs (they are too large), the
    /// attempt fails. If they were removed before the stage referred to them, they are uploaded again.
    async fn finish(&self, finished: &Finished, next_sequence: u64) -> Result<(), Refused> {
        let mut backoff = Backoff::default();
        loop {
            let artifacts = match self.upload(finished).await {
                Ok(artifacts) => artifacts,
                Err((_, TransferError::Refused(refused @ Refused::Superseded(_)))) => return Err(refused),
                Err((kind, error)) => {
                    let message = format!("the {} could not be stored: {error}", kind.as_str());
                    return self.fail(Failure { code: FailureCode::Storage, message, log: Vec::new() }).await;
                }
            };
            self.outbox.flushed(next_sequence).await?;
            let Err(status) = self.complete(finished, artifacts, next_sequence).await else { return Ok(()) };
            if refusal::kind(&status) != Kind::Precondition {
                return Err(Refused::of(&status));
            }
            tracing::info!(attempt = %self.claim.attempt, reason = status.message(), "uploading the outputs again");
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    async fn upload(
        &self,
        finished: &Finished,
    ) -> Result<BTreeMap<ArtifactKind, ArtifactId>, (ArtifactKind, TransferError)> {
        let mut artifacts = BTreeMap::new();
        for (kind, path) in &finished.files {
            let uploaded = transfer::upload(&self.shared.link, &self.claim, *kind, path).await;
            artifacts.insert(*kind, uploaded.map_err(|error| (*kind, error))?);
        }
        Ok(artifacts)
    }

    async fn complete(
        &self,
        finished: &Finished,
        artifacts: BTreeMap<ArtifactKind, ArtifactId>,
        next_sequence: u64,
    ) -> Result<(), Status> {
        let (link, attempt) = (&self.shared.link, self.claim.attempt);
        let result = finished.result(artifacts, self.device.clone());
        let request = messages::complete(&self.claim, &result, next_sequence);
        let request = request.map_err(|error| Status::internal(error.to_string()))?;
        link.persist("complete", |mut client| {
            let request = request.clone();
            async move { client.complete(request).await }
        })
        .await?;
        tracing::info!(%attempt, seconds = finished.seconds, "stage done");
        // The coordinator has the results, so what is left here only takes room. The spool's entry goes first, because
        // it names files of the folder.
        self.keep(Entry::Forget(attempt)).await;
        if let Err(error) = tokio::fs::remove_dir_all(self.folder()).await {
            tracing::warn!(%error, "could not remove the folder of a finished stage");
        }
        Ok(())
    }

    async fn fail(&self, failure: Failure) -> Result<(), Refused> {
        let link = &self.shared.link;
        let request = messages::fail(&self.claim, failure);
        link.persist("fail", |mut client| {
            let request = request.clone();
            async move { client.fail(request).await }
        })
        .await
        .map(drop)
        .map_err(|status| Refused::of(&status))
    }
}

/// Hands over what an earlier run of the daemon left. Its leases are not renewed, because they belong to that run. An
/// attempt that had not ended is given back, so that the stage resumes at once from its newest checkpoint, here or
/// elsewhere.
pub(super) async fn recover(shared: &Shared, left: Left) {
    let Left { attempt, opening, batches, checkpoint, ending } = left;
    tracing::info!(
        %attempt, points = batches.1 - batches.0, checkpoint = checkpoint.as_ref().map(|saved| saved.step),
        ended = ending.is_some(), "handing over an attempt of an earlier run of this worker"
    );
    let claim = Claim { attempt, proof: opening.proof };
    let handover = Handover::of(shared, claim, opening.device, batches, checkpoint);
    match ending {
        Some(ending) => handover.tell(ending).await,
        None => handover.release().await,
    }
}
