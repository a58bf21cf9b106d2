//! The file operations that a checkpoint is made of. There are two homes: the operating system, and in tests a disk
//! that loses power, is full or refuses.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// A place for files.
pub trait Disk {
    /// An open file.
    type File: Write;

    /// Makes an empty file, in place of one that is there.
    fn create(&self, path: &Path) -> io::Result<Self::File>;
    /// Forces a file's content to the disk.
    fn sync(&self, file: &Self::File) -> io::Result<()>;
    /// Gives a file another name, in place of one that has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Forces the names in a folder to the disk.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// The files in a folder.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;
    /// A file's content, and how long it is.
    fn open(&self, path: &Path) -> io::Result<(impl Read, u64)>;
}

/// The operating system's.
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
