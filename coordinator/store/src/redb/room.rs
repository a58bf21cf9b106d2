//! Tests a disk that becomes full: nothing of the failed commit is half there, and the store continues with room.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use ::redb::{DatabaseError, StorageBackend};
use pretext_engine::Progress;
use pretext_engine::fixtures::{SWEEP, submission};

use super::super::Store;
use super::*;

/// A disk in memory that is full after so many more writes.
#[derive(Debug, Clone, Default)]
struct Disk {
    content: Arc<Mutex<Vec<u8>>>,
    is_full: Arc<AtomicBool>,
    writes: Arc<AtomicU64>,
    /// The number of writes after which it is full; 0 for never.
    room: Arc<AtomicU64>,
}

impl Disk {
    fn content(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.content.lock().expect("no panic")
    }

    fn take_room(&self) -> io::Result<()> {
        let room = self.room.load(Ordering::Relaxed);
        if room > 0 && self.writes.fetch_add(1, Ordering::Relaxed) >= room {
            self.is_full.store(true, Ordering::Relaxed);
        }
        self.probe()
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.content().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let from = offset as usize;
        out.copy_from_slice(&self.content()[from..from + out.len()]);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.content().resize(length as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.probe()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.take_room()?;
        let from = offset as usize;
        self.content()[from..from + data.len()].copy_from_slice(data);
        Ok(())
    }
}

impl Medium for Disk {
    fn open(&self) -> Result<Database, DatabaseError> {
        Database::builder().create_with_backend(self.clone())
    }

    fn probe(&self) -> io::Result<()> {
        match self.is_full.load(Ordering::Relaxed) {
            true => Err(io::Error::from(io::ErrorKind::StorageFull)),
            false => Ok(()),
        }
    }
}

#[test]
fn a_full_disk_is_named_and_the_store_continues_with_room() {
    let submitted = submission(SWEEP, 1).stages;
    let planned = |(id, plan): &(StageId, StageRecord)| {
        [Change::AddStage(*id, Box::new(plan.clone())), Change::SetProgress(*id, Box::default())]
    };
    let first: Vec<Change> = submitted.iter().take(1).flat_map(planned).collect();
    let id = submitted[0].0;
    let second = Change::SetProgress(id, Box::new(Progress { fence: Fence(7), ..Progress::new() }));
    // The disk becomes full at every write of the second commit.
    for room in 1.. {
        let disk = Disk::default();
        let store = RedbStore::on(Box::new(disk.clone()), Path::new("state/state.redb")).expect("opens");
        store.commit(&first).expect("committed");
        let before = store.load().expect("readable");
        disk.room.store(room, Ordering::Relaxed);
        disk.writes.store(0, Ordering::Relaxed);
        let Err(full) = store.commit(std::slice::from_ref(&second)) else { break };
        assert!(matches!(full, StoreError::Full { .. }) && full.is_retryable(), "{full}");
        assert!(full.to_string().contains("state/state.redb"), "{full}");
        assert!(store.commit(std::slice::from_ref(&second)).is_err(), "nothing more is committed");
        assert!(matches!(store.reopen(), Err(StoreError::Full { .. })), "it is still full");
        disk.room.store(0, Ordering::Relaxed);
        disk.is_full.store(false, Ordering::Relaxed);
        store.reopen().expect("there is room");
        let after = store.load().expect("readable");
        let fence = after.stages[&id].1.fence;
        assert!(after == before || fence == Fence(7), "all or nothing: {fence}");
        store.commit(std::slice::from_ref(&second)).expect("committed");
        assert_eq!(store.load().expect("readable").stages[&id].1.fence, Fence(7));
    }
}
