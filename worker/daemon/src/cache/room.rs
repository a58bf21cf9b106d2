//! Decides which data sets stay on the disk: those within a limit. The least recently used data sets are removed first,
//! and never one that is in use.

use std::collections::BTreeMap;

use pretext_shared::ids::Fingerprint;

/// How much of a data set is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Completeness {
    /// A part of it.
    Begun,
    /// All of it.
    Whole,
}

#[derive(Debug)]
struct Entry {
    completeness: Completeness,
    bytes: u64,
    /// Time of last use: a larger number is later.
    used: u64,
    holders: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Room {
    limit: u64,
    clock: u64,
    entries: BTreeMap<Fingerprint, Entry>,
}

/// Why there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoRoom {
    /// The data set is larger than the limit.
    Limit,
    /// Data sets in use must be released first.
    InUse,
}

impl Room {
    /// Returns the state of an empty folder.
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, clock: 0, entries: BTreeMap::new() }
    }

    /// Adds a data set that was found on the disk. Call it in order of last use, latest last.
    pub(super) fn found(&mut self, data: Fingerprint, completeness: Completeness, bytes: u64) {
        self.clock += 1;
        self.entries.insert(data, Entry { completeness, bytes, used: self.clock, holders: 0 });
    }

    /// Takes a data set into use if all of it is there. Returns whether it did.
    pub(super) fn hold(&mut self, data: Fingerprint) -> bool {
        self.clock += 1;
        match self.entries.get_mut(&data) {
            Some(entry) if entry.completeness == Completeness::Whole => {
                (entry.used, entry.holders) = (self.clock, entry.holders + 1);
                true
            }
            _ => false,
        }
    }

    /// Reserves room for a data set that is to be fetched, and takes it into use. Remove the returned data sets from
    /// the disk first.
    pub(super) fn reserve(&mut self, data: Fingerprint, bytes: u64) -> Result<Vec<Fingerprint>, NoRoom> {
        if bytes > self.limit {
            return Err(NoRoom::Limit);
        }
        let mut others: Vec<(Fingerprint, &Entry)> =
            self.entries.iter().filter(|(other, _)| **other != data).map(|(other, entry)| (*other, entry)).collect();
        others.sort_by_key(|(_, entry)| entry.used);
        let mut taken = others.iter().fold(0u64, |sum, (_, entry)| sum.saturating_add(entry.bytes));
        let mut gone = Vec::new();
        for (other, entry) in others.into_iter().filter(|(_, entry)| entry.holders == 0) {
            if taken <= self.limit - bytes {
                break;
            }
            taken = taken.saturating_sub(entry.bytes);
            gone.push(other);
        }
        if taken > self.limit - bytes {
            return Err(NoRoom::InUse);
        }
        self.entries.retain(|other, _| !gone.contains(other));
        self.clock += 1;
        let entry = Entry { completeness: Completeness::Begun, bytes, used: self.clock, holders: 1 };
        self.entries.insert(data, entry);
        Ok(gone)
    }

    /// Records that all of a data set is there.
    pub(super) fn complete(&mut self, data: Fingerprint) {
        if let Some(entry) = self.entries.get_mut(&data) {
            entry.completeness = Completeness::Whole;
        }
    }

    /// Records that a data set is no longer on the disk.
    pub(super) fn forget(&mut self, data: Fingerprint) {
        self.entries.remove(&data);
    }

    /// Records that a user of a data set is done with it.
    pub(super) fn release(&mut self, data: Fingerprint) {
        if let Some(entry) = self.entries.get_mut(&data) {
            entry.holders = entry.holders.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use pretext_shared::ids::ContentHash;

    use super::*;

    fn data(name: &str) -> Fingerprint {
        Fingerprint(ContentHash::of(name.as_bytes()))
    }

    #[test]
    fn what_was_used_longest_ago_goes_and_never_what_is_in_use() {
        let (a, b, c, d) = (data("a"), data("b"), data("c"), data("d"));
        let mut room = Room::new(100);
        room.found(a, Completeness::Whole, 40);
        room.found(b, Completeness::Begun, 40);
        assert!(room.hold(a) && !room.hold(b), "one of them is not all there");
        room.release(a);
        assert_eq!(room.reserve(c, 101), Err(NoRoom::Limit));
        assert_eq!(room.reserve(c, 30), Ok(vec![b]), "`a` was used after it");
        assert!(!room.hold(c), "it is not there yet");
        room.complete(c);
        assert!(room.hold(a));
        assert_eq!(room.reserve(d, 40), Err(NoRoom::InUse));
        assert_eq!(room.reserve(d, 30), Ok(vec![]));
        room.release(d);
        room.release(c);
        assert_eq!(room.reserve(b, 60), Ok(vec![c, d]), "as many as it takes, in order of their use");
        room.release(a);
        room.forget(b);
        assert_eq!(room.reserve(c, 100), Ok(vec![a]));
    }

    #[test]
    fn a_fetch_that_goes_on_takes_its_own_place() {
        let a = data("a");
        let mut room = Room::new(100);
        room.found(a, Completeness::Begun, 80);
        assert_eq!(room.reserve(a, 80), Ok(vec![]));
    }
}
