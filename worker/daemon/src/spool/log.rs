//! The spool's file: a redb database. A transaction with a vital entry is forced to the disk before it is acknowledged.
//! redb's copy-on-write tree makes a half-written transaction invisible.

use std::path::{Path, PathBuf};

use pretext_shared::ids::AttemptId;
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::record::{Batch, Ending, Entry, Left, Saved, attempt_key, attempt_of, batch_key, sequence_of};

/// Raised when the meaning of a record changes.
const FORMAT: u64 = 1;
/// Page memory: the spool is written once and read once, soon after.
const CACHE: usize = 4 << 20;
/// Largest number of batches that one reading returns.
const READ_BATCHES: usize = 64;

type Bytes = &'static [u8];
const META: TableDefinition<'static, &str, u64> = TableDefinition::new("meta");
const OPENINGS: TableDefinition<'static, &[u8; 40], Bytes> = TableDefinition::new("openings");
const POINTS: TableDefinition<'static, &[u8; 48], Bytes> = TableDefinition::new("points");
const CHECKPOINTS: TableDefinition<'static, &[u8; 40], Bytes> = TableDefinition::new("checkpoints");
const ENDINGS: TableDefinition<'static, &[u8; 40], Bytes> = TableDefinition::new("endings");

/// Why the spool failed.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The file cannot be opened.
    #[error("cannot open the spool {}: {cause}; move the file away to continue without its content", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: String,
    },
    /// The file has a format that this version does not know.
    #[error("the spool has format {found}, but this version reads format {FORMAT}: use the version that wrote it")]
    Format {
        /// The format of the file.
        found: u64,
    },
    /// The disk, or the database on it, failed.
    #[error("the spool could not be written or read: {0}")]
    Disk(String),
    /// A record cannot be parsed.
    #[error("a record of {table} in the spool is damaged: {cause}")]
    Damaged {
        /// The table.
        table: &'static str,
        /// The cause.
        cause: String,
    },
    /// The daemon is ending.
    #[error("the spool is closed")]
    Closed,
}

/// Bytes of points that a commit added and removed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moved {
    pub(super) added: u64,
    pub(super) removed: u64,
}

impl Moved {
    /// Counts `content` as removed, and keeps nothing.
    fn remove(&mut self, content: &[u8]) -> bool {
        self.removed += content.len() as u64;
        false
    }
}

fn disk(error: impl std::fmt::Display) -> SpoolError {
    SpoolError::Disk(error.to_string())
}

/// The open file.
pub(super) struct Log {
    db: Database,
}

impl Log {
    /// Opens the file at `path`, or makes it.
    pub(super) fn open(path: &Path) -> Result<Self, SpoolError> {
        let failed = |cause: String| SpoolError::Open { path: path.to_owned(), cause };
        let db = Database::builder().set_cache_size(CACHE).create(path).map_err(|error| failed(error.to_string()))?;
        Self::prepare(db)
    }

    /// Opens the spool on another storage.
    #[cfg(test)]
    pub(super) fn over(storage: impl redb::StorageBackend) -> Result<Self, SpoolError> {
        Self::prepare(Database::builder().set_cache_size(CACHE).create_with_backend(storage).map_err(disk)?)
    }

    fn prepare(db: Database) -> Result<Self, SpoolError> {
        let transaction = db.begin_write().map_err(disk)?;
        {
            let mut meta = transaction.open_table(META).map_err(disk)?;
            let found = meta.get("format").map_err(disk)?.map(|format| format.value());
            match found {
                None => drop(meta.insert("format", FORMAT).map_err(disk)?),
                Some(FORMAT) => {}
                Some(found) => return Err(SpoolError::Format { found }),
            }
            // All tables exist from the beginning, so that readers need no special case.
            transaction.open_table(OPENINGS).map_err(disk)?;
            transaction.open_table(POINTS).map_err(disk)?;
            transaction.open_table(CHECKPOINTS).map_err(disk)?;
            transaction.open_table(ENDINGS).map_err(disk)?;
        }
        transaction.commit().map_err(disk)?;
        Ok(Self { db })
    }

    /// Writes all `entries` or none, and forces them to the disk if one of them is vital. Returns the bytes of points
    /// that were added and removed.
    pub(super) fn write(&self, entries: &[Entry]) -> Result<Moved, SpoolError> {
        let mut moved = Moved::default();
        let mut transaction = self.db.begin_write().map_err(disk)?;
        if !entries.iter().any(Entry::is_vital) {
            transaction.set_durability(Durability::None).map_err(disk)?;
        }
        {
            let mut openings = transaction.open_table(OPENINGS).map_err(disk)?;
            let mut points = transaction.open_table(POINTS).map_err(disk)?;
            let mut checkpoints = transaction.open_table(CHECKPOINTS).map_err(disk)?;
            let mut endings = transaction.open_table(ENDINGS).map_err(disk)?;
            for entry in entries {
                match entry {
                    Entry::Begin(attempt, opening) => {
                        openings.insert(&attempt_key(*attempt), encode(opening)?.as_slice()).map_err(disk)?;
                    }
                    Entry::Points(attempt, batch) => {
                        let content = encode(&batch.points)?;
                        let key = batch_key(*attempt, batch.sequence);
                        let old = points.insert(&key, content.as_slice()).map_err(disk)?;
                        moved.added += content.len() as u64;
                        moved.removed += old.map_or(0, |old| old.value().len() as u64);
                    }
                    Entry::Checkpoint(attempt, saved) => {
                        checkpoints.insert(&attempt_key(*attempt), encode(saved)?.as_slice()).map_err(disk)?;
                    }
                    Entry::End(attempt, ending) => {
                        endings.insert(&attempt_key(*attempt), encode(ending)?.as_slice()).map_err(disk)?;
                    }
                    Entry::Acknowledged(attempt, below) => {
                        let (first, end) = (batch_key(*attempt, 0), batch_key(*attempt, *below));
                        let remove = |_: &[u8; 48], content: &[u8]| moved.remove(content);
                        points.retain_in::<&[u8; 48], _>(&first..&end, remove).map_err(disk)?;
                    }
                    Entry::Settled(attempt, step) => {
                        let key = attempt_key(*attempt);
                        let settled = match checkpoints.get(&key).map_err(disk)? {
                            Some(saved) => decode::<Saved>("checkpoints", saved.value())?.step <= *step,
                            None => false,
                        };
                        if settled {
                            checkpoints.remove(&key).map_err(disk)?;
                        }
                    }
                    Entry::Forget(attempt) => {
                        let key = attempt_key(*attempt);
                        openings.remove(&key).map_err(disk)?;
                        checkpoints.remove(&key).map_err(disk)?;
                        endings.remove(&key).map_err(disk)?;
                        let (first, last) = (batch_key(*attempt, 0), batch_key(*attempt, u64::MAX));
                        let remove = |_: &[u8; 48], content: &[u8]| moved.remove(content);
                        points.retain_in::<&[u8; 48], _>(&first..=&last, remove).map_err(disk)?;
                    }
                }
            }
        }
        transaction.commit().map_err(disk)?;
        Ok(moved)
    }

    /// Returns batches of `attempt` from number `from`, at most [`READ_BATCHES`].
    pub(super) fn batches(&self, attempt: AttemptId, from: u64) -> Result<Vec<Batch>, SpoolError> {
        let transaction = self.db.begin_read().map_err(disk)?;
        let table = transaction.open_table(POINTS).map_err(disk)?;
        let (first, last) = (batch_key(attempt, from), batch_key(attempt, u64::MAX));
        let rows = table.range::<&[u8; 48]>(&first..=&last).map_err(disk)?;
        rows.take(READ_BATCHES)
            .map(|row| {
                let (key, value) = row.map_err(disk)?;
                Ok(Batch { sequence: sequence_of(key.value()), points: decode("points", value.value())? })
            })
            .collect()
    }

    /// Returns everything that was not handed over, by stage and then by fence, oldest fence first.
    pub(super) fn left(&self) -> Result<Vec<Left>, SpoolError> {
        let transaction = self.db.begin_read().map_err(disk)?;
        let points = transaction.open_table(POINTS).map_err(disk)?;
        let checkpoints = transaction.open_table(CHECKPOINTS).map_err(disk)?;
        let endings = transaction.open_table(ENDINGS).map_err(disk)?;
        let mut left = Vec::new();
        for row in transaction.open_table(OPENINGS).map_err(disk)?.iter().map_err(disk)? {
            let (key, opening) = row.map_err(disk)?;
            let attempt = attempt_of(key.value());
            let checkpoint = checkpoints.get(key.value()).map_err(disk)?;
            let checkpoint: Option<Saved> = checkpoint.map(|saved| decode("checkpoints", saved.value())).transpose()?;
            let ending = endings.get(key.value()).map_err(disk)?;
            let ending: Option<Ending> = ending.map(|ending| decode("endings", ending.value())).transpose()?;
            let (first, last) = (batch_key(attempt, 0), batch_key(attempt, u64::MAX));
            let mut batches = points.range::<&[u8; 48]>(&first..=&last).map_err(disk)?;
            let first = batches.next().transpose().map_err(disk)?.map(|(key, _)| sequence_of(key.value()));
            let last = batches.next_back().transpose().map_err(disk)?.map(|(key, _)| sequence_of(key.value()));
            // Where no batch is here, all that the records count on are acknowledged.
            let counted =
                checkpoint.iter().map(|saved| saved.next_sequence).chain(ending.iter().map(Ending::counts_on));
            let counted = counted.max().unwrap_or(0);
            let batches = (first.unwrap_or(counted), last.or(first).map_or(counted, |last| last + 1));
            let opening = decode("openings", opening.value())?;
            left.push(Left { attempt, opening, batches, checkpoint, ending });
        }
        Ok(left)
    }

    /// Returns the bytes of all points.
    pub(super) fn size(&self) -> Result<u64, SpoolError> {
        let transaction = self.db.begin_read().map_err(disk)?;
        let table = transaction.open_table(POINTS).map_err(disk)?;
        table.iter().map_err(disk)?.try_fold(0, |sum, row| Ok(sum + row.map_err(disk)?.1.value().len() as u64))
    }
}

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, SpoolError> {
    serde_json::to_vec(value).map_err(disk)
}

fn decode<T: DeserializeOwned>(table: &'static str, bytes: &[u8]) -> Result<T, SpoolError> {
    serde_json::from_slice(bytes).map_err(|cause| SpoolError::Damaged { table, cause: cause.to_string() })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Makes a spool with the given format number.
    pub(in crate::spool) fn of_format(path: &Path, format: u64) {
        let log = Log::open(path).expect("opens");
        let transaction = log.db.begin_write().expect("a good disk");
        transaction.open_table(META).expect("there").insert("format", format).expect("inserts");
        transaction.commit().expect("a good disk");
    }

    #[test]
    fn a_damaged_record_is_never_passed_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = Log::open(&folder.path().join("spool.redb")).expect("opens");
        let attempt = attempt_of(&[7; 40]);
        let opening = super::super::tests::opening();
        log.write(&[Entry::Begin(attempt, opening)]).expect("a good disk");
        let transaction = log.db.begin_write().expect("a good disk");
        let key = batch_key(attempt, 0);
        transaction.open_table(POINTS).expect("there").insert(&key, b"[{".as_slice()).expect("inserts");
        transaction
            .open_table(ENDINGS)
            .expect("there")
            .insert(&attempt_key(attempt), b"[{".as_slice())
            .expect("inserts");
        transaction.commit().expect("a good disk");
        let damaged = |table| move |error: SpoolError| error.to_string().contains(&format!("a record of {table}"));
        assert!(log.batches(attempt, 0).is_err_and(damaged("points")));
        assert!(log.left().is_err_and(damaged("endings")));
    }
}
