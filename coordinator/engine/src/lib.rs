//! The scheduler: all decisions about stages and leases, as a pure state machine. Every operation is a function of the
//! state, its arguments and the given time: no IO, no async, no clock, no randomness. Its durable effects are the
//! [`Change`]s that [`Engine::take_changes`] returns. A reply may leave the process only after they are committed.

mod backlog;
mod blame;
mod claim;
mod curve;
mod deletion;
pub mod demand;
pub mod drafts;
mod facts;
mod fingerprint;
mod finished;
#[cfg(any(test, feature = "fixtures"))]
pub mod fixtures;
mod forecast;
mod garbage;
mod health;
mod index;
pub mod inspect;
mod lease;
mod news;
mod outline;
mod placement;
mod pushed;
mod record;
mod rollback;
mod site;
pub mod submission;
mod sweeps;
mod table;
mod view;
mod wakes;
mod work;
mod workers;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use backlog::{Backlog, ClassBacklog};
pub use claim::{Denied, Evidence};
pub use curve::curve;
pub use deletion::Deleted;
pub use drafts::{Submission, Submitted};
pub use facts::CellCounts;
use facts::StageEntry;
pub use finished::FinishedSweep;
pub use forecast::Forecast;
pub use garbage::{Collected, Garbage, Kept};
pub use health::DeviceState;
pub use index::Pace;
pub use lease::Grant;
pub use news::{CellNews, News, Revision, StageBrief};
pub use outline::Outline;
use pretext_shared::ids::{Fence, StageId, SweepId, WorkerId};
pub use pushed::{KeptAs, RemovalRefused, Removed};
pub use record::{
    Batch, Change, Checkpoint, GrantRecord, Holder, Millis, Progress, PushedData, Snapshot, StageRecord, State,
    SweepMark, SweepRecord, Waiting,
};
pub use site::Site;
pub use sweeps::{Cancelled, Retried};
use table::Table;
pub use view::{NoPlan, RunningStage, Standing, SweepStatus, WorkerView};
pub use wakes::DeviceKey;
pub use work::Directive;
pub use workers::{Announcement, Offer};

/// Times and limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// A lease ends this long after its last renewal.
    pub lease_ms: Millis,
    /// Most consecutive attempts that infrastructure may end without a newer checkpoint; after that the stage is
    /// quarantined.
    pub max_lost: u32,
    /// Most retryable failures of the program before the stage fails.
    pub max_failed: u32,
    /// Most attempts that may run out of memory before the stage fails.
    pub max_out_of_memory: u32,
    /// Back-off after the first failure; doubled for each further one.
    pub back_off_ms: Millis,
    /// After a failure that a place may have caused, the stage goes to another place for this time, if another can run
    /// it.
    pub avoid_ms: Millis,
    /// Number of different stages that must fail in a row on a device before it is drained.
    pub max_streak: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lease_ms: 15_000,
            max_lost: 3,
            max_failed: 3,
            max_out_of_memory: 2,
            back_off_ms: 1_000,
            avoid_ms: 60_000,
            max_streak: 3,
        }
    }
}

/// A round of the core that takes longer than this is unusual: the coordinator was paused.
const LONGEST_ROUND: Millis = 1_000;

/// The reason why an operation was refused. Nothing has changed, except for [`Refusal::FromTheFuture`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The attempt's fence is superseded, or its stage has ended.
    #[error("attempt {stage}@{fence} is superseded: the stage was granted again, ended or was cancelled", stage = stage.short())]
    Superseded {
        /// The stage.
        stage: StageId,
        /// The fence that was presented.
        fence: Fence,
    },
    /// The stage is not known.
    #[error("there is no stage {}", .0.short())]
    UnknownStage(StageId),
    /// A fence that this store never granted: the store was set back to an older state. The stage is quarantined, and
    /// its fence is raised above this one, so that the same fence is never granted again.
    #[error("attempt {stage}@{fence} is newer than this store knows ({known}): the store was set back to an older state", stage = stage.short())]
    FromTheFuture {
        /// The stage.
        stage: StageId,
        /// The fence that was presented.
        fence: Fence,
        /// The highest fence that the store knows.
        known: Fence,
    },
    /// Point batches are missing.
    #[error("point batch {sequence} of {stage} came before batch {expected}", stage = stage.short())]
    Gap {
        /// The stage.
        stage: StageId,
        /// The received batch.
        sequence: u64,
        /// The next expected batch.
        expected: u64,
    },
    /// No sweep matches.
    #[error("there is no sweep `{0}`: list the sweeps with `coordinator status`")]
    UnknownSweep(String),
    /// More than one sweep matches.
    #[error("`{text}` may be any of {candidates}: give more characters of the id")]
    AmbiguousSweep {
        /// The given text.
        text: String,
        /// The matching sweeps.
        candidates: String,
    },
    /// The sweep is to be deleted, and still runs.
    #[error("{0} still runs: run `coordinator cancel {0}` first")]
    StillRuns(SweepId),
    /// No cell matches.
    #[error("there is no cell `{0}`: give its id as SWEEP/METHOD/FRACTION/LR/SEED")]
    UnknownCell(String),
    /// Garbage is what a store does not need. This store is empty, so it cannot decide.
    #[error(
        "nothing was removed: the store has no sweep, but there are artifacts, which may belong to another store. Use \
         each artifact folder or bucket with one store only"
    )]
    NothingKnown,
    /// The worker must register first.
    #[error("worker {0} is not registered: register again")]
    UnknownWorker(WorkerId),
    /// The worker has no such device.
    #[error("worker {worker} offers no device `{device}`")]
    UnknownDevice {
        /// The worker.
        worker: WorkerId,
        /// The device.
        device: String,
    },
}

/// The state machine of the coordinator.
#[derive(Debug, Clone)]
pub struct Engine {
    limits: Limits,
    table: Table,
    workers: BTreeMap<WorkerId, workers::WorkerEntry>,
    /// A lower bound of the fences of new grants, see [`Engine::raise_fences`].
    first_fence: Fence,
    /// The fence at which new stages begin, see [`Engine::clear`]. Durable.
    newborn_fence: Fence,
    /// The time at which it was restored.
    restored: Millis,
    /// The time of the last tick.
    heard: Millis,
    /// The time in which nobody could be heard, in all. The listening clock is behind the coordinator's by this time.
    deaf: Millis,
    changes: Vec<Change>,
    health: health::Health,
    /// No connected worker becomes silent before this time on the listening clock.
    next_silence: Millis,
    wakes: wakes::Wakes,
}

impl Engine {
    /// Returns the engine with the state of `snapshot`. Held leases get a full lease time from `now`, so that their
    /// holders can come back.
    pub fn restore(limits: Limits, snapshot: Snapshot, now: Millis) -> Self {
        let newborn_fence = snapshot.first_fence;
        Self {
            limits,
            table: Table::restore(limits, snapshot, now),
            workers: BTreeMap::new(),
            first_fence: Fence(0),
            newborn_fence,
            restored: now,
            heard: now,
            deaf: 0,
            changes: Vec::new(),
            health: health::Health::new(limits.max_streak),
            next_silence: Millis::MAX,
            wakes: wakes::Wakes::default(),
        }
    }

    /// Returns the durable effects of the operations since the last call, in order.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Advances the time: leases expire. A long time in which the coordinator did not run (it was paused, its disk
    /// stalled, the clock jumped) does not count against the workers, because it could not hear them.
    pub fn tick(&mut self, now: Millis) {
        let deaf = now.saturating_sub(self.heard);
        self.heard = self.heard.max(now);
        if deaf > (self.limits.lease_ms / 4).max(LONGEST_ROUND) {
            self.deaf += deaf;
        }
        for id in self.table.index().ended_leases(self.listening(now)) {
            self.expire(id);
        }
        self.end_waits(now);
        self.note_silence(now);
    }

    /// Returns the time on the listening clock, which stands still while the coordinator hears nobody. The ends of
    /// leases and the last signs of life of workers are on this clock.
    fn listening(&self, now: Millis) -> Millis {
        now.saturating_sub(self.deaf)
    }

    /// Lets the stages whose back-off has ended be granted, and those that avoided a place long enough be granted there
    /// too.
    fn end_waits(&mut self, now: Millis) {
        for id in self.table.index().ended_back_offs(now) {
            self.table.amend(id, |entry| entry.until = 0);
        }
        for id in self.table.index().ended_detours(now) {
            self.table.amend(id, |entry| entry.avoid_until = 0);
        }
    }

    /// Brings a stage into a new state; no other code does so.
    fn transition(&mut self, id: StageId, until: Millis, change: impl FnOnce(&mut Progress)) {
        let limits = self.limits;
        self.table.amend(id, |entry| {
            change(&mut entry.progress);
            entry.until = until;
            entry.has_last_try = entry.progress.has_last_try(&limits);
        });
        if let Some(entry) = self.table.stages().get(&id) {
            self.changes.push(Change::SetProgress(id, entry.progress.clone()));
        }
    }

    /// Returns the state of a stage, for readers.
    pub fn progress(&self, stage: StageId) -> Option<&Progress> {
        self.table.stages().get(&stage).map(|entry| entry.progress.as_ref())
    }

    /// Returns when the lease of a stage ends, if a worker holds it.
    pub fn leased_until(&self, stage: StageId) -> Option<Millis> {
        let entry = self.table.stages().get(&stage);
        entry.filter(|entry| matches!(entry.progress.state, State::Leased(_))).map(|entry| entry.until + self.deaf)
    }

    fn entry(&self, stage: StageId) -> Result<&StageEntry, Refusal> {
        self.table.stages().get(&stage).ok_or(Refusal::UnknownStage(stage))
    }
}
