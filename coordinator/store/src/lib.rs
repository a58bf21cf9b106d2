//! Where job state lives. The engine says what must be durable; a [`Store`] makes it so.
//!
//! The trait has two homes: an embedded database, and a server on which every commit is one atomic script.
//! So a commit is a list of [`Change`]s that carry their fences, applied together or not at all, and nothing
//! is ever read back to decide: the engine decides from memory. What a home checks at a commit (fences that
//! only rise; on a server also who leads, and that nothing was lost since the last commit) holds whenever the
//! engine is right; where it does not hold, the commit is refused and the coordinator stops.

pub mod backup;
mod load;
mod outline;
mod redb;
mod redis;
mod row;
pub mod verify;
pub mod view;

use std::collections::BTreeMap;
use std::path::PathBuf;

use pretext_engine::{Batch, Change, GrantRecord, Snapshot, StageRecord};
use pretext_shared::ids::{Fence, StageId};

pub use self::redb::RedbStore;
pub use self::redis::{
    Durability, InvalidAddress, Lead, Level, Patience, RedisHome, RedisOptions, RedisStore, StoreAddress,
};

/// A home of job state.
pub trait Store: Send + Sync {
    /// What the engine needs of everything that was committed, as it was at one moment.
    fn load(&self) -> Result<Snapshot, StoreError>;

    /// Makes `changes` durable, together or not at all. When this returns `Ok` they survive what the home
    /// promises. After an error nothing more is committed until the store is opened again: a refused commit
    /// left nothing; of one that could not be brought to its end, all or nothing is there.
    ///
    /// Called at least a few times a second, with nothing where nothing is new: a home with a lead to keep
    /// takes that as a sign of life, and fails when the lead was lost.
    fn commit(&self, changes: &[Change]) -> Result<(), StoreError>;

    /// The plans of `stages`, as far as they are there.
    fn plans(&self, stages: &[StageId]) -> Result<BTreeMap<StageId, StageRecord>, StoreError>;

    /// All durable point batches of a stage, by fence and sequence.
    fn points(&self, stage: StageId) -> Result<Vec<Batch>, StoreError>;

    /// All grants of a stage, by fence.
    fn grants(&self, stage: StageId) -> Result<Vec<(Fence, GrantRecord)>, StoreError>;

    /// Ends its use in good order: what only one coordinator may have is given up at once.
    fn close(&self) {}
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
    #[error("the store {store} has format {found}, this version reads format {known}: use the version that wrote it")]
    Format {
        /// File or address.
        store: String,
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
    /// A write for an attempt that was superseded. Nothing of the commit is there.
    #[error("the store refused a write of {stage}@{presented}: it knows fence {stored} of that stage", stage = stage.short())]
    StaleFence {
        /// The stage.
        stage: StageId,
        /// The fence of the write.
        presented: Fence,
        /// The highest fence that the store knows.
        stored: Fence,
    },
    /// A server cannot be used as it is.
    #[error("the store {store} cannot be used: {cause}")]
    Server {
        /// Its address.
        store: String,
        /// Why.
        cause: String,
    },
    /// A server failed for longer than it may.
    #[error("the store {store} could not be used for {seconds} s: {cause}")]
    OutOfPatience {
        /// Its address.
        store: String,
        /// The last failure.
        cause: String,
        /// The budget.
        seconds: u64,
    },
    /// Another coordinator has taken the lead.
    #[error(
        "another coordinator, {by}, leads on the store {store} (term {theirs}): this one (term {term}) was silent \
         for too long, and writes no more"
    )]
    Superseded {
        /// Its address.
        store: String,
        /// Ours.
        term: u64,
        /// The name of the other one.
        by: String,
        /// The term of the other one.
        theirs: u64,
    },
    /// The store is in a state from before commits that were acknowledged.
    #[error(
        "the store {store} has gone back to an older state (a fail-over to a replica that lagged, or a restored \
         backup): commit {known} was acknowledged, and it has {found}; nothing more is written to it"
    )]
    RolledBack {
        /// Its address.
        store: String,
        /// The last commit that was acknowledged.
        known: u64,
        /// The last commit that it has.
        found: u64,
    },
}

impl StoreError {
    /// Whether the same again may succeed.
    pub fn is_retryable(&self) -> bool {
        matches!(self, StoreError::Write { .. } | StoreError::Read { .. } | StoreError::OutOfPatience { .. })
    }
}
