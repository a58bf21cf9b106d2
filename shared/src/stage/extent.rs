//! The share of a budget that a stage runs. The plan and the trainer count with the same rule.

use super::Extent;

/// Optimizer steps of a smoke run.
const SMOKE_STEPS: u64 = 2;

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
    fn a_rehearsal_takes_two_steps() {
        assert_eq!([Extent::Whole, Extent::Smoke].map(|extent| extent.steps(9)), [9, 2]);
    }
}
