//! Uploads and registers checkpoints in the background. The newest checkpoint is registered once every point up to its
//! step is acknowledged. A checkpoint that is saved during an upload replaces the one that waits, so the lag is at most
//! one upload. If the coordinator then misses points, its store was set back and has lost what it acknowledged: the
//! attempt cannot continue, and the registrar reports that.

use std::io::ErrorKind;

use pretext_shared::claim::Claim;
use pretext_shared::outcome::ArtifactKind;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::link::Link;
use super::messages;
use super::outbox::Acknowledged;
use super::transfer::{self, AGAIN, TransferError};
use crate::refusal::Refused;
use crate::spool::{Entry, Saved, Spool};

/// The checkpoints of one attempt.
pub(super) struct Registrar {
    /// The newest checkpoint.
    saved: watch::Sender<Option<Saved>>,
    /// The newest checkpoint that is registered or never will be.
    settled: watch::Receiver<Option<Saved>>,
    /// Why the attempt cannot continue.
    orphaned: watch::Receiver<Option<String>>,
    worker: JoinHandle<()>,
}

impl Registrar {
    /// Returns the registrar of an attempt whose spooled checkpoint is `saved` and whose points are `acknowledged`.
    pub(super) fn new(
        link: Link,
        spool: Spool,
        claim: Claim,
        saved: Option<Saved>,
        acknowledged: Acknowledged,
    ) -> Self {
        let (saved, newest) = watch::channel(saved);
        let (settle, settled) = watch::channel(None);
        let (orphan, orphaned) = watch::channel(None);
        let registration = Registration { link, spool, claim, acknowledged, settle, orphan };
        Self { saved, settled, orphaned, worker: tokio::spawn(registration.run(newest)) }
    }

    /// Takes a checkpoint that is on the disk and in the spool.
    pub(super) fn keep(&self, saved: Saved) {
        self.saved.send_replace(Some(saved));
    }

    /// Waits until the newest checkpoint is registered, or never will be.
    pub(super) async fn settled(&self) {
        let newest = self.saved.borrow().clone();
        // Its worker ends only with this registrar.
        let _ = self.settled.clone().wait_for(|settled| *settled == newest).await;
    }

    /// Waits until the coordinator has lost points that it acknowledged of this attempt, and returns its message.
    pub(super) async fn orphaned(&self) -> String {
        let mut orphaned = self.orphaned.clone();
        match orphaned.wait_for(Option::is_some).await.map(|reason| reason.clone()) {
            Ok(Some(reason)) => reason,
            _ => std::future::pending().await,
        }
    }
}

impl Drop for Registrar {
    /// Leaves a checkpoint that was not registered in the spool, unless the spool was told to forget it.
    fn drop(&mut self) {
        self.worker.abort();
    }
}

/// The state of a registrar's task.
struct Registration {
    link: Link,
    spool: Spool,
    claim: Claim,
    acknowledged: Acknowledged,
    settle: watch::Sender<Option<Saved>>,
    orphan: watch::Sender<Option<String>>,
}

impl Registration {
    async fn run(self, mut newest: watch::Receiver<Option<Saved>>) {
        let attempt = self.claim.attempt;
        loop {
            let next = newest.wait_for(|saved| saved.is_some() && *saved != *self.settle.borrow()).await;
            let Some(saved) = next.ok().and_then(|saved| saved.clone()) else { return };
            let step = saved.step;
            match self.register(&saved).await {
                Ok(()) => tracing::debug!(%attempt, step, "checkpoint registered"),
                Err(TransferError::Disk { cause, .. }) if cause.kind() == ErrorKind::NotFound => {
                    tracing::debug!(%attempt, step, "the checkpoint was replaced by a newer one");
                }
                Err(error) => {
                    tracing::warn!(%attempt, step, %error, "a checkpoint was not registered; it stays on this machine");
                    if let TransferError::PointsLost(reason) = error {
                        self.orphan.send_replace(Some(reason));
                    }
                }
            }
            self.spool.note(Entry::Settled(attempt, step));
            self.settle.send_replace(Some(saved));
        }
    }

    async fn register(&self, saved: &Saved) -> Result<(), TransferError> {
        for _ in 0..AGAIN {
            match self.try_register(saved).await {
                Err(TransferError::Removed(_)) => {}
                told => return told,
            }
        }
        self.try_register(saved).await
    }

    async fn try_register(&self, saved: &Saved) -> Result<(), TransferError> {
        let artifact = transfer::upload(&self.link, &self.claim, ArtifactKind::Checkpoint, &saved.path).await?;
        self.acknowledged.below(saved.next_sequence).await.map_err(TransferError::Refused)?;
        let request = messages::checkpoint(&self.claim, artifact, saved);
        let registered = self.link.persist("register checkpoint", |mut client| {
            let request = request.clone();
            async move { client.register_checkpoint(request).await }
        });
        registered.await.map(drop).map_err(|status| match status.code() {
            tonic::Code::OutOfRange => TransferError::PointsLost(status.message().to_owned()),
            tonic::Code::FailedPrecondition => TransferError::Removed(status.message().to_owned()),
            _ => TransferError::Refused(Refused::of(&status)),
        })
    }
}
