//! Rotation prediction on colour-jittered images: colours, or the traces of a scanner, do not show the rotation.

use serde::{Deserialize, Serialize};

use super::PretextTask;
use super::about::{About, Cue, Parts, Pretext, PretextImages, Row, Start};
use super::line::{GREEN, Line};
use super::rotation;
use super::views::{CropFlip, STRENGTH, crop_flip};

/// Four rotations as in [`rotation::Task`], with a separate colour jitter for each rotated copy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Crop and flip before the rotations.
    pub augment: CropFlip,
    /// Strength of the colour jitter (SimCLR's s).
    pub strength: f32,
}

impl Task {
    /// See [`Pretext`].
    pub const PRETEXT: Pretext = Pretext {
        read: |keys| {
            let (augment, strength) = (crop_flip(keys), keys.number(&STRENGTH));
            Some(PretextTask::RotationJitter(Self { augment: augment?, strength: strength? as f32 }))
        },
        rules: rotation::RULES,
        cue: Cue::Orientation,
    };
}

/// See the module.
pub const ABOUT: About = About {
    name: "rotation-jitter",
    title: "Rotation + jitter",
    pretext: Some(&Task::PRETEXT),
    images: PretextImages::Given,
    start: Start::Weights,
    parts: Parts::Asked,
    line: Line { colour: GREEN, dashes: "10 4" },
    row: Row {
        pretext: "the same, each copy with a colour jitter of its own",
        downstream: "as `downstream.mode`",
        description: "The second method of the [original study](../examples/original-study.yaml).",
    },
};
