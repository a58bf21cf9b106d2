//! The outcomes of stages: results and failures.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::ArtifactId;

/// The kind of a stage's artifact.
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
    /// Returns the kind as it is sent over the network.
    pub fn as_str(self) -> &'static str {
        match self {
            ArtifactKind::Model => "model",
            ArtifactKind::Predictions => "predictions",
            ArtifactKind::Split => "split",
            ArtifactKind::Checkpoint => "checkpoint",
        }
    }

    /// Parses what [`ArtifactKind::as_str`] returns.
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
    /// The artifacts of the stage.
    pub artifacts: BTreeMap<ArtifactKind, ArtifactId>,
    /// The device that the last attempt ran on, as the worker names it.
    pub device: String,
    /// Seconds of training of the last attempt.
    pub seconds: f64,
}

/// The reason why an attempt failed. It decides whether another attempt may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureCode {
    /// The loss became NaN, infinite or far too large. Another attempt would diverge too.
    Diverged,
    /// A file of the data does not decode, although it is the planned one. Every worker's copy is like it.
    Data,
    /// The worker's copy of the data cannot be read, or differs from the planned data. Another worker may have a good
    /// copy.
    DataCopy,
    /// The stage cannot be run as it is specified.
    Invalid,
    /// The device ran out of memory.
    OutOfMemory,
    /// The device or its driver failed.
    Device,
    /// The trainer process ended without a report.
    Crashed,
    /// A disk of the worker is full, or cannot be written or read.
    Storage,
    /// The worker was lost: its lease expired.
    Lost,
    /// The worker holds an attempt that the store does not know: the store was set back to an older state.
    RolledBack,
}

/// The budget that a failed attempt is charged to. Each budget has its own limit: failures of the network must not use
/// up the attempts of a crashing program, and vice versa.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// For failures of machines, disks and drivers.
    Infrastructure,
    /// For failures of the program.
    Code,
    /// For failures of a device's memory: another stage on the same device may have used it, so the stage may fit
    /// alone.
    Memory,
    /// No budget: another attempt would fail in the same way.
    None,
}

/// The suspected cause of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The stage, or nobody in particular: it may run at the same place again.
    Stage,
    /// The device that the attempt ran on.
    Device,
    /// The machine of that device, with all its devices.
    Machine,
}

impl FailureCode {
    /// Returns the suspected cause of the failure: the next attempt avoids this place if it can.
    pub fn blame(self) -> Blame {
        match self {
            FailureCode::DataCopy | FailureCode::Storage => Blame::Machine,
            FailureCode::Device | FailureCode::Crashed => Blame::Device,
            FailureCode::Diverged
            | FailureCode::Data
            | FailureCode::Invalid
            | FailureCode::OutOfMemory
            | FailureCode::Lost
            | FailureCode::RolledBack => Blame::Stage,
        }
    }

    /// Returns the budget that the failure is charged to.
    pub fn budget(self) -> Budget {
        match self {
            FailureCode::DataCopy | FailureCode::Device | FailureCode::Storage | FailureCode::Lost => {
                Budget::Infrastructure
            }
            FailureCode::Crashed => Budget::Code,
            FailureCode::OutOfMemory => Budget::Memory,
            FailureCode::Diverged | FailureCode::Data | FailureCode::Invalid | FailureCode::RolledBack => Budget::None,
        }
    }

    /// Returns the code as written in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            FailureCode::Diverged => "diverged",
            FailureCode::Data => "data",
            FailureCode::DataCopy => "data-copy",
            FailureCode::Invalid => "invalid",
            FailureCode::OutOfMemory => "out-of-memory",
            FailureCode::Device => "device",
            FailureCode::Crashed => "crashed",
            FailureCode::Storage => "storage",
            FailureCode::Lost => "lost",
            FailureCode::RolledBack => "rolled-back",
        }
    }

    /// Parses what [`FailureCode::as_str`] returns.
    pub fn parse(text: &str) -> Option<Self> {
        use FailureCode::*;
        [Diverged, Data, DataCopy, Invalid, OutOfMemory, Device, Crashed, Storage, Lost, RolledBack]
            .into_iter()
            .find(|code| code.as_str() == text)
    }
}

/// A failed attempt, with its evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The class of failure.
    pub code: FailureCode,
    /// A message that tells a person what to do: it names the file, the step or the learning rate.
    pub message: String,
    /// The last lines that the trainer wrote.
    pub log: Vec<String>,
}
