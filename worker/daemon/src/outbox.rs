//! Sends points to the coordinator. Points are numbered and spooled first and sent in order. They are sent again after
//! a broken connection, and kept on this machine until they are acknowledged.

use std::time::Duration;

use pretext_proto::refusal::{self, Kind};
use pretext_proto::v1 as pb;
use pretext_shared::claim::Claim;
use pretext_shared::ids::AttemptId;
use pretext_shared::point::Point;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;

use super::link::Link;
use super::messages;
use crate::refusal::Refused;
use crate::spool::{Batch, Entry, Spool, SpoolError};

/// Largest number of points in a batch, as the protocol states.
const BATCH: usize = 1000;
/// Pause before a broken stream is opened again.
const PAUSE: Duration = Duration::from_millis(500);

/// How far the coordinator has accepted the points.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Delivered {
    /// All batches below this sequence number are durable.
    Below(u64),
    /// The coordinator accepts nothing more of this attempt.
    Refused(Refused),
}

/// The coordinator's acknowledgements of an attempt's points, for code that depends on them.
#[derive(Debug, Clone)]
pub(super) struct Acknowledged(watch::Receiver<Delivered>);

impl Acknowledged {
    /// Waits until every batch below `sequence` is durable.
    ///
    /// # Errors
    /// The refusal of the points.
    pub(super) async fn below(&self, sequence: u64) -> Result<(), Refused> {
        let done = |delivered: &Delivered| match delivered {
            Delivered::Below(durable) => *durable >= sequence,
            Delivered::Refused(_) => true,
        };
        let mut delivered = self.0.clone();
        match delivered.wait_for(done).await.map(|delivered| delivered.clone()) {
            Ok(Delivered::Below(_)) => Ok(()),
            Ok(Delivered::Refused(reason)) => Err(reason),
            // The sender ends only with the daemon, which keeps the points in the spool.
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits until the coordinator refuses the points, and returns the refusal.
    pub(super) async fn refused(&self) -> Refused {
        let mut delivered = self.0.clone();
        match delivered
            .wait_for(|delivered| matches!(delivered, Delivered::Refused(_)))
            .await
            .map(|found| found.clone())
        {
            Ok(Delivered::Refused(reason)) => reason,
            // After the sender has ended, no refusal can come.
            Ok(Delivered::Below(_)) | Err(_) => std::future::pending().await,
        }
    }
}

/// The points of one attempt.
pub(super) struct Outbox {
    spool: Spool,
    attempt: AttemptId,
    /// Batches below this sequence number are spooled.
    spooled: watch::Sender<u64>,
    acknowledged: Acknowledged,
    sender: JoinHandle<()>,
}

impl Outbox {
    /// Returns the outbox of an attempt. The spool has the batches from the first number of `batches` to below the
    /// second. Older batches are acknowledged.
    pub(super) fn new(link: Link, spool: Spool, claim: Claim, batches: (u64, u64)) -> Self {
        let attempt = claim.attempt;
        let (first, next) = batches;
        let (spooled, known) = watch::channel(next);
        let (acknowledgements, acknowledged) = watch::channel(Delivered::Below(first));
        let sender = Sender { link, spool: spool.clone(), claim, spooled: known, acknowledged: acknowledgements };
        let acknowledged = Acknowledged(acknowledged);
        Self { spool, attempt, spooled, acknowledged, sender: tokio::spawn(sender.run()) }
    }

    /// Adds points. They are on this machine's disk when this returns.
    ///
    /// # Errors
    /// If the daemon is ending.
    pub(super) async fn push(&mut self, points: &[Point]) -> Result<(), SpoolError> {
        for part in points.chunks(BATCH) {
            let sequence = self.next();
            self.spool.points(self.attempt, Batch { sequence, points: part.to_vec() }).await?;
            self.spooled.send_replace(sequence + 1);
        }
        Ok(())
    }

    /// Returns the sequence number of the next batch.
    pub(super) fn next(&self) -> u64 {
        *self.spooled.borrow()
    }

    /// Waits until every batch below `sequence` is durable.
    ///
    /// # Errors
    /// The refusal of the points.
    pub(super) async fn flushed(&self, sequence: u64) -> Result<(), Refused> {
        self.acknowledged.below(sequence).await
    }

    /// Returns the coordinator's acknowledgements of the points.
    pub(super) fn acknowledged(&self) -> &Acknowledged {
        &self.acknowledged
    }
}

impl Drop for Outbox {
    /// Leaves the points that were not sent in the spool.
    fn drop(&mut self) {
        self.sender.abort();
    }
}

/// Reads the spool and sends to the coordinator.
struct Sender {
    link: Link,
    spool: Spool,
    claim: Claim,
    spooled: watch::Receiver<u64>,
    acknowledged: watch::Sender<Delivered>,
}

/// Why a stream ended.
enum Broken {
    /// The connection broke, or the coordinator cannot answer now: everything that is not acknowledged is sent again.
    Passing,
    /// The coordinator refused the points.
    Refused(Refused),
    /// The outbox or the spool is gone.
    Closed,
}

impl From<tonic::Status> for Broken {
    fn from(status: tonic::Status) -> Self {
        match refusal::kind(&status) {
            Kind::Retryable(_) | Kind::Precondition => Broken::Passing,
            Kind::Superseded | Kind::Invalid => Broken::Refused(Refused::of(&status)),
        }
    }
}

impl Sender {
    async fn run(mut self) {
        loop {
            // There is nothing to send, so no stream is opened.
            let from = match &*self.acknowledged.borrow() {
                Delivered::Below(durable) => *durable,
                Delivered::Refused(_) => return,
            };
            if self.spooled.wait_for(|next| *next > from).await.is_err() {
                return;
            }
            match self.stream(from).await {
                Broken::Passing => tokio::time::sleep(PAUSE).await,
                Broken::Refused(reason) => {
                    tracing::warn!(attempt = %self.claim.attempt, %reason, "points were refused");
                    self.acknowledged.send_replace(Delivered::Refused(reason));
                }
                Broken::Closed => return,
            }
        }
    }

    /// Runs one stream: sends the spooled batches and the new ones, from number `from`, and takes acknowledgements.
    async fn stream(&mut self, from: u64) -> Broken {
        let (sender, batches) = mpsc::channel(64);
        let opened = self.link.call(|mut client| async move { client.points(ReceiverStream::new(batches)).await });
        let acks = match opened.await {
            Ok(reply) => reply.into_inner(),
            Err(status) => return status.into(),
        };
        let (spool, spooled) = (self.spool.clone(), self.spooled.clone());
        tokio::select! {
            broken = feed(&spool, &self.claim, spooled, from, &sender) => broken,
            broken = self.listen(acks) => broken,
        }
    }

    async fn listen(&self, mut acks: tonic::Streaming<pb::PointAck>) -> Broken {
        loop {
            match acks.message().await {
                Ok(Some(ack)) => match messages::durable(ack) {
                    Ok(below) => {
                        tracing::trace!(attempt = %self.claim.attempt, below, "points acknowledged");
                        self.spool.note(Entry::Acknowledged(self.claim.attempt, below));
                        self.acknowledged.send_replace(Delivered::Below(below));
                    }
                    Err(Some(refused)) => return Broken::Refused(refused),
                    Err(None) => return Broken::Passing,
                },
                Ok(None) => return Broken::Passing,
                Err(status) => return status.into(),
            }
        }
    }
}

/// Sends the spooled batches from number `from`, and those that are spooled meanwhile.
async fn feed(
    spool: &Spool,
    claim: &Claim,
    mut spooled: watch::Receiver<u64>,
    from: u64,
    sender: &mpsc::Sender<pb::PointBatch>,
) -> Broken {
    let mut next = from;
    loop {
        if spooled.wait_for(|spooled| *spooled > next).await.is_err() {
            return Broken::Closed;
        }
        let Ok(batches) = spool.read(claim.attempt, next).await else { return Broken::Closed };
        if batches.is_empty() {
            return Broken::Closed;
        }
        for batch in batches {
            next = batch.sequence + 1;
            if sender.send(messages::batch(claim, &batch)).await.is_err() {
                return Broken::Passing;
            }
        }
    }
}
