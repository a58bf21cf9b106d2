//! How the training images of an epoch become batches. The plan and the trainer count with the same rule.

use super::Extent;

/// Optimizer steps of a smoke run.
const SMOKE_STEPS: u64 = 2;

/// The treatment of a last batch that is not full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastBatch {
    /// The stage trains on it.
    Kept,
    /// The stage skips it.
    Dropped,
}

impl LastBatch {
    /// Returns the steps of an epoch over `images` images in batches of `batch`.
    pub fn steps_per_epoch(self, images: u64, batch: u32) -> u64 {
        let batch = u64::from(batch.max(1));
        match self {
            LastBatch::Kept => images.div_ceil(batch),
            LastBatch::Dropped => images / batch,
        }
    }
}

impl Extent {
    /// Returns the steps that are taken of a budget of `whole` steps.
    pub fn steps(self, whole: u64) -> u64 {
        match self {
            Extent::Whole => whole,
            Extent::Smoke => whole.min(SMOKE_STEPS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remainder_is_a_step_or_is_skipped() {
        assert_eq!([LastBatch::Kept, LastBatch::Dropped].map(|last| last.steps_per_epoch(100, 32)), [4, 3]);
        assert_eq!([LastBatch::Kept, LastBatch::Dropped].map(|last| last.steps_per_epoch(96, 32)), [3, 3]);
        assert_eq!([LastBatch::Kept, LastBatch::Dropped].map(|last| last.steps_per_epoch(10, 32)), [1, 0]);
        assert_eq!([Extent::Whole, Extent::Smoke].map(|extent| extent.steps(9)), [9, 2]);
    }
}
