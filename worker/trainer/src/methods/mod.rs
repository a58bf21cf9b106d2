//! Methods: the objectives that a network is trained on. Each method is one file, readable next to its paper, behind
//! [`Objective`].

#[cfg(test)]
mod batch_tests;
mod control;
mod cross_entropy;
mod frozen;
mod knn;
mod nt_xent;
mod rotation;
mod rotation_jitter;
mod samples;
mod simclr;
mod supervised;

use burn::tensor::{Device, Int, Tensor, TensorData};

pub use control::control_images;
pub use cross_entropy::cross_entropy;
pub use frozen::{FrozenFeatures, encode};
pub use knn::Bank;
pub use nt_xent::nt_xent;
pub use rotation::Rotation;
pub use rotation_jitter::RotationJitter;
pub use samples::Samples;
pub use simclr::Simclr;
pub use supervised::Supervised;

/// A training objective.
///
/// Batches are made on the host. Every draw is a function of (seed, epoch, sample, view), so an image does not depend
/// on threads, on resume, or on the rest of the batch. Validation batches have no epoch: they are the same every time.
pub trait Objective: Sync {
    /// Returns the smallest number of images that can be scored together.
    fn smallest_batch(&self) -> usize {
        1
    }

    /// Returns the batch of the training images `ids` in `epoch` (from 1).
    fn training(&self, ids: &[u32], epoch: u32) -> Batch;

    /// Returns the batch of the validation images `ids`.
    fn validation(&self, ids: &[u32]) -> Batch;

    /// Scores the network's outputs `[batch, outputs]` against the batch's labels.
    fn score(&self, outputs: Tensor<2>, labels: Tensor<1, Int>) -> Scores;
}

/// Network inputs and labels, on the host.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Values of the inputs, of [`Self::shape`].
    pub inputs: Vec<f32>,
    /// `[batch, channel, height, width]`.
    pub shape: [usize; 4],
    /// One label for each input.
    pub labels: Vec<i64>,
}

impl Batch {
    /// Copies inputs and labels to `device`.
    pub fn upload(self, device: &Device) -> (Tensor<4>, Tensor<1, Int>) {
        let count = self.labels.len();
        let inputs = Tensor::from_data(TensorData::new(self.inputs, self.shape), device);
        (inputs, Tensor::from_data(TensorData::new(self.labels, [count]), device))
    }
}

/// The scores of a batch.
#[derive(Debug, Clone)]
pub struct Scores {
    /// Mean loss of the batch, `[1]`.
    pub loss: Tensor<1>,
    /// Number of inputs that were predicted correctly, `[1]`.
    pub correct: Tensor<1, Int>,
    /// Inputs scored.
    pub seen: u64,
}

/// Divides validation images into batches of `batch`. Every image is in a batch: a remainder of fewer than `smallest`
/// images joins the batch before it.
pub fn validation_batches(ids: &[u32], batch: usize, smallest: usize) -> Vec<&[u32]> {
    let mut whole = ids.len() / batch;
    let remainder = ids.len() % batch;
    if remainder >= smallest || whole == 0 {
        return ids.chunks(batch).collect();
    }
    whole -= 1;
    let (head, tail) = ids.split_at(whole * batch);
    let tail = (!tail.is_empty()).then_some(tail);
    head.chunks(batch).chain(tail).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validation_leaves_no_image_out() {
        let ids: Vec<u32> = (0..20).collect();
        for (n, batch, smallest, expected) in [
            (20, 8, 1, vec![8, 8, 4]),
            (16, 8, 1, vec![8, 8]),
            (17, 8, 1, vec![8, 8, 1]),
            (17, 8, 2, vec![8, 9]),
            (16, 8, 2, vec![8, 8]),
            (9, 8, 2, vec![9]),
            (5, 8, 2, vec![5]),
            (1, 8, 2, vec![1]),
            (0, 8, 2, vec![]),
        ] {
            let batches = validation_batches(&ids[..n], batch, smallest);
            assert_eq!(batches.iter().map(|batch| batch.len()).collect::<Vec<_>>(), expected, "{n} by {batch}");
            assert_eq!(batches.concat(), ids[..n]);
        }
    }
}
