//! The engine's state in the form that the store keeps.

use std::collections::BTreeMap;

use pretext_shared::dataset::{DatasetFacts, Source};
use pretext_shared::ids::{ArtifactId, Fence, Fingerprint, StageId, SweepId, WorkerId};
use pretext_shared::outcome::{Failure, FailureCode, StageResult};
use pretext_shared::point::Point;
use pretext_shared::stage::Stage;
use pretext_shared::sweep::{Cell, Cost, Provenance};
use pretext_shared::trainer::CheckpointPolicy;
use serde::{Deserialize, Serialize};

use super::{Limits, Outline, Site};

/// Most failed and lost attempts that are kept with a stage: as many as all budgets together allow.
const HISTORY: usize = 8;

/// Milliseconds on the coordinator's monotonic clock. Never stored: the clock starts anew at a restart.
pub type Millis = u64;

/// A submitted sweep. Written once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepRecord {
    /// Id.
    pub id: SweepId,
    /// Name, as in the file.
    pub name: String,
    /// Milliseconds since the Unix epoch.
    pub submitted_ms: u64,
    /// The origin of its numbers.
    pub provenance: Provenance,
    /// Its cells.
    pub cells: Vec<Cell>,
    /// Most stages that may run at a time; `None` for no limit.
    pub max_parallel: Option<u32>,
    /// Sweeps of a higher priority get free slots first; from -10 to 10.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub priority: i8,
}

/// Returns whether a priority is that of a sweep whose file gives none.
fn is_usual(priority: &i8) -> bool {
    *priority == 0
}

/// A stage as it was planned. Written once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageRecord {
    /// Resolved inputs.
    pub stage: Stage,
    /// What it costs.
    pub cost: Cost,
    /// The source of its data, in the sweep that added the stage.
    pub source: Source,
    /// Path of the weights file, in the sweep that added the stage; for a stage that starts from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// When to write checkpoints.
    pub checkpoint: CheckpointPolicy,
}

/// The progress of a stage. Written at every transition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The fence of the last grant. Before the first it is 0, or above the fences of all deleted stages.
    pub fence: Fence,
    /// State.
    pub state: State,
    /// Infrastructure's budget: consecutive attempts that infrastructure ended (a silent worker, a disk, a driver)
    /// without a newer checkpoint.
    pub lost: u32,
    /// The program's budget: attempts with a retryable failure.
    pub failed: u32,
    /// Attempts that ran out of memory.
    #[serde(default)]
    pub out_of_memory: u32,
    /// The checkpoint that a new holder resumes from.
    pub checkpoint: Option<Checkpoint>,
    /// Older checkpoints, newest first, as many as the sweep's `checkpoint.keep` allows. If the newest one cannot be
    /// read, a new holder resumes from one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub predecessors: Vec<Checkpoint>,
    /// Point batches of the last grant that are durable: the next sequence number.
    pub batches: u64,
    /// The last failed and lost attempts, oldest first, as evidence.
    pub history: Vec<(Fence, Failure)>,
    /// The places where attempts failed for reasons that may lie there. The next attempt goes elsewhere if it can.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed_at: Vec<Site>,
}

impl Progress {
    /// Returns the progress of a stage that was never granted, in a store that never deleted one.
    pub fn new() -> Self {
        Self::beginning_at(Fence(0))
    }

    /// Returns the progress of a stage that was never granted under its id, and maybe under the same id before it was
    /// deleted, with a fence below `first`.
    pub(super) fn beginning_at(first: Fence) -> Self {
        Self {
            fence: first,
            state: State::Waiting(Waiting::Open),
            lost: 0,
            failed: 0,
            out_of_memory: 0,
            checkpoint: None,
            predecessors: Vec::new(),
            batches: 0,
            history: Vec::new(),
            failed_at: Vec::new(),
        }
    }

    /// Returns whether one more failure that a place may have caused is final.
    pub(super) fn has_last_try(&self, limits: &Limits) -> bool {
        self.lost + 1 >= limits.max_lost || self.failed + 1 >= limits.max_failed
    }

    /// Returns whether an attempt with `fence` may still write: it must be the last grant, and neither ended nor given
    /// back. Expiry of the lease does not end this right; the next grant does.
    pub fn admits(&self, fence: Fence) -> bool {
        let held = matches!(self.state, State::Leased(_) | State::Waiting(Waiting::Expired(_)));
        held && fence == self.fence
    }

    /// Returns whether the points and the result of an attempt may still be handed in. It is the last grant, and it
    /// ended as invalid: its worker kept a copy, and nobody else has the stage.
    pub fn may_be_handed_in(&self, fence: Fence) -> bool {
        let is_invalid = matches!(&self.state, State::Failed(failure) if failure.code == FailureCode::Invalid);
        is_invalid && fence == self.fence
    }

    /// Keeps a failed attempt as evidence.
    pub(super) fn remember(&mut self, fence: Fence, failure: Failure) {
        self.history.push((fence, failure));
        let surplus = self.history.len().saturating_sub(HISTORY);
        self.history.drain(..surplus);
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

/// The states of a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum State {
    /// No worker holds it.
    Waiting(Waiting),
    /// A worker holds it.
    Leased(Holder),
    /// It has its one final result.
    Succeeded(StageResult),
    /// It failed finally; `retry` resets it.
    Failed(Failure),
    /// No sweep needed it any more; a sweep that needs it again resets it.
    Cancelled,
}

/// The reason why no worker holds a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Waiting {
    /// It may be granted.
    Open,
    /// It may be granted after a back-off in milliseconds, which starts anew after a restart.
    BackOff(u64),
    /// Its holder's lease expired. Any worker may get it; the former holder may come back until then.
    Expired(Holder),
}

/// The holder of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The worker.
    pub worker: WorkerId,
    /// The device's name on that worker.
    pub device: String,
    /// The granted request: a repeated request gets the same grant.
    pub request: String,
}

/// A registered checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The artifact with its content.
    pub artifact: ArtifactId,
    /// Steps taken.
    pub step: u64,
}

/// A grant, for the log that `verify` reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantRecord {
    /// The worker that got the stage.
    pub holder: Holder,
    /// Milliseconds since the Unix epoch.
    pub granted_ms: u64,
    /// The step of the checkpoint to resume from; 0 for none. Points of older attempts past this step are superseded.
    #[serde(default)]
    pub resume_step: u64,
}

/// A batch of points of an attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// The attempt's fence.
    pub fence: Fence,
    /// Position in the attempt's stream, from 0 without gaps.
    pub sequence: u64,
    /// The points.
    pub points: Vec<Point>,
}

/// A pushed data set: workers that do not have it fetch it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushedData {
    /// The facts that a worker with the data would announce; the key is `KIND:NAME`.
    pub facts: DatasetFacts,
    /// The list of its files and packs, an artifact.
    pub packing: ArtifactId,
    /// Its packs, artifacts too, in order.
    pub packs: Vec<ArtifactId>,
    /// Number of its files.
    pub files: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Milliseconds since the Unix epoch.
    pub pushed_ms: u64,
}

/// One durable change. The engine emits changes; a store commits those of one call all together or not at all. Backups
/// consist of changes too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Change {
    /// A new sweep.
    AddSweep(Box<SweepRecord>),
    /// A sweep was cancelled, or a retry undid its cancellation.
    MarkSweep(SweepId, SweepMark),
    /// A new stage.
    AddStage(StageId, Box<StageRecord>),
    /// The new progress of a stage.
    SetProgress(StageId, Box<Progress>),
    /// A grant, for the log.
    LogGrant(StageId, Fence, GrantRecord),
    /// Points.
    AppendPoints(StageId, Batch),
    /// A data set was pushed or removed.
    SetData(Fingerprint, Option<Box<PushedData>>),
    /// A sweep was deleted.
    DeleteSweep(SweepId),
    /// A stage was deleted, with its plan, progress, grants and points.
    DeleteStage(StageId),
    /// A new stage begins at this fence: it is above the fences of all deleted stages.
    RaiseFences(Fence),
}

/// Whether a sweep is active.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SweepMark {
    /// It is active.
    Active,
    /// It was cancelled when these of its cells (by position) were final. The others stay cancelled, even if their
    /// stages finish for another sweep: a cell has one final result.
    Cancelled(Vec<u32>),
}

impl SweepMark {
    /// Returns whether the sweep was cancelled.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, SweepMark::Cancelled(_))
    }
}

/// Everything that the engine needs after a restart.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// Sweeps with their marks.
    pub sweeps: Vec<(SweepRecord, SweepMark)>,
    /// Stages: the outlines of their plans, and their progress.
    pub stages: BTreeMap<StageId, (Box<Outline>, Box<Progress>)>,
    /// Pushed data sets.
    pub data: BTreeMap<Fingerprint, PushedData>,
    /// New stages begin at this fence; 0 if no stage was ever deleted.
    pub first_fence: Fence,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{SWEEP, submission};

    #[test]
    fn a_record_without_a_priority_reads_back_as_one_of_the_usual() {
        let read = |text: &str| -> SweepRecord { serde_json::from_str(text).expect("a record") };
        let usual = serde_json::to_string(&submission(SWEEP, 1).sweep).expect("plain data");
        assert!(!usual.contains("\"priority\""), "older versions wrote the same");
        assert_eq!(read(&usual).priority, 0);
        let urgent = serde_json::to_string(&submission(&format!("{SWEEP}priority: 7\n"), 1).sweep).expect("plain data");
        assert_eq!(read(&urgent).priority, 7);
    }
}
