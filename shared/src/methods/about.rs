//! The description of a method: everything except its training.

use serde::{Deserialize, Serialize};

use super::PretextTask;
use super::keys::Keys;
use super::line::Line;

/// The description of a method.
#[derive(Debug)]
pub struct About {
    /// Its name in a sweep file.
    pub name: &'static str,
    /// Its name as a column heading.
    pub title: &'static str,
    /// Its pretext training; `None` for a method without.
    pub pretext: Option<&'static Pretext>,
    /// The images that its pretext training is shown.
    pub images: PretextImages,
    /// The weights that its encoder starts from.
    pub start: Start,
    /// The parts that downstream training changes.
    pub parts: Parts,
    /// Its line in charts.
    pub line: Line,
    /// Its row in the documents.
    pub row: Row,
}

/// The row of a method in the documents.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Its pretext training.
    pub pretext: &'static str,
    /// Its downstream training.
    pub downstream: &'static str,
    /// Its source or its purpose.
    pub description: &'static str,
}

/// The pretext training of a method.
#[derive(Debug)]
pub struct Pretext {
    /// Reads its keys.
    pub read: fn(&mut dyn Keys) -> Option<PretextTask>,
    /// The rules of its batches.
    pub rules: Rules,
    /// The easier cue that a network probably used if it solved the task early.
    pub cue: Cue,
}

/// The rules of a task's batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Network inputs made of each training image.
    pub views: u64,
    /// The treatment of a last batch that is not full.
    pub last: LastBatch,
    /// The fewest images that its loss is defined for.
    pub least: u32,
    /// Its kind of loss, for a message.
    pub loss: &'static str,
}

/// The treatment of a last batch that is not full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastBatch {
    /// The stage trains on it.
    Kept,
    /// The stage skips it.
    Dropped,
}

impl LastBatch {
    /// Returns the steps of an epoch over `images` images in batches of `batch`.
    pub fn steps_per_epoch(self, images: u64, batch: u32) -> u64 {
        let batch = u64::from(batch.max(1));
        match self {
            LastBatch::Kept => images.div_ceil(batch),
            LastBatch::Dropped => images / batch,
        }
    }
}

/// An easier cue that solves a pretext task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cue {
    /// A sign of the orientation other than the content of the picture.
    Orientation,
    /// A trait that two views of a picture share besides its content.
    Identity,
}

/// The weights that the encoder of a method starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The sweep's weights file, if there is one; otherwise initial weights of the seed.
    Weights,
    /// Always initial weights of the seed.
    Drawn,
}

/// The parts that downstream training changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parts {
    /// Those that the sweep file names.
    Asked,
    /// Always encoder and head.
    All(Refusal),
    /// Always the head alone.
    Head(Refusal),
}

/// The answer to an override that asks for other parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The reason.
    pub message: &'static str,
    /// The remedy.
    pub help: &'static str,
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
    /// Returns whether they are the data set's images. A stage does not write this default, which keeps earlier ids.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remainder_is_a_step_or_is_skipped() {
        assert_eq!([LastBatch::Kept, LastBatch::Dropped].map(|last| last.steps_per_epoch(100, 32)), [4, 3]);
        assert_eq!([LastBatch::Kept, LastBatch::Dropped].map(|last| last.steps_per_epoch(96, 32)), [3, 3]);
        assert_eq!([LastBatch::Kept, LastBatch::Dropped].map(|last| last.steps_per_epoch(10, 32)), [1, 0]);
    }
}
