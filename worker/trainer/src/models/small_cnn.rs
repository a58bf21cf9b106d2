//! A residual network small enough for a CPU.

use burn::module::Module;
use burn::tensor::Device;

use super::conv::ConvBn;
use super::maps::{After, Maps};

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
    /// A 1×1 convolution, if the shape changes.
    pub shortcut: Option<ConvBn>,
}

impl SmallCnn {
    /// Returns the network with `width` channels in the first of `blocks` blocks.
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

    /// Images of 3 channels become the last block's maps.
    pub fn forward(&self, images: Maps) -> Maps {
        let x = self.stem.forward(images, None, After::Relu);
        self.blocks.iter().fold(x, |x, block| block.forward(x))
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

    fn forward(&self, x: Maps) -> Maps {
        let skip = match &self.shortcut {
            Some(shortcut) => shortcut.forward(x.clone(), None, After::Nothing),
            None => x.clone(),
        };
        let x = self.a.forward(x, None, After::Relu);
        self.b.forward(x, Some(skip), After::Relu)
    }
}
