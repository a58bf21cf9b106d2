//! Heads: from features to what a method scores.

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
    /// Classes by way of a hidden layer: the projection's two layers.
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

/// SimCLR's projection head g(h) = W2 relu(W1 h) as in the paper (Chen et al. 2020, section 3): two layers with
/// biases, the hidden one as long as the features, no batch normalisation. (The authors' later code normalises both
/// layers and then leaves the biases out; the small-image reimplementations that report a spread over seeds
/// do without.)
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
    /// The head of `spec` on `features` features, with zero weights.
    pub fn blank(spec: &HeadSpec, features: usize, device: &Device) -> Self {
        match spec {
            HeadSpec::Linear { outputs } => Head::Linear(linear(features, *outputs, device)),
            HeadSpec::Projection { outputs } | HeadSpec::Mlp { outputs } => Head::Projection(Projection {
                hidden: linear(features, features, device),
                output: linear(features, *outputs, device),
            }),
        }
    }

    /// `[batch, features]` to `[batch, outputs]`.
    pub fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        match self {
            Head::Linear(layer) => layer.forward(features),
            Head::Projection(head) => head.output.forward(relu(head.hidden.forward(features))),
        }
    }
}
