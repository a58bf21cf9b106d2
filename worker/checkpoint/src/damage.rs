//! Tests of checkpoints under damage: power is lost at any moment, the disk is full or fails, a file is cut or changed.
//! A load must return a whole checkpoint, never older than the last that was reported as saved.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Cursor, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use pretext_shared::draw::{Draw, Place, Purpose};

use super::bundle::{TEMPORARY, write_whole_to};
use super::tests::{snapshot, stage};
use super::{Checkpoints, Disk, file_name};

const FOLDER: &str = "/stage";

/// A change of a disk's content. The names change together or not at all.
#[derive(Debug, Clone)]
enum Operation {
    Names(Vec<(PathBuf, Option<usize>)>),
    Write { file: usize, offset: usize, data: Vec<u8> },
    Sync(usize),
    SyncFolder,
}

#[derive(Debug, Clone, Default)]
struct Content {
    names: BTreeMap<PathBuf, usize>,
    files: Vec<Vec<u8>>,
}

impl Content {
    fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Names(changes) => {
                for (name, file) in changes {
                    match file {
                        Some(file) => self.names.insert(name.clone(), *file),
                        None => self.names.remove(name),
                    };
                }
            }
            Operation::Write { file, offset, data } => {
                self.files.resize_with(self.files.len().max(file + 1), Vec::new);
                let content = &mut self.files[*file];
                content.resize(content.len().max(offset + data.len()), 0);
                content[*offset..offset + data.len()].copy_from_slice(data);
            }
            Operation::Sync(_) | Operation::SyncFolder => {}
        }
    }
}

/// An error that the disk returns after a number of operations, once or permanently.
#[derive(Debug, Clone, Copy)]
struct Fault {
    after: usize,
    kind: ErrorKind,
    lasting: bool,
}

#[derive(Debug, Default)]
struct State {
    content: Content,
    record: Vec<Operation>,
    fault: Option<Fault>,
    /// A file that cannot be read.
    unreadable: Option<PathBuf>,
}

impl State {
    fn check(&mut self) -> io::Result<()> {
        match &mut self.fault {
            Some(Fault { after: 0, kind, lasting }) => {
                let error = io::Error::from(*kind);
                if !*lasting {
                    self.fault = None;
                }
                Err(error)
            }
            Some(fault) => {
                fault.after -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn apply(&mut self, operation: Operation) {
        self.content.apply(&operation);
        self.record.push(operation);
    }
}

/// The simulated disk.
#[derive(Debug, Clone, Default)]
struct Simulated(Rc<RefCell<State>>);

impl Simulated {
    fn with(content: Content) -> Self {
        Self(Rc::new(RefCell::new(State { content, ..Default::default() })))
    }
}

struct SimulatedFile {
    disk: Simulated,
    file: usize,
    length: usize,
}

impl Write for SimulatedFile {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let mut state = self.disk.0.borrow_mut();
        let whole = state.check();
        // A full disk takes a part of the data first.
        let taken = if whole.is_ok() { data.len() } else { data.len() / 2 };
        state.apply(Operation::Write { file: self.file, offset: self.length, data: data[..taken].to_vec() });
        self.length += taken;
        whole.map(|()| taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Disk for Simulated {
    type File = SimulatedFile;

    fn create(&self, path: &Path) -> io::Result<SimulatedFile> {
        let mut state = self.0.borrow_mut();
        state.check()?;
        let file = state.content.files.len();
        state.content.files.push(Vec::new());
        state.apply(Operation::Names(vec![(path.to_owned(), Some(file))]));
        Ok(SimulatedFile { disk: self.clone(), file, length: 0 })
    }

    fn sync(&self, file: &SimulatedFile) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.check()?;
        state.apply(Operation::Sync(file.file));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.check()?;
        let file = *state.content.names.get(from).ok_or(ErrorKind::NotFound)?;
        state.apply(Operation::Names(vec![(from.to_owned(), None), (to.to_owned(), Some(file))]));
        Ok(())
    }

    fn sync_folder(&self, _folder: &Path) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.check()?;
        state.apply(Operation::SyncFolder);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.check()?;
        state.apply(Operation::Names(vec![(path.to_owned(), None)]));
        Ok(())
    }

    fn list(&self, _folder: &Path) -> io::Result<Vec<PathBuf>> {
        let mut state = self.0.borrow_mut();
        state.check()?;
        Ok(state.content.names.keys().cloned().collect())
    }

    fn open(&self, path: &Path) -> io::Result<(impl Read, u64)> {
        let state = self.0.borrow();
        if state.unreadable.as_deref() == Some(path) {
            return Err(io::Error::other("input/output error"));
        }
        let file = *state.content.names.get(path).ok_or(ErrorKind::NotFound)?;
        let content = state.content.files[file].clone();
        let length = content.len() as u64;
        Ok((Cursor::new(content), length))
    }
}

fn checkpoints(disk: &Simulated) -> Checkpoints<Simulated> {
    Checkpoints::on(disk.clone(), Path::new(FOLDER), stage("a"), 2)
}

fn path(step: u64) -> PathBuf {
    Path::new(FOLDER).join(file_name(step))
}

/// Returns the step of the newest checkpoint, and checks that its content is what was saved.
#[track_caller]
fn newest(checkpoints: &Checkpoints<Simulated>, what: &str) -> Option<u64> {
    let found = checkpoints.newest().unwrap_or_else(|error| panic!("{what}: {error}"))?;
    assert_eq!(found, snapshot(found.position.step), "{what}");
    Some(found.position.step)
}

/// Returns the contents that a disk may have if `pending` was not forced.
fn survivors(forced: &Content, pending: &[Operation], draw: &mut Draw) -> Vec<Content> {
    let with = |operations: Vec<Operation>| {
        let mut content = forced.clone();
        operations.iter().for_each(|operation| content.apply(operation));
        content
    };
    let mut all = vec![forced.clone(), with(pending.to_vec())];
    for index in 0..pending.len() {
        let mut others = pending.to_vec();
        let one = others.remove(index);
        all.push(with(others.clone()));
        all.push(with(vec![one.clone()]));
        if let Operation::Write { file, offset, data } = one {
            let cut = draw.below(data.len() + 1);
            let torn = Operation::Write { file, offset, data: data[..cut].to_vec() };
            all.push(with([others.clone(), vec![torn.clone()]].concat()));
            all.push(with([&pending[..index], &[torn]].concat()));
        }
    }
    for _ in 0..16 {
        all.push(with(pending.iter().filter(|_| draw.chance(0.5)).cloned().collect()));
    }
    all
}

/// Calls `check` with every content that a disk may have if power is lost after each of the operations: with the number
/// of operations, and that of the variant.
fn lose_power(record: &[Operation], mut check: impl FnMut(usize, usize, Content)) {
    let mut draw = Draw::new(Place { seed: 0, purpose: Purpose::Order, epoch: 0, sample: 0, view: 0 }, 0);
    let (mut forced, mut pending) = (Content::default(), Vec::<Operation>::new());
    for (index, operation) in record.iter().enumerate() {
        let is_forced = |pending: &Operation| match (operation, pending) {
            (Operation::Sync(synced), Operation::Write { file, .. }) => synced == file,
            (Operation::SyncFolder, Operation::Names(_)) => true,
            _ => false,
        };
        match operation {
            Operation::Names(_) | Operation::Write { .. } => pending.push(operation.clone()),
            Operation::Sync(_) | Operation::SyncFolder => pending.retain(|waiting| {
                let now = is_forced(waiting);
                if now {
                    forced.apply(waiting);
                }
                !now
            }),
        }
        for (variant, mut content) in survivors(&forced, &pending, &mut draw).into_iter().enumerate() {
            let last = content.names.values().max().map_or(0, |file| file + 1);
            content.files.resize_with(content.files.len().max(last), Vec::new);
            check(index + 1, variant, content);
        }
    }
}

#[test]
fn power_may_be_lost_at_any_moment_of_a_save() {
    let disk = Simulated::default();
    let saved = checkpoints(&disk);
    // For each step, the operation after which it was reported as saved.
    let mut acknowledged = vec![(0, None)];
    for step in 1..=5 {
        saved.save(snapshot(step)).expect("a good disk");
        acknowledged.push((disk.0.borrow().record.len(), Some(step)));
    }
    let record = disk.0.borrow().record.clone();
    let mut disks = 0;
    lose_power(&record, |done, variant, content| {
        let at = acknowledged.iter().rposition(|(by, _)| *by <= done).expect("the beginning");
        let (known, next) = (acknowledged[at].1, acknowledged.get(at + 1).and_then(|(_, step)| *step));
        let what = format!("power lost after operation {done}, variant {variant}");
        let survived = checkpoints(&Simulated::with(content));
        let found = newest(&survived, &what);
        assert!(found == known || found == next && next.is_some(), "{what}: found {found:?}, saved {known:?}");
        // Files that were left behind do no harm.
        survived.save(snapshot(9)).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(newest(&survived, &what), Some(9));
        disks += 1;
    });
    println!("{} operations, {disks} disks after power loss", record.len());
    assert!(disks > 1000, "{disks}");
}

/// Predictions, splits and weights are written again under the same name if a stage is resumed.
#[test]
fn a_file_that_is_replaced_is_the_old_or_the_new_one() {
    let (disk, path) = (Simulated::default(), Path::new(FOLDER).join("predictions.csv"));
    let write = |text: &'static [u8]| write_whole_to(&disk, &path, |file| file.write_all(text)).expect("a good disk");
    write(b"old");
    let replaced = disk.0.borrow().record.len();
    write(b"the new one");
    let record = disk.0.borrow().record.clone();
    let mut seen = BTreeSet::new();
    lose_power(&record, |done, variant, content| {
        let found = content.names.get(&path).map(|file| content.files[*file].as_slice());
        let is_whole = match found {
            None => done < replaced,
            Some(text) => text == b"old" && done < record.len() || text == b"the new one",
        };
        assert!(is_whole, "power lost after operation {done}, variant {variant}: found {found:?}");
        seen.insert(found.map(<[u8]>::to_vec));
    });
    assert_eq!(seen.len(), 3, "without the file, with the old one, with the new one: {seen:?}");
}

#[test]
fn a_save_that_fails_leaves_the_one_before() {
    let mut cases = 0;
    for kind in [ErrorKind::StorageFull, ErrorKind::Other] {
        for lasting in [false, true] {
            for after in 0.. {
                let disk = Simulated::default();
                let saved = checkpoints(&disk);
                (1..=2).for_each(|step| drop(saved.save(snapshot(step)).expect("a good disk")));
                let operations = disk.0.borrow().record.len();
                disk.0.borrow_mut().fault = Some(Fault { after, kind, lasting });
                let result = saved.save(snapshot(3));
                let unused = disk.0.borrow_mut().fault.take().is_some_and(|fault| fault.after > 0);
                let what = format!("{kind:?} after {after} operations, lasting: {lasting}");
                let renamed = disk.0.borrow().record[operations..].iter().any(
                    |operation| matches!(operation, Operation::Names(names) if names.contains(&(path(3), Some(2)))),
                );
                let found = newest(&saved, &what);
                // A checkpoint that is whole under its name is used, even if its folder could not be forced to the
                // disk.
                assert_eq!(found, Some(if renamed { 3 } else { 2 }), "{what}");
                assert!(result.is_err() || renamed, "{what}");
                // On a full disk the half file takes the room.
                let partial =
                    disk.0.borrow().content.names.keys().any(|name| name.to_string_lossy().ends_with(TEMPORARY));
                assert!(!partial || lasting, "a half file was left: {what}");
                saved.save(snapshot(4)).unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_eq!(newest(&saved, &what), Some(4), "{what}");
                cases += 1;
                if unused {
                    break;
                }
            }
        }
    }
    println!("{cases} saves with a fault");
    assert!(cases > 40, "{cases}");
}

#[test]
fn damage_anywhere_falls_back_to_the_one_before() {
    let disk = Simulated::default();
    let saved = checkpoints(&disk);
    (1..=2).for_each(|step| drop(saved.save(snapshot(step)).expect("a good disk")));
    assert_eq!(newest(&saved, "whole"), Some(2));
    let file = disk.0.borrow().content.names[&path(2)];
    let whole = disk.0.borrow().content.files[file].clone();
    let mut cases = 0;
    let mut check = |content: Vec<u8>, what: String| {
        disk.0.borrow_mut().content.files[file] = content;
        assert_eq!(newest(&saved, &what), Some(1), "{what}");
        cases += 1;
    };
    for length in 0..whole.len() {
        check(whole[..length].to_vec(), format!("cut to {length}"));
    }
    for byte in 0..whole.len() {
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[byte] ^= 1 << bit;
            check(flipped, format!("bit {bit} of byte {byte}"));
        }
    }
    check([&whole[..], &[0]].concat(), "a byte more".to_owned());
    check(vec![0; whole.len()], "zeros".to_owned());
    disk.0.borrow_mut().content.files[file] = whole;
    assert_eq!(newest(&saved, "whole again"), Some(2));
    disk.0.borrow_mut().unreadable = Some(path(2));
    assert_eq!(newest(&saved, "unreadable"), Some(1));
    println!("{cases} damaged files");
    assert!(cases > 5000, "{cases}");
}
