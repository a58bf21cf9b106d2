//! A file that stores content hashes by path, length and time of change. It only saves time: it may be removed at any
//! moment, and a file that cannot be read or written is ignored.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use pretext_shared::ids::ContentHash;
use serde::{Deserialize, Serialize};

/// Format version; raise it when the meaning of the file changes.
const SCHEMA: u32 = 1;

/// Age below which a hash is not stored. A file that changed more recently may change again with the same time of
/// change (some file systems count in seconds).
const SETTLED: Duration = Duration::from_secs(3);

/// The facts that identify a file as unchanged since it was hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    bytes: u64,
    /// Since 1970.
    modified: Duration,
}

impl Stamp {
    /// Returns `None` if the time of change is unknown or before 1970.
    pub(super) fn of(metadata: &Metadata) -> Option<Self> {
        let modified = metadata.modified().ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(Self { bytes: metadata.len(), modified })
    }

    fn is_settled(self, now: Duration) -> bool {
        now.checked_sub(self.modified).is_some_and(|age| age >= SETTLED)
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Known {
    #[serde(flatten)]
    stamp: Stamp,
    hash: ContentHash,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    schema: u32,
    files: BTreeMap<PathBuf, Known>,
}

/// The cache in memory.
#[derive(Debug)]
pub(super) struct HashCache {
    path: Option<PathBuf>,
    content: Content,
    changed: bool,
}

impl HashCache {
    /// Opens the cache at `path`; it is empty if the file is missing or cannot be read.
    pub(super) fn open(path: Option<&Path>) -> Self {
        let content = path
            .and_then(|path| fs::read(path).ok())
            .and_then(|bytes| serde_json::from_slice::<Content>(&bytes).ok())
            .filter(|content| content.schema == SCHEMA)
            .unwrap_or_default();
        Self { path: path.map(Path::to_owned), content, changed: false }
    }

    /// Returns the hash of the file at the absolute `path`, if the file still has the same stamp.
    pub(super) fn get(&self, path: &Path, stamp: Stamp) -> Option<ContentHash> {
        self.content.files.get(path).filter(|known| known.stamp == stamp).map(|known| known.hash)
    }

    /// Replaces all entries below `folder` with `files`.
    pub(super) fn replace<'a>(
        &mut self,
        folder: &Path,
        files: impl Iterator<Item = (&'a PathBuf, Stamp, ContentHash)>,
    ) {
        if self.path.is_none() {
            return;
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let (old, rest): (BTreeMap<_, _>, _) =
            std::mem::take(&mut self.content.files).into_iter().partition(|(path, _)| path.starts_with(folder));
        let new: BTreeMap<PathBuf, Known> = files
            .filter(|(_, stamp, _)| stamp.is_settled(now))
            .map(|(path, stamp, hash)| (path.clone(), Known { stamp, hash }))
            .collect();
        let same = old.len() == new.len()
            && old.iter().zip(&new).all(|(a, b)| a.0 == b.0 && a.1.stamp == b.1.stamp && a.1.hash == b.1.hash);
        self.changed |= !same;
        self.content.files = rest;
        self.content.files.extend(new);
    }

    /// Writes the cache if it changed, to a new file that replaces the old one at once.
    pub(super) fn save(mut self) {
        let Some(path) = self.path.filter(|_| self.changed) else { return };
        self.content.schema = SCHEMA;
        let Some(folder) = path.parent() else { return };
        let temporary = folder.join(format!(".hashes-{}", std::process::id()));
        // A cache that cannot be written costs only time at the next scan.
        let written = fs::create_dir_all(folder)
            .and_then(|()| fs::write(&temporary, serde_json::to_vec(&self.content)?))
            .and_then(|()| fs::rename(&temporary, &path));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_remembered_until_the_file_changes() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (file, cache) = (folder.path().join("a.png"), folder.path().join("deep/cache.json"));
        fs::write(&file, b"one").expect("a file");
        let long_ago = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 5);
        let touch =
            |when| fs::File::options().write(true).open(&file).and_then(|f| f.set_modified(when)).expect("a time");
        let stamp = || Stamp::of(&file.metadata().expect("the file")).expect("a time");
        let hash = ContentHash::of(b"one");
        let remember = |stamp| {
            let mut open = HashCache::open(Some(&cache));
            open.replace(folder.path(), [(&file, stamp, hash)].into_iter());
            open.save();
        };
        remember(stamp());
        assert_eq!(HashCache::open(Some(&cache)).get(&file, stamp()), None, "just written: may change unseen");
        touch(long_ago);
        remember(stamp());
        assert_eq!(HashCache::open(Some(&cache)).get(&file, stamp()), Some(hash));
        touch(long_ago + Duration::from_nanos(1));
        assert_eq!(HashCache::open(Some(&cache)).get(&file, stamp()), None);
        fs::write(&cache, b"{ damaged").expect("a file");
        assert_eq!(HashCache::open(Some(&cache)).get(&file, stamp()), None);
        remember(stamp());
        assert_eq!(HashCache::open(Some(&cache)).get(&file, stamp()), Some(hash), "a damaged cache is replaced");
    }
}
