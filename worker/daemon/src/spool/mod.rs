//! The spool: a file on this machine's disk that keeps the reports of trainers until the coordinator has them. An entry
//! is on the disk before it is sent. An outage of any length stops no training, and a daemon that dies during an outage
//! loses nothing: the next daemon hands over what it finds.
//!
//! One thread owns the file. It takes all waiting entries, writes them in one transaction, and only then answers (group
//! commit). If the disk fails, the thread tries again until it succeeds. Meanwhile no entry is answered, no report is
//! read, and trainers wait at their pipes.
//!
//! **Bound.** Points may take the number of bytes that [`Spool::open`] is given. At the limit, [`Spool::points`] waits
//! until the coordinator has taken some. The file takes about three times as much, because pages that are rewritten
//! exist twice. A stage makes at most 400 points plus four an epoch, below 100 bytes each. Without a coordinator no
//! slot gets another stage, so only attempts of earlier runs of the daemon add to those that run. Checkpoints and
//! models are files of their own, as many as the stage's policy keeps.

mod log;
#[cfg(test)]
mod power_loss;
mod record;

use std::path::Path;
use std::time::Duration;

use pretext_shared::ids::AttemptId;
use tokio::sync::{mpsc, oneshot, watch};

use log::Log;
pub use log::SpoolError;
pub use record::{Batch, Ending, Entry, Left, Opening, Saved};

/// Largest number of entries in a transaction.
const GROUP: usize = 256;
/// Pause before the next try after the disk failed.
const AGAIN: Duration = Duration::from_secs(1);

enum Message {
    Write(Entry, oneshot::Sender<()>),
    /// An entry that is written together with another one, or when there is nothing else to do.
    Note(Entry),
    Read(AttemptId, u64, oneshot::Sender<Vec<Batch>>),
}

/// A handle to the spool. See the module.
#[derive(Clone)]
pub struct Spool {
    messages: mpsc::UnboundedSender<Message>,
    /// Bytes of points that the spool holds.
    used: watch::Receiver<u64>,
    limit: u64,
}

impl Spool {
    /// Opens the spool at `path`, or makes it, and returns what an earlier run of the daemon left there. Its points may
    /// take `limit` bytes.
    ///
    /// # Errors
    /// If the file cannot be opened, or was written by another version.
    pub fn open(path: &Path, limit: u64) -> Result<(Self, Vec<Left>), SpoolError> {
        let path = path.to_owned();
        Self::with(Box::new(move || Log::open(&path)), limit)
    }

    fn with(
        open: Box<dyn Fn() -> Result<Log, SpoolError> + Send>,
        limit: u64,
    ) -> Result<(Self, Vec<Left>), SpoolError> {
        let log = open()?;
        let left = log.left()?;
        let (used, receiver) = watch::channel(log.size()?);
        let (messages, inbox) = mpsc::unbounded_channel();
        let writer = Writer { open, log: Some(log), used };
        std::thread::Builder::new()
            .name("spool".to_owned())
            .spawn(move || writer.run(inbox))
            .map_err(|error| SpoolError::Disk(format!("cannot start a thread: {error}")))?;
        Ok((Self { messages, used: receiver, limit }, left))
    }

    /// Writes `entry`. It is on the disk when this returns.
    ///
    /// # Errors
    /// [`SpoolError::Closed`] if the daemon is ending.
    pub async fn write(&self, entry: Entry) -> Result<(), SpoolError> {
        let (done, written) = oneshot::channel();
        self.messages.send(Message::Write(entry, done)).map_err(|_| SpoolError::Closed)?;
        written.await.map_err(|_| SpoolError::Closed)
    }

    /// Writes points as [`Spool::write`] does, as soon as there is room for them.
    ///
    /// # Errors
    /// The same as [`Spool::write`].
    pub async fn points(&self, attempt: AttemptId, batch: Batch) -> Result<(), SpoolError> {
        if !self.has_room() {
            tracing::warn!(
                %attempt, limit = self.limit,
                "the spool is full: trainers wait until the coordinator has taken points"
            );
            let mut used = self.used.clone();
            used.wait_for(|used| *used < self.limit).await.map_err(|_| SpoolError::Closed)?;
        }
        self.write(Entry::Points(attempt, batch)).await
    }

    fn has_room(&self) -> bool {
        *self.used.borrow() < self.limit
    }

    /// Writes an entry that a crash may lose. If it is lost, something is handed over once more.
    pub fn note(&self, entry: Entry) {
        debug_assert!(!entry.is_vital());
        // No caller needs the entry of a closed spool.
        let _ = self.messages.send(Message::Note(entry));
    }

    /// Returns batches of `attempt` from number `from`, a limited number at a time.
    ///
    /// # Errors
    /// [`SpoolError::Closed`] if the daemon is ending.
    pub async fn read(&self, attempt: AttemptId, from: u64) -> Result<Vec<Batch>, SpoolError> {
        let (reply, batches) = oneshot::channel();
        self.messages.send(Message::Read(attempt, from, reply)).map_err(|_| SpoolError::Closed)?;
        batches.await.map_err(|_| SpoolError::Closed)
    }
}

struct Writer {
    open: Box<dyn Fn() -> Result<Log, SpoolError> + Send>,
    /// `None` while the disk fails.
    log: Option<Log>,
    used: watch::Sender<u64>,
}

impl Writer {
    fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Message>) {
        while let Some(first) = inbox.blocking_recv() {
            let (mut entries, mut waiting, mut reads) = (Vec::new(), Vec::new(), Vec::new());
            let mut next = Some(first);
            while let Some(message) = next {
                match message {
                    Message::Write(entry, done) => {
                        entries.push(entry);
                        waiting.push(done);
                    }
                    Message::Note(entry) => entries.push(entry),
                    Message::Read(attempt, from, reply) => reads.push((attempt, from, reply)),
                }
                next = if entries.len() < GROUP { inbox.try_recv().ok() } else { None };
            }
            if !entries.is_empty() {
                let moved = self.insist(|log| log.write(&entries));
                self.used.send_modify(|used| *used = (*used + moved.added).saturating_sub(moved.removed));
            }
            // Whoever has gone away meanwhile does not need the answer.
            for done in waiting {
                let _ = done.send(());
            }
            for (attempt, from, reply) in reads {
                let _ = reply.send(self.insist(|log| log.batches(attempt, from)));
            }
        }
    }

    /// Does `work`, with as many tries as needed. After an error the database is opened again; every entry can be
    /// written twice without harm.
    fn insist<T>(&mut self, work: impl Fn(&Log) -> Result<T, SpoolError>) -> T {
        let mut refused = false;
        loop {
            let log = match self.log.take() {
                Some(log) => Ok(log),
                None => (self.open)(),
            };
            match log.and_then(|log| work(&log).map(|done| (log, done))) {
                Ok((log, done)) => {
                    self.log = Some(log);
                    if refused {
                        tracing::info!("the spool can be written again");
                    }
                    return done;
                }
                Err(error) => {
                    if !refused {
                        tracing::error!(%error, "the spool cannot be written; trainers wait until it can");
                    }
                    refused = true;
                    std::thread::sleep(AGAIN);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use pretext_shared::claim::Proof;
    use pretext_shared::ids::{ContentHash, Fence, StageId};
    use pretext_shared::outcome::{Failure, FailureCode, Score};
    use pretext_shared::point::{Metric, Part, Point};
    use pretext_shared::trainer::Finished;

    use super::*;

    pub(super) fn attempt(fence: u64) -> AttemptId {
        AttemptId { stage: StageId(ContentHash::of(b"stage")), fence: Fence(fence) }
    }

    pub(super) fn batch(sequence: u64) -> Batch {
        let value = f64::from_bits(0x3fb9_9999_9999_999b) + sequence as f64;
        let point = Point { part: Part::Train, metric: Metric::Loss, epoch: 1, step: sequence, value };
        Batch { sequence, points: vec![point; 3] }
    }

    fn saved(step: u64) -> Saved {
        Saved { path: format!("/stages/checkpoint-{step}").into(), step, next_sequence: step }
    }

    pub(super) fn opening() -> Opening {
        Opening { device: "cpu".to_owned(), proof: Proof(vec![0, 7, 255]) }
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
    }

    #[test]
    fn what_a_dead_daemon_was_handed_is_found_by_the_next() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("spool.redb");
        let failure = Failure { code: FailureCode::Crashed, message: "gone".to_owned(), log: vec!["a".to_owned()] };
        runtime().block_on(async {
            let (spool, left) = Spool::open(&path, 1 << 20).expect("opens");
            assert_eq!(left, []);
            for (fence, count) in [(1, 70), (2, 3)] {
                spool.write(Entry::Begin(attempt(fence), opening())).await.expect("open");
                for sequence in 0..count {
                    spool.points(attempt(fence), batch(sequence)).await.expect("open");
                }
            }
            spool.write(Entry::Checkpoint(attempt(1), saved(5))).await.expect("open");
            spool.write(Entry::Checkpoint(attempt(1), saved(9))).await.expect("open");
            spool.note(Entry::Settled(attempt(1), 5));
            spool.note(Entry::Acknowledged(attempt(1), 4));
            // Writing a batch twice keeps it once.
            spool.points(attempt(2), batch(1)).await.expect("open");
            spool.write(Entry::End(attempt(2), Ending::Failed { failure: failure.clone() })).await.expect("open");
            let read = spool.read(attempt(1), 0).await.expect("open");
            assert_eq!(read.first(), Some(&batch(4)), "acknowledged batches are gone");
            let rest = spool.read(attempt(1), read.last().expect("some").sequence + 1).await.expect("open");
            assert_eq!([read, rest].concat(), (4..70).map(batch).collect::<Vec<_>>());
        });
        let (spool, left) = reopened(&path);
        let first = Left {
            attempt: attempt(1),
            opening: opening(),
            batches: (4, 70),
            checkpoint: Some(saved(9)),
            ending: None,
        };
        let second = Left {
            attempt: attempt(2),
            opening: opening(),
            batches: (0, 3),
            checkpoint: None,
            ending: Some(Ending::Failed { failure }),
        };
        assert_eq!(left, [first, second.clone()]);
        runtime().block_on(async {
            spool.note(Entry::Settled(attempt(1), 9));
            spool.write(Entry::Forget(attempt(1))).await.expect("open");
            assert_eq!(spool.read(attempt(1), 0).await.expect("open"), []);
        });
        drop(spool);
        assert_eq!(reopened(&path).1, [second]);
    }

    #[test]
    fn numbers_go_on_where_a_former_life_ended() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("spool.redb");
        let ending = |next_sequence| Ending::Finished { finished: finished(), next_sequence };
        runtime().block_on(async {
            let (spool, _) = Spool::open(&path, 1 << 20).expect("opens");
            for fence in 1..=4 {
                spool.write(Entry::Begin(attempt(fence), opening())).await.expect("open");
            }
            // More batches than one byte can count, in numeric order.
            for sequence in 0..300 {
                spool.points(attempt(1), batch(sequence)).await.expect("open");
            }
            spool.note(Entry::Acknowledged(attempt(1), 260));
            // All batches are acknowledged: the end and the checkpoint state how many there were.
            for fence in [2, 3] {
                for sequence in 0..7 {
                    spool.points(attempt(fence), batch(sequence)).await.expect("open");
                }
                spool.note(Entry::Acknowledged(attempt(fence), 7));
            }
            spool.write(Entry::Checkpoint(attempt(2), saved(7))).await.expect("open");
            spool.write(Entry::End(attempt(3), ending(7))).await.expect("open");
        });
        let (spool, left) = reopened(&path);
        let batches: Vec<_> = left.iter().map(|left| (left.attempt.fence.0, left.batches)).collect();
        assert_eq!(batches, [(1, (260, 300)), (2, (7, 7)), (3, (7, 7)), (4, (0, 0))]);
        let read = runtime().block_on(spool.read(attempt(1), 0)).expect("open");
        assert_eq!(read, (260..300).map(batch).collect::<Vec<_>>());
    }

    fn finished() -> Finished {
        let score = Score { loss: 0.1, accuracy: 0.9, seen: 10 };
        Finished { selected_epoch: 1, score, steps: 40, images: 160, seconds: 1.5, files: BTreeMap::new() }
    }

    #[test]
    fn a_spool_that_was_full_is_full_in_the_next_life() {
        const LIMIT: u64 = 16 << 10;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("spool.redb");
        let taken = runtime().block_on(async {
            let (spool, _) = Spool::open(&path, LIMIT).expect("opens");
            spool.write(Entry::Begin(attempt(1), opening())).await.expect("open");
            let mut next = 0;
            while spool.has_room() {
                spool.points(attempt(1), batch(next)).await.expect("open");
                // Written twice, the batch is there once.
                spool.write(Entry::Points(attempt(1), batch(next))).await.expect("open");
                next += 1;
            }
            next
        });
        assert!(taken > 20, "{taken} batches in {LIMIT} bytes");
        let (spool, left) = reopened(&path);
        assert_eq!((left[0].batches, *spool.used.borrow() >= LIMIT), ((0, taken), true));
    }

    #[test]
    fn a_spool_of_another_version_is_refused_in_words() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("spool.redb");
        log::tests::of_format(&path, 2);
        let Err(error) = Spool::open(&path, 1) else { panic!("it opened") };
        assert!(error.to_string().contains("format 2"), "{error}");
    }

    /// Opens the spool again. The thread of a dropped spool closes the file soon after the drop.
    fn reopened(path: &Path) -> (Spool, Vec<Left>) {
        loop {
            match Spool::open(path, 1 << 20) {
                Err(SpoolError::Open { cause, .. }) if cause.contains("already open") => std::thread::yield_now(),
                other => return other.expect("opens"),
            }
        }
    }

    #[test]
    fn a_full_spool_holds_its_trainers_until_points_are_taken() {
        const LIMIT: u64 = 64 << 10;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("spool.redb");
        let (spool, _) = Spool::open(&path, LIMIT).expect("opens");
        runtime().block_on(async {
            spool.write(Entry::Begin(attempt(1), opening())).await.expect("open");
            let mut next = 0;
            for _ in 0..5 {
                while spool.has_room() {
                    spool.points(attempt(1), batch(next)).await.expect("open");
                    next += 1;
                }
                let mut held = Box::pin(spool.points(attempt(1), batch(next)));
                let polled = tokio::select! {
                    biased;
                    _ = &mut held => "written",
                    _ = spool.read(attempt(1), 0) => "held",
                };
                assert_eq!(polled, "held");
                spool.note(Entry::Acknowledged(attempt(1), next));
                held.await.expect("open");
                next += 1;
            }
            assert!(next > 500, "{next}");
        });
        let bytes = std::fs::metadata(&path).expect("there").len();
        assert!(bytes < 3 * LIMIT + (4 << 20), "the file has {bytes} bytes");
    }

    #[test]
    fn a_file_that_is_no_spool_is_refused_in_words() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("spool.redb");
        std::fs::write(&path, b"not a database at all, but long enough to be looked at").expect("writes");
        let Err(error) = Spool::open(&path, 1) else { panic!("it opened") };
        assert!(error.to_string().contains("move the file away"), "{error}");
    }
}
