//! The number of steps of a stage, with the same arithmetic as the plan's.

use pretext_shared::stage::{Budget, Extent, TrainSpec};

use super::StageError;

/// Steps of a smoke run.
const SMOKE_STEPS: u64 = 2;

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
    pub fn new(spec: &TrainSpec, images: usize, full_batches_only: bool, extent: Extent) -> Result<Self, StageError> {
        let (images, batch) = (images as u64, u64::from(spec.batch.max(1)));
        let per_epoch = if full_batches_only { images / batch } else { images.div_ceil(batch) };
        let whole = match spec.budget {
            Budget::Epochs(epochs) => per_epoch.saturating_mul(u64::from(epochs)),
            Budget::Steps(steps) if per_epoch > 0 => steps,
            Budget::Steps(_) => 0,
        };
        if whole == 0 {
            let budget = match spec.budget {
                Budget::Epochs(epochs) => format!("{epochs} epochs"),
                Budget::Steps(steps) => format!("{steps} steps"),
            };
            return Err(StageError::NoSteps { images: images as usize, batch: spec.batch, full_batches_only, budget });
        }
        let taken = match extent {
            Extent::Whole => whole,
            Extent::Smoke => whole.min(SMOKE_STEPS),
        };
        Ok(Self { per_epoch, whole, taken })
    }
}

#[cfg(test)]
mod tests {
    use pretext_shared::stage::{DecayOn, LrSpec, OptimizerSpec};

    use super::*;

    fn steps(images: usize, batch: u32, budget: Budget, full: bool, extent: Extent) -> Option<(u64, u64, u64)> {
        let lr = LrSpec::Constant { base: 0.1 };
        let (optimizer, decay) = (OptimizerSpec::Adam { weight_decay: 0.0 }, DecayOn::Weights);
        let spec = TrainSpec { budget, batch, optimizer, decay, lr };
        Steps::new(&spec, images, full, extent).ok().map(|steps| (steps.per_epoch, steps.whole, steps.taken))
    }

    #[test]
    fn counts() {
        use Extent::{Smoke, Whole};
        assert_eq!(steps(100, 32, Budget::Epochs(3), false, Whole), Some((4, 12, 12)));
        assert_eq!(steps(100, 32, Budget::Epochs(3), true, Whole), Some((3, 9, 9)));
        assert_eq!(steps(100, 32, Budget::Steps(10), true, Whole), Some((3, 10, 10)));
        assert_eq!(steps(100, 32, Budget::Epochs(3), false, Smoke), Some((4, 12, 2)));
        assert_eq!(steps(10, 32, Budget::Epochs(1), false, Smoke), Some((1, 1, 1)));
        assert_eq!(steps(10, 32, Budget::Epochs(3), true, Whole), None);
        assert_eq!(steps(10, 32, Budget::Steps(3), true, Whole), None);
        assert_eq!(steps(10, 32, Budget::Epochs(0), false, Whole), None);
    }
}
