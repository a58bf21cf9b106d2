//! An entry of a table: the cells of one method, fraction and policy, summarised over seeds.

use std::collections::{BTreeMap, BTreeSet};

use pretext_shared::outcome::{FailureCode, Score};
use pretext_shared::split::Fraction;
use pretext_shared::stage::Method;
use pretext_shared::sweep::{Cell, CellKey, CellState, SweepView};
use serde::Serialize;

use super::effort::Effort;
use super::evaluation::{Evaluations, Measures};
use super::stats::proportion::binomial_half_width;
use super::stats::{Paired, Summary};

/// The entries of one fraction, one for each of the table's methods.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Label fraction.
    pub fraction: Fraction,
    /// One entry per method of the table, in the same order.
    pub entries: Vec<Entry>,
}

/// Method × fraction × policy: the cells that differ in the seed alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Method.
    pub method: Method,
    /// Its cells in the order of the plan; empty if the sweep has none here.
    pub runs: Vec<Run>,
    /// Test accuracy over the succeeded cells, in 0–1.
    pub accuracy: Option<Summary>,
    /// Test loss over the succeeded cells.
    pub loss: Option<Summary>,
    /// Accuracy minus that of the supervised cells of the same fraction, policy and seed.
    pub gain: Option<Paired>,
    /// Accuracy minus that of the random-init cells of the same fraction, policy and seed: the value of the features
    /// beyond those of an encoder that learned nothing.
    pub above_floor: Option<Paired>,
    /// Measures of the stored test predictions; `None` if no cell has any.
    pub measures: Option<MeasureSummaries>,
    /// Half width of the 95 % binomial interval of one run at the mean accuracy, in 0–1: the uncertainty that comes
    /// from the finite number of test images alone.
    pub test_half_width: Option<f64>,
    /// Effort of pretext training; `None` if no cell has a pretext stage.
    pub pretext: Option<Effort>,
    /// Effort of downstream training.
    pub downstream: Option<Effort>,
}

/// One cell of an entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Position of the cell in the plan.
    pub cell: usize,
    /// Key of the cell.
    pub key: CellKey,
    /// State of the cell.
    pub state: CellState,
    /// Score on the test images, if it succeeded.
    pub test: Option<Score>,
    /// Why it failed, if it did.
    pub failure: Option<FailureCode>,
}

/// [`Measures`] over the cells of an entry whose predictions are stored.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MeasureSummaries {
    /// Cells.
    pub n: usize,
    /// Negative log-likelihood.
    pub nll: Summary,
    /// Expected calibration error.
    pub ece15: Summary,
    /// Brier score.
    pub brier: Summary,
    /// Mean recall of the classes.
    pub balanced_accuracy: Summary,
    /// Mean F1 of the classes.
    pub macro_f1: Summary,
}

impl Entry {
    /// Returns the entry of `cells`, which are given with their positions in the plan. Gains are added later, when the
    /// whole row is known.
    pub(super) fn of(view: &SweepView, evaluations: &Evaluations, method: Method, cells: &[(usize, &Cell)]) -> Self {
        let runs: Vec<Run> = cells.iter().map(|(index, cell)| Run::of(view, *index, cell)).collect();
        let scores: Vec<Score> = runs.iter().filter_map(|run| run.test).collect();
        let accuracy = Summary::of(&scores.iter().map(|score| score.accuracy).collect::<Vec<_>>());
        let smallest_test = scores.iter().map(|score| score.seen).min();
        let measures: Vec<Measures> =
            cells.iter().filter_map(|(_, cell)| Some(evaluations.get(view, cell)?.measures)).collect();
        Self {
            method,
            accuracy,
            loss: Summary::of(&scores.iter().map(|score| score.loss).collect::<Vec<_>>()),
            gain: None,
            above_floor: None,
            measures: MeasureSummaries::of(&measures),
            test_half_width: accuracy.zip(smallest_test).and_then(|(acc, n)| binomial_half_width(acc.mean, n)),
            pretext: Effort::of(view, cells.iter().filter_map(|(_, cell)| cell.pretext)),
            downstream: Effort::of(view, cells.iter().map(|(_, cell)| cell.downstream)),
            runs,
        }
    }

    /// Returns the number of cells that succeeded.
    pub fn n(&self) -> usize {
        self.runs.iter().filter(|run| run.test.is_some()).count()
    }

    /// Returns the cells without a score, counted by state.
    pub fn missing(&self) -> BTreeMap<CellState, usize> {
        let mut counts = BTreeMap::new();
        for run in self.runs.iter().filter(|run| run.test.is_none()) {
            *counts.entry(run.state).or_insert(0) += 1;
        }
        counts
    }

    /// Returns the classes of failure among its cells, each once, in alphabetical order.
    pub fn failures(&self) -> Vec<&'static str> {
        let codes: BTreeSet<&str> = self.runs.iter().filter_map(|run| run.failure).map(FailureCode::as_str).collect();
        codes.into_iter().collect()
    }

    /// Returns accuracy minus that of `other`, for every seed with which both succeeded.
    pub fn minus(&self, other: &Entry) -> Vec<f64> {
        let others: BTreeMap<u64, f64> =
            other.runs.iter().filter_map(|run| Some((run.key.seed, run.test?.accuracy))).collect();
        self.runs.iter().filter_map(|run| Some(run.test?.accuracy - others.get(&run.key.seed)?)).collect()
    }
}

impl Run {
    fn of(view: &SweepView, index: usize, cell: &Cell) -> Self {
        let state = view.state(cell);
        let test = match state {
            CellState::Succeeded => view.result(cell.test).map(|result| result.score),
            CellState::Pending | CellState::Running | CellState::Failed | CellState::Cancelled => None,
        };
        let failure = view.failure(cell).map(|(_, failure)| failure.code);
        Self { cell: index, key: cell.key.clone(), state, test, failure }
    }
}

impl MeasureSummaries {
    fn of(measures: &[Measures]) -> Option<Self> {
        let over = |value: fn(&Measures) -> f64| Summary::of(&measures.iter().map(value).collect::<Vec<_>>());
        Some(Self {
            n: measures.len(),
            nll: over(|one| one.nll)?,
            ece15: over(|one| one.ece15)?,
            brier: over(|one| one.brier)?,
            balanced_accuracy: over(|one| one.balanced_accuracy)?,
            macro_f1: over(|one| one.macro_f1)?,
        })
    }
}

/// Fills in the paired differences to the supervised entry of a row and to its floor.
pub(super) fn add_gains(entries: &mut [Entry]) {
    let differences = |entries: &[Entry], reference: Method| -> Vec<Option<Paired>> {
        let reference = entries.iter().find(|entry| entry.method == reference);
        let minus = |entry: &Entry| {
            let reference = reference.filter(|reference| reference.method != entry.method)?;
            Paired::of(&entry.minus(reference))
        };
        entries.iter().map(minus).collect()
    };
    let gains = differences(entries, Method::Supervised);
    let above_floor = differences(entries, Method::RandomInit);
    for ((entry, gain), above_floor) in entries.iter_mut().zip(gains).zip(above_floor) {
        (entry.gain, entry.above_floor) = (gain, above_floor);
    }
}
