//! Adam with decoupled weight decay (Loshchilov and Hutter 2019), as in PyTorch.

use burn::optim::{LearningRate, Optimizer};
use burn::tensor::{Device, Tensor};

use super::{Adam, AdamState};

/// w *= 1 - lr·wd, then a step of [`Adam`] without a penalty: the decay does not enter the moments.
#[derive(Clone, Debug)]
pub struct AdamW {
    /// wd.
    pub weight_decay: f64,
}

const ADAM: Adam = Adam { weight_decay: 0.0 };

impl Optimizer for AdamW {
    type State<const D: usize> = AdamState<D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        mut weight: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<AdamState<D>>,
    ) -> (Tensor<D>, Option<AdamState<D>>) {
        if self.weight_decay != 0.0 {
            weight = weight.mul_scalar(1.0 - lr * self.weight_decay);
        }
        ADAM.step(lr, weight, gradient, state)
    }

    fn to_device<const D: usize>(state: AdamState<D>, device: &Device) -> AdamState<D> {
        Adam::to_device(state, device)
    }
}
