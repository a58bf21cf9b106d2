//! How the pictures of a data set become tensors.

use serde::{Deserialize, Serialize};

use super::policy::Fit;
use crate::ids::Fingerprint;

/// How pixel values become network inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum Normalize {
    /// Mean and standard deviation of each channel over all training images (never test images).
    Train,
    /// Given numbers, for pixels in [0, 1].
    Given {
        /// Mean of each channel.
        mean: [f32; 3],
        /// Standard deviation of each channel.
        std: [f32; 3],
    },
    /// Pixels in [0, 1] as they are.
    None,
}

/// The data that a stage reads: a fingerprint of the content, and how it becomes tensors. The path is not part of it
/// (see [`crate::stage`]): the same data in another place give the same stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataSpec {
    /// The manifest's hash.
    pub fingerprint: Fingerprint,
    /// Number of classes.
    pub classes: u32,
    /// Height and width of the images that enter the network, in pixels.
    pub image_size: u32,
    /// Normalisation.
    pub normalize: Normalize,
    /// Set if test images are taken out of the training folder.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub test_fraction: Option<f64>,
    /// How pictures that are not square become square.
    #[serde(skip_serializing_if = "Fit::is_default", default)]
    pub fit: Fit,
}
