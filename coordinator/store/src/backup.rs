//! Backs up a store in use to one file, and restores a store from such a file.
//!
//! The file consists of a header, one line of JSON for each [`Change`] that builds the store, and a seal: the BLAKE3
//! hash of everything before it. A file whose seal is missing or wrong is refused. Artifacts are separate files that
//! never change: any program can copy them after the backup.

use std::io::{BufRead, Write};

use pretext_engine::{Batch, Change, State, SweepMark, Waiting};
use pretext_shared::ids::Fence;
use serde::{Deserialize, Serialize};

use crate::view;
use crate::{Store, StoreError};

/// Raised when a line changes its meaning.
const FORMAT: u32 = 1;
/// Number of changes in one commit of a restored store.
const GROUP: usize = 1_000;

/// A line of the file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    PretextBackup { format: u32, version: String },
    Change(Box<Change>),
    Seal { changes: u64, blake3: String },
}

/// The reason why a backup cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file.
    #[error("the backup cannot be read or written: {0}")]
    Io(#[from] std::io::Error),
    /// The file is not a backup, or not a complete one.
    #[error("this is not a complete backup: {0}")]
    Damaged(String),
    /// Another version wrote it.
    #[error("the backup has format {0}, this version reads format {FORMAT}: use the version that wrote it")]
    Format(u32),
    /// The store has something already.
    #[error("the store is not empty: restore the backup into a new state directory")]
    NotEmpty,
}

/// Writes the content of `store` at one moment; later commits are left out. Returns the number of changes.
pub fn write(store: &dyn Store, out: &mut dyn Write) -> Result<u64, BackupError> {
    let mut sealed = Sealed { out, hasher: blake3::Hasher::new(), changes: 0 };
    sealed.line(&Line::PretextBackup { format: FORMAT, version: env!("CARGO_PKG_VERSION").to_owned() })?;
    let snapshot = store.load()?;
    if snapshot.first_fence > Fence(0) {
        sealed.change(Change::RaiseFences(snapshot.first_fence))?;
    }
    for (sweep, mark) in snapshot.sweeps {
        let id = sweep.id.clone();
        sealed.change(Change::AddSweep(Box::new(sweep)))?;
        if mark != SweepMark::Active {
            sealed.change(Change::MarkSweep(id, mark))?;
        }
    }
    for (id, (_, progress)) in snapshot.stages {
        let record = view::plan(store, id)?;
        let (batches, grants) = (store.points(id)?, store.grants(id)?);
        let (fence, durable) = (progress.fence, progress.batches);
        sealed.change(Change::AddStage(id, Box::new(record)))?;
        let is_durable = |batch: &Batch| batch.fence < fence || (batch.fence == fence && batch.sequence < durable);
        let grants = grants.into_iter().filter(|(granted, _)| *granted <= fence);
        let mut history: Vec<(Fence, Change)> =
            grants.map(|(granted, grant)| (granted, Change::LogGrant(id, granted, grant))).collect();
        let batches = batches.into_iter().filter(is_durable);
        history.extend(batches.map(|batch| (batch.fence, Change::AppendPoints(id, batch))));
        // A store requires that writes of one stage come in the order of their fences. The sort keeps the order of
        // writes with the same fence.
        history.sort_by_key(|(fence, _)| *fence);
        for (_, change) in history {
            sealed.change(change)?;
        }
        sealed.change(Change::SetProgress(id, progress))?;
    }
    for (fingerprint, data) in snapshot.data {
        sealed.change(Change::SetData(fingerprint, Some(Box::new(data))))?;
    }
    let (changes, hash) = (sealed.changes, sealed.hasher.finalize().to_hex().to_string());
    sealed.line(&Line::Seal { changes, blake3: hash })?;
    sealed.out.flush()?;
    Ok(changes)
}

struct Sealed<'a> {
    out: &'a mut dyn Write,
    hasher: blake3::Hasher,
    changes: u64,
}

impl Sealed<'_> {
    fn change(&mut self, change: Change) -> Result<(), BackupError> {
        self.changes += 1;
        self.line(&Line::Change(Box::new(change)))
    }

    fn line(&mut self, line: &Line) -> Result<(), BackupError> {
        let mut text = serde_json::to_vec(line).map_err(|error| BackupError::Damaged(error.to_string()))?;
        text.push(b'\n');
        self.hasher.update(&text);
        Ok(self.out.write_all(&text)?)
    }
}

/// Checks that a backup is complete by reading all of it; returns its number of changes.
pub fn check(source: &mut dyn BufRead) -> Result<u64, BackupError> {
    read(source, &mut |_| Ok(()))
}

/// Restores the backup into `store`, which must be empty. `open` is called twice, because the source is read twice.
///
/// A restore goes back in time, so it takes two precautions. Leases of that time end. The fences of all stages without
/// a result rise above every fence that may have been granted since.
pub fn restore<R: BufRead>(
    store: &dyn Store,
    mut open: impl FnMut() -> std::io::Result<R>,
) -> Result<u64, BackupError> {
    check(&mut open()?)?;
    let snapshot = store.load()?;
    if !snapshot.sweeps.is_empty() || !snapshot.stages.is_empty() || !snapshot.data.is_empty() {
        return Err(BackupError::NotEmpty);
    }
    let mut group = Vec::with_capacity(GROUP);
    let changes = read(&mut open()?, &mut |change| {
        group.push(settle(change));
        if group.len() == GROUP {
            store.commit(&group)?;
            group.clear();
        }
        Ok(())
    })?;
    store.commit(&group)?;
    Ok(changes)
}

fn settle(change: Change) -> Change {
    let Change::SetProgress(id, mut progress) = change else { return change };
    if !matches!(progress.state, State::Succeeded(_)) && progress.fence > Fence(0) {
        progress.fence = progress.fence.beyond_recall();
        progress.batches = 0;
    }
    if matches!(progress.state, State::Leased(_) | State::Waiting(_)) {
        progress.state = State::Waiting(Waiting::Open);
    }
    Change::SetProgress(id, progress)
}

fn read(source: &mut dyn BufRead, take: &mut dyn FnMut(Change) -> Result<(), BackupError>) -> Result<u64, BackupError> {
    let damaged = |cause: &str| BackupError::Damaged(cause.to_owned());
    let mut hasher = blake3::Hasher::new();
    let mut changes = 0;
    let mut text = Vec::new();
    let mut is_first = true;
    loop {
        text.clear();
        if source.read_until(b'\n', &mut text)? == 0 {
            return Err(damaged("its end is missing"));
        }
        let line = serde_json::from_slice(&text).map_err(|error| BackupError::Damaged(error.to_string()))?;
        match line {
            Line::PretextBackup { format, .. } if is_first => {
                if format != FORMAT {
                    return Err(BackupError::Format(format));
                }
            }
            Line::Change(change) if !is_first => {
                changes += 1;
                take(*change)?;
            }
            Line::Seal { changes: sealed, blake3 } if !is_first => {
                return if sealed == changes && blake3 == hasher.finalize().to_hex().as_str() {
                    Ok(changes)
                } else {
                    Err(damaged("its seal does not match its content"))
                };
            }
            _ => return Err(damaged("its lines are not in order")),
        }
        is_first = false;
        hasher.update(&text);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use pretext_shared::device::{DeviceFacts, NumericClass};
    use pretext_shared::ids::WorkerId;
    use pretext_shared::stage::Extent;

    use super::*;
    use crate::RedbStore;
    use pretext_engine::submission::{self, Announced};
    use pretext_engine::{Engine, Limits, Offer, Refusal, Snapshot};

    const SWEEP: &str = "
name: copied
dataset: {kind: procedural, train_per_class: 40, test_per_class: 10, seed: 0, image_size: 16}
encoder: {kind: small-cnn, width: 4, blocks: 2}
methods: [supervised]
fractions: [50%]
lr: {fixed: {kind: constant, base: 0.01}}
seeds: [0]
downstream: {epochs: 1, batch: 8}
";

    #[test]
    fn a_restored_store_is_what_it_was_and_grants_above_everything_since() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = |name: &str| RedbStore::open(&folder.path().join(name)).expect("opens");
        let store = open("old.redb");
        let worker = WorkerId { name: "w".to_owned(), boot: uuid::Uuid::from_u128(1) };
        let device =
            DeviceFacts { name: "cpu".to_owned(), description: String::new(), class: NumericClass::Cpu, slots: 1 };
        let offer = Offer { devices: vec![device], datasets: vec![], version: String::new(), data_cache: 0 };
        let mut engine = Engine::restore(Limits::default(), Snapshot::default(), 0);
        engine.register(worker.clone(), offer.clone(), 0);
        let planned = submission::plan(SWEEP, Extent::Whole, &Announced::new(), NumericClass::Cpu).expect("good");
        engine.submit(planned.submission(SWEEP.to_owned(), 1, None));
        let first = engine.lease(&worker, "cpu", "r1", 0, 0).expect("known").expect("work");
        engine.points(first.attempt, 0, Vec::new(), 0).expect("accepted");
        store.commit(&engine.take_changes()).expect("committed");
        let mut copy = Vec::new();
        let changes = write(&store, &mut copy).expect("written");
        // The events after the copy.
        engine.release(first.attempt).expect("released");
        let since = engine.lease(&worker, "cpu", "r2", 0, 0).expect("known").expect("work");

        let restored = open("new.redb");
        assert_eq!(restore(&restored, || Ok(Cursor::new(&copy))).expect("restored"), changes);
        let (old, new) = (store.load().expect("readable"), restored.load().expect("readable"));
        assert_eq!(old.sweeps, new.sweeps);
        assert_eq!(old.stages.keys().collect::<Vec<_>>(), new.stages.keys().collect::<Vec<_>>());
        let stage = first.attempt.stage;
        assert_eq!(store.points(stage).expect("readable"), restored.points(stage).expect("readable"));
        assert_eq!(store.grants(stage).expect("readable"), restored.grants(stage).expect("readable"));
        let mut engine = Engine::restore(Limits::default(), new, 0);
        engine.register(worker.clone(), offer, 0);
        for attempt in [first.attempt, since.attempt] {
            assert!(matches!(engine.points(attempt, 1, Vec::new(), 0), Err(Refusal::Superseded { .. })));
        }
        let again = engine.lease(&worker, "cpu", "r3", 0, 0).expect("known").expect("work");
        assert!(again.attempt.fence > since.attempt.fence);
        assert!(matches!(restore(&restored, || Ok(Cursor::new(&copy))), Err(BackupError::NotEmpty)));
    }

    #[test]
    fn a_backup_that_is_cut_or_changed_is_refused_and_makes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = RedbStore::open(&folder.path().join("old.redb")).expect("opens");
        let planned = submission::plan(SWEEP, Extent::Whole, &Announced::new(), NumericClass::Cpu).expect("good");
        let mut engine = Engine::restore(Limits::default(), Snapshot::default(), 0);
        engine.submit(planned.submission(SWEEP.to_owned(), 1, None));
        store.commit(&engine.take_changes()).expect("committed");
        let mut copy = Vec::new();
        write(&store, &mut copy).expect("written");
        let empty = RedbStore::open(&folder.path().join("new.redb")).expect("opens");
        let mut flipped = copy.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        for damaged in [&copy[..copy.len() / 2], &copy[..0], &flipped] {
            assert!(matches!(restore(&empty, || Ok(Cursor::new(damaged))), Err(BackupError::Damaged(_))));
        }
        assert_eq!(empty.load().expect("readable"), Snapshot::default());
    }
}
