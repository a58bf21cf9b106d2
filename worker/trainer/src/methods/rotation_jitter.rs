//! Rotation prediction on colour-jittered images. It is the same as [`super::Rotation`], but each of the four copies
//! has a colour jitter of its own, so that colours (or the traces of a scanner) do not show the rotation.
//!
//! Validation is the same as for rotation, without jitter: both methods are measured on the same pictures.

use burn::tensor::{Int, Tensor};
use pretext_data::augment::{ColorJitter, crop_flip};
use pretext_shared::stage::CropFlip;

use super::rotation::{ROTATIONS, labels, plain, turn};
use super::{Batch, Objective, Samples, Scores, cross_entropy};

/// See the module.
#[derive(Debug)]
pub struct RotationJitter<'a> {
    /// The images; their classes are not used.
    pub samples: Samples<'a>,
    /// Augmentation before the turns.
    pub augment: CropFlip,
    /// The jitter of each copy.
    pub jitter: ColorJitter,
}

impl Objective for RotationJitter<'_> {
    fn training(&self, ids: &[u32], epoch: u32) -> Batch {
        let (Samples { images, .. }, length) = (self.samples, self.samples.length());
        self.samples.batch(ids.len(), ROTATIONS, labels(ids.len()), |i, out| {
            let place = |view| self.samples.place(epoch, ids[i], view);
            crop_flip(images.image(ids[i]), images.size(), self.augment, place(0), &mut out[..length]);
            turn(images.size(), out);
            for (view, copy) in (0..).zip(out.chunks_exact_mut(length)) {
                self.jitter.apply(place(view), copy);
            }
        })
    }

    fn validation(&self, ids: &[u32]) -> Batch {
        plain(&self.samples, ids)
    }

    fn score(&self, outputs: Tensor<2>, labels: Tensor<1, Int>) -> Scores {
        cross_entropy(outputs, labels)
    }
}
