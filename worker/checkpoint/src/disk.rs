//! The file operations that checkpoints need. There are two implementations: the operating system, and, in tests, a
//! disk that loses power, is full or fails.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// A place for files.
pub trait Disk {
    /// An open file.
    type File: Write;

    /// Makes an empty file, and replaces an existing one.
    fn create(&self, path: &Path) -> io::Result<Self::File>;
    /// Forces a file's content to the disk.
    fn sync(&self, file: &Self::File) -> io::Result<()>;
    /// Renames a file, and replaces an existing one of the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Forces the names in a folder to the disk.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Returns the files in a folder.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;
    /// Returns a file's content and its length.
    fn open(&self, path: &Path) -> io::Result<(impl Read, u64)>;
}

/// The operating system's disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct Os;

impl Disk for Os {
    type File = File;

    fn create(&self, path: &Path) -> io::Result<File> {
        File::create(path)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder).and_then(|folder| folder.sync_all())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(fs::read_dir(folder)?.flatten().map(|entry| entry.path()).collect())
    }

    fn open(&self, path: &Path) -> io::Result<(impl Read, u64)> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok((file, length))
    }
}
