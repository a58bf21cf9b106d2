//! The encoders as one type.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use pretext_shared::stage::EncoderSpec;

use super::{Maps, Nin, ResNet18, ResNet50, SmallCnn};

/// Turns images into features.
#[derive(Module, Debug)]
pub enum Encoder {
    /// See [`SmallCnn`].
    SmallCnn(SmallCnn),
    /// See [`Nin`].
    Nin(Nin),
    /// See [`ResNet18`].
    Resnet18(ResNet18),
    /// See [`ResNet50`].
    Resnet50(ResNet50),
}

impl Encoder {
    /// Returns the encoder of `spec`, with zero weights.
    pub fn blank(spec: &EncoderSpec, device: &Device) -> Self {
        match spec {
            EncoderSpec::SmallCnn { width, blocks } => {
                Encoder::SmallCnn(SmallCnn::blank(*width as usize, *blocks as usize, device))
            }
            EncoderSpec::Nin { blocks } => Encoder::Nin(Nin::blank(*blocks as usize, device)),
            EncoderSpec::Resnet18 { stem } => Encoder::Resnet18(ResNet18::blank(*stem, device)),
            EncoderSpec::Resnet50 { stem } => Encoder::Resnet50(ResNet50::blank(*stem, device)),
        }
    }

    /// Turns images `[batch, 3, size, size]` into features `[batch, features]`: the last maps, averaged.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let images = Maps::of(images);
        let maps = match self {
            Encoder::SmallCnn(encoder) => encoder.forward(images),
            Encoder::Nin(encoder) => encoder.forward(images),
            Encoder::Resnet18(encoder) => encoder.forward(images),
            Encoder::Resnet50(encoder) => encoder.forward(images),
        };
        maps.mean()
    }

    /// Returns the part of this encoder that is `spec`: its first blocks, or all of it. The encoder must begin with
    /// `spec` (see [`EncoderSpec::begins`]).
    pub fn beginning(mut self, spec: &EncoderSpec) -> Self {
        match (&mut self, spec) {
            (Encoder::SmallCnn(encoder), EncoderSpec::SmallCnn { blocks, .. }) => {
                encoder.blocks.truncate(*blocks as usize);
            }
            (Encoder::Nin(encoder), EncoderSpec::Nin { blocks }) => encoder.blocks.truncate(*blocks as usize),
            _ => {}
        }
        self
    }
}
