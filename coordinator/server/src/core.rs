//! The thread that owns the engine and writes the store: one writer, no locks.
//!
//! Requests wait in a channel. The thread takes all that are there, applies them to the engine, commits
//! their changes in one transaction (group commit: one fsync for many requests), and only then replies.
//! So no reply leaves before what it says is durable. A store that cannot be written ends the thread, and with
//! it the coordinator: what it would do from then on could not be kept.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pretext_engine::{Engine, Limits, Millis};
use pretext_shared::ids::Fence;
use pretext_store::{Store, StoreError};
use tokio::sync::{oneshot, watch};

/// How many requests share a commit at most.
const GROUP: usize = 512;
/// How often time passes when nobody asks.
const TICK: Duration = Duration::from_millis(250);
/// The fences that a coordinator grants count from the seconds since then (the beginning of 2026), in milliseconds.
const FENCES_BEGIN: u64 = 1_767_225_600_000;

/// The time at which a request is applied.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Milliseconds since the coordinator started, monotonic: for leases.
    pub mono: Millis,
    /// Milliseconds since the Unix epoch: for people.
    pub wall: u64,
}

/// Why a request was not answered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CoreError {
    /// The changes could not be made durable; nothing has happened.
    #[error("{0}")]
    NotDurable(String),
    /// The coordinator is shutting down.
    #[error("{}", pretext_proto::SHUTTING_DOWN)]
    Stopped,
}

type Reply = Box<dyn FnOnce(Result<(), String>) + Send>;
type Request = Box<dyn FnOnce(&mut Engine, Now) -> Reply + Send>;

/// A handle to the thread.
#[derive(Clone)]
pub struct Core {
    requests: mpsc::SyncSender<Message>,
    changes: watch::Receiver<u64>,
    broken: watch::Receiver<Option<String>>,
    store: Arc<dyn Store>,
}

enum Message {
    Apply(Request),
    Stop,
}

/// The running thread; [`CoreThread::stop`] ends it after what is in the channel.
pub struct CoreThread {
    requests: mpsc::SyncSender<Message>,
    thread: JoinHandle<()>,
}

impl CoreThread {
    /// Stops the thread and waits for it.
    pub fn stop(self) {
        // A send fails only if the thread has ended already.
        let _ = self.requests.send(Message::Stop);
        if self.thread.join().is_err() {
            tracing::error!("the core thread panicked");
        }
    }
}

impl Core {
    /// Restores the engine from the store and starts the thread. What it grants from now on has fences above
    /// all that were granted before, even by coordinators whose grants the store has lost since: see
    /// [`Engine::raise_fences`].
    pub fn start(store: Arc<dyn Store>, limits: Limits) -> Result<(Self, CoreThread), StoreError> {
        let clock = Clock { start: Instant::now() };
        let mut engine = Engine::restore(limits, store.load()?, clock.now().mono);
        engine.raise_fences(Fence::of_count(clock.now().wall.saturating_sub(FENCES_BEGIN) / 1_000));
        let (requests, inbox) = mpsc::sync_channel(4 * GROUP);
        let (version, changes) = watch::channel(0);
        let (failure, broken) = watch::channel(None);
        let writer = Writer { engine, store: store.clone(), clock, version, failure };
        let thread = std::thread::Builder::new()
            .name("core".to_owned())
            .spawn(move || writer.run(&inbox))
            .map_err(|error| StoreError::Read { cause: format!("cannot start a thread: {error}") })?;
        Ok((Self { requests: requests.clone(), changes, broken, store }, CoreThread { requests, thread }))
    }

    /// Applies `operation` to the engine and answers once its changes are durable.
    pub async fn call<R: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Engine, Now) -> R + Send + 'static,
    ) -> Result<R, CoreError> {
        let (sender, receiver) = oneshot::channel();
        let request: Request = Box::new(move |engine, now| {
            let answer = operation(engine, now);
            Box::new(move |durable| {
                // The asker may have gone away: its change is durable all the same.
                let _ = sender.send(durable.map(|()| answer).map_err(CoreError::NotDurable));
            })
        });
        let requests = self.requests.clone();
        let mut message = Message::Apply(request);
        // The channel is a std one, for the thread's sake: a full channel is waited out without blocking.
        loop {
            match requests.try_send(message) {
                Ok(()) => break,
                Err(mpsc::TrySendError::Full(back)) => {
                    message = back;
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                Err(mpsc::TrySendError::Disconnected(_)) => return Err(CoreError::Stopped),
            }
        }
        receiver.await.map_err(|_| CoreError::Stopped)?
    }

    /// Changes whenever the engine has changed: for long polls and watchers.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    /// Returns when the store could not be written, with the reason: the thread has ended, and nothing was
    /// acknowledged that is not durable.
    pub async fn broken(&self) -> String {
        let mut broken = self.broken.clone();
        match broken.wait_for(Option::is_some).await.map(|reason| reason.clone()) {
            Ok(Some(reason)) => reason,
            // The thread was stopped in order: nothing broke.
            _ => std::future::pending().await,
        }
    }

    /// Returns when nothing is applied any more: the coordinator shuts down, or its store is lost to it.
    pub async fn ended(&self) {
        // The thread's end of the channel is gone then.
        let _ = self.broken.clone().wait_for(|_| false).await;
    }

    /// The store, for reading what is durable.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }
}

struct Clock {
    start: Instant,
}

impl Clock {
    fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { mono: self.start.elapsed().as_millis() as u64, wall: wall.as_millis() as u64 }
    }
}

struct Writer {
    engine: Engine,
    store: Arc<dyn Store>,
    clock: Clock,
    version: watch::Sender<u64>,
    failure: watch::Sender<Option<String>>,
}

impl Writer {
    fn run(mut self, inbox: &mpsc::Receiver<Message>) {
        loop {
            let first = match inbox.recv_timeout(TICK) {
                Ok(message) => Some(message),
                Err(mpsc::RecvTimeoutError::Timeout) => None,
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
            };
            let now = self.clock.now();
            self.engine.tick(now.mono);
            let mut replies = Vec::new();
            let mut stop = false;
            for message in first.into_iter().chain(inbox.try_iter().take(GROUP)) {
                match message {
                    Message::Apply(request) => replies.push(request(&mut self.engine, now)),
                    Message::Stop => stop = true,
                }
            }
            let durable = self.store.commit(&self.engine.take_changes()).map_err(|error| error.to_string());
            for reply in replies {
                reply(durable.clone());
            }
            if let Err(reason) = durable {
                tracing::error!(%reason, "the store is lost to this coordinator; nothing of this was acknowledged");
                self.failure.send_replace(Some(reason));
                return;
            }
            self.version.send_modify(|version| *version += 1);
            if stop {
                self.store.close();
                return;
            }
        }
    }
}
