//! Pretext tasks that were solved suspiciously early.
//!
//! A task that is nearly perfect after an epoch or two was solved by something easier than what it is meant to
//! teach. The original study's rotation task reached 96–100 % validation accuracy within one to three of its
//! 100 epochs on a few hundred patches, and the features that it left were near the majority class when frozen:
//! an artefact of acquisition gave the orientation away. Published rotation accuracies on natural images end
//! at 50–93 %; the contrastive top-1 accuracy begins near 1 / (2N − 1) and rises over many epochs.

use pretext_shared::ids::StageId;
use pretext_shared::point::{Metric, Part};
use pretext_shared::stage::{Extent, PretextTask, StageSpec};
use pretext_shared::sweep::{StageView, SweepView};
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
    /// Positions in the plan of the cells that build on it.
    #[serde(skip)]
    pub cells: Vec<usize>,
    /// What the task asks for.
    #[serde(skip)]
    pub cue: Cue,
    /// The first epoch (from 1) with a validation accuracy of at least [`SOLVED`].
    pub epoch: u32,
    /// Epochs of the whole budget.
    pub epochs: u32,
    /// The validation accuracy then, in 0–1.
    pub accuracy: f64,
    /// Validation images behind it, each view counted, where the stage is done.
    pub seen: Option<u64>,
}

/// What gives a pretext task away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cue {
    /// Something that tells which way is up without the content of the picture.
    Orientation,
    /// Something that two views of a picture share without its content.
    Identity,
}

/// The stages of `view` that were solved early, in the order of the cells. A rehearsal proves nothing.
pub fn shortcuts(view: &SweepView) -> Vec<Shortcut> {
    let mut found: Vec<Shortcut> = Vec::new();
    if view.provenance.extent == Extent::Smoke {
        return found;
    }
    for (place, cell) in view.cells.iter().enumerate() {
        let Some(id) = cell.pretext else { continue };
        if let Some(known) = found.iter_mut().find(|known| known.stage == id) {
            known.cells.push(place);
        } else if let Some(shortcut) = view.stages.get(&id).and_then(|stage| solved_early(view, id, stage)) {
            found.push(Shortcut { cells: vec![place], ..shortcut });
        }
    }
    found
}

fn solved_early(view: &SweepView, id: StageId, stage: &StageView) -> Option<Shortcut> {
    let StageSpec::Pretext(spec) = &stage.stage.spec else { return None };
    let cue = match spec.task {
        PretextTask::Rotation { .. } | PretextTask::RotationJitter { .. } => Cue::Orientation,
        PretextTask::Simclr { .. } => Cue::Identity,
    };
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
        cells: Vec::new(),
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
        let cells = view.cells.iter().filter(|cell| cell.pretext == Some(id)).count();
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
        assert_eq!((found.len(), found[0].stage, found[0].epoch, found[0].cells.len()), (1, id, 2, cells));
        view.provenance.extent = Extent::Smoke;
        assert_eq!(shortcuts(&view), []);
    }
}
