//! Where job state lives. The engine says what must be durable; a [`Store`] makes it so.
//!
//! The trait is shaped for two homes: an embedded database, and a server on which every transition is
//! one atomic script. So a commit is a list of [`Change`]s that carry their fences, applied together or
//! not at all, and nothing is ever read back to decide: the engine decides from memory.

#[cfg(test)]
mod conformance;
mod redb;

use std::path::PathBuf;

use pretext_shared::ids::{Fence, StageId};

pub use self::redb::RedbStore;
use crate::engine::{Batch, Change, GrantRecord, Snapshot};

/// A home of job state.
pub trait Store: Send + Sync {
    /// Everything that was committed.
    fn load(&self) -> Result<Snapshot, StoreError>;

    /// Makes `changes` durable, together or not at all. When this returns `Ok` they survive `kill -9`
    /// and power loss; after an error none of them is there.
    fn commit(&self, changes: &[Change]) -> Result<(), StoreError>;

    /// All durable point batches of a stage, by fence and sequence.
    fn points(&self, stage: StageId) -> Result<Vec<Batch>, StoreError>;

    /// All grants of a stage, by fence.
    fn grants(&self, stage: StageId) -> Result<Vec<(Fence, GrantRecord)>, StoreError>;
}

/// Why a store could not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it.
    #[error("{path} is in use by another coordinator: stop it, or choose another --state-dir", path = path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be opened.
    #[error("cannot open the store {path}: {cause}", path = path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// It was written by a version that this one does not know.
    #[error("the store {path} has format {found}, this version reads format {known}: use the version that wrote it", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// Ours.
        known: u64,
    },
    /// Writing failed: nothing of the commit is there.
    #[error("the store {path} could not be written: {cause}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// Reading failed.
    #[error("the store could not be read: {cause}")]
    Read {
        /// Why.
        cause: String,
    },
    /// A record is not what it should be.
    #[error("a record of {table} in the store is damaged: {cause}")]
    Damaged {
        /// Where.
        table: &'static str,
        /// Why.
        cause: String,
    },
}

impl StoreError {
    /// Whether the same again may succeed.
    pub fn is_retryable(&self) -> bool {
        matches!(self, StoreError::Write { .. } | StoreError::Read { .. })
    }
}
