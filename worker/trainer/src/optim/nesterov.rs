//! Stochastic gradient descent with Nesterov's momentum, as in PyTorch (Sutskever et al. 2013).

use burn::optim::{LearningRate, Optimizer};
use burn::tensor::{Device, Tensor};

use super::Velocity;

/// g += wd·w; v = m·v + g; w -= lr · (g + m·v): the step looks ahead along the new velocity.
#[derive(Clone, Debug)]
pub struct Nesterov {
    /// m.
    pub momentum: f64,
    /// wd.
    pub weight_decay: f64,
}

impl Optimizer for Nesterov {
    type State<const D: usize> = Velocity<D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        weight: Tensor<D>,
        mut gradient: Tensor<D>,
        state: Option<Velocity<D>>,
    ) -> (Tensor<D>, Option<Velocity<D>>) {
        if self.weight_decay != 0.0 {
            gradient = gradient + weight.clone().mul_scalar(self.weight_decay);
        }
        let velocity = Velocity::after(state, self.momentum, gradient.clone());
        let weight = weight - (gradient + velocity.clone().mul_scalar(self.momentum)).mul_scalar(lr);
        (weight, Some(Velocity::keep(velocity)))
    }

    fn to_device<const D: usize>(state: Velocity<D>, device: &Device) -> Velocity<D> {
        state.onto(device)
    }
}
