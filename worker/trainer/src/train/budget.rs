//! The number of steps of a stage, with the same arithmetic as the plan's.

use pretext_shared::stage::{Budget, Extent, LastBatch, TrainSpec};
use pretext_shared::text::counted;

use super::StageError;

/// The steps of a training run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    /// ⌊images / batch⌋ if only full batches train, else ⌈images / batch⌉.
    pub per_epoch: u64,
    /// Steps of the whole run. The learning rate is a function of it.
    pub whole: u64,
    /// Steps to take: two in a smoke run, all in a full run.
    pub taken: u64,
}

impl Steps {
    /// Returns the steps for `images` training images under `spec`.
    pub fn new(spec: &TrainSpec, images: usize, last: LastBatch, extent: Extent) -> Result<Self, StageError> {
        let per_epoch = last.steps_per_epoch(images as u64, spec.batch);
        let whole = match spec.budget {
            Budget::Epochs(epochs) => per_epoch.saturating_mul(u64::from(epochs)),
            Budget::Steps(steps) if per_epoch > 0 => steps,
            Budget::Steps(_) => 0,
        };
        if whole == 0 {
            let budget = match spec.budget {
                Budget::Epochs(epochs) => counted(epochs, "epoch"),
                Budget::Steps(steps) => counted(steps, "step"),
            };
            return Err(StageError::NoSteps { images, batch: spec.batch, last, budget });
        }
        Ok(Self { per_epoch, whole, taken: extent.steps(whole) })
    }
}

#[cfg(test)]
mod tests {
    use pretext_shared::stage::{DecayOn, LrSpec, OptimizerSpec};

    use super::*;

    fn steps(images: usize, batch: u32, budget: Budget, last: LastBatch, extent: Extent) -> Option<(u64, u64, u64)> {
        let lr = LrSpec::Constant { base: 0.1 };
        let (optimizer, decay) = (OptimizerSpec::Adam { weight_decay: 0.0 }, DecayOn::Weights);
        let spec = TrainSpec { budget, batch, optimizer, decay, lr };
        Steps::new(&spec, images, last, extent).ok().map(|steps| (steps.per_epoch, steps.whole, steps.taken))
    }

    #[test]
    fn counts() {
        use Extent::{Smoke, Whole};
        use LastBatch::{Dropped, Kept};
        assert_eq!(steps(100, 32, Budget::Epochs(3), Kept, Whole), Some((4, 12, 12)));
        assert_eq!(steps(100, 32, Budget::Epochs(3), Dropped, Whole), Some((3, 9, 9)));
        assert_eq!(steps(100, 32, Budget::Steps(10), Dropped, Whole), Some((3, 10, 10)));
        assert_eq!(steps(100, 32, Budget::Epochs(3), Kept, Smoke), Some((4, 12, 2)));
        assert_eq!(steps(10, 32, Budget::Epochs(1), Kept, Smoke), Some((1, 1, 1)));
        assert_eq!(steps(10, 32, Budget::Epochs(3), Dropped, Whole), None);
        assert_eq!(steps(10, 32, Budget::Steps(3), Dropped, Whole), None);
        assert_eq!(steps(10, 32, Budget::Epochs(0), Kept, Whole), None);
    }
}
