//! Rotation prediction (RotNet: Gidaris, Singh and Komodakis, ICLR 2018).
//!
//! Each image is augmented once (pad, crop, mirror) and then turned by 0, 90, 180 and 270 degrees. All four copies are
//! in the batch, labelled 0 to 3. Turns are exact: pixels move without interpolation.

use burn::tensor::{Int, Tensor};
use pretext_data::augment::{crop_flip, quarter_turns, to_unit};
use pretext_shared::stage::CropFlip;

use super::{Batch, Objective, Samples, Scores, cross_entropy};

/// Copies of each image: one per rotation.
pub(super) const ROTATIONS: usize = 4;

/// See the module.
#[derive(Debug)]
pub struct Rotation<'a> {
    /// The images; their classes are not used.
    pub samples: Samples<'a>,
    /// Augmentation before the turns.
    pub augment: CropFlip,
}

/// Returns labels 0, 1, 2, 3 for each of `images` images.
pub(super) fn labels(images: usize) -> Vec<i64> {
    (0..images).flat_map(|_| 0..ROTATIONS as i64).collect()
}

/// Turns the first of four images (`[4, 3, size, size]`) into the other three.
pub(super) fn turn(size: usize, copies: &mut [f32]) {
    let (upright, turned) = copies.split_at_mut(copies.len() / ROTATIONS);
    for (i, copy) in turned.chunks_exact_mut(upright.len()).enumerate() {
        quarter_turns(upright, size, i + 1, copy);
    }
}

/// Returns the four rotations of each image, without augmentation.
pub(super) fn plain(samples: &Samples<'_>, ids: &[u32]) -> Batch {
    samples.batch(ids.len(), ROTATIONS, labels(ids.len()), |i, out| {
        to_unit(samples.images.image(ids[i]), &mut out[..samples.length()]);
        turn(samples.images.size(), out);
    })
}

impl Objective for Rotation<'_> {
    fn training(&self, ids: &[u32], epoch: u32) -> Batch {
        let Samples { images, .. } = self.samples;
        self.samples.batch(ids.len(), ROTATIONS, labels(ids.len()), |i, out| {
            let (place, upright) = (self.samples.place(epoch, ids[i], 0), &mut out[..self.samples.length()]);
            crop_flip(images.image(ids[i]), images.size(), self.augment, place, upright);
            turn(images.size(), out);
        })
    }

    fn validation(&self, ids: &[u32]) -> Batch {
        plain(&self.samples, ids)
    }

    fn score(&self, outputs: Tensor<2>, labels: Tensor<1, Int>) -> Scores {
        cross_entropy(outputs, labels)
    }
}
