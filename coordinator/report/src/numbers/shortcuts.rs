//! Pretext tasks that were solved suspiciously early.
//!
//! A network that is nearly perfect after an epoch or two used an easier cue than the content. In the original study
//! the rotation task reached 96–100 % validation accuracy after one to three of 100 epochs, on a few hundred patches.
//! Its frozen features were near the majority class: an artefact of acquisition showed the orientation. Published
//! rotation accuracies on natural images end at 50–93 %. The contrastive top-1 accuracy begins near 1 / (2N − 1) and
//! rises over many epochs.

use pretext_shared::ids::StageId;
use pretext_shared::methods::about::Cue;
use pretext_shared::point::{Metric, Part};
use pretext_shared::split::Fraction;
use pretext_shared::stage::{Extent, Method, StageSpec};
use pretext_shared::sweep::{Cell, StageView, SweepView};
use serde::Serialize;

/// Validation accuracy from which a task counts as solved: above every published end of training.
pub const SOLVED: f64 = 0.98;

/// Epochs that count as early, whatever the budget; beyond a budget of thirty epochs its first tenth does.
pub const EARLY_EPOCHS: u32 = 3;

/// A pretext stage whose task was solved early.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shortcut {
    /// The stage.
    pub stage: StageId,
    /// Method of the first cell that builds on it.
    #[serde(skip)]
    pub method: Method,
    /// Seed of that cell.
    #[serde(skip)]
    pub seed: u64,
    /// Label fractions of all cells that build on it, in the order of the plan.
    #[serde(skip)]
    pub fractions: Vec<Fraction>,
    /// The easier cue that the network probably used.
    #[serde(skip)]
    pub cue: Cue,
    /// The first epoch (from 1) with a validation accuracy of at least [`SOLVED`].
    pub epoch: u32,
    /// Epochs of the whole budget.
    pub epochs: u32,
    /// The validation accuracy then, in 0–1.
    pub accuracy: f64,
    /// Validation images behind it, each view counted; `None` until the stage is done.
    pub seen: Option<u64>,
}

/// Returns the stages of `view` that were solved early, in the order of the cells. A rehearsal proves nothing.
pub fn shortcuts(view: &SweepView) -> Vec<Shortcut> {
    let mut found: Vec<Shortcut> = Vec::new();
    if view.provenance.extent == Extent::Smoke {
        return found;
    }
    for cell in &view.cells {
        let Some(id) = cell.pretext else { continue };
        if let Some(known) = found.iter_mut().find(|known| known.stage == id) {
            if !known.fractions.contains(&cell.key.fraction) {
                known.fractions.push(cell.key.fraction);
            }
        } else if let Some(shortcut) = view.stages.get(&id).and_then(|stage| solved_early(view, cell, id, stage)) {
            found.push(shortcut);
        }
    }
    found
}

fn solved_early(view: &SweepView, cell: &Cell, id: StageId, stage: &StageView) -> Option<Shortcut> {
    let StageSpec::Pretext(spec) = &stage.stage.spec else { return None };
    let cue = spec.task.pretext().cue;
    let epochs = stage.cost.epochs;
    let early = EARLY_EPOCHS.max(epochs / 10);
    let first = stage
        .points
        .iter()
        .filter(|point| point.part == Part::Validation && point.metric == Metric::Accuracy && point.value >= SOLVED)
        .min_by_key(|point| point.epoch)
        .filter(|point| point.epoch <= early)?;
    Some(Shortcut {
        stage: id,
        method: cell.key.method,
        seed: cell.key.seed,
        fractions: vec![cell.key.fraction],
        cue,
        epoch: first.epoch,
        epochs,
        accuracy: first.value,
        seen: view.result(id).map(|result| result.score.seen),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn only_what_is_solved_early_is_reported_and_each_stage_once() {
        let mut view = fixture::view();
        assert_eq!(shortcuts(&view), []);
        let id = view.cells.iter().find_map(|cell| cell.pretext).expect("the fixture has pretext stages");
        // Two policies build on the stage, at one fraction.
        let cells: Vec<&Cell> = view.cells.iter().filter(|cell| cell.pretext == Some(id)).collect();
        let (method, seed, fractions) = (cells[0].key.method, cells[0].key.seed, vec![cells[0].key.fraction]);
        assert_eq!(cells.len(), 2);
        let set = |view: &mut SweepView, from: u32| {
            let stage = view.stages.get_mut(&id).expect("the stage");
            for point in stage.points.iter_mut().filter(|point| point.metric == Metric::Accuracy) {
                point.value = if point.epoch >= from { 0.995 } else { 0.5 };
            }
        };
        set(&mut view, EARLY_EPOCHS + 1);
        assert_eq!(shortcuts(&view), [], "a task that is learned in time is no shortcut");
        set(&mut view, 2);
        let found = shortcuts(&view);
        assert_eq!((found.len(), found[0].stage, found[0].epoch), (1, id, 2));
        assert_eq!((found[0].method, found[0].seed, &found[0].fractions), (method, seed, &fractions));
        view.provenance.extent = Extent::Smoke;
        assert_eq!(shortcuts(&view), []);
    }
}
