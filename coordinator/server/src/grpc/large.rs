//! Large answers: views of sweeps and backups. Few of them are made at a time, and one ends when its reader stops
//! reading. So they never take the threads and the memory that workers need.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use pretext_proto::refusal::{self, Kind};
use pretext_proto::v1 as pb;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_stream::Stream;
use tonic::{Code, Status};

use super::limits::{LARGE_ANSWERS, LARGE_ANSWERS_OF_ONE, READER_SILENCE, TURN};
use super::{Answers, PIECE};
use crate::identity::Peer;

/// How many answers are made at a time, and how long they and their readers wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Most answers at a time.
    all: usize,
    /// Most of them for one identity.
    of_one: usize,
    /// Longest time that a caller waits for its turn.
    turn: Duration,
    /// Longest time in which a reader may take nothing.
    silence: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { all: LARGE_ANSWERS, of_one: LARGE_ANSWERS_OF_ONE, turn: TURN, silence: READER_SILENCE }
    }
}

/// The answers that are made at present. Clones share them.
#[derive(Clone)]
pub(super) struct LargeAnswers {
    bounds: Bounds,
    all: Arc<Semaphore>,
    /// By the reader's name.
    of_one: Arc<Mutex<BTreeMap<String, Arc<Semaphore>>>>,
}

/// The right to make one answer.
pub(super) struct Turn {
    silence: Duration,
    _of_one: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Default for LargeAnswers {
    fn default() -> Self {
        Self::within(Bounds::default())
    }
}

impl LargeAnswers {
    fn within(bounds: Bounds) -> Self {
        Self { bounds, all: Arc::new(Semaphore::new(bounds.all)), of_one: Arc::default() }
    }

    /// Waits for the caller's turn. A caller that waits too long is asked to try again.
    pub(super) async fn turn(&self, peer: &Peer) -> Result<Turn, Status> {
        let of_one = self.semaphore(peer.label());
        let turn = async {
            let of_one = of_one.acquire_owned().await?;
            let of_all = self.all.clone().acquire_owned().await?;
            Ok::<_, tokio::sync::AcquireError>(Turn { silence: self.bounds.silence, _of_one: of_one, _of_all: of_all })
        };
        match tokio::time::timeout(self.bounds.turn, turn).await {
            Ok(turn) => turn.map_err(|error| Status::internal(error.to_string())),
            Err(_) => Err(refusal::status(
                Code::Unavailable,
                Kind::Retryable(Some(self.bounds.turn)),
                "too many large answers (views, backups, verifications) are being sent: try again in a moment",
            )),
        }
    }

    fn semaphore(&self, name: String) -> Arc<Semaphore> {
        let mut readers = self.of_one.lock().unwrap_or_else(PoisonError::into_inner);
        // Forget the readers that have no answer and wait for none.
        readers.retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
        readers.entry(name).or_insert_with(|| Arc::new(Semaphore::new(self.bounds.of_one))).clone()
    }
}

/// Runs `work` on a thread of its own kind, and streams what it writes. The answer ends with an error if `work` fails,
/// or if the reader takes nothing for too long.
pub(super) fn stream(
    turn: Turn,
    work: impl FnOnce(&mut dyn io::Write) -> Result<(), Status> + Send + 'static,
) -> Answers<pb::Chunk> {
    let (pieces, received) = mpsc::channel(4);
    let (failure, failed) = oneshot::channel();
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || {
        let silence = turn.silence;
        let mut out = io::BufWriter::with_capacity(PIECE, Outlet { pieces, runtime, silence, is_silent: false });
        let worked = work(&mut out);
        let flushed = io::Write::flush(&mut out);
        let is_silent = out.get_ref().is_silent;
        // The rest of the buffer must not be written again when it is dropped.
        let (outlet, _) = out.into_parts();
        if is_silent {
            tracing::warn!(seconds = silence.as_secs(), "a reader took nothing of its answer for too long; it ends");
            // If the receiver has gone away, nobody asks.
            let _ = failure.send(Status::deadline_exceeded("the reader took nothing for too long"));
        } else if let Err(status) = worked {
            let _ = failure.send(status);
        } else if let Err(error) = flushed {
            let _ = failure.send(Status::unavailable(error.to_string()));
        }
        // The reader learns of the end when everybody else may have the turn.
        drop(turn);
        drop(outlet);
    });
    Box::pin(Answer { received, failed: Some(failed) })
}

/// Sends pieces to the reader.
struct Outlet {
    pieces: mpsc::Sender<Vec<u8>>,
    runtime: Handle,
    silence: Duration,
    /// Whether the reader has stopped reading.
    is_silent: bool,
}

impl io::Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = &bytes[..bytes.len().min(PIECE)];
        if self.is_silent {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let sent = self.runtime.block_on(tokio::time::timeout(self.silence, self.pieces.send(piece.to_vec())));
        match sent {
            Ok(Ok(())) => Ok(piece.len()),
            Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => {
                self.is_silent = true;
                Err(io::ErrorKind::TimedOut.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The pieces, and then the failure if there was one: an answer that was cut off never looks whole.
struct Answer {
    received: mpsc::Receiver<Vec<u8>>,
    failed: Option<oneshot::Receiver<Status>>,
}

impl Stream for Answer {
    type Item = Result<pb::Chunk, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(piece) = std::task::ready!(self.received.poll_recv(context)) {
            return Poll::Ready(Some(Ok(pb::Chunk { data: piece })));
        }
        let Some(failed) = &mut self.failed else { return Poll::Ready(None) };
        let failure = std::task::ready!(Pin::new(failed).poll(context));
        self.failed = None;
        Poll::Ready(failure.ok().map(Err))
    }
}

#[cfg(test)]
mod tests {
    use tokio_stream::StreamExt;

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);
    const SHORT: Duration = Duration::from_millis(20);

    /// Reads an answer: the number of bytes, and the failure at its end.
    async fn read(mut answer: Answers<pb::Chunk>) -> (usize, Option<Code>) {
        let mut bytes = 0;
        while let Some(piece) = answer.next().await {
            match piece {
                Ok(piece) => bytes += piece.data.len(),
                Err(status) => return (bytes, Some(status.code())),
            }
        }
        (bytes, None)
    }

    #[tokio::test]
    async fn readers_that_do_not_read_keep_nobody_else_waiting() {
        let answers = LargeAnswers::within(Bounds { all: 2, of_one: 1, turn: SHORT, silence: LONG });
        let (idle, other) = (Peer::Stranger, Peer::Open);
        let turn = answers.turn(&idle).await.expect("the first");
        let unread = stream(turn, |out| out.write_all(&vec![0; 16 * PIECE]).map_err(|_| Status::aborted("gone")));
        let refused = answers.turn(&idle).await.map(drop).expect_err("it has its share");
        assert_eq!(refused.code(), Code::Unavailable);
        let second = answers.turn(&other).await.expect("the share of another");
        assert!(answers.turn(&Peer::Open).await.is_err(), "its own share is taken too");
        drop(second);
        // A reader that goes away gives its turn back.
        drop(unread);
        let patient = LargeAnswers { bounds: Bounds { turn: LONG, ..answers.bounds }, ..answers };
        patient.turn(&idle).await.expect("a free turn");
    }

    #[tokio::test]
    async fn an_answer_that_is_cut_off_ends_with_an_error() {
        let answers = LargeAnswers::within(Bounds { all: 1, of_one: 1, turn: LONG, silence: SHORT });
        let turn = answers.turn(&Peer::Open).await.expect("the first");
        let unread = stream(turn, |out| out.write_all(&vec![0; 16 * PIECE]).map_err(|_| Status::aborted("cut")));
        // The next turn is free when the first answer was given up.
        let turn = answers.turn(&Peer::Open).await.expect("the second");
        let (bytes, code) = read(unread).await;
        assert!(bytes < 16 * PIECE && code == Some(Code::DeadlineExceeded), "{bytes} {code:?}");
        let whole = stream(turn, |out| out.write_all(&[0; 10]).map_err(|_| Status::aborted("cut")));
        assert_eq!(read(whole).await, (10, None));
        let turn = answers.turn(&Peer::Open).await.expect("the third");
        let failed = stream(turn, |out| {
            out.write_all(&[0; 10]).map_err(|_| Status::aborted("cut"))?;
            Err(Status::not_found("nothing more"))
        });
        assert_eq!(read(failed).await, (10, Some(Code::NotFound)));
    }
}
