//! Contrast two augmented views of an image with all others (SimCLR: Chen, Kornblith, Norouzi and Hinton, ICML 2020).

use serde::{Deserialize, Serialize};

use super::PretextTask;
use super::about::{About, Cue, LastBatch, Parts, Pretext, PretextImages, Row, Rules, Start};
use super::keys::{Number, Text, Whole};
use super::line::{Line, ORANGE};
use super::views::{Chances, views};

/// NT-Xent over two views.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Softmax temperature.
    pub temperature: f32,
    /// Output length of the projection head.
    pub projection: u32,
    /// Strength of the colour jitter (s).
    pub strength: f32,
    /// Smallest area of the random crop, as a share of the image.
    pub min_crop: f32,
    /// Whether views are mirrored at random.
    pub flip: bool,
    /// Probabilities that a view is jittered, made grey, blurred.
    #[serde(default, skip_serializing_if = "Chances::is_default")]
    pub chances: Chances,
}

static TEMPERATURE: Number = Number {
    text: Text { name: "temperature", default: "0.5", meaning: "SimCLR: softmax temperature." },
    default: |_| 0.5,
    expected: "a temperature from 0.001 to 100",
    accepts: |temperature| (0.001..=100.0).contains(&temperature),
};

static PROJECTION: Whole = Whole {
    text: Text { name: "projection", default: "128", meaning: "SimCLR: outputs of the two-layer projection head." },
    default: |_| 128,
    range: |_| 2..=4096,
};

impl Task {
    /// See [`Pretext`].
    pub const PRETEXT: Pretext = Pretext {
        read: |keys| {
            let (temperature, projection) = (keys.number(&TEMPERATURE), keys.whole(&PROJECTION));
            let views = views(keys)?;
            Some(PretextTask::Simclr(Self {
                temperature: temperature? as f32,
                projection: projection?,
                strength: views.strength,
                min_crop: views.min_crop,
                flip: views.flip,
                chances: views.chances,
            }))
        },
        // The number of negatives is part of the loss, so all batches must have the same size.
        rules: Rules { views: 2, last: LastBatch::Dropped, least: 2, loss: "a contrastive loss" },
        cue: Cue::Identity,
    };
}

/// See the module.
pub const ABOUT: About = About {
    name: "simclr",
    title: "SimCLR",
    pretext: Some(&Task::PRETEXT),
    images: PretextImages::Given,
    start: Start::Weights,
    parts: Parts::Asked,
    line: Line { colour: ORANGE, dashes: "" },
    row: Row {
        pretext: "NT-Xent over two views",
        downstream: "as `downstream.mode`",
        description: "Chen et al. 2020.",
    },
};
