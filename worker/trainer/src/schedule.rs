//! Learning rates as a pure function of the step. There is no state to save, so a resumed run cannot restart its
//! warm-up.

use std::f64::consts::PI;

use pretext_shared::stage::{CycleShape, LrSpec};

/// Returns the learning rate of step `step` (from 0) of `total_steps`, with `steps_per_epoch` steps an epoch.
///
/// - Constant: the base.
/// - Cosine, in SimCLR's form (Chen et al. 2020). W is the number of warm-up steps. Before W: base · step / W, so the
///   first step has rate 0. Then: base · ½ (1 + cos(π (step - W) / (total - W))). A warm-up that is longer than the
///   budget never ends. Past the end the rate stays 0.
/// - Step: base · gamma^(milestones reached), as PyTorch's `MultiStepLR` stepped per epoch.
/// - One cycle: PyTorch's `OneCycleLR`, two phases, cosine. Past the end the rate stays at its last value.
/// - Cyclical: PyTorch's `CyclicLR` stepped per step.
pub fn rate(lr: &LrSpec, step: u64, steps_per_epoch: u64, total_steps: u64) -> f64 {
    match lr {
        LrSpec::Constant { base } => *base,
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
        LrSpec::Step { base, gamma, milestones } => {
            let reached = milestones.iter().filter(|epoch| u64::from(**epoch) * steps_per_epoch <= step).count();
            base * gamma.powi(reached as i32)
        }
        LrSpec::OneCycle { base, pct_start, div_factor, final_div_factor } => {
            let first = base / div_factor;
            let last = first / final_div_factor;
            let (step, end) = (step as f64, total_steps.saturating_sub(1) as f64);
            // The step of the peak; step 0 if the rise is shorter than one step.
            let peak = (pct_start * total_steps as f64 - 1.0).max(0.0);
            if step < peak {
                between(first, *base, step / peak)
            } else if step < end {
                between(*base, last, (step - peak) / (end - peak))
            } else {
                last
            }
        }
        LrSpec::Cyclical { base, low, half_cycle_epochs, shape } => {
            let half = (half_cycle_epochs * steps_per_epoch as f64).round().max(1.0);
            let (low, step) = (base * low, step as f64);
            let cycle = (1.0 + step / (2.0 * half)).floor();
            let height = (1.0 - (step / half - 2.0 * cycle + 1.0).abs()).max(0.0);
            let scale = match shape {
                CycleShape::Triangular => 1.0,
                CycleShape::Triangular2 => 0.5f64.powf(cycle - 1.0),
                CycleShape::ExpRange { gamma } => gamma.powf(step),
            };
            low + (base - low) * height * scale
        }
    }
}

/// Returns the value of half a cosine from `start` to `end` at `share` (0 to 1) of its way.
fn between(start: f64, end: f64, share: f64) -> f64 {
    end + 0.5 * (start - end) * (1.0 + (PI * share).cos())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    /// A schedule of `tests/golden/optim.py`, with the rates that PyTorch used.
    #[derive(Deserialize)]
    struct Golden {
        name: String,
        lr: LrSpec,
        steps_per_epoch: u64,
        total_steps: u64,
        rates: Vec<f64>,
    }

    #[derive(Deserialize)]
    struct Goldens {
        schedules: Vec<Golden>,
    }

    #[test]
    fn rates_are_pytorchs() {
        let golden: Goldens =
            serde_json::from_str(include_str!("../../../tests/golden/optim.json")).expect("the script wrote it");
        assert!(golden.schedules.len() >= 12);
        for Golden { name, lr, steps_per_epoch, total_steps, rates } in golden.schedules {
            for (step, expected) in (0..).zip(rates) {
                let own = rate(&lr, step, steps_per_epoch, total_steps);
                assert!((own - expected).abs() <= 1e-12 * (1.0 + expected), "{name}: {own} at {step}, not {expected}");
            }
        }
    }

    #[test]
    fn golden_numbers() {
        // Ten warm-up steps of a hundred, as one epoch of ten steps and as two epochs of five.
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
        // A warm-up as long as the budget, or longer.
        for warmup_epochs in [10.0, 20.0] {
            let lr = LrSpec::Cosine { base: 1.0, warmup_epochs };
            assert!((0..100).all(|step| rate(&lr, step, 10, 100) == step as f64 / (10.0 * warmup_epochs)));
        }
        // Budgets of a few steps, and steps past the end.
        let one_cycle = LrSpec::OneCycle { base: 4.8, pct_start: 0.3, div_factor: 25.0, final_div_factor: 1e4 };
        for total in 1..5 {
            assert!((0..9).all(|step| (0.0..=4.8).contains(&rate(&one_cycle, step, 1, total))), "{total} steps");
        }
        assert_eq!(rate(&one_cycle, 99, 10, 100), rate(&one_cycle, 1000, 10, 100));
        let shape = CycleShape::Triangular;
        let tiny = LrSpec::Cyclical { base: 1.0, low: 0.5, half_cycle_epochs: 0.001, shape };
        assert_eq!([0, 1, 2, 3].map(|step| rate(&tiny, step, 1, 9)), [0.5, 1.0, 0.5, 1.0]);
    }
}
