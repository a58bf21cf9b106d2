//! What may be on the disk: data sets within a limit, of which those go that were used longest ago. One that is in use
//! never goes.

use std::collections::BTreeMap;

use pretext_shared::ids::Fingerprint;

/// How far a data set has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Some of it is there.
    Begun,
    /// All of it is.
    Whole,
}

#[derive(Debug)]
struct Entry {
    standing: Standing,
    bytes: u64,
    /// The larger the later.
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

/// Why there is no room now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoRoom {
    /// There never is.
    Limit,
    /// What is in use has to be released first.
    InUse,
}

impl Room {
    /// Nothing is there.
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, clock: 0, entries: BTreeMap::new() }
    }

    /// Something was found on the disk; what was used last is found last.
    pub(super) fn found(&mut self, data: Fingerprint, standing: Standing, bytes: u64) {
        self.clock += 1;
        self.entries.insert(data, Entry { standing, bytes, used: self.clock, holders: 0 });
    }

    /// Takes a data set into use if all of it is there.
    pub(super) fn hold(&mut self, data: Fingerprint) -> bool {
        self.clock += 1;
        match self.entries.get_mut(&data) {
            Some(entry) if entry.standing == Standing::Whole => {
                (entry.used, entry.holders) = (self.clock, entry.holders + 1);
                true
            }
            _ => false,
        }
    }

    /// Takes room for a data set that is to be fetched, and it into use. What is returned has to go from the disk first.
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
        let entry = Entry { standing: Standing::Begun, bytes, used: self.clock, holders: 1 };
        self.entries.insert(data, entry);
        Ok(gone)
    }

    /// All of a data set is there.
    pub(super) fn complete(&mut self, data: Fingerprint) {
        if let Some(entry) = self.entries.get_mut(&data) {
            entry.standing = Standing::Whole;
        }
    }

    /// Nothing of a data set is there any more.
    pub(super) fn forget(&mut self, data: Fingerprint) {
        self.entries.remove(&data);
    }

    /// A user of a data set has done with it.
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
        room.found(a, Standing::Whole, 40);
        room.found(b, Standing::Begun, 40);
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
        room.found(a, Standing::Begun, 80);
        assert_eq!(room.reserve(a, 80), Ok(vec![]));
    }
}
