//! Metric curves. Points belong to a stage: cells that share a stage share its points.

use serde::{Deserialize, Serialize};

/// The samples that a value was computed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Training samples, as they were seen during the epoch (augmented, weights moving).
    Train,
    /// Validation samples, after the epoch.
    Validation,
    /// Test samples.
    Test,
}

impl Part {
    /// Returns the part as written in `points.csv`.
    pub fn as_str(self) -> &'static str {
        match self {
            Part::Train => "train",
            Part::Validation => "validation",
            Part::Test => "test",
        }
    }
}

/// The measured quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Mean loss over the samples seen in the epoch.
    Loss,
    /// sum(correct) / sum(seen), in 0–1. For SimCLR the contrastive top-1 accuracy.
    Accuracy,
    /// Loss of a single step.
    StepLoss,
    /// The learning rate that a step really used.
    LearningRate,
    /// Accuracy of weighted k-nearest-neighbour votes on the encoder's features, in 0–1.
    KnnAccuracy,
}

impl Metric {
    /// Returns the metric as written in `points.csv`.
    pub fn as_str(self) -> &'static str {
        match self {
            Metric::Loss => "loss",
            Metric::Accuracy => "accuracy",
            Metric::StepLoss => "step-loss",
            Metric::LearningRate => "learning-rate",
            Metric::KnnAccuracy => "knn-accuracy",
        }
    }
}

/// One value of a curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Samples it was computed on.
    pub part: Part,
    /// The measured quantity.
    pub metric: Metric,
    /// Training epoch, counted from 1: the epoch that the step lies in.
    pub epoch: u32,
    /// Optimizer steps taken when the value was computed.
    pub step: u64,
    /// The value. Always finite: a value that is not fails the stage as `diverged`.
    pub value: f64,
}
