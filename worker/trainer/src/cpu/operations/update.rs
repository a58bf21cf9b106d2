//! Optimizer updates as operations of burn. They have no backward pass: optimizers work on plain devices.

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

use super::contiguous;
use crate::cpu::profile::{Operation, timed};
use crate::cpu::update::{self, AdamStep, SgdStep};

#[backend_extension(Flex)]
trait Update: Backend {
    /// Returns weight and velocity.
    fn sgd_update(
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        velocity: FloatTensor<Self>,
        step: SgdStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
    /// Returns weight and moments.
    fn adam_update(
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        step: AdamStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

/// Returns weight and velocity after `step`. Works on plain flex devices only.
pub fn sgd<const D: usize>(
    weight: Tensor<D>,
    gradient: Tensor<D>,
    velocity: Tensor<D>,
    step: SgdStep,
) -> (Tensor<D>, Tensor<D>) {
    let (weight, velocity) =
        Dispatch::sgd_update(weight.into_dispatch(), gradient.into_dispatch(), velocity.into_dispatch(), step);
    (Tensor::from_dispatch(weight), Tensor::from_dispatch(velocity))
}

/// Returns weight, first and second moment after `step`. Works on plain flex devices only.
pub fn adam<const D: usize>(
    weight: Tensor<D>,
    gradient: Tensor<D>,
    [first, second]: [Tensor<D>; 2],
    step: AdamStep,
) -> (Tensor<D>, [Tensor<D>; 2]) {
    let (weight, first, second) = Dispatch::adam_update(
        weight.into_dispatch(),
        gradient.into_dispatch(),
        first.into_dispatch(),
        second.into_dispatch(),
        step,
    );
    (Tensor::from_dispatch(weight), [Tensor::from_dispatch(first), Tensor::from_dispatch(second)])
}

impl Update for Flex {
    fn sgd_update(
        weight: FlexTensor,
        gradient: FlexTensor,
        velocity: FlexTensor,
        step: SgdStep,
    ) -> (FlexTensor, FlexTensor) {
        timed(Operation::Update, || {
            let (mut weight, mut velocity) = (contiguous(weight), contiguous(velocity));
            update::sgd(weight.storage_mut(), gradient.to_contiguous().storage(), velocity.storage_mut(), step);
            (weight, velocity)
        })
    }

    fn adam_update(
        weight: FlexTensor,
        gradient: FlexTensor,
        first: FlexTensor,
        second: FlexTensor,
        step: AdamStep,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        timed(Operation::Update, || {
            let (mut weight, mut first, mut second) = (contiguous(weight), contiguous(first), contiguous(second));
            let gradient = gradient.to_contiguous();
            update::adam(weight.storage_mut(), gradient.storage(), first.storage_mut(), second.storage_mut(), step);
            (weight, first, second)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tensor;
    use super::*;

    #[test]
    fn what_nothing_else_holds_is_written_in_place() {
        let fresh = || tensor(vec![1.0; 1000], [1000]);
        let place = |tensor: &FlexTensor| tensor.storage::<f32>().as_ptr();
        let (weight, velocity) = (fresh(), fresh());
        let before = [place(&weight), place(&velocity)];
        let step = SgdStep { lr: 0.1, momentum: 0.9, weight_decay: 0.0 };
        let (weight, velocity) = Flex::sgd_update(weight, fresh(), velocity, step);
        assert_eq!([place(&weight), place(&velocity)], before);

        let step = AdamStep {
            lr: 0.1,
            beta1: [0.9, 0.1],
            beta2: [0.99, 0.01],
            correction: 1.0,
            epsilon: 1e-8,
            weight_decay: 0.0,
        };
        let held = weight.clone();
        let second = fresh();
        let before = [place(&weight), place(&velocity), place(&second)];
        let (weight, first, second) = Flex::adam_update(weight, fresh(), velocity, second, step);
        assert_eq!([place(&first), place(&second)], before[1..]);
        // Storage that other code holds is copied.
        assert_ne!(place(&weight), before[0]);
        assert_eq!(place(&held), before[0]);
    }
}
