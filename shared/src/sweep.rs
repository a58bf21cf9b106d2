//! Cells and sweeps for readers: the status commands show them, and the report is made from them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{ContentHash, StageId, SweepId};
use crate::outcome::{Failure, StageResult};
use crate::point::Point;
use crate::split::Fraction;
use crate::stage::{DownstreamMode, Method, Stage};

/// The place of a cell in its sweep: `METHOD/FRACTION/LR/SEED`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CellKey {
    /// Method.
    pub method: Method,
    /// Label fraction.
    pub fraction: Fraction,
    /// Name of the learning-rate policy.
    pub lr: String,
    /// Seed.
    pub seed: u64,
}

impl fmt::Display for CellKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.method, self.fraction, self.lr, self.seed)
    }
}

/// One row of the result table before averaging over seeds: a chain of stages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Its place in the sweep.
    pub key: CellKey,
    /// Pretext stage; supervised cells have none.
    pub pretext: Option<StageId>,
    /// Downstream stage.
    pub downstream: StageId,
    /// Test stage.
    pub test: StageId,
    /// The part of the network that downstream training changes.
    pub mode: DownstreamMode,
}

impl Cell {
    /// Returns the cell's id: `SWEEP/METHOD/FRACTION/LR/SEED`.
    pub fn id(&self, sweep: &SweepId) -> String {
        format!("{sweep}/{}", self.key)
    }

    /// Returns the cell's stages in the order in which they run.
    pub fn stages(&self) -> impl Iterator<Item = StageId> {
        self.pretext.into_iter().chain([self.downstream, self.test])
    }
}

/// The cost of a stage, known before it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Images that train (or are tested).
    pub train_images: u64,
    /// Images that validate.
    pub validation_images: u64,
    /// Number of training epochs, the last of which may be incomplete.
    pub epochs: u32,
    /// Optimizer steps (0 for a test stage).
    pub steps: u64,
    /// Images that enter the network in training, each view counted.
    pub images_seen: u64,
}

/// The state of a stage, for readers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum StageStatus {
    /// Waits for its parent, a slot or a back-off.
    Pending,
    /// A worker holds its lease.
    Running {
        /// The worker's name.
        worker: String,
        /// Steps taken, as last reported.
        step: u64,
    },
    /// The stage has a result.
    Succeeded(StageResult),
    /// The stage ended without a result. Every cell above it fails too.
    Failed(Failure),
    /// No sweep needs it any more.
    Cancelled,
}

/// A stage with its points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageView {
    /// The stage.
    pub stage: Stage,
    /// Its cost.
    pub cost: Cost,
    /// Its state.
    pub status: StageStatus,
    /// Its curves so far, without superseded points, ordered by step.
    pub points: Vec<Point>,
}

/// The state of a cell, which follows from its stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CellState {
    /// No stage of it is running.
    Pending,
    /// A stage of it is running.
    Running,
    /// Its test stage has a result.
    Succeeded,
    /// A stage of it failed.
    Failed,
    /// Cancelled before it had a result.
    Cancelled,
}

impl CellState {
    /// Returns the state as written in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            CellState::Pending => "pending",
            CellState::Running => "running",
            CellState::Succeeded => "succeeded",
            CellState::Failed => "failed",
            CellState::Cancelled => "cancelled",
        }
    }

    /// Returns whether the cell will not change any more.
    pub fn is_final(self) -> bool {
        matches!(self, CellState::Succeeded | CellState::Failed | CellState::Cancelled)
    }
}

/// The origin of the numbers: enough to run the sweep again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The sweep file as it was submitted.
    pub spec: String,
    /// Facts of the data set: key, fingerprint and counts.
    pub dataset: crate::dataset::DatasetFacts,
    /// Facts of the separate data set for pretext training, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pretext_dataset: Option<crate::dataset::DatasetFacts>,
    /// Version of Pretext.
    pub version: String,
    /// Numeric class of all stages.
    pub class: crate::device::NumericClass,
    /// Whether this is a rehearsal of two steps per stage.
    pub extent: crate::stage::Extent,
    /// The build of the program; `None` for a sweep that was submitted to an older version.
    #[serde(default)]
    pub build: Option<Build>,
}

/// What a program was built from. Two programs of one build compute the same numbers on the same devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// The revision of the sources, as named at the build.
    pub revision: Option<String>,
    /// Hash of the lock file.
    pub lock: ContentHash,
    /// `NAME VERSION` of every crate in the lock file.
    pub crates: Vec<String>,
}

/// A whole sweep: the input of the report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepView {
    /// Id.
    pub id: SweepId,
    /// Name, as in the file.
    pub name: String,
    /// The origin of its numbers.
    pub provenance: Provenance,
    /// Its cells, in the order of the plan.
    pub cells: Vec<Cell>,
    /// Its stages. Every stage of every cell is here.
    pub stages: BTreeMap<StageId, StageView>,
    /// The cells, by position, that were final before the cancellation; `None` if the sweep was not cancelled.
    pub cancelled: Option<Vec<u32>>,
}

impl SweepView {
    /// Returns whether the sweep was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.is_some()
    }

    /// Returns the state of `cell`. In a cancelled sweep a cell is cancelled unless it was final before, even if its
    /// stages finish for another sweep.
    pub fn state(&self, cell: &Cell) -> CellState {
        if let Some(ended) = &self.cancelled {
            let had_ended = ended.iter().any(|place| self.cells.get(*place as usize) == Some(cell));
            if !had_ended {
                return CellState::Cancelled;
            }
        }
        let statuses = || cell.stages().filter_map(|id| self.stages.get(&id)).map(|view| &view.status);
        if statuses().any(|status| matches!(status, StageStatus::Failed(_))) {
            CellState::Failed
        } else if matches!(self.stages.get(&cell.test).map(|view| &view.status), Some(StageStatus::Succeeded(_))) {
            CellState::Succeeded
        } else if statuses().any(|status| matches!(status, StageStatus::Cancelled)) {
            CellState::Cancelled
        } else if statuses().any(|status| matches!(status, StageStatus::Running { .. })) {
            CellState::Running
        } else {
            CellState::Pending
        }
    }

    /// Returns the failure that made `cell` fail, and the stage that failed.
    pub fn failure(&self, cell: &Cell) -> Option<(StageId, &Failure)> {
        cell.stages().find_map(|id| match self.stages.get(&id).map(|view| &view.status) {
            Some(StageStatus::Failed(failure)) => Some((id, failure)),
            _ => None,
        })
    }

    /// Returns the result of a stage, if it has one.
    pub fn result(&self, stage: StageId) -> Option<&StageResult> {
        match self.stages.get(&stage).map(|view| &view.status) {
            Some(StageStatus::Succeeded(result)) => Some(result),
            _ => None,
        }
    }
}
