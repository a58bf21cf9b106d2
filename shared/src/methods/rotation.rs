//! Predict which of four rotations an image was given (RotNet: Gidaris, Singh and Komodakis, ICLR 2018).

use serde::{Deserialize, Serialize};

use super::PretextTask;
use super::about::{About, Cue, LastBatch, Parts, Pretext, PretextImages, Row, Rules, Start};
use super::line::{BLUE, Line};
use super::views::{CropFlip, crop_flip};

/// Four rotations of one pad-crop-flip-augmented image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Crop and flip before the rotations.
    pub augment: CropFlip,
}

/// The batches of every method that predicts rotations.
pub(super) const RULES: Rules = Rules { views: 4, last: LastBatch::Kept, least: 1, loss: "a loss over rotations" };

impl Task {
    /// See [`Pretext`].
    pub const PRETEXT: Pretext = Pretext {
        read: |keys| Some(PretextTask::Rotation(Self { augment: crop_flip(keys)? })),
        rules: RULES,
        cue: Cue::Orientation,
    };
}

/// See the module.
pub const ABOUT: About = About {
    name: "rotation",
    title: "Rotation",
    pretext: Some(&Task::PRETEXT),
    images: PretextImages::Given,
    start: Start::Weights,
    parts: Parts::Asked,
    line: Line { colour: BLUE, dashes: "" },
    row: Row { pretext: "four rotations", downstream: "as `downstream.mode`", description: "Gidaris et al. 2018." },
};
