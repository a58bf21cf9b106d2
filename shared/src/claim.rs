//! What a worker presents in every call about an attempt: the attempt, and the proof that it was granted to this worker.

use serde::{Deserialize, Serialize};

use crate::ids::AttemptId;

/// The coordinator's proof that it granted an attempt to a worker. Workers keep it and send it back; only the
/// coordinator reads it. Empty without TLS, and for grants of earlier versions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Proof(pub Vec<u8>);

impl Proof {
    /// Returns whether there is no proof.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// An attempt, as its worker presents it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The attempt.
    pub attempt: AttemptId,
    /// The proof of its grant.
    pub proof: Proof,
}
