//! The effort of a training stage: images, steps, learning rates, and the validation score that it reached.

use std::ops::RangeInclusive;

use pretext_shared::ids::StageId;
use pretext_shared::stage::{LrSpec, StageSpec};
use pretext_shared::sweep::{StageStatus, SweepView};

use super::stats::Summary;

/// The effort of a stage, over the cells of an entry. The ranges are single numbers unless seeds differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Effort {
    /// The origin of steps and images.
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
    /// The learning rates of the policy here.
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

/// The origin of the counts of an [`Effort`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// Counted by the stages that are done.
    Taken,
    /// Planned: no stage is done.
    Planned,
}

impl Effort {
    /// Returns the effort of `stages`; `None` if there are none.
    pub(super) fn of(view: &SweepView, stages: impl Iterator<Item = StageId>) -> Option<Self> {
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
