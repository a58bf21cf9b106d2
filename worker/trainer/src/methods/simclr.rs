//! SimCLR (Chen, Kornblith, Norouzi and Hinton, ICML 2020).
//!
//! Two views of each image are drawn independently from one pipeline. They go through encoder and projection head in
//! *one* batch, so that batch normalisation sees both: all first views, then all second views. NT-Xent pulls the two
//! views of an image together and pushes all other images of the batch away. All batches have one size, because the
//! number of negatives is part of the loss.
//!
//! Validation uses two fixed views of each image, with the draws of epoch 0, in which nothing trains. Batches have the
//! training size; the remainder is a smaller batch with fewer negatives, hence a smaller loss. Every image is used.

use burn::tensor::{Int, Tensor};
use pretext_data::augment::SimclrView;

use super::{Batch, Objective, Samples, Scores, nt_xent};

/// See the module.
#[derive(Debug)]
pub struct Simclr<'a> {
    /// The images; their classes are not used.
    pub samples: Samples<'a>,
    /// The drawer of views.
    pub view: SimclrView,
    /// Softmax temperature.
    pub temperature: f32,
}

impl Simclr<'_> {
    fn views_of(&self, ids: &[u32], epoch: u32) -> Batch {
        let n = ids.len();
        // The label of a view is the row of its partner.
        let partners = (0..2 * n).map(|row| ((row + n) % (2 * n)) as i64).collect();
        self.samples.batch(2 * n, 1, partners, |row, out| {
            let (id, view) = (ids[row % n], (row / n) as u32);
            self.view.draw(self.samples.images.image(id), self.samples.place(epoch, id, view), out);
        })
    }
}

impl Objective for Simclr<'_> {
    fn smallest_batch(&self) -> usize {
        2
    }

    fn training(&self, ids: &[u32], epoch: u32) -> Batch {
        self.views_of(ids, epoch)
    }

    fn validation(&self, ids: &[u32]) -> Batch {
        self.views_of(ids, 0)
    }

    fn score(&self, outputs: Tensor<2>, labels: Tensor<1, Int>) -> Scores {
        nt_xent(outputs, labels, self.temperature)
    }
}
