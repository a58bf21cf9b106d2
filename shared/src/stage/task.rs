//! The monitor of pretext training, and the augmentation of labelled images.

use serde::{Deserialize, Serialize};

use crate::methods::views::CropFlip;

/// Geometric augmentation of the labelled images of fine-tuning. Each form is serialized as its own fields.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LabelledView {
    /// A window of the padded image: for small images.
    Padded(CropFlip),
    /// A random resized crop: for photographs.
    Resized(ResizedFlip),
}

impl LabelledView {
    /// The image as it is.
    pub const PLAIN: Self = Self::Padded(CropFlip { padding: 0, flip: false });
}

/// A random resized crop (Szegedy et al. 2015) and a mirror.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ResizedFlip {
    /// Smallest area of the crop, as a share of the image.
    pub min_crop: f32,
    /// Whether images are mirrored at random.
    pub flip: bool,
}

/// Weighted k-nearest-neighbour accuracy of the features, measured during pretext training (Wu et al. 2018). It uses
/// labels only for monitoring: the best epoch is selected by the pretext task's own validation loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct KnnSpec {
    /// Number of neighbours that vote; at most the number of training images.
    pub k: u32,
    /// A neighbour with cosine similarity s votes with weight exp(s / temperature).
    pub temperature: f32,
    /// Number of epochs between two measurements.
    pub every: u32,
}
