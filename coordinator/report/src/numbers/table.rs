//! The table of one learning-rate policy, with everything that is computed of it.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use pretext_shared::split::Fraction;
use pretext_shared::stage::{Method, StageSpec};
use pretext_shared::sweep::{Cell, SweepView};
use serde::Serialize;

use super::budgets::Budgets;
use super::comparisons::{self, Comparison, Overall, Significance};
use super::downstream::{self, Downstream};
use super::entry::{Entry, Row, add_gains};
use super::evaluation::Evaluations;

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
    /// The ways of training on the labels.
    pub downstream: Vec<Downstream>,
    /// Budgets, compared; `None` if the table has no stages.
    pub budgets: Option<Budgets>,
    /// Smallest and largest [`Entry::test_half_width`]; `None` without a result.
    pub test_half_width: Option<RangeInclusive<f64>>,
    /// Every two methods against each other, by fraction.
    pub comparisons: Vec<Comparison>,
    /// The significant comparisons; `None` if there is nothing to compare.
    pub significance: Option<Significance>,
    /// Methods over all fractions.
    pub overall: Vec<Overall>,
}

/// The images that the pretext stages of a table saw.
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

impl PolicyTable {
    /// Returns the table of the cells under policy `lr`.
    pub(super) fn of(view: &SweepView, evaluations: &Evaluations, lr: &str) -> Self {
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
        let comparisons = comparisons::comparisons(view, evaluations, &rows);
        Self {
            lr: lr.to_owned(),
            budgets: Budgets::of(&rows),
            test_half_width: extent(rows.iter().flat_map(|row| &row.entries).filter_map(|one| one.test_half_width)),
            significance: Significance::of(&comparisons),
            comparisons,
            overall: comparisons::overall(&methods, &rows),
            rows,
            methods,
            protocol: Protocol::of(view, cells.iter().map(|(_, cell)| *cell)),
            downstream: downstream::ways(view, cells.iter().map(|(_, cell)| *cell)),
        }
    }

    /// Returns the entries of `method` that have cells, with their fractions.
    pub fn entries_of(&self, method: Method) -> impl Iterator<Item = (Fraction, &Entry)> {
        self.rows.iter().filter_map(move |row| {
            let entry = row.entries.iter().find(|entry| entry.method == method)?;
            (!entry.runs.is_empty()).then_some((row.fraction, entry))
        })
    }

    /// Returns the largest number of succeeded cells in an entry.
    pub fn most_seeds(&self) -> usize {
        self.rows.iter().flat_map(|row| &row.entries).map(Entry::n).max().unwrap_or(0)
    }
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

fn extent(values: impl Iterator<Item = f64>) -> Option<RangeInclusive<f64>> {
    let ends = values.map(|value| (value, value)).reduce(|(low, high), (value, _)| (low.min(value), high.max(value)));
    ends.map(|(low, high)| low..=high)
}
