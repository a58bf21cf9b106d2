//! Points on their way to the coordinator: numbered, kept until they are acknowledged, sent again after
//! a broken connection.

use std::collections::VecDeque;
use std::time::Duration;

use pretext_proto::v1 as pb;
use pretext_shared::ids::AttemptId;
use pretext_shared::point::Point;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

use super::link::Link;
use super::transfer::attempt_message;

/// Points in a batch at most, as the protocol says.
const BATCH: usize = 1000;
/// Pause before a broken stream is opened again.
const PAUSE: Duration = Duration::from_millis(500);

/// How far the coordinator has taken the points.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Acknowledged {
    /// All batches below this sequence number are durable.
    Below(u64),
    /// The attempt is over: nothing more is accepted.
    Refused(String),
}

/// The points of one attempt.
pub(super) struct Outbox {
    batches: mpsc::UnboundedSender<pb::PointBatch>,
    acknowledged: watch::Receiver<Acknowledged>,
    attempt: AttemptId,
    next: u64,
}

impl Outbox {
    /// An empty outbox; its sender runs until the outbox is dropped and empty, or refused.
    pub(super) fn new(link: Link, attempt: AttemptId) -> Self {
        let (batches, waiting) = mpsc::unbounded_channel();
        let (sender, acknowledged) = watch::channel(Acknowledged::Below(0));
        tokio::spawn(send(link, waiting, sender));
        Self { batches, acknowledged, attempt, next: 0 }
    }

    /// Adds points.
    pub(super) fn push(&mut self, points: &[Point]) {
        for part in points.chunks(BATCH) {
            let batch = pb::PointBatch {
                attempt: Some(attempt_message(self.attempt)),
                sequence: self.next,
                points: part.iter().map(point_message).collect(),
            };
            self.next += 1;
            // The sender ends early only after a refusal; then the points have nowhere to go.
            let _ = self.batches.send(batch);
        }
    }

    /// The sequence number that the next batch will have.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Waits until every batch below `sequence` is durable.
    ///
    /// # Errors
    /// The coordinator's words if it refuses the points.
    pub(super) async fn flushed(&self, sequence: u64) -> Result<(), String> {
        let mut acknowledged = self.acknowledged.clone();
        let done = |state: &Acknowledged| match state {
            Acknowledged::Below(durable) => *durable >= sequence,
            Acknowledged::Refused(_) => true,
        };
        match acknowledged.wait_for(done).await.map(|state| state.clone()) {
            Ok(Acknowledged::Below(_)) => Ok(()),
            Ok(Acknowledged::Refused(reason)) => Err(reason),
            Err(_) => Err("the sender of points has ended".to_owned()),
        }
    }
}

fn point_message(point: &Point) -> pb::Point {
    pb::Point {
        part: point.part.as_str().to_owned(),
        metric: point.metric.as_str().to_owned(),
        epoch: point.epoch,
        step: point.step,
        value: point.value,
    }
}

async fn send(
    link: Link,
    mut waiting: mpsc::UnboundedReceiver<pb::PointBatch>,
    acknowledged: watch::Sender<Acknowledged>,
) {
    let mut unacknowledged: VecDeque<pb::PointBatch> = VecDeque::new();
    let mut open = true;
    while open || !unacknowledged.is_empty() {
        // Nothing to say: no stream is held open for it.
        if unacknowledged.is_empty() {
            match waiting.recv().await {
                Some(batch) => unacknowledged.push_back(batch),
                None => return,
            }
        }
        match stream(&link, &mut waiting, &mut unacknowledged, &mut open, &acknowledged).await {
            Stream::Refused => return,
            Stream::Broken => tokio::time::sleep(PAUSE).await,
            Stream::Drained => {}
        }
    }
}

enum Stream {
    /// Everything that was sent is durable.
    Drained,
    /// The connection broke: what is not acknowledged is sent again.
    Broken,
    /// The attempt is over.
    Refused,
}

/// One stream: sends what is unacknowledged and what comes, takes acknowledgements.
async fn stream(
    link: &Link,
    waiting: &mut mpsc::UnboundedReceiver<pb::PointBatch>,
    unacknowledged: &mut VecDeque<pb::PointBatch>,
    open: &mut bool,
    acknowledged: &watch::Sender<Acknowledged>,
) -> Stream {
    let (sender, batches) = mpsc::channel(64);
    let mut acks = match link.client().points(ReceiverStream::new(batches)).await {
        Ok(reply) => reply.into_inner(),
        Err(status) => return broken(&status, acknowledged),
    };
    let mut resend: VecDeque<pb::PointBatch> = unacknowledged.clone();
    loop {
        tokio::select! {
            permit = sender.reserve(), if !resend.is_empty() => match (permit, resend.pop_front()) {
                (Ok(permit), Some(batch)) => permit.send(batch),
                _ => return Stream::Broken,
            },
            batch = waiting.recv(), if *open && resend.is_empty() => match batch {
                Some(batch) => {
                    unacknowledged.push_back(batch.clone());
                    resend.push_back(batch);
                }
                None => *open = false,
            },
            ack = acks.message() => match ack {
                Ok(Some(ack)) if ack.refused.is_empty() => {
                    while unacknowledged.front().is_some_and(|batch| batch.sequence <= ack.sequence) {
                        unacknowledged.pop_front();
                    }
                    acknowledged.send_replace(Acknowledged::Below(ack.sequence + 1));
                }
                Ok(Some(ack)) => {
                    acknowledged.send_replace(Acknowledged::Refused(ack.refused));
                    return Stream::Refused;
                }
                Ok(None) => return Stream::Broken,
                Err(status) => return broken(&status, acknowledged),
            },
        }
        if unacknowledged.is_empty() && resend.is_empty() && !*open {
            return Stream::Drained;
        }
    }
}

fn broken(status: &tonic::Status, acknowledged: &watch::Sender<Acknowledged>) -> Stream {
    if super::link::is_passing(status) {
        return Stream::Broken;
    }
    acknowledged.send_replace(Acknowledged::Refused(status.message().to_owned()));
    Stream::Refused
}
