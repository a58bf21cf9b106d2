//! The place of the embedded store's database: a file, or what a test puts there instead.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use redb::{Database, DatabaseError};

use super::CACHE;

/// Room that must be free before a store that was full is used again, in bytes.
const ROOM: usize = 1 << 20;

/// See the module.
pub(super) trait Medium: Send + Sync {
    /// Opens the database, or creates it.
    fn open(&self) -> Result<Database, DatabaseError>;

    /// Checks that there is room for further commits.
    fn probe(&self) -> io::Result<()>;
}

/// A database file.
pub(super) struct OnFile(pub(super) PathBuf);

impl Medium for OnFile {
    fn open(&self) -> Result<Database, DatabaseError> {
        Database::builder().set_cache_size(CACHE).create(&self.0)
    }

    fn probe(&self) -> io::Result<()> {
        let beside = self.0.with_extension("room");
        let written = fill(&beside);
        // A file that is left behind is written over by the next probe.
        let removed = std::fs::remove_file(&beside);
        written.and(removed)
    }
}

/// Writes a file of [`ROOM`] bytes. A file system may count only what has reached the disk.
fn fill(path: &Path) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(&vec![1; ROOM])?;
    file.sync_all()
}
