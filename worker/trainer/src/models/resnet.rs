//! ResNet-18 and ResNet-50 (He et al. 2016) with the layout and the parameter names of torchvision: `conv1`,
//! `bn1`, `layer1.0.conv1`, …; a shortcut's `downsample.0` and `.1` are `downsample.conv` and `.bn` here.

use burn::module::Module;
use burn::nn::BatchNorm;
use burn::tensor::Device;
use pretext_shared::stage::Stem;

use super::conv::{Conv, ConvBn, batch_norm};
use super::maps::{After, Maps};
use super::pool::MaxPool;

/// Channels of the four stages before a block's expansion.
const WIDTHS: [usize; 4] = [64, 128, 256, 512];

/// ResNet-18: `[batch, 3, size, size]` to `[batch, 512, …]`.
#[derive(Module, Debug)]
pub struct ResNet18 {
    /// The stem's convolution.
    pub conv1: Conv,
    /// Its normalisation.
    pub bn1: BatchNorm,
    /// Present after the 7×7 stem only.
    pub maxpool: Option<MaxPool>,
    /// 64 channels.
    pub layer1: Vec<BasicBlock>,
    /// 128 channels, half the size.
    pub layer2: Vec<BasicBlock>,
    /// 256 channels, a quarter of the size.
    pub layer3: Vec<BasicBlock>,
    /// 512 channels, an eighth of the size.
    pub layer4: Vec<BasicBlock>,
}

/// ResNet-50: `[batch, 3, size, size]` to `[batch, 2048, …]`.
#[derive(Module, Debug)]
pub struct ResNet50 {
    /// The stem's convolution.
    pub conv1: Conv,
    /// Its normalisation.
    pub bn1: BatchNorm,
    /// Of the 7×7 stem only.
    pub maxpool: Option<MaxPool>,
    /// 256 channels.
    pub layer1: Vec<Bottleneck>,
    /// 512 channels, half the size.
    pub layer2: Vec<Bottleneck>,
    /// 1024 channels, a quarter of the size.
    pub layer3: Vec<Bottleneck>,
    /// 2048 channels, an eighth of the size.
    pub layer4: Vec<Bottleneck>,
}

/// The block of ResNet-18: two 3×3 convolutions.
#[derive(Module, Debug)]
pub struct BasicBlock {
    /// Carries the stride.
    pub conv1: Conv,
    /// Normalises `conv1`.
    pub bn1: BatchNorm,
    /// Keeps the size.
    pub conv2: Conv,
    /// Normalises `conv2`.
    pub bn2: BatchNorm,
    /// The shortcut, if the shape changes.
    pub downsample: Option<ConvBn>,
}

/// The block of ResNet-50: 1×1, 3×3, 1×1, with four times the width at its end.
#[derive(Module, Debug)]
pub struct Bottleneck {
    /// Narrows.
    pub conv1: Conv,
    /// Normalises `conv1`.
    pub bn1: BatchNorm,
    /// Carries the stride, as in torchvision (the paper has it in `conv1`).
    pub conv2: Conv,
    /// Normalises `conv2`.
    pub bn2: BatchNorm,
    /// Widens.
    pub conv3: Conv,
    /// Normalises `conv3`.
    pub bn3: BatchNorm,
    /// The shortcut, if the shape changes.
    pub downsample: Option<ConvBn>,
}

fn stem(stem: Stem, device: &Device) -> (Conv, BatchNorm, Option<MaxPool>) {
    let (conv, maxpool) = match stem {
        Stem::Small => (Conv::blank(3, 64, 3, 1, device), None),
        Stem::Large => (Conv::blank(3, 64, 7, 2, device), Some(MaxPool::halving())),
    };
    (conv, batch_norm(64, device), maxpool)
}

fn stem_forward(conv: &Conv, bn: &BatchNorm, maxpool: &Option<MaxPool>, images: Maps) -> Maps {
    let x = conv.forward(images).normalize(bn, None, After::Relu);
    match maxpool {
        Some(maxpool) => maxpool.forward(x),
        None => x,
    }
}

impl ResNet18 {
    /// Returns the network with zero weights.
    pub fn blank(kind: Stem, device: &Device) -> Self {
        let (conv1, bn1, maxpool) = stem(kind, device);
        let stage = |i: usize| -> Vec<BasicBlock> {
            let (inputs, width) = (WIDTHS[i.saturating_sub(1)], WIDTHS[i]);
            let first = if i == 0 { 1 } else { 2 };
            vec![BasicBlock::blank(inputs, width, first, device), BasicBlock::blank(width, width, 1, device)]
        };
        Self { conv1, bn1, maxpool, layer1: stage(0), layer2: stage(1), layer3: stage(2), layer4: stage(3) }
    }

    /// Returns the maps of the last stage.
    pub fn forward(&self, images: Maps) -> Maps {
        let x = stem_forward(&self.conv1, &self.bn1, &self.maxpool, images);
        let blocks = [&self.layer1, &self.layer2, &self.layer3, &self.layer4].into_iter().flatten();
        blocks.fold(x, |x, block| block.forward(x))
    }
}

impl ResNet50 {
    /// Returns the network with zero weights.
    pub fn blank(kind: Stem, device: &Device) -> Self {
        let (conv1, bn1, maxpool) = stem(kind, device);
        let stage = |i: usize, blocks: usize| -> Vec<Bottleneck> {
            let width = WIDTHS[i];
            let (inputs, first) = if i == 0 { (64, 1) } else { (4 * WIDTHS[i - 1], 2) };
            let rest = (1..blocks).map(|_| Bottleneck::blank(4 * width, width, 1, device));
            std::iter::once(Bottleneck::blank(inputs, width, first, device)).chain(rest).collect()
        };
        let (layer1, layer2, layer3, layer4) = (stage(0, 3), stage(1, 4), stage(2, 6), stage(3, 3));
        Self { conv1, bn1, maxpool, layer1, layer2, layer3, layer4 }
    }

    /// Returns the maps of the last stage.
    pub fn forward(&self, images: Maps) -> Maps {
        let x = stem_forward(&self.conv1, &self.bn1, &self.maxpool, images);
        let blocks = [&self.layer1, &self.layer2, &self.layer3, &self.layer4].into_iter().flatten();
        blocks.fold(x, |x, block| block.forward(x))
    }
}

fn shortcut(inputs: usize, outputs: usize, stride: usize, device: &Device) -> Option<ConvBn> {
    (stride != 1 || inputs != outputs).then(|| ConvBn::blank(inputs, outputs, 1, stride, device))
}

fn skip(downsample: &Option<ConvBn>, x: &Maps) -> Maps {
    match downsample {
        Some(downsample) => downsample.forward(x.clone(), None, After::Nothing),
        None => x.clone(),
    }
}

impl BasicBlock {
    fn blank(inputs: usize, width: usize, stride: usize, device: &Device) -> Self {
        Self {
            conv1: Conv::blank(inputs, width, 3, stride, device),
            bn1: batch_norm(width, device),
            conv2: Conv::blank(width, width, 3, 1, device),
            bn2: batch_norm(width, device),
            downsample: shortcut(inputs, width, stride, device),
        }
    }

    fn forward(&self, x: Maps) -> Maps {
        let skip = skip(&self.downsample, &x);
        let x = self.conv1.forward(x).normalize(&self.bn1, None, After::Relu);
        self.conv2.forward(x).normalize(&self.bn2, Some(skip), After::Relu)
    }
}

impl Bottleneck {
    fn blank(inputs: usize, width: usize, stride: usize, device: &Device) -> Self {
        Self {
            conv1: Conv::blank(inputs, width, 1, 1, device),
            bn1: batch_norm(width, device),
            conv2: Conv::blank(width, width, 3, stride, device),
            bn2: batch_norm(width, device),
            conv3: Conv::blank(width, 4 * width, 1, 1, device),
            bn3: batch_norm(4 * width, device),
            downsample: shortcut(inputs, 4 * width, stride, device),
        }
    }

    fn forward(&self, x: Maps) -> Maps {
        let skip = skip(&self.downsample, &x);
        let x = self.conv1.forward(x).normalize(&self.bn1, None, After::Relu);
        let x = self.conv2.forward(x).normalize(&self.bn2, None, After::Relu);
        self.conv3.forward(x).normalize(&self.bn3, Some(skip), After::Relu)
    }
}
