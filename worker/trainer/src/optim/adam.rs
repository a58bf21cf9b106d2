//! Adam (Kingma and Ba 2015).

use burn::optim::{LearningRate, Optimizer, RecordState, StateSink, StateSource};
use burn::tensor::{Device, Tensor};

use super::Slot;
use crate::cpu::{self, AdamStep};

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// g += wd·w; m = β1·m + (1-β1)·g; v = β2·v + (1-β2)·g²; w -= lr · m̂ / (√v̂ + ε). m̂ and v̂ are corrected for their
/// start at zero. β1 = 0.9, β2 = 0.999, ε = 1e-8.
#[derive(Clone, Debug)]
pub struct Adam {
    /// wd: an L2 penalty inside the gradient, as in the paper and in PyTorch's `Adam`.
    pub weight_decay: f64,
}

/// The moments of a parameter.
#[derive(Clone, Debug)]
pub struct AdamState<const D: usize> {
    steps: u64,
    first: Slot<D>,
    second: Slot<D>,
}

impl<const D: usize> RecordState for AdamState<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        out.push_scalar(prefix, "steps", self.steps.into());
        out.push_tensor(prefix, "first", self.first.data());
        out.push_tensor(prefix, "second", self.second.data());
    }

    // burn passes the default device, which may not be the device that trains.
    fn state_unflatten(prefix: &str, source: &mut StateSource, _: &Device) -> Option<Self> {
        Some(Self {
            steps: source.take_scalar(prefix, "steps")?.try_into().ok()?,
            first: Slot::Host(source.take_tensor(prefix, "first")?),
            second: Slot::Host(source.take_tensor(prefix, "second")?),
        })
    }
}

impl Optimizer for Adam {
    type State<const D: usize> = AdamState<D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        weight: Tensor<D>,
        mut gradient: Tensor<D>,
        state: Option<AdamState<D>>,
    ) -> (Tensor<D>, Option<AdamState<D>>) {
        let device = gradient.device();
        let (steps, moments) = match state {
            Some(state) => (state.steps + 1, [state.first.onto(&device), state.second.onto(&device)]),
            None => (1, [gradient.zeros_like(), gradient.zeros_like()]),
        };
        // 0.999^t is 0 in f64 long before t leaves an i32.
        let t = i32::try_from(steps).unwrap_or(i32::MAX);
        let (correction1, correction2) = (1.0 - BETA1.powi(t), 1.0 - BETA2.powi(t));
        let (weight, [first, second]) = if cpu::serves(&device) {
            let step = AdamStep {
                lr: (lr / correction1) as f32,
                beta1: [BETA1 as f32, (1.0 - BETA1) as f32],
                beta2: [BETA2 as f32, (1.0 - BETA2) as f32],
                correction: correction2.sqrt() as f32,
                epsilon: EPSILON as f32,
                weight_decay: self.weight_decay as f32,
            };
            cpu::adam(weight, gradient, moments, step)
        } else {
            if self.weight_decay != 0.0 {
                gradient = gradient + weight.clone().mul_scalar(self.weight_decay);
            }
            let [first, second] = moments;
            let first = first.mul_scalar(BETA1) + gradient.clone().mul_scalar(1.0 - BETA1);
            let second = second.mul_scalar(BETA2) + gradient.square().mul_scalar(1.0 - BETA2);
            let root = second.clone().sqrt().div_scalar(correction2.sqrt()).add_scalar(EPSILON);
            (weight - first.clone().div(root).mul_scalar(lr / correction1), [first, second])
        };
        (weight, Some(AdamState { steps, first: Slot::Device(first), second: Slot::Device(second) }))
    }

    fn to_device<const D: usize>(state: AdamState<D>, device: &Device) -> AdamState<D> {
        AdamState {
            steps: state.steps,
            first: Slot::Device(state.first.onto(device)),
            second: Slot::Device(state.second.onto(device)),
        }
    }
}
