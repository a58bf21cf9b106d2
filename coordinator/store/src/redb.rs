//! The embedded store: one redb file. A commit is one write transaction of immediate durability (copy-on-write B-tree,
//! fsync before it returns), so acknowledged data survive power loss.

mod medium;
#[cfg(test)]
mod power_loss;
#[cfg(test)]
mod room;
mod tables;

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use pretext_engine::{Batch, Change, GrantRecord, Outline, Snapshot, StageRecord};
use pretext_shared::ids::{ContentHash, Fence, Fingerprint, StageId};
use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition, WriteTransaction};
use serde::Deserialize;

use self::medium::{Medium, OnFile};
use self::tables::Tables;
use super::row::{FIRST_FENCE, Guard, Rows, decode};
use super::{Store, StoreError, load, outline};

/// Raised when the meaning of a stored record changes.
const FORMAT: u64 = 1;

/// Size of the page cache in memory, in bytes. The system caches the file too, and a start reads most of it only once,
/// so it fills no more than this.
const CACHE: usize = 64 << 20;

type Bytes = &'static [u8];
/// Keys are (stage, fence, sequence) or (stage, fence), big-endian, so that the order of keys is the order of numbers.
const META: TableDefinition<'static, &str, u64> = TableDefinition::new("meta");
const SWEEPS: TableDefinition<'static, &str, Bytes> = TableDefinition::new("sweeps");
const MARKS: TableDefinition<'static, &str, Bytes> = TableDefinition::new("sweep-marks");
const STAGES: TableDefinition<'static, &[u8; 32], Bytes> = TableDefinition::new("stages");
const OUTLINES: TableDefinition<'static, &[u8; 32], Bytes> = TableDefinition::new("outlines");
const PROGRESS: TableDefinition<'static, &[u8; 32], Bytes> = TableDefinition::new("progress");
const DATA: TableDefinition<'static, &[u8; 32], Bytes> = TableDefinition::new("data");
const POINTS: TableDefinition<'static, &[u8; 48], Bytes> = TableDefinition::new("points");
const GRANTS: TableDefinition<'static, &[u8; 40], Bytes> = TableDefinition::new("grants");

/// The middle of all ids.
const HALF: [u8; 32] = {
    let mut middle = [0; 32];
    middle[0] = 0x80;
    middle
};

/// See the module.
pub struct RedbStore {
    /// `None` if it was closed after a failure and could not be opened again.
    db: RwLock<Option<Database>>,
    path: PathBuf,
    medium: Box<dyn Medium>,
}

impl RedbStore {
    /// Opens the store at `path`, or creates it. A second process is refused.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::on(Box::new(OnFile(path.to_owned())), path)
    }

    /// Opens the store on a medium; messages show `path`.
    fn on(medium: Box<dyn Medium>, path: &Path) -> Result<Self, StoreError> {
        let store = Self { db: RwLock::new(None), path: path.to_owned(), medium };
        store.open_again()?;
        Ok(store)
    }

    /// Closes the database if it is open, and opens it. Readers finish first.
    fn open_again(&self) -> Result<(), StoreError> {
        let mut slot = self.db.write().unwrap_or_else(PoisonError::into_inner);
        drop(slot.take());
        let failed = |cause: String| StoreError::Open { path: self.path.clone(), cause };
        let db = self.medium.open().map_err(|error| match error {
            redb::DatabaseError::DatabaseAlreadyOpen => StoreError::InUse { path: self.path.clone() },
            other => match write(other) {
                full @ StoreError::Full { .. } => self.named(full),
                other => failed(other.to_string()),
            },
        })?;
        prepare(&db, &self.path).map_err(|error| match error {
            StoreError::Write { cause, .. } => failed(cause),
            other => self.named(other),
        })?;
        *slot = Some(db);
        Ok(())
    }

    /// Runs an operation on the open database.
    fn with<T>(&self, operation: impl FnOnce(&Database) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let slot = self.db.read().unwrap_or_else(PoisonError::into_inner);
        match slot.as_ref() {
            Some(db) => operation(db),
            None => {
                Err(StoreError::Read { cause: "it was closed after a failure and is being opened again".to_owned() })
            }
        }
    }

    /// Returns the error with the path of this store.
    fn named(&self, error: StoreError) -> StoreError {
        match error {
            StoreError::Write { cause, .. } => StoreError::Write { path: self.path.clone(), cause },
            StoreError::Full { cause, .. } => StoreError::Full { store: self.path.display().to_string(), cause },
            other => other,
        }
    }
}

/// Returns whether everything that [`prepare`] creates exists. A store that is only read stays unchanged.
fn is_prepared(db: &Database) -> Result<bool, StoreError> {
    let transaction = db.begin_read().map_err(read)?;
    let Ok(meta) = transaction.open_table(META) else { return Ok(false) };
    if meta.get("format").map_err(read)?.map(|format| format.value()) != Some(FORMAT) {
        return Ok(false);
    }
    let of_ids =
        [STAGES, OUTLINES, PROGRESS, DATA].map(|table| transaction.open_table(table).and_then(|it| Ok(it.len()?)));
    let [Ok(stages), Ok(outlines), Ok(_), Ok(_)] = of_ids else { return Ok(false) };
    let others = [SWEEPS, MARKS].iter().all(|table| transaction.open_table(*table).is_ok())
        && transaction.open_table(POINTS).is_ok()
        && transaction.open_table(GRANTS).is_ok();
    Ok(others && stages == outlines)
}

fn prepare(db: &Database, path: &Path) -> Result<(), StoreError> {
    if is_prepared(db)? {
        return Ok(());
    }
    let transaction = begin(db)?;
    {
        let mut meta = transaction.open_table(META).map_err(write)?;
        let found = meta.get("format").map_err(write)?.map(|format| format.value());
        match found {
            None => drop(meta.insert("format", FORMAT).map_err(write)?),
            Some(FORMAT) => {}
            Some(found) => {
                return Err(StoreError::Format { store: path.display().to_string(), found, known: FORMAT });
            }
        }
        // Create all tables now, so that readers need no special case.
        transaction.open_table(SWEEPS).map_err(write)?;
        transaction.open_table(MARKS).map_err(write)?;
        let stages = transaction.open_table(STAGES).map_err(write)?;
        let mut outlines = transaction.open_table(OUTLINES).map_err(write)?;
        // An older version stored these stages without outlines.
        if stages.len().map_err(write)? != outlines.len().map_err(write)? {
            for row in stages.iter().map_err(write)? {
                let (id, record) = row.map_err(write)?;
                let record: StageRecord = decode("stages", record.value())?;
                let outline = outline::encode(&Outline::from(&record));
                outlines.insert(id.value(), outline.as_slice()).map_err(write)?;
            }
        }
        transaction.open_table(PROGRESS).map_err(write)?;
        transaction.open_table(DATA).map_err(write)?;
        transaction.open_table(POINTS).map_err(write)?;
        transaction.open_table(GRANTS).map_err(write)?;
    }
    transaction.commit().map_err(write)
}

/// Every commit saves the state that redb would otherwise compute when it opens a file that was not closed. This
/// costs a second fsync (2 to 3 ms per commit, which many requests share) and saves a second after a `kill -9` with
/// 500 MB.
fn begin(db: &Database) -> Result<WriteTransaction, StoreError> {
    let mut transaction = db.begin_write().map_err(write)?;
    transaction.set_quick_repair(true);
    Ok(transaction)
}

/// Writes all of `rows` in one transaction: checks the guards first.
fn write_all(db: &Database, all: &Rows) -> Result<(), StoreError> {
    let transaction = begin(db)?;
    {
        let mut tables = Tables::open(&transaction)?;
        for Guard { stage, lowest, .. } in &all.guards {
            let standing = tables.progress.get(stage.0.as_bytes()).map_err(write)?;
            let stored = match standing {
                Some(standing) => decode::<Fenced>("progress", standing.value())?.fence,
                None => continue,
            };
            if stored > *lowest {
                return Err(StoreError::StaleFence { stage: *stage, presented: *lowest, stored });
            }
        }
        all.rows.iter().try_for_each(|row| tables.write(row))?;
    }
    transaction.commit().map_err(write)
}

/// The fields of a stage's progress that are compared at a commit.
#[derive(Deserialize)]
struct Fenced {
    fence: Fence,
}

fn bad_key(error: impl std::fmt::Display) -> StoreError {
    StoreError::Write { path: PathBuf::new(), cause: error.to_string() }
}

/// Callers that know the path fill it in, see [`RedbStore::named`].
fn write(error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        redb::Error::Io(error) => io_failed(&error),
        other => StoreError::Write { path: PathBuf::new(), cause: other.to_string() },
    }
}

/// Tells a full disk from one that fails.
fn io_failed(error: &io::Error) -> StoreError {
    let cause = error.to_string();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full { store: String::new(), cause },
        _ => StoreError::Write { path: PathBuf::new(), cause },
    }
}

fn read(error: impl std::fmt::Display) -> StoreError {
    StoreError::Read { cause: error.to_string() }
}

fn stage_id(key: &[u8; 32]) -> StageId {
    StageId(ContentHash::from_bytes(*key))
}

fn grant_key(stage: StageId, fence: Fence) -> [u8; 40] {
    let mut key = [0; 40];
    key[..32].copy_from_slice(stage.0.as_bytes());
    key[32..].copy_from_slice(&fence.0.to_be_bytes());
    key
}

fn point_key(stage: StageId, fence: Fence, sequence: u64) -> [u8; 48] {
    let mut key = [0; 48];
    key[..40].copy_from_slice(&grant_key(stage, fence));
    key[40..].copy_from_slice(&sequence.to_be_bytes());
    key
}

impl Store for RedbStore {
    fn load(&self) -> Result<Snapshot, StoreError> {
        self.with(|db| {
            let transaction = db.begin_read().map_err(read)?;
            let sweeps = || {
                let marks = transaction.open_table(MARKS).map_err(read)?;
                let table = transaction.open_table(SWEEPS).map_err(read)?;
                let rows = table.iter().map_err(read)?.map(|row| {
                    let (key, record) = row.map_err(read)?;
                    let mark = marks.get(key.value()).map_err(read)?;
                    load::sweep(record.value(), mark.as_ref().map(|mark| mark.value()))
                });
                rows.collect()
            };
            let outlines = || {
                let table = transaction.open_table(OUTLINES).map_err(read)?;
                let rows = table.iter().map_err(read)?.map(|row| {
                    let (key, outline) = row.map_err(read)?;
                    Ok((stage_id(key.value()), outline::decode(outline.value())?))
                });
                rows.collect()
            };
            // Ids are hashes: half of them begin with a zero bit.
            let halves = [(Unbounded, Excluded(&HALF)), (Included(&HALF), Unbounded)].map(|half| {
                let transaction = &transaction;
                move || {
                    let table = transaction.open_table(PROGRESS).map_err(read)?;
                    let rows = table.range::<&[u8; 32]>(half).map_err(read)?.map(|row| {
                        let (key, standing) = row.map_err(read)?;
                        Ok((stage_id(key.value()), decode("progress", standing.value())?))
                    });
                    rows.collect()
                }
            });
            let data = || {
                let table = transaction.open_table(DATA).map_err(read)?;
                let rows = table.iter().map_err(read)?.map(|row| {
                    let (key, data) = row.map_err(read)?;
                    Ok((Fingerprint(ContentHash::from_bytes(*key.value())), decode("data", data.value())?))
                });
                rows.collect()
            };
            let meta = transaction.open_table(META).map_err(read)?;
            let first_fence = meta.get(FIRST_FENCE).map_err(read)?.map_or(0, |first| first.value());
            Ok(Snapshot { first_fence: Fence(first_fence), ..load::snapshot(sweeps, data, outlines, halves)? })
        })
    }

    fn commit(&self, changes: &[Change]) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        let rows = Rows::of(changes)?;
        self.with(|db| write_all(db, &rows)).map_err(|error| self.named(error))
    }

    fn reopen(&self) -> Result<(), StoreError> {
        self.medium.probe().map_err(|error| self.named(io_failed(&error)))?;
        self.open_again()
    }

    fn plans(&self, stages: &[StageId]) -> Result<BTreeMap<StageId, StageRecord>, StoreError> {
        self.with(|db| {
            let transaction = db.begin_read().map_err(read)?;
            let table = transaction.open_table(STAGES).map_err(read)?;
            let mut plans = BTreeMap::new();
            for id in stages {
                if let Some(record) = table.get(id.0.as_bytes()).map_err(read)? {
                    plans.insert(*id, decode("stages", record.value())?);
                }
            }
            Ok(plans)
        })
    }

    fn points(&self, stage: StageId) -> Result<Vec<Batch>, StoreError> {
        self.with(|db| {
            let transaction = db.begin_read().map_err(read)?;
            let table = transaction.open_table(POINTS).map_err(read)?;
            let (first, last) = (point_key(stage, Fence(0), 0), point_key(stage, Fence(u64::MAX), u64::MAX));
            let mut batches = Vec::new();
            for row in table.range::<&[u8; 48]>(&first..=&last).map_err(read)? {
                let (key, value) = row.map_err(read)?;
                let number = |at: usize| {
                    let mut bytes = [0; 8];
                    bytes.copy_from_slice(&key.value()[at..at + 8]);
                    u64::from_be_bytes(bytes)
                };
                let (fence, sequence) = (Fence(number(32)), number(40));
                batches.push(Batch { fence, sequence, points: decode("points", value.value())? });
            }
            Ok(batches)
        })
    }

    fn grants(&self, stage: StageId) -> Result<Vec<(Fence, GrantRecord)>, StoreError> {
        self.with(|db| {
            let transaction = db.begin_read().map_err(read)?;
            let table = transaction.open_table(GRANTS).map_err(read)?;
            let (first, last) = (grant_key(stage, Fence(0)), grant_key(stage, Fence(u64::MAX)));
            let mut grants = Vec::new();
            for row in table.range::<&[u8; 40]>(&first..=&last).map_err(read)? {
                let (key, value) = row.map_err(read)?;
                let mut fence = [0; 8];
                fence.copy_from_slice(&key.value()[32..]);
                grants.push((Fence(u64::from_be_bytes(fence)), decode("grants", value.value())?));
            }
            Ok(grants)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::RwLockReadGuard;

    use super::*;

    fn database(store: &RedbStore) -> RwLockReadGuard<'_, Option<Database>> {
        store.db.read().expect("no panic")
    }

    /// An older version's store gets its missing parts when it is opened. A plan that cannot be read gives an error
    /// with its name when it is read.
    #[test]
    fn outlines_are_made_again_and_plans_that_cannot_be_read_are_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("state.redb");
        let store = RedbStore::open(&path).expect("opens");
        let stages = pretext_engine::fixtures::submission(pretext_engine::fixtures::SWEEP, 1).stages;
        let planned = |(id, plan): &(StageId, StageRecord)| {
            [Change::AddStage(*id, Box::new(plan.clone())), Change::SetProgress(*id, Box::default())]
        };
        store.commit(&stages.iter().flat_map(planned).collect::<Vec<_>>()).expect("committed");
        let before = store.load().expect("readable");
        assert_eq!(before.stages.len(), stages.len());
        let transaction = database(&store).as_ref().expect("open").begin_write().expect("begins");
        transaction.delete_table(OUTLINES).expect("deletes");
        transaction.commit().expect("commits");
        drop(store);
        let store = RedbStore::open(&path).expect("opens");
        assert_eq!(store.load().expect("readable"), before);
        let transaction = database(&store).as_ref().expect("open").begin_write().expect("begins");
        let text = serde_json::to_string(&stages[0].1).expect("JSON").replace("small-cnn", "newer");
        let key = stages[0].0.0.as_bytes();
        transaction.open_table(STAGES).expect("opens").insert(key, text.as_bytes()).expect("inserts");
        transaction.commit().expect("commits");
        assert!(store.load().is_ok(), "a restart does not read it");
        let refused = store.plans(&[stages[0].0]).expect_err("not this version's");
        assert!(refused.to_string().contains("newer"), "{refused}");
        assert_eq!(store.plans(&[stages[1].0]).expect("readable")[&stages[1].0], stages[1].1);
    }

    #[test]
    fn a_second_opener_and_another_format_are_refused_in_words() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("state.redb");
        let store = RedbStore::open(&path).expect("opens");
        let Err(second) = RedbStore::open(&path) else { panic!("two openers") };
        assert!(second.to_string().contains("in use by another coordinator"), "{second}");
        let transaction = database(&store).as_ref().expect("open").begin_write().expect("begins");
        transaction.open_table(META).expect("opens").insert("format", 99).expect("inserts");
        transaction.commit().expect("commits");
        drop(store);
        let Err(other) = RedbStore::open(&path) else { panic!("another format") };
        assert!(other.to_string().contains("has format 99, this version reads format 1"), "{other}");
        std::fs::write(&path, b"not a database at all, but long enough to be looked at").expect("writes");
        assert!(RedbStore::open(&path).is_err());
    }
}
