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

/// `tensor` as one run of values. By value, so that nothing else of ours holds the storage afterwards: what else does is copied
/// before it is written.
fn contiguous(tensor: FlexTensor) -> FlexTensor {
    tensor.to_contiguous()
}

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}
