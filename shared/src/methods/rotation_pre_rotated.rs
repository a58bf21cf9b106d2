//! Control: rotation prediction on images that were randomly rotated before. Its pretext validation accuracy must stay at
//! chance too.

use super::about::{About, Parts, PretextImages, Row, Start};
use super::line::{Line, OCHRE};
use super::rotation;

/// See the module.
pub const ABOUT: About = About {
    name: "rotation-pre-rotated",
    title: "Rotation, pre-rotated",
    pretext: Some(&rotation::Task::PRETEXT),
    images: PretextImages::PreRotated,
    start: Start::Weights,
    parts: Parts::Asked,
    line: Line { colour: OCHRE, dashes: "12 3 2 3" },
    row: Row {
        pretext: "rotations of images that are turned at random first",
        downstream: "as `downstream.mode`",
        description: "Control: as above.",
    },
};
