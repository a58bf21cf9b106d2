//! The scheduler: all decisions about stages and leases, as a pure state machine. Every operation is a function of the
//! state, its arguments and the given time: no IO, no async, no clock, no randomness. Its durable effects are the
//! [`Change`]s that [`Engine::take_changes`] returns. A reply may leave the process only after they are committed.

mod backlog;
mod curve;
pub mod demand;
mod fingerprint;
#[cfg(any(test, feature = "fixtures"))]
pub mod fixtures;
mod garbage;
pub mod inspect;
mod lease;
mod outline;
mod placement;
mod pushed;
mod record;
mod rollback;
pub mod submission;
mod sweeps;
mod view;
mod work;
mod workers;

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

pub use backlog::{Backlog, ClassBacklog};
pub use curve::curve;
pub use garbage::{Collected, Garbage, Kept};
pub use lease::Grant;
pub use outline::Outline;
use pretext_shared::ids::{Fence, Fingerprint, StageId, SweepId, WorkerId};
use pretext_shared::stage::StageKind;
pub use pushed::{KeptAs, RemovalRefused, Removed};
pub use record::{
    Batch, Change, Checkpoint, GrantRecord, Holder, Millis, Progress, PushedData, Snapshot, StageRecord, State,
    SweepMark, SweepRecord, Waiting,
};
pub use sweeps::{Cancelled, Retried, Submission, Submitted};
pub use view::{CellCounts, NoPlan, RunningStage, Standing, SweepStatus, WorkerView};
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
}

impl Default for Limits {
    fn default() -> Self {
        Self { lease_ms: 15_000, max_lost: 3, max_failed: 3, max_out_of_memory: 2, back_off_ms: 1_000 }
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

#[derive(Debug, Clone)]
struct StageEntry {
    outline: Box<Outline>,
    progress: Box<Progress>,
    /// The sweeps that need it, sorted.
    needed_by: Vec<SweepId>,
    /// End of the lease or of the back-off.
    until: Millis,
    /// Steps and images of the running attempt, as last reported. Not durable.
    step: u64,
    images: u64,
    /// Images of the longest chain of stages that starts with this one.
    weight: u64,
}

impl StageEntry {
    fn new(outline: Box<Outline>, progress: Box<Progress>) -> Self {
        Self { outline, progress, needed_by: Vec::new(), until: 0, step: 0, images: 0, weight: 0 }
    }
}

#[derive(Debug, Clone)]
struct SweepEntry {
    record: SweepRecord,
    mark: SweepMark,
    /// Its distinct stages, sorted.
    stages: Vec<StageId>,
}

impl SweepEntry {
    fn new(record: SweepRecord, mark: SweepMark) -> Self {
        let mut stages: Vec<StageId> = record.cells.iter().flat_map(|cell| cell.stages()).collect();
        stages.sort_unstable();
        stages.dedup();
        Self { record, mark, stages }
    }
}

/// The state machine of the coordinator.
#[derive(Debug, Clone)]
pub struct Engine {
    limits: Limits,
    sweeps: BTreeMap<SweepId, SweepEntry>,
    stages: BTreeMap<StageId, StageEntry>,
    workers: BTreeMap<WorkerId, workers::WorkerEntry>,
    /// Data sets that workers can fetch.
    data: BTreeMap<Fingerprint, PushedData>,
    /// A lower bound of the fences of new grants, see [`Engine::raise_fences`].
    first_fence: Fence,
    /// The time of the last tick.
    heard: Millis,
    changes: Vec<Change>,
}

impl Engine {
    /// Returns the engine with the state of `snapshot`. Held leases get a full lease time from `now`, so that their
    /// holders can come back.
    pub fn restore(limits: Limits, snapshot: Snapshot, now: Millis) -> Self {
        let mut engine = Self {
            limits,
            sweeps: BTreeMap::new(),
            stages: BTreeMap::new(),
            workers: BTreeMap::new(),
            data: snapshot.data,
            first_fence: Fence(0),
            heard: now,
            changes: Vec::new(),
        };
        for (record, mark) in snapshot.sweeps {
            engine.sweeps.insert(record.id.clone(), SweepEntry::new(record, mark));
        }
        let needs = engine.sweeps.iter().flat_map(|(id, sweep)| sweep.stages.iter().map(move |stage| (*stage, id)));
        let mut needs: Vec<(StageId, &SweepId)> = needs.collect();
        needs.sort_unstable();
        // Stages and needs are sorted, so one pass over both is enough.
        let mut needs = needs.into_iter().peekable();
        let stages = snapshot.stages.into_iter().map(|(id, (outline, progress))| {
            let until = match &progress.state {
                State::Leased(_) => now + limits.lease_ms,
                State::Waiting(Waiting::BackOff(ms)) => now + ms,
                _ => 0,
            };
            while needs.next_if(|(stage, _)| *stage < id).is_some() {}
            let needed_by = std::iter::from_fn(|| needs.next_if(|(stage, _)| *stage == id));
            let needed_by = needed_by.map(|(_, sweep)| sweep.clone()).collect();
            (id, StageEntry { until, needed_by, ..StageEntry::new(outline, progress) })
        });
        engine.stages = stages.collect();
        engine.weigh();
        engine
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
            self.make_up_for(deaf);
        }
        let expired: Vec<StageId> = self
            .stages
            .iter()
            .filter(|(_, entry)| matches!(entry.progress.state, State::Leased(_)) && entry.until <= now)
            .map(|(id, _)| *id)
            .collect();
        for id in expired {
            self.expire(id);
        }
    }

    /// Moves the end of every lease, and the last sign of life of every worker.
    fn make_up_for(&mut self, deaf: Millis) {
        for entry in self.stages.values_mut() {
            if matches!(entry.progress.state, State::Leased(_)) {
                entry.until += deaf;
            }
        }
        for worker in self.workers.values_mut() {
            worker.last_seen += deaf;
        }
    }

    fn index_sweep(&mut self, record: SweepRecord) {
        let sweep = SweepEntry::new(record, SweepMark::Active);
        for stage in &sweep.stages {
            if let Some(entry) = self.stages.get_mut(stage) {
                let place = entry.needed_by.partition_point(|other| *other < sweep.record.id);
                entry.needed_by.insert(place, sweep.record.id.clone());
            }
        }
        self.sweeps.insert(sweep.record.id.clone(), sweep);
    }

    /// Computes for every stage the images of the longest chain that waits for it.
    fn weigh(&mut self) {
        let outlines = self.stages.iter().map(|(id, entry)| (*id, &entry.outline));
        let mut plans: Vec<(StageId, StageKind, Option<StageId>, u64)> =
            outlines.map(|(id, outline)| (id, outline.kind, outline.parent, outline.cost.images_seen.max(1))).collect();
        // Test stages have no children, downstream stages have test children, pretext stages have downstream children.
        // In this order every stage comes after all stages that wait for it.
        plans.sort_unstable_by_key(|(_, kind, ..)| Reverse(*kind));
        let mut weights: HashMap<StageId, u64> = HashMap::with_capacity(plans.len());
        for (id, _, parent, images) in plans {
            let weight = weights.entry(id).or_default();
            *weight += images;
            let above = *weight;
            if let Some(parent) = parent {
                let most = weights.entry(parent).or_default();
                *most = above.max(*most);
            }
        }
        for (id, entry) in &mut self.stages {
            entry.weight = weights.get(id).copied().unwrap_or_default();
        }
    }

    /// Returns whether a sweep that was not cancelled needs the stage.
    fn is_needed(&self, stage: StageId) -> bool {
        self.stages.get(&stage).is_some_and(|entry| {
            let mut sweeps = entry.needed_by.iter().filter_map(|sweep| self.sweeps.get(sweep));
            sweeps.any(|sweep| sweep.mark == SweepMark::Active)
        })
    }

    /// Brings a stage into a new state; no other code does so.
    fn transition(&mut self, id: StageId, until: Millis, change: impl FnOnce(&mut Progress)) {
        if let Some(entry) = self.stages.get_mut(&id) {
            change(&mut entry.progress);
            entry.until = until;
            self.changes.push(Change::SetProgress(id, entry.progress.clone()));
        }
    }

    /// Returns the state of a stage, for readers.
    pub fn progress(&self, stage: StageId) -> Option<&Progress> {
        self.stages.get(&stage).map(|entry| entry.progress.as_ref())
    }

    /// Returns when the lease of a stage ends, if a worker holds it.
    pub fn leased_until(&self, stage: StageId) -> Option<Millis> {
        self.stages
            .get(&stage)
            .filter(|entry| matches!(entry.progress.state, State::Leased(_)))
            .map(|entry| entry.until)
    }

    fn entry(&self, stage: StageId) -> Result<&StageEntry, Refusal> {
        self.stages.get(&stage).ok_or(Refusal::UnknownStage(stage))
    }
}
