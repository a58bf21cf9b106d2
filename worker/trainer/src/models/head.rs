//! Heads: turn features into the outputs that a method scores.

use burn::module::Module;
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// The shape of a head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum HeadSpec {
    /// One linear layer with bias: rotations, classes.
    Linear {
        /// Length of the output.
        outputs: usize,
    },
    /// SimCLR's projection.
    Projection {
        /// Length of the output.
        outputs: usize,
    },
    /// Two layers to the classes, as in the projection.
    Mlp {
        /// Length of the output.
        outputs: usize,
    },
}

/// See [`HeadSpec`].
#[derive(Debug, Module)]
pub enum Head {
    /// One linear layer.
    Linear(Linear),
    /// SimCLR's projection, or two layers to the classes.
    Projection(Projection),
}

/// SimCLR's projection head g(h) = W2 relu(W1 h) as in the paper (Chen et al. 2020, section 3): two layers with biases,
/// the hidden layer as long as the features, no batch normalisation. (The authors' later code normalises both layers
/// and then has no biases. The reimplementations for small images that report a spread over seeds have no
/// normalisation.)
#[derive(Debug, Module)]
pub struct Projection {
    /// Features to features.
    pub hidden: Linear,
    /// Features to outputs.
    pub output: Linear,
}

fn linear(inputs: usize, outputs: usize, device: &Device) -> Linear {
    LinearConfig::new(inputs, outputs).with_initializer(Initializer::Zeros).init(device)
}

impl Head {
    /// Returns the head of `spec` on `features` features, with zero weights.
    pub fn blank(spec: &HeadSpec, features: usize, device: &Device) -> Self {
        match spec {
            HeadSpec::Linear { outputs } => Head::Linear(linear(features, *outputs, device)),
            HeadSpec::Projection { outputs } | HeadSpec::Mlp { outputs } => Head::Projection(Projection {
                hidden: linear(features, features, device),
                output: linear(features, *outputs, device),
            }),
        }
    }

    /// Turns `[batch, features]` into `[batch, outputs]`.
    pub fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        match self {
            Head::Linear(layer) => layer.forward(features),
            Head::Projection(head) => head.output.forward(relu(head.hidden.forward(features))),
        }
    }
}
