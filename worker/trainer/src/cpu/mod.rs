//! Kernels for training on the CPU. burn's flex backend takes three to five times as long as PyTorch: it computes one
//! product per image, copies single values between layouts, and passes over memory for each elementwise operation. Here
//! maps have their channels last. A convolution reads them in place (no column matrix), and the operations after it are
//! one pass.
//!
//! | file | what |
//! |---|---|
//! | `geometry` | which values of a framed map an output pixel sees |
//! | `panel` | weights in the order in which the tiles read them |
//! | `tile` | the innermost loops, in registers |
//! | `conv`, `winograd`, `norm`, `pool`, `update` | kernels on plain slices |
//! | `operations` | the kernels as operations of burn, with backward passes |
//!
//! The seam: `models::Maps` and the optimizers use these operations on flex devices and burn's own on other devices.
//! Nothing below `operations` knows of burn, so the kernels could move into burn-flex unchanged. burn-flex would need a
//! channels-last layout of tensors, which burn 0.22 does not have.

mod conv;
mod geometry;
mod norm;
mod operations;
mod panel;
mod pool;
pub mod profile;
mod scratch;
mod tile;
mod update;
mod winograd;

pub use norm::After;
pub use operations::{Normalized, adam, affine, convolution, max_pool, mean_pool, normalize, sgd};
pub use update::{AdamStep, SgdStep};

use burn::backend::DispatchDevice;
use burn::tensor::Device;

/// Returns whether these operations work on `device`: the CPU, training or not.
pub fn serves(device: &Device) -> bool {
    matches!(device.clone().inner().as_dispatch(), DispatchDevice::Flex(_))
}

#[cfg(test)]
mod tests;
