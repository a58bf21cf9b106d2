//! The kernels as operations of burn, with backward passes of their own. All maps have their channels last.

mod convolution;
mod normalization;
mod pooling;
mod update;

use burn::backend::flex::FlexTensor;
use burn::tensor::TensorData;

pub use convolution::convolution;
pub use normalization::{Normalized, affine, normalize};
pub use pooling::{max_pool, mean_pool};
pub use update::{adam, sgd};

/// Returns `tensor` as one run of values. It is taken by value, so that this code holds no other reference to the
/// storage. If other code does, the values are copied before they are written.
fn contiguous(tensor: FlexTensor) -> FlexTensor {
    tensor.to_contiguous()
}

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}
