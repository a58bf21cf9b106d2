//! Supervised learning: predicts the class of an image. Alone it is the baseline; after a pretext stage it is
//! fine-tuning.

use super::{Batch, Objective, Samples, Scores, cross_entropy};
use burn::tensor::{Int, Tensor};
use pretext_data::augment::Labelled;

/// Cross-entropy over the classes. Training images are cropped and mirrored at random; validation images are not
/// augmented.
#[derive(Debug)]
pub struct Supervised<'a> {
    /// The labelled images.
    pub samples: Samples<'a>,
    /// Augmentation of training images.
    pub augment: Labelled,
}

impl Objective for Supervised<'_> {
    fn training(&self, ids: &[u32], epoch: u32) -> Batch {
        let Samples { images, .. } = self.samples;
        self.samples.batch(ids.len(), 1, self.samples.labels(ids), |i, out| {
            self.augment.draw(images.image(ids[i]), self.samples.place(epoch, ids[i], 0), out);
        })
    }

    fn validation(&self, ids: &[u32]) -> Batch {
        self.samples.plain(ids)
    }

    fn score(&self, outputs: Tensor<2>, labels: Tensor<1, Int>) -> Scores {
        cross_entropy(outputs, labels)
    }
}
