//! The daemon: holds the connection, the leases and the queues, and keeps one trainer process per slot.
//! It trains nothing itself, so heartbeats never wait for training and a crash of a trainer costs one
//! attempt, never the daemon. What trainers report goes to the spool before it goes anywhere else.

mod attempt;
mod cache;
mod handover;
mod heartbeat;
pub mod identity;
mod idle;
mod link;
pub mod messages;
mod outbox;
mod process;
mod registrar;
mod slot;
pub mod spool;
mod transfer;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pretext_identity::Wire;
use pretext_proto::v1 as pb;
use pretext_shared::device::DeviceFacts;
use pretext_shared::ids::{AttemptId, WorkerId};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::spool::{Left, Spool, SpoolError};
use cache::Cache;
pub use cache::{CacheError, CacheOptions};
use idle::Idle;
pub use link::{Link, LinkError};

/// How long after it was told to stop a daemon waits for its trainers' last steps and checkpoints.
const TRAINERS_STOP_WITHIN: Duration = Duration::from_secs(6);
/// And for the coordinator to hear the ends of their attempts.
const HANDED_OVER_WITHIN: Duration = Duration::from_secs(9);

/// When the daemon was told to stop; nothing while it was not.
pub type Stopping = watch::Receiver<Option<Instant>>;

/// What a daemon is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Who it is.
    pub worker: WorkerId,
    /// URLs of coordinators, one of which serves.
    pub coordinators: Vec<String>,
    /// How they are reached.
    pub wire: Wire,
    /// Devices with the number of slots on each.
    pub devices: Vec<DeviceFacts>,
    /// CPU threads of each trainer.
    pub threads: usize,
    /// Where data sets are.
    pub data_root: PathBuf,
    /// Data sets to announce, in messages.
    pub datasets: Vec<pb::Dataset>,
    /// Where the spool, checkpoints and models are kept.
    pub state_dir: PathBuf,
    /// What the spool's points may take of the disk, in bytes.
    pub spool_limit: u64,
    /// How long it stays where there is nothing that it could do; `None` for ever.
    pub until_idle: Option<Duration>,
    /// Where pushed data sets are kept that were fetched.
    pub data_cache: CacheOptions,
}

/// Why a daemon came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was told to stop.
    Stopped,
    /// For as long as it was to wait there was nothing that it could do.
    Idle,
}

/// Why a daemon cannot work.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The coordinator.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// This machine's disk.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The same.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// What the whole daemon shares.
struct Shared {
    options: Options,
    link: Link,
    spool: Spool,
    held: Mutex<BTreeMap<AttemptId, Held>>,
    /// Told whenever an attempt has left `held`.
    ended: Notify,
    /// Told when a coordinator does not know this worker: the next heartbeat does not wait.
    forgotten: Notify,
    idle: Idle,
    cache: Cache,
    stopping: Stopping,
}

/// An attempt that a slot works on.
struct Held {
    device: String,
    step: u64,
    images: u64,
    verdict: watch::Sender<Verdict>,
}

impl Held {
    /// Lets the attempt know what is said of it.
    fn judge(&self, verdict: Verdict) {
        self.verdict.send_if_modified(|old| *old != Verdict::Superseded && std::mem::replace(old, verdict) != verdict);
    }
}

/// What the coordinator says of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Continue,
    /// No sweep needs the stage any more.
    Cancelled,
    /// Nothing of the attempt is accepted any more. Never taken back.
    Superseded,
}

/// Waits until the value is one that `when` asks for. If nobody can change it any more, for ever: nothing
/// is left to react to.
async fn becomes<T>(value: &mut watch::Receiver<T>, when: impl FnMut(&T) -> bool) {
    let gone = value.wait_for(when).await.is_err();
    if gone {
        std::future::pending::<()>().await;
    }
}

impl Shared {
    fn held(&self) -> MutexGuard<'_, BTreeMap<AttemptId, Held>> {
        // The map is consistent after every statement, so a panic of another holder does not matter.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the older attempts of a stage that this machine still works on: that the stage was granted again
    /// means that they are over, and two must not share the stage's folder.
    async fn supersede(&self, attempt: AttemptId) {
        loop {
            let ended = self.ended.notified();
            let older = |other: &AttemptId| other.stage == attempt.stage && other.fence < attempt.fence;
            let mut waits = false;
            for (_, held) in self.held().iter().filter(|(other, _)| older(other)) {
                held.judge(Verdict::Superseded);
                waits = true;
            }
            if !waits {
                return;
            }
            ended.await;
        }
    }

    fn is_stopping(&self) -> bool {
        self.stopping.borrow().is_some()
    }
}

/// Returns, once the daemon was told to stop, since when.
async fn stopped(shared: &Shared) -> Instant {
    let mut stopping = shared.stopping.clone();
    loop {
        becomes(&mut stopping, Option::is_some).await;
        if let Some(since) = *stopping.borrow() {
            return since;
        }
    }
}

/// Runs the daemon until it is told to stop, or has been idle for as long as its options say. Told to stop, every trainer checkpoints at its next step, leases are given
/// back, and this returns, at the latest `HANDED_OVER_WITHIN` after it was told. What the coordinator has not
/// heard by then is in the spool.
///
/// # Errors
/// When the spool cannot be opened, or the coordinator refuses this worker in words (another protocol, a bad
/// name). An unreachable coordinator is waited for.
pub async fn serve(options: Options, mut stopping: Stopping) -> Result<End, ServeError> {
    let link = Link::new(&options)?;
    let (spool, left) = Spool::open(&options.state_dir.join("spool.redb"), options.spool_limit)?;
    let cache = Cache::open(options.data_cache.clone())?;
    let registered = tokio::select! {
        registered = link.register() => registered?,
        () = becomes(&mut stopping, Option::is_some) => return Ok(End::Stopped),
    };
    let slots = slot::plan(&options.devices, options.threads);
    tracing::info!(
        worker = %options.worker, coordinators = %options.coordinators.join(", "), slots = slots.len(),
        threads = options.threads, "worker is ready"
    );
    let held = Mutex::new(BTreeMap::new());
    let idle = Idle::new(options.until_idle, slots.len());
    let (ended, forgotten) = (Notify::new(), Notify::new());
    let shared = Arc::new(Shared { options, link, spool, held, ended, forgotten, idle, cache, stopping });
    let beat = tokio::spawn(heartbeat::run(shared.clone(), registered));
    tokio::select! {
        () = work(&shared, left, slots) => {}
        () = async { tokio::time::sleep_until(stopped(&shared).await + HANDED_OVER_WITHIN).await } => {}
    }
    beat.abort();
    // Slots end by themselves for one other reason alone.
    Ok(if shared.is_stopping() { End::Stopped } else { End::Idle })
}

/// Hands over what a former life left, before anything new is asked for: a stage that is done must not be
/// granted again meanwhile. Then the slots work until the daemon is told to stop.
async fn work(shared: &Arc<Shared>, left: Vec<Left>, slots: Vec<slot::SlotPlan>) {
    let mut running = JoinSet::new();
    for attempt in left {
        let shared = shared.clone();
        running.spawn(async move {
            tokio::select! {
                () = handover::recover(&shared, attempt) => {}
                _ = stopped(&shared) => {}
            }
        });
    }
    finish(&mut running).await;
    for (place, plan) in slots.into_iter().enumerate() {
        running.spawn(slot::run(shared.clone(), plan, place));
    }
    finish(&mut running).await;
}

async fn finish(running: &mut JoinSet<()>) {
    while let Some(ended) = running.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a slot ended unexpectedly");
        }
    }
}
