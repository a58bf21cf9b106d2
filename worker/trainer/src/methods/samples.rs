//! The images that a method draws from.

use pretext_data::ImageSet;
use pretext_data::augment::{normalize, to_unit};
use pretext_shared::draw::{Place, Purpose};
use rayon::prelude::*;

use super::Batch;

/// Images, their normalisation, and the seed of their augmentation.
#[derive(Debug, Clone, Copy)]
pub struct Samples<'a> {
    /// The images.
    pub images: &'a ImageSet,
    /// Subtracted from each channel, for pixels in [0, 1].
    pub mean: [f32; 3],
    /// Divides each channel after the subtraction.
    pub std: [f32; 3],
    /// Training seed.
    pub seed: u64,
}

impl Samples<'_> {
    /// Returns the place of the draws that augment a view of a sample.
    pub fn place(&self, epoch: u32, sample: u32, view: u32) -> Place {
        Place { seed: self.seed, purpose: Purpose::Augment, epoch, sample: u64::from(sample), view }
    }

    /// Returns the number of values of one image.
    pub fn length(&self) -> usize {
        3 * self.images.size() * self.images.size()
    }

    /// Returns a batch of `groups` times `group` images, made on all threads. `draw` fills group `i` with planes in [0,
    /// 1], which are then normalised.
    pub fn batch(
        &self,
        groups: usize,
        group: usize,
        labels: Vec<i64>,
        draw: impl Fn(usize, &mut [f32]) + Sync,
    ) -> Batch {
        let (length, size) = (self.length(), self.images.size());
        let mut inputs = vec![0f32; groups * group * length];
        inputs.par_chunks_exact_mut(group * length).enumerate().for_each(|(i, out)| {
            draw(i, out);
            out.chunks_exact_mut(length).for_each(|image| normalize(image, self.mean, self.std));
        });
        Batch { inputs, shape: [groups * group, 3, size, size], labels }
    }

    /// Returns the classes of `ids`.
    pub fn labels(&self, ids: &[u32]) -> Vec<i64> {
        ids.iter().map(|id| i64::from(self.images.label(*id))).collect()
    }

    /// Returns the images `ids` without augmentation, with their classes.
    pub fn plain(&self, ids: &[u32]) -> Batch {
        self.batch(ids.len(), 1, self.labels(ids), |i, out| to_unit(self.images.image(ids[i]), out))
    }
}
