//! The protocol between a worker daemon and its trainer process: one JSON object per line, orders on the trainer's
//! standard input, reports on its standard output. The trainer does not use the network.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::dataset::Source;
use crate::ids::ArtifactId;
use crate::outcome::{ArtifactKind, Failure, Score, StageResult};
use crate::point::Point;
use crate::stage::Stage;

/// From the daemon to the trainer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case")]
pub enum Order {
    /// Run a stage. One at a time; after it the trainer waits for the next.
    Run(Box<Run>),
    /// Stop the current stage at the next step; a training stage writes a checkpoint first.
    Stop,
}

/// A stage to run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The stage.
    pub stage: Stage,
    /// Location of the data on this machine.
    pub source: Source,
    /// The data root that the source's path is relative to.
    pub data_root: PathBuf,
    /// For data that were fetched: the folder that the source's path is relative to instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetched: Option<PathBuf>,
    /// The folder of this stage: checkpoints and outputs. Made by the daemon.
    pub folder: PathBuf,
    /// Path of the stage's weights file, relative to the data root; for a stage that starts from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// The parent stage's model, already fetched and verified.
    pub parent: Option<PathBuf>,
    /// When to write checkpoints.
    pub checkpoint: CheckpointPolicy,
}

/// When checkpoints are written, and how many are kept.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CheckpointPolicy {
    /// Seconds between checkpoints.
    pub every_seconds: f64,
    /// Number of checkpoints that are kept: at least two, so that a damaged one has a predecessor.
    pub keep: u32,
}

impl Default for CheckpointPolicy {
    fn default() -> Self {
        Self { every_seconds: 30.0, keep: 2 }
    }
}

/// From the trainer to the daemon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "kebab-case")]
pub enum Report {
    /// The device is open; sent once.
    Ready,
    /// Training starts at this step: 0, or after the checkpoint's. Points past it are superseded.
    Started {
        /// Steps already taken.
        step: u64,
        /// All steps.
        total: u64,
    },
    /// New points, in the order in which they were made.
    Points {
        /// The points.
        points: Vec<Point>,
    },
    /// A sign of progress, for bars.
    Progress {
        /// Steps taken.
        step: u64,
        /// Images seen.
        images: u64,
    },
    /// A checkpoint is on the disk.
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// Steps taken.
        step: u64,
    },
    /// The stage is done. Files are in the stage's folder.
    Finished(Box<Finished>),
    /// The stage was stopped by [`Order::Stop`].
    Stopped {
        /// Steps taken.
        step: u64,
    },
    /// The stage failed. The trainer is no longer used.
    Failed(Failure),
}

/// A stage's outputs, before they have been uploaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// As in [`crate::outcome::StageResult`].
    pub selected_epoch: u32,
    /// As in [`crate::outcome::StageResult`].
    pub score: Score,
    /// As in [`crate::outcome::StageResult`].
    pub steps: u64,
    /// As in [`crate::outcome::StageResult`].
    pub images: u64,
    /// As in [`crate::outcome::StageResult`].
    pub seconds: f64,
    /// Files to upload.
    pub files: BTreeMap<ArtifactKind, PathBuf>,
}

impl Finished {
    /// Returns the result of the stage, whose files were uploaded as `artifacts`, on this device.
    pub fn result(&self, artifacts: BTreeMap<ArtifactKind, ArtifactId>, device: String) -> StageResult {
        StageResult {
            selected_epoch: self.selected_epoch,
            score: self.score,
            steps: self.steps,
            images: self.images,
            artifacts,
            device,
            seconds: self.seconds,
        }
    }
}
