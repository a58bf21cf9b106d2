//! LARS (You, Gitman and Ginsburg 2017) as SimCLR uses it (`lars_optimizer.py` of google-research/simclr).

use burn::optim::{LearningRate, Optimizer};
use burn::tensor::{Device, Tensor};

use super::Velocity;

/// g += wd·w; trust = η·‖w‖/‖g‖; v = m·v + lr·trust·g; w -= v.
///
/// The rate is inside the velocity: a schedule affects new gradients only. The norm of the gradient includes the weight
/// decay. If either norm is zero, the ratio is 1, so a weight that starts at zero can move.
///
/// An excluded parameter (bias, normalisation) has no decay and a ratio of 1: plain momentum. Other implementations
/// differ: LARC caps the ratio at 1, and some keep the rate outside the velocity.
#[derive(Clone, Debug)]
pub struct Lars {
    /// m; 0 for none.
    pub momentum: f64,
    /// The effect of the layer's norm on its step.
    pub adaptation: Adaptation,
}

/// See [`Lars`].
#[derive(Clone, Copy, Debug)]
pub enum Adaptation {
    /// The trust ratio scales the decayed gradient.
    Trust {
        /// η, 0.001 in SimCLR.
        coefficient: f64,
        /// wd.
        weight_decay: f64,
    },
    /// Nothing: the parameter is excluded.
    Excluded,
}

impl Adaptation {
    fn apply<const D: usize>(self, weight: &Tensor<D>, gradient: Tensor<D>) -> Tensor<D> {
        let Adaptation::Trust { coefficient, weight_decay } = self else { return gradient };
        let gradient = if weight_decay == 0.0 { gradient } else { gradient + weight.clone().mul_scalar(weight_decay) };
        // Norms stay on the device: nothing is read back, so no step waits for the GPU.
        let norm = |tensor: Tensor<D>| tensor.square().sum().sqrt();
        let (of_weight, of_gradient) = (norm(weight.clone()), norm(gradient.clone()));
        let undefined = of_weight.clone().equal_elem(0.0).bool_or(of_gradient.clone().equal_elem(0.0));
        let trust = of_weight.mul_scalar(coefficient).div(of_gradient).mask_fill(undefined, 1.0);
        gradient * trust.reshape([1; D])
    }
}

impl Optimizer for Lars {
    type State<const D: usize> = Velocity<D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        weight: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<Velocity<D>>,
    ) -> (Tensor<D>, Option<Velocity<D>>) {
        let push = self.adaptation.apply(&weight, gradient).mul_scalar(lr);
        let velocity = Velocity::after(state, self.momentum, push);
        (weight - velocity.clone(), Some(Velocity::keep(velocity)))
    }

    fn to_device<const D: usize>(state: Velocity<D>, device: &Device) -> Velocity<D> {
        state.onto(device)
    }
}
