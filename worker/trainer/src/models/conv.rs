//! Convolutions without bias.

use burn::module::{Module, Param, ParamId, RunningState};
use burn::nn::{BatchNorm, BatchNormConfig, Initializer};
use burn::tensor::{Device, Tensor};

use super::maps::{After, Maps};

/// A convolution with a square kernel, padded so that stride 1 keeps the size. It has no bias: batch normalisation
/// follows every convolution here, and has a bias of its own.
#[derive(Module, Debug)]
pub struct Conv {
    /// `[out, in, k, k]`
    pub weight: Param<Tensor<4>>,
    stride: usize,
    padding: usize,
}

impl Conv {
    /// Returns a `k`×`k` convolution (k odd) of `inputs` to `outputs` channels. Its weights are zero until they are
    /// initialised or loaded.
    pub fn blank(inputs: usize, outputs: usize, k: usize, stride: usize, device: &Device) -> Self {
        Self { weight: Initializer::Zeros.init([outputs, inputs, k, k], device), stride, padding: k / 2 }
    }

    /// Maps of `in` channels become `out` channels of ⌈height / stride⌉ by ⌈width / stride⌉.
    pub fn forward(&self, x: Maps) -> Maps {
        x.convolve(self.weight.val(), self.stride, self.padding)
    }
}

/// Returns batch normalisation with momentum 0.1 and epsilon 1e-5 as in PyTorch; the running variance is the biased
/// one.
pub(super) fn batch_norm(channels: usize, device: &Device) -> BatchNorm {
    let norm = BatchNormConfig::new(channels).init(device);
    // burn draws these two ids at random. No code looks them up, but they are written into records, and equal models
    // must be equal files.
    let anonymous = |state: RunningState<Tensor<1>>| RunningState::with_id(ParamId::from(0), state.value());
    BatchNorm { running_mean: anonymous(norm.running_mean), running_var: anonymous(norm.running_var), ..norm }
}

/// A convolution followed by batch normalisation.
#[derive(Module, Debug)]
pub struct ConvBn {
    /// The convolution.
    pub conv: Conv,
    /// The normalisation of its output.
    pub bn: BatchNorm,
}

impl ConvBn {
    /// See [`Conv::blank`].
    pub fn blank(inputs: usize, outputs: usize, k: usize, stride: usize, device: &Device) -> Self {
        Self { conv: Conv::blank(inputs, outputs, k, stride, device), bn: batch_norm(outputs, device) }
    }

    /// See [`Conv::forward`] and [`Maps::normalize`].
    pub fn forward(&self, x: Maps, skip: Option<Maps>, after: After) -> Maps {
        self.conv.forward(x).normalize(&self.bn, skip, after)
    }
}
