//! Learning rates as a pure function of the step: nothing to save, so a resumed run cannot restart its warm-up.

use std::f64::consts::PI;

use pretext_shared::stage::LrSpec;

/// The rate of step `step` (from 0) of `total_steps`, where an epoch has `steps_per_epoch`.
///
/// Cosine is SimCLR's form (Chen et al. 2020): with W = warm-up steps, base · step / W before W, so the first step has
/// rate 0, then base · ½ (1 + cos(π (step - W) / (total - W))). A warm-up that is longer than the budget never ends.
/// Past the end the rate stays 0.
pub fn rate(lr: &LrSpec, step: u64, steps_per_epoch: u64, total_steps: u64) -> f64 {
    match *lr {
        LrSpec::Constant { base } => base,
        LrSpec::Cosine { base, warmup_epochs } => {
            let warmup = (warmup_epochs * steps_per_epoch as f64).round();
            let (step, total) = (step as f64, total_steps as f64);
            if step < warmup {
                base * step / warmup
            } else if step >= total {
                0.0
            } else {
                base * 0.5 * (1.0 + (PI * (step - warmup) / (total - warmup)).cos())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_numbers() {
        // Ten warm-up steps of a hundred, as an epoch of ten steps and as two of five.
        for (steps_per_epoch, warmup_epochs) in [(10, 1.0), (5, 2.0), (20, 0.5)] {
            let lr = LrSpec::Cosine { base: 1.0, warmup_epochs };
            for (step, expected) in
                [(0, 0.0), (5, 0.5), (9, 0.9), (10, 1.0), (55, 0.5), (99, 0.000304586), (100, 0.0), (150, 0.0)]
            {
                assert!((rate(&lr, step, steps_per_epoch, 100) - expected).abs() < 1e-9, "step {step}");
            }
        }
    }

    #[test]
    fn limits() {
        let constant = LrSpec::Constant { base: 2.4 };
        assert!([0, 1, 99, 1000].into_iter().all(|step| rate(&constant, step, 10, 100) == 2.4));
        let cold = LrSpec::Cosine { base: 2.0, warmup_epochs: 0.0 };
        assert_eq!((rate(&cold, 0, 10, 100), rate(&cold, 50, 10, 100)), (2.0, 1.0));
        // A warm-up that fills or exceeds the budget.
        for warmup_epochs in [10.0, 20.0] {
            let lr = LrSpec::Cosine { base: 1.0, warmup_epochs };
            assert!((0..100).all(|step| rate(&lr, step, 10, 100) == step as f64 / (10.0 * warmup_epochs)));
        }
    }
}
