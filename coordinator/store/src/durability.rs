//! What a store guarantees for acknowledged data.

use serde::Serialize;

/// What acknowledged data survive: the end of the process, or power loss too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// They survive power loss.
    EveryCommit,
    /// They survive the end of the process; power loss may take the last second or two.
    EverySecond,
    /// Minutes of work may be lost.
    Snapshots,
    /// All is lost when the server process ends.
    Nothing,
    /// The server does not tell.
    Unknown,
}

/// The guarantees of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Durability {
    /// The server's version.
    pub version: String,
    /// What acknowledged data survive.
    pub level: Level,
    /// The guarantees as sentences for people, with the effects of replicas and eviction.
    pub sentences: Vec<String>,
}
