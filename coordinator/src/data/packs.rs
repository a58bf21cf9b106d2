//! Reads the packs of a data folder on this machine, one after the other, into memory.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use pretext_shared::ids::ContentHash;
use pretext_shared::packing::{PackedFile, Piece};

/// Why a pack cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum PackError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file has changed since it was listed.
    #[error("{} changed while it was pushed: push again, and do not change the data meanwhile", .0.display())]
    Changed(PathBuf),
}

/// Reads packs in order; checks each file against its hash after its last piece.
pub(super) struct PackReader {
    folder: PathBuf,
    /// The file whose pieces are being read, with the hash of the pieces so far.
    open: Option<(File, blake3::Hasher)>,
}

impl PackReader {
    /// Returns a reader of the data set in `folder`.
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), open: None }
    }

    /// Returns the content of the next pack, which has these pieces of `files`.
    pub(super) fn read(&mut self, files: &[PackedFile], pieces: &[Piece]) -> Result<Vec<u8>, PackError> {
        let mut content = Vec::with_capacity(pieces.iter().map(|piece| piece.bytes as usize).sum());
        for piece in pieces {
            let listed = &files[piece.file];
            let path = self.folder.join(&listed.path);
            let failed = |source| PackError::Io { path: path.clone(), source };
            if piece.offset == 0 {
                self.open = Some((File::open(&path).map_err(failed)?, blake3::Hasher::new()));
            }
            let changed = || PackError::Changed(path.clone());
            let (file, hasher) = self.open.as_mut().ok_or_else(changed)?;
            let begin = content.len();
            file.by_ref().take(piece.bytes).read_to_end(&mut content).map_err(failed)?;
            hasher.update(&content[begin..]);
            let is_last = piece.offset + piece.bytes == listed.bytes;
            let hash = ContentHash::from_bytes(*hasher.finalize().as_bytes());
            let goes_on = is_last && file.read(&mut [0]).map_err(failed)? > 0;
            if (content.len() - begin) as u64 != piece.bytes || goes_on || is_last && hash != listed.hash {
                return Err(changed());
            }
        }
        Ok(content)
    }
}

#[cfg(test)]
mod tests {
    use pretext_shared::packing::pieces;

    use super::*;

    #[test]
    fn packs_are_the_files_in_a_row_and_a_change_is_seen() {
        let folder = tempfile::tempdir().expect("a folder");
        let list = |contents: &[(&str, &[u8])]| -> Vec<PackedFile> {
            let file = |(path, content): &(&str, &[u8])| PackedFile {
                path: (*path).to_owned(),
                bytes: content.len() as u64,
                hash: ContentHash::of(content),
            };
            contents.iter().map(file).collect()
        };
        std::fs::create_dir(folder.path().join("a")).expect("a folder");
        for (path, content) in [("a/1", "one"), ("a/empty", ""), ("b", "two")] {
            std::fs::write(folder.path().join(path), content).expect("writable");
        }
        let files = list(&[("a/1", b"one"), ("a/empty", b""), ("b", b"two")]);
        let read = |files: &[PackedFile]| PackReader::new(folder.path()).read(files, &pieces(files)[0]);
        assert_eq!(read(&files).expect("as listed"), b"onetwo");
        for other in [&b"2wo"[..], b"tw", b"twoo"] {
            let files = list(&[("a/1", b"one"), ("b", other)]);
            assert!(matches!(read(&files), Err(PackError::Changed(path)) if path.ends_with("b")), "{other:?}");
        }
    }
}
