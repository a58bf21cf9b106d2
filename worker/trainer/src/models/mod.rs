//! Networks: an encoder that turns images into features, and a head that turns features into what a
//! method scores.

mod conv;
mod encoder;
mod head;
mod init;
mod maps;
mod nin;
mod pool;
mod resnet;
mod small_cnn;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use pretext_shared::stage::EncoderSpec;

pub use conv::{Conv, ConvBn};
pub use encoder::Encoder;
pub use head::{Head, HeadSpec, Projection};
pub use init::initialize;
pub use maps::{After, Maps};
pub use nin::{Nin, NinBlock};
pub use pool::{MaxPool, MeanPool};
pub use resnet::{BasicBlock, Bottleneck, ResNet18, ResNet50};
pub use small_cnn::{ResidualBlock, SmallCnn};

/// Something that training can move: maps inputs `[batch, …]` to outputs `[batch, outputs]`.
pub trait Model: Module {
    /// The forward pass. Batch statistics are used, and running statistics moved, where the input is on a
    /// training device; the running statistics are used elsewhere.
    fn forward(&self, input: Tensor<4>) -> Tensor<2>;

    /// What the head is given: features `[batch, features]`.
    fn features(&self, input: Tensor<4>) -> Tensor<2>;
}

/// Encoder and head.
#[derive(Module, Debug)]
pub struct Network {
    /// Images `[batch, 3, size, size]` to features `[batch, features]`.
    pub encoder: Encoder,
    /// Features to outputs `[batch, outputs]`.
    pub head: Head,
}

impl Network {
    /// A network on `device` with the initial weights of `seed`: they depend on the seed and on the path of each
    /// parameter alone, so every method and policy of a seed starts from the same encoder.
    pub fn new(encoder: &EncoderSpec, head: &HeadSpec, seed: u64, device: &Device) -> Self {
        initialize(Self::blank(encoder, head, device), seed)
    }

    /// A network whose weights are all zero, to load a record into.
    pub fn blank(encoder: &EncoderSpec, head: &HeadSpec, device: &Device) -> Self {
        Self { encoder: Encoder::blank(encoder, device), head: Head::blank(head, encoder.features(), device) }
    }
}

impl Model for Network {
    fn forward(&self, input: Tensor<4>) -> Tensor<2> {
        self.head.forward(self.features(input))
    }

    fn features(&self, input: Tensor<4>) -> Tensor<2> {
        self.encoder.forward(input)
    }
}

/// A head alone, on the features of a frozen encoder given as `[batch, features, 1, 1]`. Its parameters have the
/// paths that they have in a [`Network`], hence the same initial weights.
#[derive(Module, Debug)]
pub struct Probe {
    /// The head.
    pub head: Head,
}

impl Probe {
    /// A head on `features` features with the initial weights of `seed`.
    pub fn new(features: usize, head: &HeadSpec, seed: u64, device: &Device) -> Self {
        initialize(Self { head: Head::blank(head, features, device) }, seed)
    }
}

impl Model for Probe {
    fn forward(&self, input: Tensor<4>) -> Tensor<2> {
        self.head.forward(self.features(input))
    }

    fn features(&self, input: Tensor<4>) -> Tensor<2> {
        input.flatten(1, 3)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use pretext_shared::stage::Stem;

    use super::*;

    fn parameters(encoder: &EncoderSpec) -> usize {
        // Running statistics count as parameters of a module and not of a network.
        struct Count(usize);
        impl burn::module::ModuleVisitor for Count {
            fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
                if param.is_require_grad() {
                    self.0 += param.shape().num_elements();
                }
            }
        }
        let mut count = Count(0);
        Encoder::blank(encoder, &Device::flex().autodiff()).visit(&mut count);
        count.0
    }

    #[test]
    fn the_resnets_are_torchvisions() {
        // torchvision's parameter counts without the last layer (fc).
        assert_eq!(parameters(&EncoderSpec::Resnet18 { stem: Stem::Large }), 11_689_512 - 513_000);
        assert_eq!(parameters(&EncoderSpec::Resnet50 { stem: Stem::Large }), 25_557_032 - 2_049_000);
        let stem = 64 * 3 * (49 - 9);
        assert_eq!(parameters(&EncoderSpec::Resnet18 { stem: Stem::Small }), 11_689_512 - 513_000 - stem);
    }

    #[test]
    fn every_encoder_maps_images_to_its_features() {
        let device = Device::flex();
        for (encoder, size) in [
            (EncoderSpec::SmallCnn { width: 4, blocks: 3 }, 17),
            (EncoderSpec::Nin { blocks: 1 }, 9),
            (EncoderSpec::Nin { blocks: 4 }, 13),
            (EncoderSpec::Resnet18 { stem: Stem::Small }, 16),
            (EncoderSpec::Resnet50 { stem: Stem::Large }, 33),
        ] {
            let network = Network::new(&encoder, &HeadSpec::Linear { outputs: 5 }, 1, &device);
            let pixels: Vec<f32> = (0..2 * 3 * size * size).map(|i| (i as f32 * 0.37).sin()).collect();
            let images = Tensor::from_data(TensorData::new(pixels, [2, 3, size, size]), &device);
            let features = network.encoder.forward(images.clone());
            assert_eq!(features.dims(), [2, encoder.features()]);
            let outputs = network.forward(images).try_into_vec_as::<f32>().expect("f32");
            assert!(outputs.len() == 10 && outputs.iter().all(|value| value.is_finite() && *value != 0.0));
        }
    }
}
