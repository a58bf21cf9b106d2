//! The tasks of pretext training, and the augmentation of images.

use super::LastBatch;
use serde::{Deserialize, Serialize};

/// The task of a pretext stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum PretextTask {
    /// Four rotations of one pad-crop-flip-augmented image.
    Rotation {
        /// Crop and flip before the rotations.
        augment: CropFlip,
    },
    /// The same, with a separate colour jitter for each rotated copy.
    RotationJitter {
        /// Crop and flip before the rotations.
        augment: CropFlip,
        /// Strength of the colour jitter (SimCLR's s).
        strength: f32,
    },
    /// NT-Xent over two views.
    Simclr {
        /// Softmax temperature.
        temperature: f32,
        /// Output length of the projection head.
        projection: u32,
        /// Strength of the colour jitter (s).
        strength: f32,
        /// Smallest area of the random crop, as a share of the image.
        min_crop: f32,
        /// Whether views are mirrored at random.
        flip: bool,
        /// Probabilities that a view is jittered, made grey, blurred.
        #[serde(default, skip_serializing_if = "Chances::is_default")]
        chances: Chances,
    },
}

impl PretextTask {
    /// Returns the number of network inputs made of each training image.
    pub fn views(&self) -> u64 {
        match self {
            PretextTask::Rotation { .. } | PretextTask::RotationJitter { .. } => 4,
            PretextTask::Simclr { .. } => 2,
        }
    }

    /// Returns what becomes of a last batch that is not full. The number of negatives is part of SimCLR's loss, so all
    /// of its batches must have the same size.
    pub fn last_batch(&self) -> LastBatch {
        match self {
            PretextTask::Rotation { .. } | PretextTask::RotationJitter { .. } => LastBatch::Kept,
            PretextTask::Simclr { .. } => LastBatch::Dropped,
        }
    }
}

/// Probabilities of the operations on a SimCLR view (Chen et al. 2020, appendix A); 0 leaves one out, 1 always does it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Chances {
    /// Colour jitter.
    pub jitter: f32,
    /// Grayscale.
    pub grayscale: f32,
    /// Gaussian blur.
    pub blur: f32,
}

impl Default for Chances {
    /// Returns the paper's probabilities for small images: no blur.
    fn default() -> Self {
        Self { jitter: 0.8, grayscale: 0.2, blur: 0.0 }
    }
}

impl Chances {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

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

/// A padded crop and a mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CropFlip {
    /// Pixels of zero padding on each side before a random crop of the original size.
    pub padding: u32,
    /// Whether images are mirrored at random.
    pub flip: bool,
}

/// The images that pretext training is shown. All but the first are controls: their rotation cannot be learned, so
/// validation accuracy above chance shows a leak.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PretextImages {
    /// The data set's images.
    #[default]
    Given,
    /// Noise: each byte of each image is drawn independently and uniformly.
    Noise,
    /// The data set's images, each rotated once by 0 to 3 quarter turns, drawn per image.
    PreRotated,
}

impl PretextImages {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
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
