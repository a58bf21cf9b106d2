//! RotNet's Network in Network (Gidaris et al. 2018, `NetworkInNetwork.py`): blocks of three convolutions, each with batch
//! normalisation and ReLU.

use burn::module::Module;
use burn::tensor::Device;

use super::conv::ConvBn;
use super::maps::{After, Maps};
use super::pool::{MaxPool, MeanPool};

/// Channels of a block, except for the last layer of the first block.
const WIDTH: usize = 192;

/// A 3×3 pooling of stride 2 ends the first block (maximum) and the second (mean, including the zeros of the padding,
/// as is PyTorch's default). An encoder that ends with block 2 therefore has the features that RotNet probes as
/// `conv2`.
#[derive(Module, Debug)]
pub struct Nin {
    /// The blocks.
    pub blocks: Vec<NinBlock>,
    /// After the first block.
    pub maximum: MaxPool,
    /// After the second.
    pub mean: MeanPool,
}

/// A k×k convolution and two of 1×1.
#[derive(Module, Debug)]
pub struct NinBlock {
    /// 5×5 in the first two blocks, 3×3 after.
    pub spatial: ConvBn,
    /// 1×1.
    pub first: ConvBn,
    /// 1×1.
    pub second: ConvBn,
}

impl Nin {
    /// Returns the first `blocks` blocks, with zero weights.
    pub fn blank(blocks: usize, device: &Device) -> Self {
        let blocks = (0..blocks.max(1)).map(|i| NinBlock::blank(i, device)).collect();
        Self { blocks, maximum: MaxPool::halving(), mean: MeanPool::halving() }
    }

    /// Images of 3 channels become the last block's maps: 192 channels of ⌈size / 4⌉ (with one block, 96 of ⌈size /
    /// 2⌉).
    pub fn forward(&self, images: Maps) -> Maps {
        self.blocks.iter().enumerate().fold(images, |x, (i, block)| match (i, block.forward(x)) {
            (0, x) => self.maximum.forward(x),
            (1, x) => self.mean.forward(x),
            (_, x) => x,
        })
    }
}

impl NinBlock {
    fn blank(i: usize, device: &Device) -> Self {
        let (inputs, kernel, hidden, outputs) = match i {
            0 => (3, 5, 160, 96),
            1 => (96, 5, WIDTH, WIDTH),
            _ => (WIDTH, 3, WIDTH, WIDTH),
        };
        Self {
            spatial: ConvBn::blank(inputs, WIDTH, kernel, 1, device),
            first: ConvBn::blank(WIDTH, hidden, 1, 1, device),
            second: ConvBn::blank(hidden, outputs, 1, 1, device),
        }
    }

    fn forward(&self, x: Maps) -> Maps {
        let x = self.spatial.forward(x, None, After::Relu);
        let x = self.first.forward(x, None, After::Relu);
        self.second.forward(x, None, After::Relu)
    }
}
