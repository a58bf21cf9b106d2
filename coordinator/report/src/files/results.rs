//! `results.json`: the report for scripts. Its fields are an interface: they are added to, and
//! [`SCHEMA`] rises when one changes its meaning or goes.

use std::collections::{BTreeMap, BTreeSet};

use pretext_shared::ids::{ArtifactId, StageId, SweepId};
use pretext_shared::outcome::{ArtifactKind, FailureCode, Score};
use pretext_shared::split::Fraction;
use pretext_shared::stage::{DownstreamMode, Extent, Method, StageKind, StageSpec};
use pretext_shared::sweep::{Cell, CellKey, CellState, Provenance, StageStatus, StageView, SweepView};
use serde::Serialize;

use super::attachments::PredictionsFile;
use crate::numbers::evaluation::{Evaluation, Measures};
use crate::numbers::stats::{Paired, Summary};
use crate::numbers::{Comparison, Evaluations, MeasureSummaries, Overall, Protocol, Shortcut, Tables, TestSet};
use crate::statements;

/// Version of the layout of `results.json`.
pub const SCHEMA: u32 = 1;

/// The whole file. Fractions and accuracies are numbers in 0–1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Results {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Which sweep.
    pub sweep: SweepRecord,
    /// Enough to run it again.
    pub provenance: ProvenanceRecord,
    /// Facts that a reader must know before the first number, as sentences.
    pub warnings: Vec<String>,
    /// Pretext stages whose task was solved suspiciously early.
    pub shortcuts: Vec<Shortcut>,
    /// The test images that all cells are scored on.
    pub test_set: TestSet,
    /// Every cell once, in the order of the plan.
    pub cells: Vec<CellRecord>,
    /// Cells averaged over seeds.
    pub summary: Vec<SummaryRecord>,
    /// Every two methods of a policy against each other, at every fraction.
    pub comparisons: Vec<OfPolicy<Comparison>>,
    /// Methods over all fractions of a policy.
    pub overall: Vec<OfPolicy<Overall>>,
}

/// The origin of the numbers, and the devices that computed them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProvenanceRecord {
    /// Everything that was known when the sweep was submitted.
    #[serde(flatten)]
    pub submitted: Provenance,
    /// The devices that stages ended on, with the feature level (CPU) or the adapter (GPU), each once.
    pub devices: BTreeSet<String>,
}

/// Something of one learning-rate policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OfPolicy<T> {
    /// Name of the policy.
    pub lr: String,
    /// The content.
    #[serde(flatten)]
    pub what: T,
}

/// Which sweep, and how far it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SweepRecord {
    /// Id.
    pub id: SweepId,
    /// Name, as in the file.
    pub name: String,
    /// Whether it was cancelled.
    pub cancelled: bool,
    /// `smoke` for a rehearsal, whose numbers mean nothing.
    pub extent: Extent,
    /// Number of cells by state.
    pub states: BTreeMap<CellState, usize>,
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CellRecord {
    /// `SWEEP/METHOD/FRACTION/LR/SEED`.
    pub id: String,
    /// Method.
    pub method: Method,
    /// Label fraction.
    pub fraction: Fraction,
    /// Name of the learning-rate policy.
    pub lr: String,
    /// Seed.
    pub seed: u64,
    /// Seed of its label fraction and validation images.
    pub split_seed: Option<u64>,
    /// State of the cell.
    pub state: CellState,
    /// Why it failed.
    pub error: Option<ErrorRecord>,
    /// The downstream epoch (from 1) whose model was tested.
    pub selected_epoch: Option<u32>,
    /// Score on the test images.
    pub test: Option<Score>,
    /// Measures of the test predictions, beyond loss and accuracy.
    pub evaluation: Option<Measures>,
    /// The pretext stage; `null` for supervised cells.
    pub pretext: Option<StageRecord>,
    /// The downstream stage.
    pub downstream: DownstreamRecord,
    /// The test predictions.
    pub predictions: Option<PredictionsFile>,
}

/// The failure of a cell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ErrorRecord {
    /// The stage that failed; other cells that need it fail with it.
    pub stage: StageId,
    /// Kind of the stage.
    pub kind: Option<StageKind>,
    /// The class of failure.
    pub code: FailureCode,
    /// The message of the failure.
    pub message: String,
    /// The last lines that the trainer wrote.
    pub log: Vec<String>,
}

/// A training stage of a cell. Counts and scores are `null` until it is done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageRecord {
    /// Its content hash.
    pub stage: StageId,
    /// State of the stage: `pending`, `running`, `succeeded`, `failed` or `cancelled`.
    pub state: &'static str,
    /// Optimizer steps taken.
    pub steps: Option<u64>,
    /// Images that entered the network in training, each view counted.
    pub images: Option<u64>,
    /// Optimizer steps as planned.
    pub planned_steps: u64,
    /// Images to enter the network as planned.
    pub planned_images: u64,
    /// Images that train.
    pub train_images: u64,
    /// Images that validate.
    pub validation_images: u64,
    /// The epoch (from 1) of lowest validation loss.
    pub selected_epoch: Option<u32>,
    /// Score on the validation images at that epoch.
    pub validation: Option<Score>,
    /// The artifact id of the model of that epoch: equal ids are equal weights, and `worker export` writes its encoder for other
    /// programs.
    pub model: Option<ArtifactId>,
}

/// The downstream stage of a cell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DownstreamRecord {
    /// The part of the network that was trained.
    pub mode: DownstreamMode,
    /// The fields of every training stage.
    #[serde(flatten)]
    pub training: StageRecord,
}

/// Method × fraction × policy, over seeds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SummaryRecord {
    /// Method.
    pub method: Method,
    /// Label fraction.
    pub fraction: Fraction,
    /// Name of the learning-rate policy.
    pub lr: String,
    /// Which images pretext stages saw, in the whole table of the policy.
    pub protocol: Protocol,
    /// Cells that succeeded: the values averaged.
    pub n: usize,
    /// Cells that did not (yet), by state.
    pub missing: BTreeMap<CellState, usize>,
    /// Test accuracy: mean, sample standard deviation, half width of the 95 % t-interval.
    pub accuracy: Option<Summary>,
    /// Test loss, likewise.
    pub loss: Option<Summary>,
    /// Measures of the stored test predictions, beyond that.
    pub measures: Option<MeasureSummaries>,
    /// Accuracy minus that of the supervised cells of the same seeds.
    pub gain_over_supervised: Option<Paired>,
    /// Accuracy minus that of the random-init cells of the same seeds.
    pub gain_over_random_init: Option<Paired>,
    /// Half width of the 95 % binomial interval of one run at the mean accuracy.
    pub test_half_width: Option<f64>,
}

impl Results {
    /// Returns the results of `view`, whose tables are `tables` and whose predictions are in `predictions`.
    pub fn of(
        view: &SweepView,
        tables: &Tables,
        evaluations: &Evaluations,
        predictions: &BTreeMap<CellKey, PredictionsFile>,
    ) -> Self {
        let summary = tables.entries().map(|(table, fraction, entry)| SummaryRecord {
            method: entry.method,
            fraction,
            lr: table.lr.clone(),
            protocol: table.protocol,
            n: entry.n(),
            missing: entry.missing(),
            accuracy: entry.accuracy,
            loss: entry.loss,
            measures: entry.measures,
            gain_over_supervised: entry.gain,
            gain_over_random_init: entry.above_floor,
            test_half_width: entry.test_half_width,
        });
        let comparisons = tables.policies.iter().flat_map(|table| {
            table.comparisons.iter().map(|what| OfPolicy { lr: table.lr.clone(), what: what.clone() })
        });
        let overall = tables
            .policies
            .iter()
            .flat_map(|table| table.overall.iter().map(|what| OfPolicy { lr: table.lr.clone(), what: *what }));
        let cells = view
            .cells
            .iter()
            .map(|cell| CellRecord::of(view, cell, evaluations.get(view, cell), predictions.get(&cell.key)));
        Self {
            schema: SCHEMA,
            sweep: SweepRecord {
                id: view.id.clone(),
                name: view.name.clone(),
                cancelled: view.is_cancelled(),
                extent: view.provenance.extent,
                states: tables.states.clone(),
            },
            provenance: ProvenanceRecord::of(view, tables),
            warnings: statements::warnings(view, tables).iter().map(|one| one.wording().to_string()).collect(),
            shortcuts: tables.shortcuts.clone(),
            test_set: tables.test_set.clone(),
            cells: cells.collect(),
            summary: summary.collect(),
            comparisons: comparisons.collect(),
            overall: overall.collect(),
        }
    }

    /// Returns the file's content: indented JSON that ends with a line break.
    pub fn to_json(&self) -> String {
        let json = serde_json::to_string_pretty(self).expect("results have only string keys, which JSON can write");
        json + "\n"
    }
}

impl ProvenanceRecord {
    fn of(view: &SweepView, tables: &Tables) -> Self {
        Self { submitted: view.provenance.clone(), devices: tables.devices.clone() }
    }
}

impl CellRecord {
    fn of(
        view: &SweepView,
        cell: &Cell,
        evaluation: Option<&Evaluation>,
        predictions: Option<&PredictionsFile>,
    ) -> Self {
        let key = &cell.key;
        let state = view.state(cell);
        let error = view.failure(cell).map(|(stage, failure)| ErrorRecord {
            stage,
            kind: view.stages.get(&stage).map(|view| view.stage.spec.kind()),
            code: failure.code,
            message: failure.message.clone(),
            log: failure.log.clone(),
        });
        Self {
            id: cell.id(&view.id),
            method: key.method,
            fraction: key.fraction,
            lr: key.lr.clone(),
            seed: key.seed,
            split_seed: match view.stages.get(&cell.downstream).map(|view| &view.stage.spec) {
                Some(StageSpec::Downstream(spec)) => Some(spec.split.seed),
                _ => None,
            },
            state,
            error,
            selected_epoch: view.result(cell.downstream).map(|result| result.selected_epoch),
            test: view.result(cell.test).filter(|_| state == CellState::Succeeded).map(|result| result.score),
            evaluation: evaluation.map(|evaluation| evaluation.measures),
            pretext: cell.pretext.map(|id| StageRecord::of(view, id)),
            downstream: DownstreamRecord { mode: cell.mode, training: StageRecord::of(view, cell.downstream) },
            predictions: predictions.cloned(),
        }
    }
}

impl StageRecord {
    fn of(view: &SweepView, id: StageId) -> Self {
        let stage: Option<&StageView> = view.stages.get(&id);
        let cost = stage.map(|view| view.cost);
        let result = view.result(id);
        Self {
            stage: id,
            state: match stage.map(|view| &view.status) {
                Some(StageStatus::Running { .. }) => "running",
                Some(StageStatus::Succeeded(_)) => "succeeded",
                Some(StageStatus::Failed(_)) => "failed",
                Some(StageStatus::Cancelled) => "cancelled",
                Some(StageStatus::Pending) | None => "pending",
            },
            steps: result.map(|result| result.steps),
            images: result.map(|result| result.images),
            planned_steps: cost.map_or(0, |cost| cost.steps),
            planned_images: cost.map_or(0, |cost| cost.images_seen),
            train_images: cost.map_or(0, |cost| cost.train_images),
            validation_images: cost.map_or(0, |cost| cost.validation_images),
            selected_epoch: result.map(|result| result.selected_epoch),
            validation: result.map(|result| result.score),
            model: result.and_then(|result| result.artifacts.get(&ArtifactKind::Model)).copied(),
        }
    }
}
