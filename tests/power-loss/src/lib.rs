//! A simulated disk that loses power, is full or broken for a while, and is slow on request. It records every operation
//! of a run. Then power is lost after each operation; everything that was not synced is lost, kept, torn or reordered.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use pretext_shared::draw::{Draw, Place, Purpose};

/// Sector size: a torn write ends or begins at a multiple of this.
const SECTOR: usize = 512;
/// Number of random selections of surviving operations, at each moment.
const SELECTIONS: usize = 8;

/// One operation of a disk.
#[derive(Debug, Clone)]
enum Operation {
    Write { offset: usize, data: Vec<u8> },
    SetLength(usize),
    Sync,
}

#[derive(Debug, Default)]
struct Platter {
    content: Vec<u8>,
    operations: Vec<Operation>,
    /// Whether the next operation waits, and whether an operation is waiting.
    closed: bool,
    waited_for: bool,
    /// Number of writes and syncs that succeed before the disk refuses the next `refusals`.
    good: usize,
    refusals: usize,
}

/// The disk under a database's file. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<(Mutex<Platter>, Condvar)>);

impl Disk {
    /// Returns a good disk with this content.
    pub fn with(content: Vec<u8>) -> Self {
        let platter = Platter { content, good: usize::MAX, ..Default::default() };
        Self(Arc::new((Mutex::new(platter), Condvar::new())))
    }

    fn platter(&self) -> MutexGuard<'_, Platter> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of operations so far.
    pub fn recorded(&self) -> usize {
        self.platter().operations.len()
    }

    /// Returns whether the last operation was a sync.
    pub fn ends_with_a_sync(&self) -> bool {
        matches!(self.platter().operations.last(), Some(Operation::Sync))
    }

    /// From now on, operations wait.
    pub fn close(&self) {
        let mut platter = self.platter();
        (platter.closed, platter.waited_for) = (true, false);
    }

    /// Returns whether an operation has waited since the disk was closed.
    pub fn is_waited_for(&self) -> bool {
        self.platter().waited_for
    }

    /// Lets operations continue.
    pub fn reopen(&self) {
        self.platter().closed = false;
        self.0.1.notify_all();
    }

    /// Lets `good` more operations succeed and refuses the next `refusals`, as a full disk does.
    pub fn refuse(&self, good: usize, refusals: usize) {
        let mut platter = self.platter();
        (platter.good, platter.refusals) = (good, refusals);
    }

    /// Returns the number of refusals that are still to come.
    pub fn refusals_left(&self) -> usize {
        self.platter().refusals
    }

    fn apply(&self, operation: Operation) -> io::Result<()> {
        let mut platter = self.platter();
        if platter.closed {
            platter.waited_for = true;
            let open = self.0.1.wait_while(platter, |platter| platter.closed);
            platter = open.unwrap_or_else(PoisonError::into_inner);
        }
        match platter.good.checked_sub(1) {
            Some(good) => platter.good = good,
            None if platter.refusals > 0 => {
                platter.refusals -= 1;
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            None => {}
        }
        operation.apply(&mut platter.content);
        platter.operations.push(operation);
        Ok(())
    }
}

impl Operation {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Operation::Write { offset, data } => {
                let end = offset + data.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*offset..end].copy_from_slice(data);
            }
            Operation::SetLength(length) => content.resize(*length, 0),
            Operation::Sync => {}
        }
    }
}

impl redb::StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.platter().content.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let offset = offset as usize;
        let platter = self.platter();
        let content = platter.content.get(offset..offset + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(content);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.apply(Operation::SetLength(length as usize))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.apply(Operation::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.apply(Operation::Write { offset: offset as usize, data: data.to_vec() })
    }
}

/// Counts of the lost and checked states.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Losses {
    /// Operations of the run.
    pub operations: usize,
    /// Number of syncs among them.
    pub boundaries: usize,
    /// Number of disk states that were checked.
    pub disks: usize,
}

/// Loses power after each operation of `disk` except the first `opened`: before a file was opened for the first time
/// nothing was promised, not even a file. `check` gets the number of operations, a name of the moment, and the disk's
/// content.
pub fn lose_power(disk: &Disk, opened: usize, mut check: impl FnMut(usize, &str, Vec<u8>)) -> Losses {
    let operations = disk.platter().operations.clone();
    let mut draw = Draw::new(Place { seed: 0, purpose: Purpose::Order, epoch: 0, sample: 0, view: 0 }, 0);
    let (mut synced, mut pending): (Vec<u8>, Vec<Operation>) = (Vec::new(), Vec::new());
    let mut losses = Losses { operations: operations.len(), ..Default::default() };
    for (index, operation) in operations.iter().enumerate() {
        match operation {
            Operation::Sync => {
                pending.drain(..).for_each(|operation| operation.apply(&mut synced));
                losses.boundaries += 1;
            }
            other => pending.push(other.clone()),
        }
        let done = index + 1;
        if done < opened {
            continue;
        }
        for (variant, content) in survivors(&synced, &pending, &mut draw).into_iter().enumerate() {
            check(done, &format!("power lost after operation {done}, variant {variant}"), content);
            losses.disks += 1;
        }
    }
    losses
}

/// Returns the contents that a disk may have if `pending` was not synced.
fn survivors(synced: &[u8], pending: &[Operation], draw: &mut Draw) -> Vec<Vec<u8>> {
    let content = |operations: &mut dyn Iterator<Item = Operation>| {
        let mut content = synced.to_vec();
        operations.for_each(|operation| operation.apply(&mut content));
        content
    };
    if pending.is_empty() {
        return vec![synced.to_vec()];
    }
    let mut all = vec![content(&mut std::iter::empty()), content(&mut pending.iter().cloned())];
    for skipped in 0..pending.len() {
        // All but one, one alone, and one that is torn after all others or after those before it.
        let others = pending.iter().enumerate().filter(|(index, _)| *index != skipped).map(|(_, other)| other);
        all.push(content(&mut others.clone().cloned()));
        all.push(content(&mut pending[skipped..=skipped].iter().cloned()));
        if let Operation::Write { offset, data } = &pending[skipped]
            && data.len() > SECTOR
        {
            let cut = SECTOR * (1 + draw.below(data.len() / SECTOR)).min(data.len() / SECTOR);
            let head = Operation::Write { offset: *offset, data: data[..cut].to_vec() };
            let tail = Operation::Write { offset: offset + cut, data: data[cut..].to_vec() };
            all.push(content(&mut others.clone().cloned().chain([head.clone()])));
            all.push(content(&mut others.cloned().chain([tail])));
            all.push(content(&mut pending[..skipped].iter().cloned().chain([head])));
        }
    }
    for _ in 0..SELECTIONS {
        all.push(content(&mut pending.iter().filter(|_| draw.below(2) == 0).cloned().collect::<Vec<_>>().into_iter()));
    }
    all
}
