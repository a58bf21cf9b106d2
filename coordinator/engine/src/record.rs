//! What the engine knows, in the form in which the store keeps it.

use std::collections::BTreeMap;

use pretext_shared::dataset::{DatasetFacts, Source};
use pretext_shared::ids::{ArtifactId, Fence, Fingerprint, StageId, SweepId, WorkerId};
use pretext_shared::outcome::{Failure, StageResult};
use pretext_shared::point::Point;
use pretext_shared::stage::Stage;
use pretext_shared::sweep::{Cell, Cost, Provenance};
use pretext_shared::trainer::CheckpointPolicy;
use serde::{Deserialize, Serialize};

use super::Outline;

/// Failed and lost attempts that are kept with a stage: as many as all budgets together allow.
const HISTORY: usize = 8;

/// Milliseconds on the coordinator's monotonic clock. Never stored: a restart begins a new clock.
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
    /// Where its numbers come from.
    pub provenance: Provenance,
    /// Its cells.
    pub cells: Vec<Cell>,
    /// Stages that may run at a time; `None` for no limit.
    pub max_parallel: Option<u32>,
}

/// A stage as it was planned. Written once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageRecord {
    /// Resolved inputs.
    pub stage: Stage,
    /// What it costs.
    pub cost: Cost,
    /// Where the sweep that brought it says its data are.
    pub source: Source,
    /// Where it says the weights file is, for a stage that starts from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// When to write checkpoints.
    pub checkpoint: CheckpointPolicy,
}

/// Where a stage stands. Written at every transition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The fence of the last grant; 0 before the first.
    pub fence: Fence,
    /// State.
    pub state: State,
    /// Attempts in a row that infrastructure ended (a worker that fell silent, a disk, a driver) without a newer
    /// checkpoint: infrastructure's budget.
    pub lost: u32,
    /// Attempts that failed in a way that may pass: the code's budget.
    pub failed: u32,
    /// Attempts that ran out of memory.
    #[serde(default)]
    pub out_of_memory: u32,
    /// The checkpoint that a new holder resumes from.
    pub checkpoint: Option<Checkpoint>,
    /// Its predecessors, newest first, as many as the sweep's `checkpoint.keep` says: where that one cannot be had, a new
    /// holder takes one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub predecessors: Vec<Checkpoint>,
    /// Point batches of the last grant that are durable: the next sequence number.
    pub batches: u64,
    /// Failed and lost attempts, oldest first, the last few: the evidence.
    pub history: Vec<(Fence, Failure)>,
}

impl Progress {
    /// A stage that was never granted.
    pub fn new() -> Self {
        Self {
            fence: Fence(0),
            state: State::Waiting(Waiting::Open),
            lost: 0,
            failed: 0,
            out_of_memory: 0,
            checkpoint: None,
            predecessors: Vec::new(),
            batches: 0,
            history: Vec::new(),
        }
    }

    /// Whether an attempt with `fence` may still write: it is the last grant and has neither ended
    /// nor been given back. An expired lease alone does not take the right away; the next grant does.
    pub fn admits(&self, fence: Fence) -> bool {
        let held = matches!(self.state, State::Leased(_) | State::Waiting(Waiting::Expired(_)));
        held && fence == self.fence
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
    /// Nobody holds it.
    Waiting(Waiting),
    /// A worker holds it.
    Leased(Holder),
    /// It has its one final result.
    Succeeded(StageResult),
    /// It failed for good; `retry` resets it.
    Failed(Failure),
    /// No sweep needed it any more; a sweep that needs it again resets it.
    Cancelled,
}

/// Why nobody holds a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Waiting {
    /// It may be granted.
    Open,
    /// It may be granted after a back-off of so many milliseconds (counted again after a restart).
    BackOff(u64),
    /// Its holder's lease expired. Granted to whoever asks; the former holder may come back until then.
    Expired(Holder),
}

/// Who holds a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The worker.
    pub worker: WorkerId,
    /// The device's name on that worker.
    pub device: String,
    /// The request that was granted, so that a repeated request gets the same grant.
    pub request: String,
}

/// A registered checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Where it is.
    pub artifact: ArtifactId,
    /// Steps taken.
    pub step: u64,
}

/// A grant, for the log that `verify` reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantRecord {
    /// Who got the stage.
    pub holder: Holder,
    /// Milliseconds since the Unix epoch.
    pub granted_ms: u64,
    /// The step of the checkpoint that the attempt was told to resume from; 0 for none. Points of older attempts past
    /// it are superseded.
    #[serde(default)]
    pub resume_step: u64,
}

/// Points of an attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// The attempt's fence.
    pub fence: Fence,
    /// Position in the attempt's stream, from 0 without gaps.
    pub sequence: u64,
    /// The points.
    pub points: Vec<Point>,
}

/// A data set that was pushed: workers that do not have it fetch it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushedData {
    /// What a worker that has it would announce; the key is `KIND:NAME`.
    pub facts: DatasetFacts,
    /// The list of its files and packs, an artifact.
    pub packing: ArtifactId,
    /// Its packs, artifacts too, in order.
    pub packs: Vec<ArtifactId>,
    /// How many files it has.
    pub files: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Milliseconds since the Unix epoch.
    pub pushed_ms: u64,
}

/// One durable step. The engine emits them; a store commits those of one call together or not at all. Backups are made
/// of them too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Change {
    /// A new sweep.
    AddSweep(Box<SweepRecord>),
    /// A sweep was cancelled, or its cancellation was taken back by a retry.
    MarkSweep(SweepId, SweepMark),
    /// A new stage.
    AddStage(StageId, Box<StageRecord>),
    /// A stage's new standing.
    SetProgress(StageId, Box<Progress>),
    /// A grant, for the log.
    LogGrant(StageId, Fence, GrantRecord),
    /// Points.
    AppendPoints(StageId, Batch),
    /// A data set was pushed, or is kept no longer.
    SetData(Fingerprint, Option<Box<PushedData>>),
}

/// Whether a sweep is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SweepMark {
    /// It runs.
    Active,
    /// It was cancelled when these of its cells (by position) had ended. The others stay cancelled, even if
    /// another sweep brings their stages to an end: a cell has one final result.
    Cancelled(Vec<u32>),
}

impl SweepMark {
    /// Whether the sweep was cancelled.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, SweepMark::Cancelled(_))
    }
}

/// Everything that the engine needs to go on after a restart.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// Sweeps with their marks.
    pub sweeps: Vec<(SweepRecord, SweepMark)>,
    /// Stages: what of their plans decides, and where they stand.
    pub stages: BTreeMap<StageId, (Box<Outline>, Box<Progress>)>,
    /// Pushed data sets.
    pub data: BTreeMap<Fingerprint, PushedData>,
}
