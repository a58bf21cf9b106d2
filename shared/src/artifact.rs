//! Artifacts as their store lists them.

use std::time::Duration;

use crate::ids::ArtifactId;

/// An artifact that an artifact store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredArtifact {
    /// The hash of its content, which is its name.
    pub artifact: ArtifactId,
    /// Its length in bytes.
    pub bytes: u64,
    /// Time since it was stored.
    pub age: Duration,
}
