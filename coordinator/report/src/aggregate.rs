//! From a sweep to its tables. Every number that two renderings show is computed here.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use pretext_shared::ids::{StageId, WeightsHash};
use pretext_shared::outcome::{FailureCode, Score};
use pretext_shared::split::{Fraction, set_test_groups_apart, test_count};
use pretext_shared::stage::{LrSpec, Method, StageSpec};
use pretext_shared::sweep::{Cell, CellState, StageStatus, SweepView};
use serde::Serialize;

use super::compare::{self, Comparison, Overall};
use super::downstream::{self, Downstream};
use super::evaluation::{Evaluations, Measures};
use super::inputs;
use super::stats::proportion::binomial_half_width;
use super::stats::{Paired, Summary};

/// All tables of a sweep, and what is the same for all of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Tables {
    /// One table per learning-rate policy, in the order of the plan.
    pub policies: Vec<PolicyTable>,
    /// How many cells are in each state; states without cells are left out.
    pub states: BTreeMap<CellState, usize>,
    /// What accuracies are to be compared with.
    pub test_set: TestSet,
    /// The weights file that encoders start from, where there is one.
    pub weights: Option<WeightsHash>,
}

/// The table of one learning-rate policy: rows are fractions, columns are methods.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyTable {
    /// Name of the policy.
    pub lr: String,
    /// Columns: the methods that the policy has cells of, in the order of [`Method::ALL`].
    pub methods: Vec<Method>,
    /// Rows, smallest fraction first.
    pub rows: Vec<Row>,
    /// Which images pretext stages saw.
    pub protocol: Protocol,
    /// How methods are trained on the labels.
    pub downstream: Vec<Downstream>,
    /// Every two methods against each other, by fraction.
    pub comparisons: Vec<Comparison>,
    /// Methods over all fractions.
    pub overall: Vec<Overall>,
}

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
    /// Its cells in the order of the plan; empty where the sweep has none here.
    pub runs: Vec<Run>,
    /// Test accuracy over the succeeded cells, in 0–1.
    pub accuracy: Option<Summary>,
    /// Test loss over the succeeded cells.
    pub loss: Option<Summary>,
    /// Accuracy minus that of the supervised cells of the same fraction, policy and seed.
    pub gain: Option<Paired>,
    /// Accuracy minus that of the random-init cells of the same fraction, policy and seed: what the features are worth
    /// beyond those of an encoder that learned nothing.
    pub above_floor: Option<Paired>,
    /// What the stored test predictions say; `None` where no cell has any.
    pub measures: Option<MeasureSummaries>,
    /// Half width of the 95 % binomial interval of one run at the mean accuracy, in 0–1: what the
    /// finite number of test images alone makes uncertain.
    pub test_half_width: Option<f64>,
    /// What pretext training took; `None` where no cell has a pretext stage.
    pub pretext: Option<Effort>,
    /// What downstream training took.
    pub downstream: Option<Effort>,
}

/// One cell of an entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Position of the cell in the plan.
    pub cell: usize,
    /// Seed.
    pub seed: u64,
    /// Where it stands.
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

/// What a stage took, over the cells of an entry. The ranges are single numbers unless seeds differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Effort {
    /// Whether steps and images were counted or are still the plan's.
    pub basis: Basis,
    /// Images that train.
    pub train_images: RangeInclusive<u64>,
    /// Images that validate.
    pub validation_images: RangeInclusive<u64>,
    /// Optimizer steps.
    pub steps: RangeInclusive<u64>,
    /// Images that entered the network in training, each view counted.
    pub images: RangeInclusive<u64>,
    /// Score on the validation images at the selected epoch, over the stages that are done.
    pub validation: Option<Validation>,
    /// The learning rates that the policy came to here.
    pub lr: Vec<LrSpec>,
}

/// Validation scores of the stages behind an entry. Of a pretext stage they are the pretext task's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Validation {
    /// Loss.
    pub loss: Summary,
    /// Accuracy, in 0–1.
    pub accuracy: Summary,
}

/// Where the counts of an [`Effort`] come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// Counted by the stages that are done.
    Taken,
    /// No stage is done: as planned.
    Planned,
}

/// Which images the pretext stages of a table saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// There are no pretext stages.
    NoPretext,
    /// The cell's own fraction of the training images (the original study's protocol).
    Fraction,
    /// All training images, without labels (the papers' protocol).
    All,
    /// All training images of another data set, without labels.
    Transfer,
    /// Both protocols are in the table.
    Mixed,
}

/// The test images that every cell is scored on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TestSet {
    /// Number of images.
    pub images: u64,
    /// The largest class; `None` where the class counts are not known.
    pub majority: Option<Majority>,
}

/// The largest class of the test set: what a classifier scores that always names it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Majority {
    /// Name of the class.
    pub class: String,
    /// Its share of the test images, in 0–1.
    pub accuracy: f64,
    /// One over the number of classes that have test images: one is found whole, the others not at all.
    pub balanced_accuracy: f64,
    /// The F1 of that class, 2p / (1 + p), over the same number of classes.
    pub macro_f1: f64,
}

impl Tables {
    /// The tables of `view`, whose test predictions are `evaluations`. Every cell of the view is in exactly
    /// one entry.
    pub fn of(view: &SweepView, evaluations: &Evaluations) -> Self {
        let mut states = BTreeMap::new();
        let mut names: Vec<&str> = Vec::new();
        for cell in &view.cells {
            *states.entry(view.state(cell)).or_insert(0) += 1;
            if !names.contains(&cell.key.lr.as_str()) {
                names.push(&cell.key.lr);
            }
        }
        let policies = names.into_iter().map(|lr| PolicyTable::of(view, evaluations, lr)).collect();
        Self { policies, states, test_set: TestSet::of(view), weights: inputs::weights(view) }
    }

    /// All entries that have cells, with their policy and fraction.
    pub fn entries(&self) -> impl Iterator<Item = (&PolicyTable, Fraction, &Entry)> {
        self.policies.iter().flat_map(|table| {
            table.rows.iter().flat_map(move |row| {
                row.entries.iter().filter(|entry| !entry.runs.is_empty()).map(move |entry| (table, row.fraction, entry))
            })
        })
    }
}

impl PolicyTable {
    fn of(view: &SweepView, evaluations: &Evaluations, lr: &str) -> Self {
        let cells: Vec<(usize, &Cell)> = view.cells.iter().enumerate().filter(|(_, cell)| cell.key.lr == lr).collect();
        let present: BTreeSet<Method> = cells.iter().map(|(_, cell)| cell.key.method).collect();
        let fractions: BTreeSet<Fraction> = cells.iter().map(|(_, cell)| cell.key.fraction).collect();
        let methods: Vec<Method> = Method::ALL.into_iter().filter(|method| present.contains(method)).collect();
        let rows = fractions.into_iter().map(|fraction| {
            let of_method = |method: Method| {
                let here = |cell: &Cell| cell.key.method == method && cell.key.fraction == fraction;
                cells.iter().copied().filter(|(_, cell)| here(cell)).collect::<Vec<_>>()
            };
            let mut entries: Vec<Entry> =
                methods.iter().map(|method| Entry::of(view, evaluations, *method, &of_method(*method))).collect();
            add_gains(&mut entries);
            Row { fraction, entries }
        });
        let rows: Vec<Row> = rows.collect();
        Self {
            lr: lr.to_owned(),
            comparisons: compare::comparisons(view, evaluations, &rows),
            overall: compare::overall(&methods, &rows),
            rows,
            methods,
            protocol: Protocol::of(view, cells.iter().map(|(_, cell)| *cell)),
            downstream: downstream::ways(view, cells.iter().map(|(_, cell)| *cell)),
        }
    }

    /// The entries of `method` with their fractions: supervised is what training from scratch reaches, random-init the
    /// floor.
    pub fn entries_of(&self, method: Method) -> impl Iterator<Item = (Fraction, &Entry)> {
        self.rows.iter().filter_map(move |row| {
            let entry = row.entries.iter().find(|entry| entry.method == method)?;
            (!entry.runs.is_empty()).then_some((row.fraction, entry))
        })
    }

    /// The largest number of succeeded cells in an entry.
    pub fn most_seeds(&self) -> usize {
        self.rows.iter().flat_map(|row| &row.entries).map(Entry::n).max().unwrap_or(0)
    }
}

impl Entry {
    fn of(view: &SweepView, evaluations: &Evaluations, method: Method, cells: &[(usize, &Cell)]) -> Self {
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

    /// How many of its cells succeeded.
    pub fn n(&self) -> usize {
        self.runs.iter().filter(|run| run.test.is_some()).count()
    }

    /// The cells that have no score, counted by state.
    pub fn missing(&self) -> BTreeMap<CellState, usize> {
        let mut counts = BTreeMap::new();
        for run in self.runs.iter().filter(|run| run.test.is_none()) {
            *counts.entry(run.state).or_insert(0) += 1;
        }
        counts
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
        Self { cell: index, seed: cell.key.seed, state, test, failure }
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
fn add_gains(entries: &mut [Entry]) {
    let differences = |entries: &[Entry], reference: Method| -> Vec<Option<Paired>> {
        let reference = entries.iter().find(|entry| entry.method == reference);
        let minus = |entry: &Entry| {
            let reference = reference.filter(|reference| reference.method != entry.method)?;
            Paired::of(&compare::differences(entry, reference))
        };
        entries.iter().map(minus).collect()
    };
    let gains = differences(entries, Method::Supervised);
    let above_floor = differences(entries, Method::RandomInit);
    for ((entry, gain), above_floor) in entries.iter_mut().zip(gains).zip(above_floor) {
        (entry.gain, entry.above_floor) = (gain, above_floor);
    }
}

impl Effort {
    fn of(view: &SweepView, stages: impl Iterator<Item = StageId>) -> Option<Self> {
        let views: Vec<_> = stages.filter_map(|id| view.stages.get(&id)).collect();
        let taken: Vec<(u64, u64)> = views
            .iter()
            .filter_map(|view| match &view.status {
                StageStatus::Succeeded(result) => Some((result.steps, result.images)),
                _ => None,
            })
            .collect();
        let (basis, counts) = if taken.is_empty() {
            (Basis::Planned, views.iter().map(|view| (view.cost.steps, view.cost.images_seen)).collect())
        } else {
            (Basis::Taken, taken)
        };
        let scores = || {
            views.iter().filter_map(|view| match &view.status {
                StageStatus::Succeeded(result) => Some(result.score),
                _ => None,
            })
        };
        let loss = Summary::of(&scores().map(|score| score.loss).collect::<Vec<_>>());
        let accuracy = Summary::of(&scores().map(|score| score.accuracy).collect::<Vec<_>>());
        let validation = loss.zip(accuracy).map(|(loss, accuracy)| Validation { loss, accuracy });
        let mut lr = Vec::new();
        for view in &views {
            let train = match &view.stage.spec {
                StageSpec::Pretext(spec) => &spec.train,
                StageSpec::Downstream(spec) => &spec.train,
                StageSpec::Test(_) => continue,
            };
            if !lr.contains(&train.lr) {
                lr.push(train.lr.clone());
            }
        }
        Some(Self {
            basis,
            train_images: range(views.iter().map(|view| view.cost.train_images))?,
            validation_images: range(views.iter().map(|view| view.cost.validation_images))?,
            steps: range(counts.iter().map(|(steps, _)| *steps))?,
            images: range(counts.iter().map(|(_, images)| *images))?,
            validation,
            lr,
        })
    }
}

fn range(values: impl Iterator<Item = u64> + Clone) -> Option<RangeInclusive<u64>> {
    Some(values.clone().min()?..=values.max()?)
}

impl Protocol {
    fn of<'a>(view: &SweepView, cells: impl Iterator<Item = &'a Cell>) -> Self {
        let (mut own, mut wider, mut whole) = (false, false, false);
        for cell in cells {
            let stage = cell.pretext.and_then(|id| view.stages.get(&id)).map(|view| &view.stage.spec);
            let Some(StageSpec::Pretext(spec)) = stage else { continue };
            // A sweep reads one data set for pretext training, or the other.
            if spec.data.fingerprint != view.provenance.dataset.fingerprint {
                return Protocol::Transfer;
            }
            // With all labels the two protocols are one.
            match (spec.split.fraction == cell.key.fraction, cell.key.fraction == Fraction::ALL) {
                (true, true) => whole = true,
                (true, false) => own = true,
                (false, _) => wider = true,
            }
        }
        match (own, wider, whole) {
            (true, true, _) => Protocol::Mixed,
            (true, false, _) => Protocol::Fraction,
            (false, true, _) | (false, false, true) => Protocol::All,
            (false, false, false) => Protocol::NoPretext,
        }
    }
}

/// The images of each class in the groups that are set apart for testing.
fn whole_groups(groups: &[Vec<u32>], share: f64, classes: usize) -> Vec<u64> {
    let mut counts = vec![0; classes];
    let tested = groups.iter().zip(set_test_groups_apart(groups, share)).filter(|(_, apart)| *apart);
    tested.for_each(|(images, _)| counts.iter_mut().zip(images).for_each(|(sum, n)| *sum += u64::from(*n)));
    counts
}

impl TestSet {
    fn of(view: &SweepView) -> Self {
        let facts = &view.provenance.dataset;
        let apart = view.stages.values().find_map(|view| view.stage.spec.data().test_fraction);
        let counts: Vec<u64> = match apart {
            _ if !facts.test.is_empty() => facts.test.iter().map(|n| u64::from(*n)).collect(),
            Some(share) if !facts.groups.is_empty() => whole_groups(&facts.groups, share, facts.classes.len()),
            Some(share) => facts.train.iter().map(|n| test_count(*n as usize, share) as u64).collect(),
            None => Vec::new(),
        };
        let images = counts.iter().sum();
        // The first of equally large classes, so that the name does not depend on the order of search.
        let largest = counts.iter().enumerate().max_by_key(|(class, n)| (**n, std::cmp::Reverse(*class)));
        let present = counts.iter().filter(|n| **n > 0).count().max(1) as f64;
        let majority = largest.filter(|_| images > 0).map(|(class, n)| {
            let share = *n as f64 / images as f64;
            Majority {
                class: facts.classes.get(class).cloned().unwrap_or_else(|| format!("class {class}")),
                accuracy: share,
                balanced_accuracy: 1.0 / present,
                macro_f1: 2.0 * share / (1.0 + share) / present,
            }
        });
        Self { images, majority }
    }
}
