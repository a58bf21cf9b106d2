//! The position of a training run between two steps.

use pretext_shared::ids::StageId;
use pretext_shared::outcome::Score;
use serde::{Deserialize, Serialize};

/// The state of the training loop between two steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// The stage.
    pub stage: StageId,
    /// Number of steps taken.
    pub step: u64,
    /// The epoch of the next step, from 1.
    pub epoch: u32,
    /// Steps taken in that epoch.
    pub step_in_epoch: u64,
    /// Images that entered the network in training, each view counted.
    pub images: u64,
    /// Training scores of the epoch so far.
    pub sums: Sums,
    /// The selected model so far.
    pub best: Option<Best>,
}

/// Scores of many batches, added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Sums {
    /// Σ mean loss of a batch · inputs of the batch. Stored as bits, so that a resumed sum is the same sum.
    #[serde(with = "bits")]
    pub loss: f64,
    /// Inputs predicted correctly.
    pub correct: u64,
    /// Inputs scored.
    pub seen: u64,
}

impl Sums {
    /// Adds a batch of `seen` inputs with mean loss `loss`.
    pub fn add(&mut self, loss: f32, correct: u64, seen: u64) {
        self.loss += f64::from(loss) * seen as f64;
        self.correct += correct;
        self.seen += seen;
    }

    /// Returns mean loss and accuracy over every input; zeros if there is no input.
    pub fn score(&self) -> Score {
        let seen = self.seen.max(1) as f64;
        Score { loss: self.loss / seen, accuracy: self.correct as f64 / seen, seen: self.seen }
    }
}

/// The epoch of lowest validation loss so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// From 1.
    pub epoch: u32,
    /// Mean validation loss.
    #[serde(with = "bits")]
    pub loss: f64,
    /// Validation inputs predicted correctly.
    pub correct: u64,
    /// Validation inputs scored.
    pub seen: u64,
}

impl Best {
    /// Returns the score as results report it.
    pub fn score(&self) -> Score {
        Score { loss: self.loss, accuracy: self.correct as f64 / self.seen.max(1) as f64, seen: self.seen }
    }
}

/// An f64 as the integer of its bits.
mod bits {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(value.to_bits())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        u64::deserialize(deserializer).map(f64::from_bits)
    }
}
