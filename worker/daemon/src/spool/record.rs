//! The spool's records.

use std::path::PathBuf;

use pretext_shared::claim::Proof;
use pretext_shared::ids::{AttemptId, Fence};
use pretext_shared::outcome::Failure;
use pretext_shared::point::Point;
use pretext_shared::trainer::Finished;
use serde::{Deserialize, Serialize};

/// The facts that an attempt begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// The device of the attempt, as results name it.
    pub device: String,
    /// The proof of its grant; empty in records of earlier versions.
    #[serde(default, skip_serializing_if = "Proof::is_empty")]
    pub proof: Proof,
}

/// Points of an attempt, numbered as the coordinator expects them: from 0 without gaps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// Its number.
    pub sequence: u64,
    /// The points, in the order in which they were made.
    pub points: Vec<Point>,
}

/// A checkpoint on this machine's disk that must be registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// The file.
    pub path: PathBuf,
    /// Number of steps taken.
    pub step: u64,
    /// Every batch below this number belongs to the checkpoint.
    pub next_sequence: u64,
}

/// How an attempt ended, as the trainer reported it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ending", rename_all = "kebab-case")]
pub enum Ending {
    /// The attempt ended with a result, whose files are on the disk.
    Finished {
        /// The result.
        finished: Finished,
        /// Every batch below this number belongs to the result.
        next_sequence: u64,
    },
    /// The attempt failed.
    Failed {
        /// The evidence of the failure.
        failure: Failure,
    },
}

impl Ending {
    /// Returns the number below which the coordinator must have every batch first.
    pub(super) fn counts_on(&self) -> u64 {
        match self {
            Ending::Finished { next_sequence, .. } => *next_sequence,
            Ending::Failed { .. } => 0,
        }
    }
}

/// One entry about an attempt. Writing an entry twice is the same as writing it once.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// The worker took a grant.
    Begin(AttemptId, Opening),
    /// The trainer made points.
    Points(AttemptId, Batch),
    /// The trainer saved a checkpoint, which replaces the one before.
    Checkpoint(AttemptId, Saved),
    /// The trainer is done with the attempt.
    End(AttemptId, Ending),
    /// The coordinator has every batch below this number.
    Acknowledged(AttemptId, u64),
    /// The coordinator accepted the checkpoint of this step, or refused it for good.
    Settled(AttemptId, u64),
    /// The coordinator has heard the end of the attempt, or refuses it: the attempt's records are removed.
    Forget(AttemptId),
}

impl Entry {
    /// Whether somebody relies on it. What the coordinator took would only be handed over once more.
    pub(super) fn is_vital(&self) -> bool {
        !matches!(self, Entry::Acknowledged(..) | Entry::Settled(..))
    }
}

/// The records of an attempt that was not handed over.
#[derive(Debug, Clone, PartialEq)]
pub struct Left {
    /// The attempt.
    pub attempt: AttemptId,
    /// The facts that it began with.
    pub opening: Opening,
    /// The batches from the first number to below the second are here; earlier batches are acknowledged.
    pub batches: (u64, u64),
    /// A checkpoint that is not registered.
    pub checkpoint: Option<Saved>,
    /// Its end, if the trainer reported one.
    pub ending: Option<Ending>,
}

/// Returns the key of an attempt, (stage, fence). Keys sort as fences do.
pub(super) fn attempt_key(attempt: AttemptId) -> [u8; 40] {
    let mut key = [0; 40];
    key[..32].copy_from_slice(attempt.stage.0.as_bytes());
    key[32..].copy_from_slice(&attempt.fence.0.to_be_bytes());
    key
}

/// Returns the attempt of an [`attempt_key`].
pub(super) fn attempt_of(key: &[u8; 40]) -> AttemptId {
    let (mut stage, mut fence) = ([0; 32], [0; 8]);
    stage.copy_from_slice(&key[..32]);
    fence.copy_from_slice(&key[32..]);
    let stage = pretext_shared::ids::StageId(pretext_shared::ids::ContentHash::from_bytes(stage));
    AttemptId { stage, fence: Fence(u64::from_be_bytes(fence)) }
}

/// Returns the key of a batch, (stage, fence, sequence). Keys sort as sequence numbers do.
pub(super) fn batch_key(attempt: AttemptId, sequence: u64) -> [u8; 48] {
    let mut key = [0; 48];
    key[..40].copy_from_slice(&attempt_key(attempt));
    key[40..].copy_from_slice(&sequence.to_be_bytes());
    key
}

/// Returns the sequence number of a [`batch_key`].
pub(super) fn sequence_of(key: &[u8; 48]) -> u64 {
    let mut sequence = [0; 8];
    sequence.copy_from_slice(&key[40..]);
    u64::from_be_bytes(sequence)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A spool of an earlier version has no proofs, and a worker without TLS writes none.
    #[test]
    fn an_opening_without_a_proof_is_what_earlier_versions_wrote() {
        let written = r#"{"device":"cpu"}"#;
        let opening: Opening = serde_json::from_str(written).expect("readable");
        assert_eq!(opening, Opening { device: "cpu".to_owned(), proof: Proof::default() });
        assert_eq!(serde_json::to_string(&opening).expect("writable"), written);
    }
}
