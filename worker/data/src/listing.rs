//! Files and samples of a data set, as each kind of source lists them before hashing.

use pretext_shared::dataset::Note;
use pretext_shared::ids::ContentHash;

use super::kinds::Ignored;
use super::records::Layout;

/// One of the two parts of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Images to train and validate with.
    Train,
    /// Images that are scored once, at the end.
    Test,
    /// Images of a validation part, if the data set has one. Their samples follow the training samples.
    Validation,
}

impl Part {
    /// Returns the word for images of the part.
    pub(super) fn word(self) -> &'static str {
        match self {
            Part::Train => "training",
            Part::Test => "test",
            Part::Validation => "validation",
        }
    }
}

/// A file that belongs to a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestFile {
    /// The part of the file.
    pub part: Part,
    /// Path relative to the data set's folder, with `/`.
    pub path: String,
    /// The class of all its images; `None` for a file with images of several classes.
    pub class: Option<u32>,
    /// Length in bytes.
    pub bytes: u64,
    /// BLAKE3 of the content.
    pub hash: ContentHash,
    /// The layout of the records in a file with many pictures.
    pub(super) layout: Option<Layout>,
}

/// The place of a sample's picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Location {
    /// An image file: index into [`crate::Manifest::files`].
    File(u32),
    /// A record of a binary file, or a row of a table.
    Record {
        /// Index into [`crate::Manifest::files`].
        file: u32,
        /// Position in the file, from 0.
        record: u32,
    },
    /// An encoded image inside a file.
    Range {
        /// Index into [`crate::Manifest::files`].
        file: u32,
        /// The first byte.
        offset: u64,
        /// Number of bytes.
        length: u32,
        /// Position among the samples of the file, from 0.
        record: u32,
    },
    /// Drawn by the program: index within its class and part.
    Drawn(u32),
}

/// One sample. Its id is its position in its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Index of its class in the class names.
    pub label: u32,
    /// The place of its picture.
    pub location: Location,
}

/// A source's list of files and samples, before hashing.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) classes: Vec<String>,
    pub(super) files: Vec<ListedFile>,
    pub(super) train: Vec<Entry>,
    /// Samples of a validation part; empty if validation samples are drawn from the training samples.
    pub(super) validation: Vec<Entry>,
    pub(super) test: Vec<Entry>,
    pub(super) ignored: Ignored,
    /// The group of each file, if the source itself names groups.
    pub(super) groups: Option<Vec<String>>,
    pub(super) notes: Vec<Note>,
}

/// A file before it is hashed, with the first fields of [`ManifestFile`].
#[derive(Debug)]
pub(super) struct ListedFile {
    pub(super) part: Part,
    pub(super) path: String,
    pub(super) class: Option<u32>,
    pub(super) layout: Option<Layout>,
    /// The place in `path` where the name below the class folder begins.
    pub(super) name_at: usize,
}
