//! What the spool keeps.

use std::path::PathBuf;

use pretext_shared::ids::{AttemptId, Fence};
use pretext_shared::outcome::Failure;
use pretext_shared::point::Point;
use pretext_shared::trainer::Finished;
use serde::{Deserialize, Serialize};

/// What an attempt begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// The device that it runs on, as results name it.
    pub device: String,
}

/// Points of an attempt, numbered as the coordinator expects them: from 0 without gaps.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Its number.
    pub sequence: u64,
    /// The points, in the order in which they were made.
    pub points: Vec<Point>,
}

/// A checkpoint on this machine's disk that is to be registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// The file.
    pub path: PathBuf,
    /// Steps taken.
    pub step: u64,
    /// Every batch below this number belongs to it.
    pub next_sequence: u64,
}

/// How the trainer says that an attempt ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ending", rename_all = "kebab-case")]
pub enum Ending {
    /// With a result, whose files are on the disk.
    Finished {
        /// The result.
        finished: Finished,
        /// Every batch below this number belongs to it.
        next_sequence: u64,
    },
    /// With a failure.
    Failed {
        /// Its evidence.
        failure: Failure,
    },
}

impl Ending {
    /// Every batch below this number must be with the coordinator first.
    pub(super) fn counts_on(&self) -> u64 {
        match self {
            Ending::Finished { next_sequence, .. } => *next_sequence,
            Ending::Failed { .. } => 0,
        }
    }
}

/// One step of an attempt. Each can be written twice and is there once.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// A grant was taken.
    Begin(AttemptId, Opening),
    /// Points were made.
    Points(AttemptId, Batch),
    /// A checkpoint was saved; it takes the place of the one before.
    Checkpoint(AttemptId, Saved),
    /// The trainer is done with it.
    End(AttemptId, Ending),
    /// The coordinator has every batch below this number.
    Acknowledged(AttemptId, u64),
    /// The coordinator took the checkpoint of this step, or refused it for good.
    Settled(AttemptId, u64),
    /// The coordinator has heard the end of the attempt, or refuses it: nothing of it is kept.
    Forget(AttemptId),
}

impl Entry {
    /// Whether somebody relies on it. What the coordinator took would only be handed over once more.
    pub(super) fn is_vital(&self) -> bool {
        !matches!(self, Entry::Acknowledged(..) | Entry::Settled(..))
    }
}

/// What is left of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Left {
    /// Which.
    pub attempt: AttemptId,
    /// What it began with.
    pub opening: Opening,
    /// Batches from the first of these numbers to below the second are here; those before are acknowledged.
    pub batches: (u64, u64),
    /// A checkpoint that is not registered.
    pub checkpoint: Option<Saved>,
    /// Its end, if the trainer came that far.
    pub ending: Option<Ending>,
}

/// (stage, fence) in an order that is the order of numbers.
pub(super) fn attempt_key(attempt: AttemptId) -> [u8; 40] {
    let mut key = [0; 40];
    key[..32].copy_from_slice(attempt.stage.0.as_bytes());
    key[32..].copy_from_slice(&attempt.fence.0.to_be_bytes());
    key
}

/// The attempt of [`attempt_key`].
pub(super) fn attempt_of(key: &[u8; 40]) -> AttemptId {
    let (mut stage, mut fence) = ([0; 32], [0; 8]);
    stage.copy_from_slice(&key[..32]);
    fence.copy_from_slice(&key[32..]);
    let stage = pretext_shared::ids::StageId(pretext_shared::ids::ContentHash::from_bytes(stage));
    AttemptId { stage, fence: Fence(u64::from_be_bytes(fence)) }
}

/// (stage, fence, sequence), the same way.
pub(super) fn batch_key(attempt: AttemptId, sequence: u64) -> [u8; 48] {
    let mut key = [0; 48];
    key[..40].copy_from_slice(&attempt_key(attempt));
    key[40..].copy_from_slice(&sequence.to_be_bytes());
    key
}

/// The sequence number of [`batch_key`].
pub(super) fn sequence_of(key: &[u8; 48]) -> u64 {
    let mut sequence = [0; 8];
    sequence.copy_from_slice(&key[40..]);
    u64::from_be_bytes(sequence)
}
