//! The daemon: holds the connection, the leases and the queues, and keeps one trainer process for each slot. It trains
//! nothing itself. Heartbeats therefore never wait for training, and a crash of a trainer costs one attempt and never
//! the daemon. Reports of trainers go to the spool before they are sent.

mod attempt;
mod cache;
pub mod hand_in;
mod handover;
mod heartbeat;
pub mod identity;
mod idle;
pub mod kept;
mod link;
pub mod messages;
mod oom;
mod outbox;
mod process;
pub mod refusal;
mod registrar;
mod slot;
pub mod spool;
mod transfer;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cache::Cache;
use idle::Idle;
use pretext_identity::Wire;
use pretext_proto::v1 as pb;
use pretext_shared::claim::Proof;
use pretext_shared::device::DeviceFacts;
use pretext_shared::ids::{AttemptId, WorkerId};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

pub use cache::{CacheError, CacheOptions};
pub use link::{Link, LinkError};

use crate::spool::{Left, Spool, SpoolError};

/// Longest time that a daemon that was told to stop waits for the last steps and checkpoints of its trainers.
const TRAINERS_STOP_WITHIN: Duration = Duration::from_secs(6);
/// Longest time that it then waits for the coordinator to hear the ends of the attempts.
const HANDED_OVER_WITHIN: Duration = Duration::from_secs(9);

/// The time at which the daemon was told to stop; `None` before that.
pub type Stopping = watch::Receiver<Option<Instant>>;

/// The options of a daemon.
#[derive(Debug, Clone)]
pub struct Options {
    /// The worker's name and boot id.
    pub worker: WorkerId,
    /// URLs of the coordinators, one of which serves.
    pub coordinators: Vec<String>,
    /// The connection: plain or TLS.
    pub wire: Wire,
    /// The devices, with the number of slots on each.
    pub devices: Vec<DeviceFacts>,
    /// CPU threads of each trainer.
    pub threads: usize,
    /// The folder that data set paths are relative to.
    pub data_root: PathBuf,
    /// The data sets to announce, as messages.
    pub datasets: Vec<pb::Dataset>,
    /// The folder for the spool, checkpoints and models.
    pub state_dir: PathBuf,
    /// Limit of the spool's points on the disk, in bytes.
    pub spool_limit: u64,
    /// How long the daemon stays without a stage that it can run; `None`: without limit.
    pub until_idle: Option<Duration>,
    /// The cache of pushed data sets that were fetched.
    pub data_cache: CacheOptions,
}

/// Why a daemon ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The daemon was told to stop.
    Stopped,
    /// No stage that it could run has waited for the given time.
    Idle,
}

/// Why a daemon cannot work.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The connection to the coordinator failed.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// This machine's disk failed.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The data cache failed.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// State that the whole daemon shares.
struct Shared {
    options: Options,
    link: Link,
    spool: Spool,
    held: Mutex<BTreeMap<AttemptId, Held>>,
    /// Notified when an attempt has left `held`.
    ended: Notify,
    /// Notified when a coordinator does not know this worker: the next heartbeat is sent at once.
    forgotten: Notify,
    idle: Idle,
    cache: Cache,
    stopping: Stopping,
}

/// An attempt that a slot works on.
struct Held {
    /// The proof of its grant.
    proof: Proof,
    device: String,
    step: u64,
    images: u64,
    verdict: watch::Sender<Verdict>,
}

impl Held {
    /// Passes a verdict on to the attempt.
    fn judge(&self, verdict: Verdict) {
        self.verdict.send_if_modified(|old| *old != Verdict::Superseded && std::mem::replace(old, verdict) != verdict);
    }
}

/// The coordinator's verdict on an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Continue.
    Continue,
    /// No sweep needs the stage any more.
    Cancelled,
    /// The attempt is superseded: everything that it sends is refused. Final.
    Superseded,
}

/// Waits until `when` accepts the value. Waits forever if the sender is gone.
async fn becomes<T>(value: &mut watch::Receiver<T>, when: impl FnMut(&T) -> bool) {
    let gone = value.wait_for(when).await.is_err();
    if gone {
        std::future::pending::<()>().await;
    }
}

impl Shared {
    fn held(&self) -> MutexGuard<'_, BTreeMap<AttemptId, Held>> {
        // The map is consistent after every statement, so a panic of another holder does no harm.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the older attempts of a stage that this machine still works on. The new grant means that they are over, and
    /// two attempts must not share the stage's folder.
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

/// Waits until the daemon is told to stop, and returns the time at which it was.
async fn stopped(shared: &Shared) -> Instant {
    let mut stopping = shared.stopping.clone();
    loop {
        becomes(&mut stopping, Option::is_some).await;
        if let Some(since) = *stopping.borrow() {
            return since;
        }
    }
}

/// Runs the daemon until it is told to stop, or has been idle for as long as its options say. When it is told to stop,
/// each trainer writes a checkpoint at its next step, and leases are given back. This function returns at most
/// `HANDED_OVER_WITHIN` after that. The spool keeps everything that the coordinator has not heard by then.
///
/// # Errors
/// If the spool cannot be opened, or the coordinator refuses this worker with a reason (another protocol, an invalid
/// name). If the coordinator is unreachable, this function waits.
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
    // A slot ends by itself only if the daemon stops or is idle.
    Ok(if shared.is_stopping() { End::Stopped } else { End::Idle })
}

/// Hands over what an earlier run left, before it asks for anything new: a stage that is done must not be granted again
/// meanwhile. Then the slots work until the daemon is told to stop.
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
