//! The core: one thread that owns the engine and is the only writer of the store, so no locks are needed.
//!
//! Requests wait in a channel. The thread takes all waiting requests, applies them to the engine, commits their changes
//! in one transaction (group commit: one fsync for many requests), and only then replies. So every reply is durable. If
//! the store cannot be written, the thread ends, and with it the coordinator: it could no longer keep its promises. A
//! store without room is different: it may get room. The thread then decides nothing, refuses every request, opens the
//! store again once it has room, and continues with what is durable. It never repeats the commit that failed.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pretext_engine::{DeviceKey, Engine, Limits, Millis};
use pretext_shared::ids::Fence;
use pretext_store::{Store, StoreError};
use tokio::sync::{oneshot, watch};

use crate::waiters::Waiters;

/// Most requests that share a commit.
const GROUP: usize = 512;
/// Time between two ticks of the engine if there are no requests.
const TICK: Duration = Duration::from_millis(250);
/// Pause between two attempts to open a store that was full: the first and the longest.
const ROOM_PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
/// Fences of a coordinator start at the number of seconds since this time: the beginning of 2026, in milliseconds since
/// the Unix epoch.
const FENCES_BEGIN: u64 = 1_767_225_600_000;

/// The time at which a request is applied.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Milliseconds since the coordinator started, monotonic: for leases.
    pub mono: Millis,
    /// Milliseconds since the Unix epoch: for people.
    pub wall: u64,
}

/// The reason why a request was not answered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CoreError {
    /// The changes could not be made durable; nothing has happened.
    #[error("{0}")]
    NotDurable(String),
    /// The store has no room now; nothing has happened.
    #[error("{0}")]
    Full(String),
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
    waiters: Arc<Waiters>,
    broken: watch::Receiver<Option<String>>,
    full: watch::Receiver<Option<String>>,
    store: Arc<dyn Store>,
}

enum Message {
    Apply(Request),
    Stop,
}

/// The running thread; [`CoreThread::stop`] ends it after the requests that are in the channel.
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
    /// Restores the engine from the store and starts the thread. Its grants have fences above all earlier grants, even
    /// those that the store has lost since: see [`Engine::raise_fences`].
    pub fn start(store: Arc<dyn Store>, limits: Limits) -> Result<(Self, CoreThread), StoreError> {
        let clock = Clock { start: Instant::now() };
        let engine = restore(store.as_ref(), limits, clock.now())?;
        let (requests, inbox) = mpsc::sync_channel(4 * GROUP);
        let (version, changes) = watch::channel(0);
        let (failure, broken) = watch::channel(None);
        let waiters = Arc::new(Waiters::default());
        let (room, full) = watch::channel(None);
        let died = failure.clone();
        let writer =
            Writer { engine, store: store.clone(), clock, limits, version, waiters: waiters.clone(), failure, room };
        let thread = std::thread::Builder::new()
            .name("core".to_owned())
            .spawn(move || {
                // After a panic the engine may be half changed. Nothing of it was committed, so the process ends, and
                // the next one restores what is durable.
                if let Err(panic) = catch_unwind(AssertUnwindSafe(|| writer.run(&inbox))) {
                    let reason = format!("the core panicked: {}", panic_message(panic.as_ref()));
                    tracing::error!(%reason, "the core has ended; nothing of its last requests was acknowledged");
                    died.send_replace(Some(reason));
                }
            })
            .map_err(|error| StoreError::Read { cause: format!("cannot start a thread: {error}") })?;
        let core = Self { requests: requests.clone(), changes, waiters, broken, full, store };
        Ok((core, CoreThread { requests, thread }))
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
                // If the caller has gone away, its change is durable all the same.
                let _ = sender.send(durable.map(|()| answer).map_err(CoreError::NotDurable));
            })
        });
        let requests = self.requests.clone();
        let mut message = Message::Apply(request);
        // The thread needs a std channel: if it is full, wait without blocking the runtime.
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
        // The thread drops requests without an answer if the store is full, and when it ends.
        receiver.await.unwrap_or_else(|_| match self.full.borrow().clone() {
            Some(reason) => Err(CoreError::Full(reason)),
            None => Err(CoreError::Stopped),
        })
    }

    /// Returns a receiver of the reason why no request is taken at present: the store is full. `None` if requests are
    /// taken.
    pub fn full(&self) -> watch::Receiver<Option<String>> {
        self.full.clone()
    }

    /// Returns a receiver that changes when a waiting slot of the device may get a stage.
    pub fn wakes(&self, device: DeviceKey) -> watch::Receiver<()> {
        self.waiters.wait(device)
    }

    /// Returns a receiver that changes whenever the engine has changed: for watchers.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    /// Waits until the store cannot be written, and returns the reason. The thread has ended then, and everything that
    /// it acknowledged is durable.
    pub async fn broken(&self) -> String {
        let mut broken = self.broken.clone();
        match broken.wait_for(Option::is_some).await.map(|reason| reason.clone()) {
            Ok(Some(reason)) => reason,
            // The thread was stopped in order: there was no failure.
            _ => std::future::pending().await,
        }
    }

    /// Waits until no request is applied any more: the coordinator shuts down, or cannot write its store.
    pub async fn ended(&self) {
        // The thread's end of the channel is closed then.
        let _ = self.broken.clone().wait_for(|_| false).await;
    }

    /// Returns the store, for reading durable data.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }
}

/// Returns the message of a panic.
fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// Returns the engine with the durable state. Its grants have fences above all earlier ones.
fn restore(store: &dyn Store, limits: Limits, now: Now) -> Result<Engine, StoreError> {
    let mut engine = Engine::restore(limits, store.load()?, now.mono);
    engine.raise_fences(Fence::of_count(now.wall.saturating_sub(FENCES_BEGIN) / 1_000));
    Ok(engine)
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
    limits: Limits,
    version: watch::Sender<u64>,
    waiters: Arc<Waiters>,
    failure: watch::Sender<Option<String>>,
    room: watch::Sender<Option<String>>,
}

/// Whether the thread continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Continue,
    End,
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
            let durable = self.store.commit(&self.engine.take_changes());
            if let Err(StoreError::Full { .. }) = &durable
                && !stop
            {
                // Whether the commit is stored is not known yet, so nobody is told anything about it.
                match self.wait_for_room(inbox, replies, durable.err()) {
                    Next::Continue => continue,
                    Next::End => return,
                }
            }
            let durable = durable.map_err(|error| error.to_string());
            for reply in replies {
                reply(durable.clone());
            }
            if let Err(reason) = durable {
                self.fails(reason);
                return;
            }
            self.version.send_modify(|version| *version += 1);
            self.waiters.wake(&self.engine.take_wakes());
            if stop {
                self.store.close();
                return;
            }
        }
    }

    fn fails(&self, reason: String) {
        tracing::error!(%reason, "the coordinator cannot write its store any more; none of the pending changes was acknowledged");
        self.failure.send_replace(Some(reason));
    }

    /// Refuses all requests until the store has room, and restores the engine from it.
    fn wait_for_room(
        &mut self,
        inbox: &mpsc::Receiver<Message>,
        replies: Vec<Reply>,
        full: Option<StoreError>,
    ) -> Next {
        let reason = full.map(|error| error.to_string()).unwrap_or_default();
        tracing::error!(%reason, "the coordinator decides nothing until there is room: make room, and it continues by itself");
        self.room.send_replace(Some(format!("{reason}; the coordinator waits until there is room")));
        drop(replies);
        let mut pause = ROOM_PAUSE.0;
        let mut next = Instant::now() + pause;
        loop {
            match inbox.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Message::Apply(refused)) => drop(refused),
                Ok(Message::Stop) => {
                    self.store.close();
                    return Next::End;
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => return Next::End,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    let opened = self.store.reopen();
                    let restored = opened.and_then(|()| restore(self.store.as_ref(), self.limits, self.clock.now()));
                    match restored {
                        Ok(engine) => {
                            self.engine = engine;
                            tracing::info!("the store has room again; the coordinator continues with what is durable");
                            self.room.send_replace(None);
                            return Next::Continue;
                        }
                        Err(StoreError::Full { .. }) => {
                            pause = (pause * 2).min(ROOM_PAUSE.1);
                            next = Instant::now() + pause;
                        }
                        Err(error) => {
                            self.fails(error.to_string());
                            return Next::End;
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicBool, Ordering};

    use pretext_engine::fixtures::{SWEEP, submission};
    use pretext_engine::{Batch, Change, GrantRecord, Snapshot, StageRecord};
    use pretext_shared::ids::StageId;
    use pretext_store::RedbStore;

    use super::*;

    #[tokio::test]
    async fn a_panic_of_the_core_is_reported_and_nothing_is_answered() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Arc::new(RedbStore::open(&folder.path().join("state.redb")).expect("a new store"));
        let (core, thread) = Core::start(store, Limits::default()).expect("an empty store");
        assert_eq!(core.call(|_, _| 7).await.expect("it runs"), 7);
        let answer = core.call(|_, _| -> u8 { panic!("a defect") }).await;
        assert!(matches!(answer, Err(CoreError::Stopped)), "{answer:?}");
        assert_eq!(core.broken().await, "the core panicked: a defect");
        assert!(matches!(core.call(|_, _| 7).await, Err(CoreError::Stopped)));
        core.ended().await;
        thread.stop();
    }

    /// A store that has no room while this is set.
    struct Narrow(RedbStore, Arc<AtomicBool>);

    impl Narrow {
        fn full(&self) -> Result<(), StoreError> {
            match self.1.load(Ordering::Relaxed) {
                true => Err(StoreError::Full { store: "/disk/state.redb".to_owned(), cause: "no space".to_owned() }),
                false => Ok(()),
            }
        }
    }

    impl Store for Narrow {
        fn load(&self) -> Result<Snapshot, StoreError> {
            self.0.load()
        }

        fn commit(&self, changes: &[Change]) -> Result<(), StoreError> {
            self.full()?;
            self.0.commit(changes)
        }

        fn reopen(&self) -> Result<(), StoreError> {
            self.full()?;
            self.0.reopen()
        }

        fn plans(&self, stages: &[StageId]) -> Result<BTreeMap<StageId, StageRecord>, StoreError> {
            self.0.plans(stages)
        }

        fn points(&self, stage: StageId) -> Result<Vec<Batch>, StoreError> {
            self.0.points(stage)
        }

        fn grants(&self, stage: StageId) -> Result<Vec<(Fence, GrantRecord)>, StoreError> {
            self.0.grants(stage)
        }
    }

    #[tokio::test]
    async fn a_full_store_is_waited_for_and_nothing_that_was_not_stored_is_remembered() {
        let folder = tempfile::tempdir().expect("a folder");
        let is_full = Arc::new(AtomicBool::new(false));
        let store = RedbStore::open(&folder.path().join("state.redb")).expect("a new store");
        let (core, thread) = Core::start(Arc::new(Narrow(store, is_full.clone())), Limits::default()).expect("starts");
        let submit = |seed: u32| {
            let submitted = submission(&SWEEP.replace("seeds: [0]", &format!("seeds: [{seed}]")), 1);
            core.call(move |engine, _| engine.submit(submitted))
        };
        submit(0).await.expect("durable");
        is_full.store(true, Ordering::Relaxed);
        for seed in [1, 2] {
            let refused = submit(seed).await;
            assert!(
                matches!(&refused, Err(CoreError::Full(reason)) if reason.contains("/disk/state.redb is full")),
                "{refused:?}"
            );
        }
        assert!(core.full().borrow().is_some());
        is_full.store(false, Ordering::Relaxed);
        core.full().wait_for(Option::is_none).await.expect("the thread runs");
        assert_eq!(core.call(|engine, now| engine.list(now.mono).len()).await.expect("answered"), 1);
        submit(1).await.expect("durable");
        assert_eq!(core.call(|engine, now| engine.list(now.mono).len()).await.expect("answered"), 2);
        thread.stop();
    }

    #[tokio::test]
    async fn a_coordinator_whose_store_is_full_can_be_stopped() {
        let folder = tempfile::tempdir().expect("a folder");
        let is_full = Arc::new(AtomicBool::new(true));
        let store = RedbStore::open(&folder.path().join("state.redb")).expect("a new store");
        let (core, thread) = Core::start(Arc::new(Narrow(store, is_full)), Limits::default()).expect("starts");
        core.full().wait_for(Option::is_some).await.expect("the thread runs");
        thread.stop();
        core.ended().await;
    }
}
