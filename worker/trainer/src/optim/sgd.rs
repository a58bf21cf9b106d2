//! Stochastic gradient descent with momentum, as in PyTorch with dampening 0.

use burn::optim::{LearningRate, Optimizer, RecordState, StateSink, StateSource};
use burn::tensor::{Device, Tensor};

use super::Slot;
use crate::cpu::{self, SgdStep};

/// g += wd·w; v = m·v + g; w -= lr·v. The rate is outside the velocity, so a schedule affects all of it at once.
#[derive(Clone, Debug)]
pub struct Sgd {
    /// m; 0 for none.
    pub momentum: f64,
    /// wd.
    pub weight_decay: f64,
}

/// The velocity of a parameter.
#[derive(Clone, Debug)]
pub struct SgdState<const D: usize> {
    velocity: Slot<D>,
}

impl<const D: usize> RecordState for SgdState<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        out.push_tensor(prefix, "velocity", self.velocity.data());
    }

    // burn passes the default device, which may not be the device that trains.
    fn state_unflatten(prefix: &str, source: &mut StateSource, _: &Device) -> Option<Self> {
        Some(Self { velocity: Slot::Host(source.take_tensor(prefix, "velocity")?) })
    }
}

impl Optimizer for Sgd {
    type State<const D: usize> = SgdState<D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        weight: Tensor<D>,
        mut gradient: Tensor<D>,
        state: Option<SgdState<D>>,
    ) -> (Tensor<D>, Option<SgdState<D>>) {
        let device = gradient.device();
        if cpu::serves(&device) && self.momentum != 0.0 {
            let velocity = match state {
                Some(state) => state.velocity.onto(&device),
                None => gradient.zeros_like(),
            };
            let step =
                SgdStep { lr: lr as f32, momentum: self.momentum as f32, weight_decay: self.weight_decay as f32 };
            let (weight, velocity) = cpu::sgd(weight, gradient, velocity, step);
            return (weight, Some(SgdState { velocity: Slot::Device(velocity) }));
        }
        if self.weight_decay != 0.0 {
            gradient = gradient + weight.clone().mul_scalar(self.weight_decay);
        }
        if self.momentum == 0.0 {
            return (weight - gradient.mul_scalar(lr), None);
        }
        let velocity = match state {
            Some(state) => state.velocity.onto(&device).mul_scalar(self.momentum) + gradient,
            None => gradient,
        };
        let weight = weight - velocity.clone().mul_scalar(lr);
        (weight, Some(SgdState { velocity: Slot::Device(velocity) }))
    }

    fn to_device<const D: usize>(state: SgdState<D>, device: &Device) -> SgdState<D> {
        SgdState { velocity: Slot::Device(state.velocity.onto(device)) }
    }
}
