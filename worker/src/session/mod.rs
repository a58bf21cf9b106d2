//! The daemon: holds the connection, the leases and the queues, and keeps one trainer process per slot.
//! It trains nothing itself, so heartbeats never wait for training and a crash of a trainer costs one
//! attempt, never the daemon.

mod attempt;
mod heartbeat;
mod link;
mod outbox;
mod process;
mod slot;
mod transfer;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pretext_identity::Wire;
use pretext_proto::v1 as pb;
use pretext_shared::device::DeviceFacts;
use pretext_shared::ids::{AttemptId, WorkerId};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

pub use link::{Link, LinkError};

/// What a daemon is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Who it is.
    pub worker: WorkerId,
    /// The coordinator's URL.
    pub coordinator: String,
    /// How it is reached.
    pub wire: Wire,
    /// Devices with the number of slots on each.
    pub devices: Vec<DeviceFacts>,
    /// CPU threads of each trainer.
    pub threads: usize,
    /// Where data sets are.
    pub data_root: PathBuf,
    /// Data sets to announce, in messages.
    pub datasets: Vec<pb::Dataset>,
    /// Where checkpoints and models are kept.
    pub state_dir: PathBuf,
}

/// What the whole daemon shares.
struct Shared {
    options: Options,
    link: Link,
    held: Mutex<BTreeMap<AttemptId, Held>>,
    /// Told whenever an attempt has left `held`.
    ended: Notify,
    /// True once the daemon is shutting down.
    stopping: watch::Receiver<bool>,
}

/// An attempt that a slot works on.
struct Held {
    device: String,
    step: u64,
    images: u64,
    verdict: watch::Sender<Verdict>,
}

/// What the coordinator says of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Go on.
    Continue,
    /// No sweep needs the stage any more.
    Cancelled,
    /// Nothing of the attempt is accepted any more.
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
                held.verdict.send_if_modified(|old| std::mem::replace(old, Verdict::Superseded) != Verdict::Superseded);
                waits = true;
            }
            if !waits {
                return;
            }
            ended.await;
        }
    }

    fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }
}

/// Runs the daemon until `stop` becomes true: then every trainer checkpoints at its next step, leases are
/// given back, and this returns.
///
/// # Errors
/// When the coordinator refuses this worker in words (another protocol, a bad name). An unreachable
/// coordinator is waited for.
pub async fn serve(options: Options, mut stop: watch::Receiver<bool>) -> Result<(), LinkError> {
    let link = Link::new(&options)?;
    let registered = tokio::select! {
        registered = link.register() => registered?,
        () = becomes(&mut stop, |stop| *stop) => return Ok(()),
    };
    let slots = slot::plan(&options.devices, options.threads);
    tracing::info!(
        worker = %options.worker, coordinator = %options.coordinator, slots = slots.len(), threads = options.threads,
        "worker is ready"
    );
    let shared =
        Arc::new(Shared { options, link, held: Mutex::new(BTreeMap::new()), ended: Notify::new(), stopping: stop });
    let beat = tokio::spawn(heartbeat::run(shared.clone(), registered));
    let mut running = JoinSet::new();
    for plan in slots {
        running.spawn(slot::run(shared.clone(), plan));
    }
    while let Some(ended) = running.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a slot ended unexpectedly");
        }
    }
    beat.abort();
    Ok(())
}
