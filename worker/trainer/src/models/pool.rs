//! Pooling between blocks.

use burn::module::Module;

use super::maps::Maps;

/// The largest value of each window.
#[derive(Module, Debug)]
pub struct MaxPool {
    k: usize,
    stride: usize,
    padding: usize,
}

impl MaxPool {
    /// Returns a 3×3 window at stride 2, padded so that the size is halved, as after the 7×7 stem of a ResNet.
    pub fn halving() -> Self {
        Self { k: 3, stride: 2, padding: 1 }
    }

    /// See [`Maps::max_pool`].
    pub fn forward(&self, x: Maps) -> Maps {
        x.max_pool(self.k, self.stride, self.padding)
    }
}

/// The mean of each window, including the zeros of the padding, as is PyTorch's default.
#[derive(Module, Debug)]
pub struct MeanPool {
    k: usize,
    stride: usize,
    padding: usize,
}

impl MeanPool {
    /// Returns a 3×3 window at stride 2, padded so that the size is halved.
    pub fn halving() -> Self {
        Self { k: 3, stride: 2, padding: 1 }
    }

    /// See [`Maps::mean_pool`].
    pub fn forward(&self, x: Maps) -> Maps {
        x.mean_pool(self.k, self.stride, self.padding)
    }
}
