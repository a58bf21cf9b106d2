//! The form in which the coordinator stores a pushed data set: its files, one after the other, cut into packs of equal
//! length. Packs are artifacts, named by their content; the list of files and packs is an artifact too.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::ids::{ArtifactId, ContentHash};
use crate::text::counted;

/// Length of every pack but the last, in bytes.
pub const PACK_BYTES: u64 = 32 << 20;
/// Length of the longest list of files and packs, in bytes: a million files fit easily.
pub const MAX_PACKING_BYTES: u64 = 256 << 20;
/// Raised when the list changes its meaning.
const SCHEMA: u32 = 1;
/// Length of the longest path of a file, and of its longest component, in bytes.
const MAX_PATH: (usize, usize) = (1024, 255);

/// A file that is needed to read a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackedFile {
    /// Path relative to the data set's folder, with `/`.
    pub path: String,
    /// Length, in bytes.
    pub bytes: u64,
    /// BLAKE3 of the content.
    pub hash: ContentHash,
}

/// The list of a data set's files, and of the packs with their contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packing {
    schema: u32,
    /// The files, in the order of their contents in the packs.
    files: Vec<PackedFile>,
    /// The packs, in order.
    packs: Vec<ArtifactId>,
}

/// The reason why a list of packs is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackingError {
    /// The text is not a list of this version.
    #[error("the list of packs cannot be read: {0}")]
    Damaged(String),
    /// A path that does not stay in the data set's folder.
    #[error("`{0}` is not the path of a file in a data set")]
    Path(String),
    /// A path occurs twice, or as a file and as a folder.
    #[error("`{0}` is in the list twice, or as a file and as a folder")]
    Twice(String),
    /// The number of packs does not match the files.
    #[error("files of {bytes} bytes take {}, and {found} are listed", counted(*expected, "pack"))]
    Packs {
        /// Total length of the files.
        bytes: u64,
        /// The number of packs that the files need.
        expected: u64,
        /// The number of listed packs.
        found: u64,
    },
}

/// A part of a pack that belongs to one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The file's position in the list.
    pub file: usize,
    /// Offset in the file at which the part begins, in bytes.
    pub offset: u64,
    /// Length of the part, in bytes; 0 for an empty file.
    pub bytes: u64,
}

impl Packing {
    /// Returns the list of `files` whose contents are in `packs`.
    ///
    /// # Errors
    /// If the list is not valid.
    pub fn new(files: Vec<PackedFile>, packs: Vec<ArtifactId>) -> Result<Self, PackingError> {
        let packing = Self { schema: SCHEMA, files, packs };
        packing.check()?;
        Ok(packing)
    }

    /// Parses a list.
    ///
    /// # Errors
    /// If the list is not valid.
    pub fn parse(text: &[u8]) -> Result<Self, PackingError> {
        let packing: Self = serde_json::from_slice(text).map_err(|error| PackingError::Damaged(error.to_string()))?;
        if packing.schema != SCHEMA {
            return Err(PackingError::Damaged(format!("its schema is {}, expected {SCHEMA}", packing.schema)));
        }
        packing.check()?;
        Ok(packing)
    }

    /// Returns the text that [`Packing::parse`] reads.
    ///
    /// # Errors
    /// Never for a list that was constructed.
    pub fn text(&self) -> Result<Vec<u8>, PackingError> {
        serde_json::to_vec(self).map_err(|error| PackingError::Damaged(error.to_string()))
    }

    fn check(&self) -> Result<(), PackingError> {
        let mut files = BTreeSet::new();
        let mut folders = BTreeSet::new();
        let mut bytes = 0u64;
        for file in &self.files {
            if !stays_inside(&file.path) {
                return Err(PackingError::Path(file.path.clone()));
            }
            if !files.insert(file.path.as_str()) {
                return Err(PackingError::Twice(file.path.clone()));
            }
            folders.extend(file.path.match_indices('/').map(|(at, _)| &file.path[..at]));
            let total = bytes.checked_add(file.bytes);
            bytes = total.ok_or_else(|| PackingError::Damaged("it is larger than any disk".to_owned()))?;
        }
        if let Some(both) = folders.iter().find(|folder| files.contains(*folder)) {
            return Err(PackingError::Twice((*both).to_owned()));
        }
        // If all files are empty, one empty pack holds them.
        let (expected, found) =
            (bytes.div_ceil(PACK_BYTES).max(self.files.len().min(1) as u64), self.packs.len() as u64);
        if expected == found { Ok(()) } else { Err(PackingError::Packs { bytes, expected, found }) }
    }

    /// Returns the files.
    pub fn files(&self) -> &[PackedFile] {
        &self.files
    }

    /// Returns the packs, in order.
    pub fn packs(&self) -> &[ArtifactId] {
        &self.packs
    }

    /// Returns the total length of the files, in bytes.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Returns the pieces of each pack, in order. An empty file is a piece of no bytes.
    pub fn pieces(&self) -> Vec<Vec<Piece>> {
        pieces(&self.files)
    }
}

/// Returns the pieces of each pack of `files`, see [`Packing::pieces`].
pub fn pieces(files: &[PackedFile]) -> Vec<Vec<Piece>> {
    let mut packs: Vec<Vec<Piece>> = Vec::new();
    let mut room = 0;
    for (file, PackedFile { bytes: length, .. }) in files.iter().enumerate() {
        let mut offset = 0;
        loop {
            let left = length - offset;
            if room == 0 && (left > 0 || packs.is_empty()) {
                packs.push(Vec::new());
                room = PACK_BYTES;
            }
            let bytes = left.min(room);
            if let Some(pack) = packs.last_mut() {
                pack.push(Piece { file, offset, bytes });
            }
            (offset, room) = (offset + bytes, room - bytes);
            if offset == *length {
                break;
            }
        }
    }
    packs
}

/// Returns whether a path stays in its folder on every system: all its components must be plain names.
fn stays_inside(path: &str) -> bool {
    let is_name = |part: &str| !part.is_empty() && part != "." && part != ".." && part.len() <= MAX_PATH.1;
    path.len() <= MAX_PATH.0 && !path.contains(['\\', '\0']) && path.split('/').all(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, bytes: u64) -> PackedFile {
        PackedFile { path: path.to_owned(), bytes, hash: ContentHash::of(path.as_bytes()) }
    }

    fn packs(count: u8) -> Vec<ArtifactId> {
        (0..count).map(|n| ArtifactId(ContentHash::of(&[n]))).collect()
    }

    #[test]
    fn files_are_cut_where_packs_end() {
        let files = [
            file("a", 10),
            file("empty", 0),
            file("large", 2 * PACK_BYTES),
            file("last", PACK_BYTES - 10),
            file("e", 0),
        ];
        let packing = Packing::new(files.to_vec(), packs(3)).expect("a data set");
        let lengths: Vec<Vec<(&str, u64, u64)>> = packing
            .pieces()
            .iter()
            .map(|pack| pack.iter().map(|piece| (files[piece.file].path.as_str(), piece.offset, piece.bytes)).collect())
            .collect();
        assert_eq!(
            lengths,
            [
                vec![("a", 0, 10), ("empty", 0, 0), ("large", 0, PACK_BYTES - 10)],
                vec![("large", PACK_BYTES - 10, PACK_BYTES)],
                vec![("large", 2 * PACK_BYTES - 10, 10), ("last", 0, PACK_BYTES - 10), ("e", 0, 0)],
            ]
        );
        let text = packing.text().expect("made");
        assert_eq!(Packing::parse(&text), Ok(packing));
    }

    #[test]
    fn what_is_no_data_set_is_refused() {
        for path in ["", "/etc/passwd", "../a", "a/../../b", "a//b", "a/.", "a\\b", "a\0b", &"x".repeat(256)] {
            assert!(matches!(Packing::new(vec![file(path, 1)], packs(1)), Err(PackingError::Path(_))), "{path}");
        }
        for (one, two) in [("a", "a"), ("a", "a/b"), ("a/b/c", "a/b")] {
            let refused = Packing::new(vec![file(one, 1), file(two, 1)], packs(1));
            assert!(matches!(refused, Err(PackingError::Twice(_))), "{one} {two}");
        }
        let short = Packing::new(vec![file("a", PACK_BYTES + 1)], packs(1));
        assert_eq!(short, Err(PackingError::Packs { bytes: PACK_BYTES + 1, expected: 2, found: 1 }));
        let huge = Packing::new(vec![file("a", u64::MAX), file("b", 1)], packs(1));
        assert!(matches!(huge, Err(PackingError::Damaged(_))));
        assert!(Packing::parse(br#"{"schema":2,"files":[],"packs":[]}"#).is_err());
    }
}
