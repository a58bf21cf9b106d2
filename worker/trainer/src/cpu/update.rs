//! Optimizer updates on plain slices: one pass over weight, gradient and state, in place.

use pulp::Arch;
use rayon::prelude::*;

/// Number of values that one task updates.
const PART: usize = 1 << 14;

/// The numbers of one SGD step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdStep {
    /// Learning rate.
    pub lr: f32,
    /// Share of the velocity that is kept.
    pub momentum: f32,
    /// L2 penalty.
    pub weight_decay: f32,
}

/// The numbers of one Adam step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamStep {
    /// Learning rate divided by the correction of the first moment.
    pub lr: f32,
    /// β1 and 1 - β1, rounded separately: 1 - 0.999 in f32 is wrong in the fifth digit.
    pub beta1: [f32; 2],
    /// β2 and 1 - β2.
    pub beta2: [f32; 2],
    /// Root of the correction of the second moment.
    pub correction: f32,
    /// Added to the root.
    pub epsilon: f32,
    /// L2 penalty.
    pub weight_decay: f32,
}

/// v = m·v + (g + wd·w); w -= lr·v
pub(super) fn sgd(weight: &mut [f32], gradient: &[f32], velocity: &mut [f32], step: SgdStep) {
    let SgdStep { lr, momentum, weight_decay } = step;
    let parts = weight.par_chunks_mut(PART).zip(gradient.par_chunks(PART)).zip(velocity.par_chunks_mut(PART));
    parts.for_each(|((weight, gradient), velocity)| {
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for ((w, g), v) in weight.iter_mut().zip(gradient).zip(velocity) {
                    *v = momentum * *v + (g + weight_decay * *w);
                    *w -= lr * *v;
                }
            },
        );
    });
}

/// m = β1·m + (1-β1)·g'; v = β2·v + (1-β2)·g'²; w -= lr · m / (√v / c + ε), with g' = g + wd·w
pub(super) fn adam(weight: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32], step: AdamStep) {
    let AdamStep { lr, beta1, beta2, correction, epsilon, weight_decay } = step;
    let ([beta1, rest1], [beta2, rest2]) = (beta1, beta2);
    let moments = first.par_chunks_mut(PART).zip(second.par_chunks_mut(PART));
    let parts = weight.par_chunks_mut(PART).zip(gradient.par_chunks(PART)).zip(moments);
    parts.for_each(|((weight, gradient), (first, second))| {
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for ((w, g), (m, v)) in weight.iter_mut().zip(gradient).zip(first.iter_mut().zip(second)) {
                    let g = g + weight_decay * *w;
                    *m = beta1 * *m + rest1 * g;
                    *v = beta2 * *v + rest2 * (g * g);
                    *w -= lr * (*m / (v.sqrt() / correction + epsilon));
                }
            },
        );
    });
}
