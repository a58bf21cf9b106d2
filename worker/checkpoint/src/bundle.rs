//! A file of named sections that is read whole or refused.
//!
//! ```text
//! magic (8)  "PRETEXT1"
//! u32 LE     length of the manifest
//! 32         BLAKE3 of the manifest
//! manifest   JSON: kind, and name, length and BLAKE3 of each section
//! sections   one after the other, to the end of the file
//! ```
//!
//! A file is written under a temporary name, forced to the disk, and then renamed: a reader sees all of it or none.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use pretext_shared::ids::ContentHash;
use serde::{Deserialize, Serialize};

use super::disk::{Disk, Os};

const MAGIC: &[u8; 8] = b"PRETEXT1";
/// Length of the part before the manifest: magic, length, hash.
const HEADER: usize = 8 + 4 + 32;
/// Limit of the manifest's length. A manifest has a few short lines; a longer one is damage.
const MANIFEST_LIMIT: u64 = 1 << 20;

/// Why a bundle cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The operation.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file is not as it was written.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The part that is wrong.
        what: String,
    },
    /// The file is whole, but of another kind or of another stage.
    #[error("{} cannot be used here: {what}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The expected and the found kind or stage.
        what: String,
    },
}

impl BundleError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// Returns whether the disk has no room: the same write may succeed later.
    pub fn is_full(&self) -> bool {
        let kinds = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
        matches!(self, Self::Io { source, .. } if kinds.contains(&source.kind()))
    }

    /// A bundle that is not what it should be.
    pub fn damaged(path: &Path, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.into() }
    }
}

/// Byte strings with names, stored together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The kind of file: `checkpoint` or `model`.
    pub kind: String,
    /// The sections, in the order in which they are written.
    pub sections: Vec<(String, Vec<u8>)>,
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    kind: String,
    sections: Vec<Section>,
}

#[derive(Serialize, Deserialize)]
struct Section {
    name: String,
    bytes: u64,
    hash: ContentHash,
}

impl Bundle {
    /// Writes the bundle to `path`, and forces it to the disk. After an error nothing is written.
    pub fn write(&self, path: &Path) -> Result<(), BundleError> {
        self.write_to(&Os, path)
    }

    /// [`Bundle::write`] on `disk`.
    pub(super) fn write_to(&self, disk: &impl Disk, path: &Path) -> Result<(), BundleError> {
        let sections = self.sections.iter().map(|(name, content)| Section {
            name: name.clone(),
            bytes: content.len() as u64,
            hash: ContentHash::of(content),
        });
        let manifest = Manifest { kind: self.kind.clone(), sections: sections.collect() };
        let manifest = serde_json::to_vec(&manifest).expect("strings and integers are always valid JSON");
        let length = u32::try_from(manifest.len()).expect("a manifest has a few short lines");
        let hash = blake3::hash(&manifest);
        write_whole_to(disk, path, |file| {
            file.write_all(MAGIC)?;
            file.write_all(&length.to_le_bytes())?;
            file.write_all(hash.as_bytes())?;
            file.write_all(&manifest)?;
            self.sections.iter().try_for_each(|(_, content)| file.write_all(content))
        })
    }

    /// Reads a bundle of kind `kind`. Returns only bytes that match their hashes, and allocates no more than the file's
    /// length.
    pub fn read(path: &Path, kind: &str) -> Result<Self, BundleError> {
        Self::read_from(&Os, path, kind)
    }

    /// [`Bundle::read`] from `disk`.
    pub(super) fn read_from(disk: &impl Disk, path: &Path, kind: &str) -> Result<Self, BundleError> {
        let damaged = |what: &str| BundleError::damaged(path, what);
        let (mut file, total) = disk.open(path).map_err(BundleError::io("open", path))?;
        let mut header = [0; HEADER];
        read_exact(&mut file, &mut header, path)?;
        let (magic, rest) = header.split_at(8);
        let (length, hash) = rest.split_at(4);
        if magic != MAGIC {
            return Err(damaged("it does not begin with the marker of a bundle"));
        }
        let length = length.iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
        if length > MANIFEST_LIMIT || length > total - HEADER as u64 {
            return Err(damaged("its manifest is longer than the file"));
        }
        let mut manifest = vec![0; length as usize];
        read_exact(&mut file, &mut manifest, path)?;
        if blake3::hash(&manifest).as_bytes() != hash {
            return Err(damaged("its manifest does not have the hash that it should"));
        }
        let manifest: Manifest =
            serde_json::from_slice(&manifest).map_err(|_| damaged("its manifest is no manifest"))?;
        let sum = manifest.sections.iter().try_fold(HEADER as u64 + length, |sum, part| sum.checked_add(part.bytes));
        if sum != Some(total) {
            return Err(damaged("it is shorter or longer than its manifest says"));
        }
        if manifest.kind != kind {
            let what = format!("expected a {kind}, found a {}", manifest.kind);
            return Err(BundleError::Foreign { path: path.to_owned(), what });
        }
        let mut sections = Vec::new();
        for part in manifest.sections {
            let mut content = vec![0; part.bytes as usize];
            read_exact(&mut file, &mut content, path)?;
            if ContentHash::of(&content) != part.hash {
                return Err(damaged(&format!("section `{}` does not have the hash that it should", part.name)));
            }
            sections.push((part.name, content));
        }
        Ok(Self { kind: manifest.kind, sections })
    }

    /// Removes the section `name` and returns it.
    pub fn take(&mut self, name: &str) -> Option<Vec<u8>> {
        let position = self.sections.iter().position(|(found, _)| found == name)?;
        Some(self.sections.swap_remove(position).1)
    }
}

fn read_exact(file: &mut impl Read, buffer: &mut [u8], path: &Path) -> Result<(), BundleError> {
    file.read_exact(buffer).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => BundleError::damaged(path, "it ends too early"),
        _ => BundleError::Io { action: "read", path: path.to_owned(), source: error },
    })
}

/// Makes the file `path` with the content that `fill` writes. The content goes to a temporary name in the same folder
/// and is forced to the disk; then the file is renamed and the folder forced to the disk. After an error the file is as
/// it was before.
pub fn write_whole(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), BundleError> {
    write_whole_to(&Os, path, fill)
}

pub(super) fn write_whole_to(
    disk: &impl Disk,
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), BundleError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(TEMPORARY);
    let temporary = folder.join(name);
    let written = (|| {
        let mut file = disk.create(&temporary).map_err(BundleError::io("create", &temporary))?;
        fill(&mut file).and_then(|()| disk.sync(&file)).map_err(BundleError::io("write", path))?;
        disk.rename(&temporary, path).map_err(BundleError::io("rename to", path))?;
        disk.sync_folder(folder).map_err(BundleError::io("sync", folder))
    })();
    if written.is_err() {
        // Where the disk is full, the half file is what fills it.
        let _ = disk.remove(&temporary);
    }
    written
}

/// Suffix of a file that is being written.
pub(super) const TEMPORARY: &str = ".partial";

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn bundle() -> Bundle {
        let sections = vec![("state".to_owned(), b"{}".to_vec()), ("weights".to_owned(), (0..=255).collect())];
        Bundle { kind: "checkpoint".to_owned(), sections: [sections, vec![("empty".to_owned(), vec![])]].concat() }
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.bin");
        bundle().write(&path).expect("written");
        bundle().write(&path).expect("replaced");
        assert_eq!(Bundle::read(&path, "checkpoint").expect("whole"), bundle());
        assert!(matches!(Bundle::read(&path, "model"), Err(BundleError::Foreign { .. })));
        let names: Vec<_> = fs::read_dir(&folder).expect("listed").flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(names, ["a.bin"], "no temporary file stays");
    }

    #[test]
    fn damage_is_never_loaded() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.bin");
        bundle().write(&path).expect("written");
        let whole = fs::read(&path).expect("read");
        let check = |content: &[u8], what: &str| {
            fs::write(&path, content).expect("written");
            match Bundle::read(&path, "checkpoint") {
                Err(BundleError::Damaged { .. }) => {}
                other => panic!("{what}: {other:?}"),
            }
        };
        for length in 0..whole.len() {
            check(&whole[..length], &format!("cut to {length}"));
        }
        check(&[&whole[..], &[0]].concat(), "one byte more");
        for byte in 0..whole.len() {
            for bit in [0, 3, 7] {
                let mut flipped = whole.clone();
                flipped[byte] ^= 1 << bit;
                check(&flipped, &format!("bit {bit} of byte {byte}"));
            }
        }
    }

    #[test]
    fn a_disk_that_refuses_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("missing").join("a.bin");
        let error = bundle().write(&path).expect_err("there is no such folder").to_string();
        assert!(error.contains("missing") && error.contains("a.bin"), "{error}");
        assert!(Bundle::read(&path, "checkpoint").expect_err("nothing there").to_string().contains("cannot open"));
    }
}
