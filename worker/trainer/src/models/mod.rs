//! Networks: an encoder turns images into features, and a head turns features into the outputs that a method scores.

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

/// A model that can be trained: maps inputs `[batch, …]` to outputs `[batch, outputs]`.
pub trait Model: Module {
    /// Runs the forward pass. If the input is on a training device, this uses batch statistics and updates the running
    /// statistics. Else it uses the running statistics.
    fn forward(&self, input: Tensor<4>) -> Tensor<2>;

    /// Returns the head's input: features `[batch, features]`.
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
    /// Returns a network on `device` with the initial weights of `seed`. They depend only on the seed and on the path
    /// of each parameter, so every method and policy of a seed starts from the same encoder.
    pub fn new(encoder: &EncoderSpec, head: &HeadSpec, seed: u64, device: &Device) -> Self {
        initialize(Self::blank(encoder, head, device), seed)
    }

    /// Returns a network whose weights are all zero, to load a record into.
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

/// A head alone, on the features of a frozen encoder, given as `[batch, features, 1, 1]`. Its parameters have the same
/// paths as in a [`Network`], hence the same initial weights.
#[derive(Module, Debug)]
pub struct Probe {
    /// The head.
    pub head: Head,
}

impl Probe {
    /// Returns a head on `features` features with the initial weights of `seed`.
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
        // Running statistics count as parameters of a module but not of a network.
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
