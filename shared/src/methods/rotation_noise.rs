//! Control: rotation prediction on noise. Its pretext validation accuracy must stay at chance.

use super::about::{About, Parts, PretextImages, Row, Start};
use super::line::{Line, PURPLE};
use super::rotation;

/// See the module.
pub const ABOUT: About = About {
    name: "rotation-noise",
    title: "Rotation of noise",
    pretext: Some(&rotation::Task::PRETEXT),
    images: PretextImages::Noise,
    start: Start::Weights,
    parts: Parts::Asked,
    line: Line { colour: PURPLE, dashes: "6 2 1 2" },
    row: Row {
        pretext: "rotations of noise",
        downstream: "as `downstream.mode`",
        description: "Control: pretext validation accuracy must stay at 25 %.",
    },
};
