//! Cells, and sweeps as people look at them: what the status commands show and the report is made of.

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
    /// Where it stands in the sweep.
    pub key: CellKey,
    /// Pretext stage; supervised cells have none.
    pub pretext: Option<StageId>,
    /// Downstream stage.
    pub downstream: StageId,
    /// Test stage.
    pub test: StageId,
    /// What downstream training moves.
    pub mode: DownstreamMode,
}

impl Cell {
    /// The cell's id: `SWEEP/METHOD/FRACTION/LR/SEED`.
    pub fn id(&self, sweep: &SweepId) -> String {
        format!("{sweep}/{}", self.key)
    }

    /// The cell's stages in the order in which they run.
    pub fn stages(&self) -> impl Iterator<Item = StageId> {
        self.pretext.into_iter().chain([self.downstream, self.test])
    }
}

/// What a stage costs, known before it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Images that train (or are tested).
    pub train_images: u64,
    /// Images that validate.
    pub validation_images: u64,
    /// Training epochs begun.
    pub epochs: u32,
    /// Optimizer steps (0 for a test stage).
    pub steps: u64,
    /// Images that enter the network in training, each view counted.
    pub images_seen: u64,
}

/// Where a stage stands, as people see it.
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
    /// Done.
    Succeeded(StageResult),
    /// Done, without a result. Every cell above it fails with it.
    Failed(Failure),
    /// No sweep needs it any more.
    Cancelled,
}

/// A stage with its points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageView {
    /// What it is.
    pub stage: Stage,
    /// What it costs.
    pub cost: Cost,
    /// Where it stands.
    pub status: StageStatus,
    /// Its curves so far, superseded points left out, in order of step.
    pub points: Vec<Point>,
}

/// Where a cell stands: the state of its weakest stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CellState {
    /// No stage of it runs.
    Pending,
    /// A stage of it runs.
    Running,
    /// Its test stage has a result.
    Succeeded,
    /// A stage of it failed.
    Failed,
    /// Cancelled before it had a result.
    Cancelled,
}

impl CellState {
    /// As written in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            CellState::Pending => "pending",
            CellState::Running => "running",
            CellState::Succeeded => "succeeded",
            CellState::Failed => "failed",
            CellState::Cancelled => "cancelled",
        }
    }

    /// Whether the cell will not change any more.
    pub fn is_final(self) -> bool {
        matches!(self, CellState::Succeeded | CellState::Failed | CellState::Cancelled)
    }
}

/// Where numbers come from: enough to run the sweep again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The sweep file as it was submitted.
    pub spec: String,
    /// Data set key and fingerprint.
    pub dataset: crate::dataset::DatasetFacts,
    /// The same of the data set that pretext training reads, where it is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pretext_dataset: Option<crate::dataset::DatasetFacts>,
    /// Version of Pretext.
    pub version: String,
    /// Numeric class of all stages.
    pub class: crate::device::NumericClass,
    /// Whether this is a rehearsal of two steps a stage.
    pub extent: crate::stage::Extent,
    /// What the program was made of; `None` for a sweep that was submitted to an older one.
    #[serde(default)]
    pub build: Option<Build>,
}

/// What a program was made of. Two programs of one build compute the same numbers on the same devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// The revision of the sources, as whoever built it named it.
    pub revision: Option<String>,
    /// Hash of the lock file.
    pub lock: ContentHash,
    /// `NAME VERSION` of every crate in the lock file.
    pub crates: Vec<String>,
}

/// A whole sweep: what the report is a function of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepView {
    /// Id.
    pub id: SweepId,
    /// Name, as in the file.
    pub name: String,
    /// Where its numbers come from.
    pub provenance: Provenance,
    /// Its cells, in the order of the plan.
    pub cells: Vec<Cell>,
    /// Its stages. Every stage of every cell is here.
    pub stages: BTreeMap<StageId, StageView>,
    /// Set if it was cancelled: the cells, by position, that had ended before.
    pub cancelled: Option<Vec<u32>>,
}

impl SweepView {
    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.is_some()
    }

    /// Where `cell` stands. On a cancelled sweep it is cancelled unless it had ended before, even if another
    /// sweep brought its stages to an end.
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

    /// The failure that made `cell` fail, with the stage that it happened in.
    pub fn failure(&self, cell: &Cell) -> Option<(StageId, &Failure)> {
        cell.stages().find_map(|id| match self.stages.get(&id).map(|view| &view.status) {
            Some(StageStatus::Failed(failure)) => Some((id, failure)),
            _ => None,
        })
    }

    /// The result of a stage that has one.
    pub fn result(&self, stage: StageId) -> Option<&StageResult> {
        match self.stages.get(&stage).map(|view| &view.status) {
            Some(StageStatus::Succeeded(result)) => Some(result),
            _ => None,
        }
    }
}
