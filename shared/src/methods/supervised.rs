//! Supervised learning from initial weights: the baseline of every table.

use super::about::{About, Parts, PretextImages, Refusal, Row, Start};
use super::line::{GREY, Line};

/// See the module.
pub const ABOUT: About = About {
    name: "supervised",
    title: "Supervised",
    pretext: None,
    images: PretextImages::Given,
    start: Start::Weights,
    // Training from scratch has nothing to freeze: the supervised method of a frozen sweep trains the whole network.
    parts: Parts::All(Refusal {
        message: "supervised trains from scratch: there is no learned encoder to freeze",
        help: "remove the override, or name `random-init`, which freezes initial weights",
    }),
    line: Line { colour: GREY, dashes: "2 4" },
    row: Row {
        pretext: "none",
        downstream: "fine-tune",
        description: "The baseline: the whole network is trained on the labels, from initial weights.",
    },
};
