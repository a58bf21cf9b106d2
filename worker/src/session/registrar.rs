//! Checkpoints on their way to the coordinator: the newest one is uploaded and registered in the background. One
//! that was saved while another was on its way takes its place, so the lag is one upload at most.

use std::io::ErrorKind;

use pretext_proto::v1 as pb;
use pretext_shared::ids::AttemptId;
use pretext_shared::outcome::ArtifactKind;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::link::Link;
use super::transfer::{self, TransferError, attempt_message};
use crate::spool::{Entry, Saved, Spool};

/// The checkpoints of one attempt.
pub(super) struct Registrar {
    /// The newest one.
    saved: watch::Sender<Option<Saved>>,
    /// The newest one that was registered, or never will be.
    settled: watch::Receiver<Option<Saved>>,
    worker: JoinHandle<()>,
}

impl Registrar {
    /// The registrar of an attempt of which `saved` is spooled.
    pub(super) fn new(link: Link, spool: Spool, attempt: AttemptId, saved: Option<Saved>) -> Self {
        let (saved, newest) = watch::channel(saved);
        let (settle, settled) = watch::channel(None);
        Self { saved, settled, worker: tokio::spawn(run(link, spool, attempt, newest, settle)) }
    }

    /// A checkpoint is on the disk and in the spool.
    pub(super) fn keep(&self, saved: Saved) {
        self.saved.send_replace(Some(saved));
    }

    /// Waits until the newest checkpoint is registered, or never will be.
    pub(super) async fn settled(&self) {
        let newest = self.saved.borrow().clone();
        // Its worker ends only with this registrar.
        let _ = self.settled.clone().wait_for(|settled| *settled == newest).await;
    }
}

impl Drop for Registrar {
    /// What was not registered stays in the spool, or was told to be forgotten.
    fn drop(&mut self) {
        self.worker.abort();
    }
}

async fn run(
    link: Link,
    spool: Spool,
    attempt: AttemptId,
    mut newest: watch::Receiver<Option<Saved>>,
    settle: watch::Sender<Option<Saved>>,
) {
    loop {
        let next = newest.wait_for(|saved| saved.is_some() && *saved != *settle.borrow()).await;
        let Some(saved) = next.ok().and_then(|saved| saved.clone()) else { return };
        let step = saved.step;
        match register(&link, attempt, &saved).await {
            Ok(()) => tracing::debug!(%attempt, step, "checkpoint registered"),
            Err(TransferError::Disk { cause, .. }) if cause.kind() == ErrorKind::NotFound => {
                tracing::debug!(%attempt, step, "the checkpoint has gone; a newer one took its place");
            }
            Err(error) => {
                tracing::warn!(%attempt, step, %error, "a checkpoint was not registered; it stays on this machine");
            }
        }
        spool.note(Entry::Settled(attempt, step));
        settle.send_replace(Some(saved));
    }
}

async fn register(link: &Link, attempt: AttemptId, saved: &Saved) -> Result<(), TransferError> {
    let artifact = transfer::upload(link, attempt, ArtifactKind::Checkpoint, &saved.path).await?;
    let request = pb::RegisterCheckpointRequest {
        attempt: Some(attempt_message(attempt)),
        artifact: artifact.to_string(),
        step: saved.step,
        next_sequence: saved.next_sequence,
    };
    link.persist("register checkpoint", |mut client| {
        let request = request.clone();
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
