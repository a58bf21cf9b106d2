//! The store of job state. The engine decides what must be durable; a [`Store`] makes it durable.
//!
//! There are two implementations: an embedded database, and a server on which every commit is one atomic script. A
//! commit is a list of [`Change`]s that carry their fences, applied all together or not at all. Decisions never read
//! the store: the engine decides from memory. At a commit the store checks that fences only rise; a server also checks
//! who leads, and that no earlier commit is missing. If the engine is correct, these checks succeed. If one fails, the
//! commit is refused and the coordinator stops.

pub mod backup;
mod durability;
mod load;
mod outline;
mod redb;
mod redis;
mod row;
mod shared;
pub mod verify;
pub mod view;

use std::collections::BTreeMap;
use std::path::PathBuf;

use pretext_engine::{Batch, Change, GrantRecord, Snapshot, StageRecord};
use pretext_shared::ids::{Fence, StageId};

pub use self::durability::{Durability, Level};
pub use self::redb::RedbStore;
pub use self::redis::{InvalidAddress, Patience, RedisHome, RedisOptions, RedisStore, StoreAddress};
pub use self::shared::{Lead, Led, SharedStore};

/// A store of job state.
pub trait Store: Send + Sync {
    /// Returns the committed state that the engine needs, as of one moment.
    fn load(&self) -> Result<Snapshot, StoreError>;

    /// Makes `changes` durable, all together or not at all. After `Ok` they survive what the store guarantees. After an
    /// error nothing more is committed until the store is opened again. A refused commit leaves nothing. A commit that
    /// could not be completed leaves either all of its changes or none.
    ///
    /// Called at least a few times a second, also without changes. A store with a lead takes an empty commit as a sign
    /// of life, and fails if the lead is lost.
    fn commit(&self, changes: &[Change]) -> Result<(), StoreError>;

    /// Opens the store again after [`StoreError::Full`], if there is room now. Afterwards [`Store::load`] returns
    /// everything that was acknowledged. The commit that failed is there as a whole or not at all.
    fn reopen(&self) -> Result<(), StoreError>;

    /// Returns the stored plans among those of `stages`.
    fn plans(&self, stages: &[StageId]) -> Result<BTreeMap<StageId, StageRecord>, StoreError>;

    /// Returns all durable point batches of a stage, by fence and sequence.
    fn points(&self, stage: StageId) -> Result<Vec<Batch>, StoreError>;

    /// Returns all grants of a stage, by fence.
    fn grants(&self, stage: StageId) -> Result<Vec<(Fence, GrantRecord)>, StoreError>;

    /// Closes the store: gives up at once what only one coordinator may hold.
    fn close(&self) {}
}

/// The reason why an operation of the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process uses it.
    #[error("{path} is in use by another coordinator: stop it, or choose another --state-dir", path = path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The store cannot be opened.
    #[error("cannot open the store {path}: {cause}", path = path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: String,
    },
    /// Another version of Pretext wrote the store.
    #[error("the store {store} has format {found}, this version reads format {known}: use the version that wrote it")]
    Format {
        /// The file or address.
        store: String,
        /// Its format.
        found: u64,
        /// The format of this version.
        known: u64,
    },
    /// A write failed; nothing of the commit is stored.
    #[error("the store {path} could not be written: {cause}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: String,
    },
    /// The disk or the memory of the store has no room. Whether the last commit is stored is known once the store was
    /// opened again.
    #[error("the store {store} is full: {cause}")]
    Full {
        /// The file or address.
        store: String,
        /// The cause.
        cause: String,
    },
    /// Reading failed.
    #[error("the store could not be read: {cause}")]
    Read {
        /// The cause.
        cause: String,
    },
    /// The content of a record is not valid.
    #[error("a record of {table} in the store is damaged: {cause}")]
    Damaged {
        /// The table.
        table: &'static str,
        /// The cause.
        cause: String,
    },
    /// The write belongs to a superseded attempt; nothing of the commit is stored.
    #[error("the store refused a write of {stage}@{presented}: it knows fence {stored} of that stage", stage = stage.short())]
    StaleFence {
        /// The stage.
        stage: StageId,
        /// The fence of the write.
        presented: Fence,
        /// The highest fence that the store knows.
        stored: Fence,
    },
    /// The server cannot be used in its present state.
    #[error("the store {store} cannot be used: {cause}")]
    Server {
        /// Its address.
        store: String,
        /// The cause.
        cause: String,
    },
    /// The server failed for longer than the coordinator waits.
    #[error("the store {store} could not be used for {seconds} s: {cause}")]
    OutOfPatience {
        /// Its address.
        store: String,
        /// The last failure.
        cause: String,
        /// The time limit, in seconds.
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
        /// This coordinator's term.
        term: u64,
        /// The name of the other coordinator.
        by: String,
        /// The term of the other coordinator.
        theirs: u64,
    },
    /// The store has gone back to a state without some acknowledged commits.
    #[error(
        "the store {store} has gone back to an older state (a fail-over to a replica that lagged, or a restored \
         backup): commit {known} was acknowledged, but the store has commit {found}; nothing more is written to it"
    )]
    RolledBack {
        /// Its address.
        store: String,
        /// The last acknowledged commit.
        known: u64,
        /// The last commit in the store.
        found: u64,
    },
}

impl StoreError {
    /// Returns whether the error is retryable.
    pub fn is_retryable(&self) -> bool {
        use StoreError::{Full, OutOfPatience, Read, Write};
        matches!(self, Write { .. } | Read { .. } | Full { .. } | OutOfPatience { .. })
    }
}
