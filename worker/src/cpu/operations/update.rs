//! Optimizer updates. Nothing here is differentiated: optimizers work on plain devices.

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

use crate::cpu::profile::{Operation, timed};
use crate::cpu::update::{self, AdamStep, SgdStep};

#[backend_extension(Flex)]
trait Update: Backend {
    /// Weight and velocity.
    fn sgd_update(
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        velocity: FloatTensor<Self>,
        step: SgdStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
    /// Weight and moments.
    fn adam_update(
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        step: AdamStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

/// Weight and velocity after `step`. On plain flex devices only.
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

/// Weight, first and second moment after `step`. On plain flex devices only.
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
            // Storage that something else still holds is copied before it is written.
            let (mut weight, mut velocity) = (weight.to_contiguous(), velocity.to_contiguous());
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
            let (mut weight, mut first, mut second) =
                (weight.to_contiguous(), first.to_contiguous(), second.to_contiguous());
            let gradient = gradient.to_contiguous();
            update::adam(weight.storage_mut(), gradient.storage(), first.storage_mut(), second.storage_mut(), step);
            (weight, first, second)
        })
    }
}
