//! Every number of a report, computed once. Nothing here is worded or rendered.

pub mod budgets;
pub mod comparisons;
pub mod downstream;
pub mod effort;
pub mod entry;
pub mod evaluation;
pub mod inputs;
pub mod shortcuts;
pub mod stats;
pub mod table;
pub mod test_set;

use std::collections::{BTreeMap, BTreeSet};

use pretext_shared::split::Fraction;
use pretext_shared::sweep::{CellState, SweepView};

pub use budgets::{Budgets, Equality};
pub use comparisons::{Comparison, Overall, Significance, Untested, Verdict, Win};
pub use downstream::Downstream;
pub use effort::{Basis, Effort};
pub use entry::{Entry, MeasureSummaries, Row, Run};
pub use evaluation::{Artifacts, Evaluations};
pub use inputs::Inputs;
pub use shortcuts::Shortcut;
pub use table::{PolicyTable, Protocol};
pub use test_set::{Majority, TestSet};

/// All tables of a sweep, and the numbers that are the same for all of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Tables {
    /// One table per learning-rate policy, in the order of the plan.
    pub policies: Vec<PolicyTable>,
    /// Number of cells in each state; states without cells are left out.
    pub states: BTreeMap<CellState, usize>,
    /// The images that all accuracies are measured on.
    pub test_set: TestSet,
    /// Everything that stages read besides the images of the sweep's data set.
    pub inputs: Inputs,
    /// Pretext stages whose task was solved suspiciously early.
    pub shortcuts: Vec<Shortcut>,
    /// The devices on which stages ended, with feature level (CPU) or adapter (GPU).
    pub devices: BTreeSet<String>,
}

impl Tables {
    /// Returns the tables of `view`, whose test predictions are `evaluations`. Every cell of the view is in exactly
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
        Self {
            policies: names.into_iter().map(|lr| PolicyTable::of(view, evaluations, lr)).collect(),
            states,
            test_set: TestSet::of(view),
            inputs: Inputs::of(view),
            shortcuts: shortcuts::shortcuts(view),
            devices: view.stages.keys().filter_map(|id| Some(view.result(*id)?.device.clone())).collect(),
        }
    }

    /// Returns all entries that have cells, with their policy and fraction.
    pub fn entries(&self) -> impl Iterator<Item = (&PolicyTable, Fraction, &Entry)> {
        self.policies.iter().flat_map(|table| {
            table.rows.iter().flat_map(move |row| {
                row.entries.iter().filter(|entry| !entry.runs.is_empty()).map(move |entry| (table, row.fraction, entry))
            })
        })
    }
}
