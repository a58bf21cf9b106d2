//! How stages end: results and failures.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::ArtifactId;

/// What an artifact of a stage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArtifactKind {
    /// The model at the selected epoch.
    Model,
    /// Test predictions: CSV with a row per test image.
    Predictions,
    /// The sample list of the stage's split.
    Split,
    /// Everything a resume needs.
    Checkpoint,
}

impl ArtifactKind {
    /// As it crosses the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            ArtifactKind::Model => "model",
            ArtifactKind::Predictions => "predictions",
            ArtifactKind::Split => "split",
            ArtifactKind::Checkpoint => "checkpoint",
        }
    }

    /// The kind that [`ArtifactKind::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        [ArtifactKind::Model, ArtifactKind::Predictions, ArtifactKind::Split, ArtifactKind::Checkpoint]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

/// Loss and accuracy on a set of samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Mean loss over all samples.
    pub loss: f64,
    /// sum(correct) / sum(seen), in 0–1.
    pub accuracy: f64,
    /// Samples scored.
    pub seen: u64,
}

/// The one final result of a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageResult {
    /// The epoch (from 1) whose model was kept: lowest validation loss. 0 for a test stage.
    pub selected_epoch: u32,
    /// Score on the validation images at the selected epoch; on the test images for a test stage.
    pub score: Score,
    /// Optimizer steps taken.
    pub steps: u64,
    /// Images that entered the network in training, each view counted.
    pub images: u64,
    /// What the stage leaves behind.
    pub artifacts: BTreeMap<ArtifactKind, ArtifactId>,
    /// The device that the last attempt ran on, as the worker names it.
    pub device: String,
    /// Seconds of training of the last attempt.
    pub seconds: f64,
}

/// Why an attempt failed. The code decides whether another attempt may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureCode {
    /// The loss became NaN, infinite or hopelessly large. The same again would diverge again.
    Diverged,
    /// A file is missing, does not decode or has changed.
    Data,
    /// The stage cannot be run as it is specified.
    Invalid,
    /// The device ran out of memory.
    OutOfMemory,
    /// The device or its driver failed.
    Device,
    /// The trainer process ended without a word.
    Crashed,
    /// A disk is full or refuses to write.
    Storage,
    /// The worker was lost: its lease expired.
    Lost,
    /// A worker holds an attempt that the store does not know: the store was set back to an older state.
    RolledBack,
}

/// Which budget an attempt that failed is charged to. Each has its own limit: a bad network must not use up the
/// attempts that a crashing program has, nor the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// Machines, disks, drivers.
    Infrastructure,
    /// The program.
    Code,
    /// The memory of a device: a neighbour on the same device may have taken it, the stage alone may fit.
    Memory,
    /// None: the same again would end the same.
    None,
}

impl FailureCode {
    /// Which budget it is charged to.
    pub fn budget(self) -> Budget {
        match self {
            FailureCode::Device | FailureCode::Storage | FailureCode::Lost => Budget::Infrastructure,
            FailureCode::Crashed => Budget::Code,
            FailureCode::OutOfMemory => Budget::Memory,
            FailureCode::Diverged | FailureCode::Data | FailureCode::Invalid | FailureCode::RolledBack => Budget::None,
        }
    }

    /// As written in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            FailureCode::Diverged => "diverged",
            FailureCode::Data => "data",
            FailureCode::Invalid => "invalid",
            FailureCode::OutOfMemory => "out-of-memory",
            FailureCode::Device => "device",
            FailureCode::Crashed => "crashed",
            FailureCode::Storage => "storage",
            FailureCode::Lost => "lost",
            FailureCode::RolledBack => "rolled-back",
        }
    }

    /// The code that [`FailureCode::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        use FailureCode::*;
        [Diverged, Data, Invalid, OutOfMemory, Device, Crashed, Storage, Lost, RolledBack]
            .into_iter()
            .find(|code| code.as_str() == text)
    }
}

/// A failed attempt, with its evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The class of failure.
    pub code: FailureCode,
    /// A sentence that a person can act on: it names the file, the step or the learning rate.
    pub message: String,
    /// The last lines that the trainer wrote.
    pub log: Vec<String>,
}
