//! A residual network small enough for a CPU.

use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use super::conv::ConvBn;

/// A 3×3 stem and residual blocks; each block after the first doubles the width and halves the size.
#[derive(Module, Debug)]
pub struct SmallCnn {
    /// Images to `width` channels.
    pub stem: ConvBn,
    /// The blocks.
    pub blocks: Vec<ResidualBlock>,
}

/// Two 3×3 convolutions and a shortcut (He et al. 2016).
#[derive(Module, Debug)]
pub struct ResidualBlock {
    /// Carries the stride.
    pub a: ConvBn,
    /// Keeps the size.
    pub b: ConvBn,
    /// A 1×1 convolution where the shape changes.
    pub shortcut: Option<ConvBn>,
}

impl SmallCnn {
    /// `width` channels in the first of `blocks` blocks.
    pub fn blank(width: usize, blocks: usize, device: &Device) -> Self {
        let mut inputs = width;
        let mut block = |i: usize| {
            let (outputs, stride) = (width << i, if i == 0 { 1 } else { 2 });
            let block = ResidualBlock::blank(inputs, outputs, stride, device);
            inputs = outputs;
            block
        };
        Self { stem: ConvBn::blank(3, width, 3, 1, device), blocks: (0..blocks).map(&mut block).collect() }
    }

    /// `[batch, 3, size, size]` to the last block's maps.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        self.blocks.iter().fold(relu(self.stem.forward(images)), |x, block| block.forward(x))
    }
}

impl ResidualBlock {
    fn blank(inputs: usize, outputs: usize, stride: usize, device: &Device) -> Self {
        Self {
            a: ConvBn::blank(inputs, outputs, 3, stride, device),
            b: ConvBn::blank(outputs, outputs, 3, 1, device),
            shortcut: (stride != 1 || inputs != outputs).then(|| ConvBn::blank(inputs, outputs, 1, stride, device)),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let skip = match &self.shortcut {
            Some(shortcut) => shortcut.forward(x.clone()),
            None => x.clone(),
        };
        relu(self.b.forward(relu(self.a.forward(x))) + skip)
    }
}
