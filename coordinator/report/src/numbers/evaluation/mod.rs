//! Measures of the stored test predictions, beyond loss and accuracy.
//!
//! Every test stage leaves its predictions behind: a row per test image with all class probabilities.
//! The measures are computed from them when a report is made, so that a new measure needs no new training.

mod measures;
mod predictions;

use std::collections::BTreeMap;

use pretext_shared::ids::{ArtifactId, ContentHash};
use pretext_shared::outcome::ArtifactKind;
use pretext_shared::sweep::{Cell, CellState, SweepView};

pub use measures::{BINS, ClassScores, Confusion, Measures};
pub use predictions::{Malformed, Predictions};

/// Looks up the content of an artifact; `None` if it is not (or no longer) stored.
pub type Artifacts<'a> = dyn Fn(&ArtifactId) -> Option<Vec<u8>> + 'a;

/// One tested model.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Numbers over all test images.
    pub measures: Measures,
    /// Labels against answers.
    pub confusion: Confusion,
    /// Test images by sample id, and whether each was classified correctly.
    pub correct: BTreeMap<u32, bool>,
}

impl Evaluation {
    /// Returns the evaluation of `predictions`.
    pub fn of(predictions: &Predictions) -> Self {
        let confusion = Confusion::of(predictions);
        let correct = predictions.rows().map(|row| (row.sample, row.label == row.predicted)).collect();
        Self { measures: Measures::of(predictions, &confusion), confusion, correct }
    }
}

/// The evaluations of a sweep, by the artifact that holds the predictions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evaluations(BTreeMap<ArtifactId, Evaluation>);

impl Evaluations {
    /// Reads the predictions of every cell that has a result. Those that are not stored any more, or that a
    /// worker of another version wrote in another form, are left out: their measures are missing, not guessed.
    pub fn read(view: &SweepView, artifacts: &Artifacts<'_>) -> Self {
        let mut evaluations = BTreeMap::new();
        for artifact in view.cells.iter().filter_map(|cell| artifact(view, cell)) {
            if evaluations.contains_key(&artifact) {
                continue;
            }
            let content = artifacts(&artifact).filter(|content| ContentHash::of(content) == artifact.0);
            if let Some(Ok(predictions)) = content.map(|content| Predictions::parse(&content)) {
                evaluations.insert(artifact, Evaluation::of(&predictions));
            }
        }
        Self(evaluations)
    }

    /// The evaluation of a cell that succeeded.
    pub fn get(&self, view: &SweepView, cell: &Cell) -> Option<&Evaluation> {
        self.0.get(&artifact(view, cell)?)
    }
}

fn artifact(view: &SweepView, cell: &Cell) -> Option<ArtifactId> {
    if view.state(cell) != CellState::Succeeded {
        return None;
    }
    view.result(cell.test)?.artifacts.get(&ArtifactKind::Predictions).copied()
}
