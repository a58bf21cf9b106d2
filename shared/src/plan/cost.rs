//! Computes the cost of a stage from counts alone. The counts come from other machines: arithmetic saturates, and never
//! panics.

use crate::spec::{DownstreamRecipe, PretextRecipe};
use crate::stage::{Budget, Extent, LastBatch, TrainSpec};
use crate::sweep::Cost;

use super::counts::Parts;

/// Returns the steps of an epoch over `images` images.
#[derive(Debug, Clone, Copy)]
pub(super) struct Epoch {
    pub(super) steps: u64,
    images: u64,
    batch: u64,
}

impl Epoch {
    pub(super) fn new(images: u64, batch: u32, last: LastBatch) -> Self {
        let steps = last.steps_per_epoch(images, batch);
        let batch = u64::from(batch);
        let images = match last {
            LastBatch::Kept => images,
            LastBatch::Dropped => steps.saturating_mul(batch),
        };
        Self { steps, images, batch }
    }

    /// Returns the images in the first `steps` steps of training. Only the last step of an epoch may be short, so the
    /// steps of an incomplete epoch are full.
    fn images(&self, steps: u64) -> u64 {
        let (epochs, rest) = (steps / self.steps.max(1), steps % self.steps.max(1));
        epochs.saturating_mul(self.images).saturating_add(rest.saturating_mul(self.batch))
    }
}

pub(super) fn pretext(parts: Parts, recipe: &PretextRecipe, extent: Extent) -> Cost {
    let rules = recipe.task.rules();
    training(parts, &recipe.train, rules.last, rules.views, extent)
}

pub(super) fn downstream(parts: Parts, recipe: &DownstreamRecipe, extent: Extent) -> Cost {
    training(parts, &recipe.train, LastBatch::Kept, 1, extent)
}

/// Returns the cost of a test stage. It reads every test image, in a rehearsal too, and takes no steps.
pub(super) fn test(images: u64) -> Cost {
    Cost { train_images: images, validation_images: 0, epochs: 0, steps: 0, images_seen: 0 }
}

fn training(parts: Parts, train: &TrainSpec, last: LastBatch, views: u64, extent: Extent) -> Cost {
    let epoch = Epoch::new(parts.train, train.batch, last);
    let whole = match train.budget {
        Budget::Epochs(epochs) => u64::from(epochs).saturating_mul(epoch.steps),
        Budget::Steps(steps) => steps,
    };
    let steps = extent.steps(whole);
    let validation_images = match extent {
        Extent::Whole => parts.validation,
        Extent::Smoke => parts.validation.min(u64::from(train.batch)),
    };
    Cost {
        train_images: parts.train,
        validation_images,
        epochs: u32::try_from(steps.div_ceil(epoch.steps.max(1))).unwrap_or(u32::MAX),
        steps,
        images_seen: epoch.images(steps).saturating_mul(views),
    }
}
