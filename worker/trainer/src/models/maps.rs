//! Feature maps, in the layout of the device. On the CPU channels are last, with operations of our own
//! ([`crate::cpu`]); on other devices channels are first, with burn's operations.

use burn::nn::BatchNorm;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::module::{avg_pool2d, conv2d, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions};

use crate::cpu;
pub use crate::cpu::After;

/// Maps of a batch of images.
#[derive(Clone, Debug)]
pub struct Maps {
    tensor: Tensor<4>,
    layout: Layout,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// `[batch, channel, height, width]`
    ChannelsFirst,
    /// `[batch, height, width, channel]`
    ChannelsLast,
}

impl Maps {
    /// Returns the maps of images `[batch, channel, height, width]`.
    pub fn of(images: Tensor<4>) -> Self {
        if cpu::serves(&images.device()) {
            Self { tensor: images.permute([0, 2, 3, 1]), layout: Layout::ChannelsLast }
        } else {
            Self { tensor: images, layout: Layout::ChannelsFirst }
        }
    }

    /// Returns `[batch, channel, height, width]`, whatever the layout.
    pub fn into_channels_first(self) -> Tensor<4> {
        match self.layout {
            Layout::ChannelsFirst => self.tensor,
            Layout::ChannelsLast => self.tensor.permute([0, 3, 1, 2]),
        }
    }

    /// Convolves with `weight`, `[out, in, k, k]` (groups 1, dilation 1, no bias).
    pub fn convolve(self, weight: Tensor<4>, stride: usize, padding: usize) -> Self {
        let layout = self.layout;
        let tensor = match layout {
            Layout::ChannelsLast => cpu::convolution(self.tensor, weight, stride, padding),
            Layout::ChannelsFirst => {
                conv2d(self.tensor, weight, None, ConvOptions::new([stride; 2], [padding; 2], [1; 2], 1))
            }
        };
        Self { tensor, layout }
    }

    /// Batch normalisation; adds `skip` if it is given, then applies `after`. If the maps are on a training device and
    /// the layer trains, this uses batch statistics and updates the running statistics. Else it uses the running
    /// statistics.
    pub fn normalize(self, norm: &BatchNorm, skip: Option<Maps>, after: After) -> Self {
        let layout = self.layout;
        let tensor = match layout {
            Layout::ChannelsLast => normalize(self.tensor, norm, skip.map(|skip| skip.tensor), after),
            Layout::ChannelsFirst => {
                let z = norm.forward(self.tensor);
                let z = match skip {
                    Some(skip) => z + skip.tensor,
                    None => z,
                };
                match after {
                    After::Nothing => z,
                    After::Relu => relu(z),
                }
            }
        };
        Self { tensor, layout }
    }

    /// Returns the largest value of each `k`×`k` window.
    pub fn max_pool(self, k: usize, stride: usize, padding: usize) -> Self {
        let layout = self.layout;
        let tensor = match layout {
            Layout::ChannelsLast => cpu::max_pool(self.tensor, k, stride, padding),
            Layout::ChannelsFirst => {
                let options = MaxPoolOptions::new([k; 2]).with_stride([stride; 2]).with_padding([padding; 2]);
                max_pool2d(self.tensor, options)
            }
        };
        Self { tensor, layout }
    }

    /// Returns the mean of each `k`×`k` window, including the zeros of the padding. This is burn's operation in both
    /// layouts, because only one network uses it, once.
    pub fn mean_pool(self, k: usize, stride: usize, padding: usize) -> Self {
        let layout = self.layout;
        let maps = avg_pool2d(
            self.into_channels_first(),
            AvgPoolOptions::new([k; 2])
                .with_stride([stride; 2])
                .with_padding([padding; 2])
                .with_count_include_pad(true),
        );
        let tensor = match layout {
            Layout::ChannelsFirst => maps,
            Layout::ChannelsLast => maps.permute([0, 2, 3, 1]),
        };
        Self { tensor, layout }
    }

    /// Returns the mean of each channel, `[batch, channel]`.
    pub fn mean(self) -> Tensor<2> {
        match self.layout {
            Layout::ChannelsLast => cpu::mean_pool(self.tensor),
            Layout::ChannelsFirst => {
                let [batch, channels, height, width] = self.tensor.dims();
                self.tensor.reshape([batch, channels, height * width]).mean_dim(2).reshape([batch, channels])
            }
        }
    }
}

/// burn's batch normalisation, for channels that are last.
fn normalize(x: Tensor<4>, norm: &BatchNorm, skip: Option<Tensor<4>>, after: After) -> Tensor<4> {
    let (gamma, beta, device) = (norm.gamma.val(), norm.beta.val(), x.device());
    if !(device.is_autodiff() && norm.training.is_enabled()) {
        let (mean, variance) = (norm.running_mean.value(), norm.running_var.value());
        let scale = gamma / variance.to_device(&device).add_scalar(norm.epsilon).sqrt();
        let shift = beta - mean.to_device(&device) * scale.clone();
        return cpu::affine(x, skip, scale, shift, after);
    }
    let result = cpu::normalize(x, skip, gamma, beta, norm.epsilon, after);
    for (running, batch) in [(&norm.running_mean, result.mean), (&norm.running_var, result.variance)] {
        let value = running.value_sync().to_device(&device).mul_scalar(1.0 - norm.momentum);
        running.update((value + batch.detach().mul_scalar(norm.momentum)).detach());
    }
    result.output
}
