//! Control: a head on the frozen, untrained encoder. It is the floor: the frozen features of every method must be
//! better.

use super::about::{About, Parts, PretextImages, Refusal, Row, Start};
use super::line::{INK, Line};

/// See the module.
pub const ABOUT: About = About {
    name: "random-init",
    title: "Random init",
    pretext: None,
    images: PretextImages::Given,
    // It measures random weights.
    start: Start::Drawn,
    // Initial weights that are trained are the supervised baseline.
    parts: Parts::Head(Refusal {
        message: "random-init freezes the encoder's initial weights",
        help: "remove the override, or name `supervised`, which trains them",
    }),
    line: Line { colour: INK, dashes: "1 3" },
    row: Row {
        pretext: "none",
        downstream: "always frozen",
        description: "Control: a head on initial weights. It is the floor that the frozen features of every method must \
                      beat. The report compares every method with it.",
    },
};
