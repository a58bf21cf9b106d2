//! The manifest: every sample of a data set in a fixed order, with the hash of every file.

use std::path::Path;

use pretext_shared::dataset::{DatasetFacts, Procedural, Source};
use pretext_shared::ids::ContentHash;

use super::duplicates::Side;
use super::error::DataError;
use super::fingerprint::{fingerprint, hash_files};
use super::groups::Groups;
use super::hash_cache::HashCache;
use super::kinds::Ignored;
use super::records::Layout;
use super::sieve::{LeftOut, Sieve};
use super::{cifar, idx, image_folder};
use crate::root::{Folder, Kind, RootError};

/// One of the two parts of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Images to train and validate with.
    Train,
    /// Images that are scored once, at the end.
    Test,
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
    /// An image file: index into [`Manifest::files`].
    File(u32),
    /// A record of a binary file.
    Record {
        /// Index into [`Manifest::files`].
        file: u32,
        /// Position in the file, from 0.
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

/// Everything that a scan finds out about a data set.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The facts that a worker announces.
    pub facts: DatasetFacts,
    /// Training samples, in the byte order of their paths (records in file order). The sample id is the position.
    pub train: Vec<Entry>,
    /// Test samples, in the same order. Empty if the data set has no test part.
    pub test: Vec<Entry>,
    /// The files, in the order in which the fingerprint covers them.
    pub files: Vec<ManifestFile>,
    /// The groups of the files, if the data name any.
    pub groups: Option<Groups>,
    /// Files that are no part of the data set.
    pub ignored: Ignored,
    /// What the choices of the sweep file left out.
    pub left_out: LeftOut,
    /// The data set's folder; `None` for procedural pictures.
    pub folder: Option<Folder>,
}

/// A source's list of files and samples, before hashing.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) classes: Vec<String>,
    pub(super) files: Vec<ListedFile>,
    pub(super) train: Vec<Entry>,
    pub(super) test: Vec<Entry>,
    pub(super) ignored: Ignored,
}

/// A file before it is hashed, with the first fields of [`ManifestFile`].
#[derive(Debug)]
pub(super) struct ListedFile {
    pub(super) part: Part,
    pub(super) path: String,
    pub(super) class: Option<u32>,
    pub(super) layout: Option<Layout>,
}

/// Lists and hashes `source` below `data_root`. Decodes only if the source leaves out pictures by their content, and
/// keeps beside `cache` what was decoded. `cache` is a file that stores hashes by path, size
/// and time of change, so that a second scan reads no image. It is created if it is missing, and ignored if it is
/// damaged.
pub fn scan(data_root: &Path, source: &Source, cache: Option<&Path>) -> Result<Manifest, DataError> {
    match source {
        Source::Procedural(procedural) => Ok(drawn(procedural)),
        _ => scan_in(&Folder::root(data_root)?, source, cache),
    }
}

/// Scans like [`scan`], in a data root that is open.
pub(super) fn scan_in(root: &Folder, source: &Source, cache: Option<&Path>) -> Result<Manifest, DataError> {
    let (folder, listing) = match source {
        Source::Procedural(procedural) => return Ok(drawn(procedural)),
        Source::ImageFolder { path, .. } => with_listing(root, path, image_folder::list)?,
        Source::Cifar10 { path } => with_listing(root, path, |folder| cifar::list(folder, cifar::Release::Ten))?,
        Source::Cifar100 { path } => with_listing(root, path, |folder| cifar::list(folder, cifar::Release::Hundred))?,
        Source::Idx { path } => with_listing(root, path, idx::list)?,
    };
    let groups = match source {
        Source::ImageFolder { groups: Some(pattern), .. } => Some(Groups::named(&folder, pattern, &listing.files)?),
        Source::ImageFolder { groups: None, .. } => Groups::read(&folder, &listing.files)?,
        _ => None,
    };
    let mut hashes = HashCache::open(cache);
    let files = hash_files(&folder, listing.files, &mut hashes)?;
    hashes.save();
    let lists = [(Side::Train, listing.train), (Side::Test, listing.test)];
    let mut sieve = Sieve { folder: &folder, classes: &listing.classes, files, groups, lists };
    let left_out = sieve.apply(source.policies(), cache)?;
    let Sieve { files, groups, lists, .. } = sieve;
    let [train, test] = lists.map(|(_, entries)| entries);
    let facts = DatasetFacts {
        key: source.key(),
        fingerprint: fingerprint(source.kind(), &listing.classes, &files, groups.as_ref()),
        train: counts(&train, listing.classes.len()),
        test: if test.is_empty() { Vec::new() } else { counts(&test, listing.classes.len()) },
        groups: groups.as_ref().map(|groups| groups.counts(&train, listing.classes.len())).unwrap_or_default(),
        classes: listing.classes,
    };
    Ok(Manifest { facts, train, test, files, groups, ignored: listing.ignored, left_out, folder: Some(folder) })
}

impl Manifest {
    /// Returns the samples of a part.
    pub fn entries(&self, part: Part) -> &[Entry] {
        match part {
            Part::Train => &self.train,
            Part::Test => &self.test,
        }
    }

    /// Returns how messages and lists call a sample: its path, with the record number if the file has many records.
    /// `id` is its position in the part's list.
    pub fn path_of(&self, part: Part, id: u32) -> String {
        let Some(entry) = self.entries(part).get(id as usize) else { return format!("no sample {id}") };
        match entry.location {
            Location::File(file) => self.files[file as usize].path.clone(),
            Location::Record { file, record } => format!("{}#{record}", self.files[file as usize].path),
            Location::Drawn(index) => {
                let part = if part == Part::Train { "train" } else { "test" };
                format!("{part}/{}/{index}", self.facts.classes[entry.label as usize])
            }
        }
    }
}

/// Returns the folder of a data set: `path` below the data root, never outside it.
fn resolve(root: &Folder, path: &str) -> Result<Folder, DataError> {
    if path.is_empty() {
        return Err(RootError::Outside { path: String::new() }.into());
    }
    let folder = root.join(path)?;
    match folder.kind("")? {
        Some(Kind::Folder) => Ok(folder),
        Some(Kind::File) | None => Err(DataError::NoFolder { path: folder.shown("") }),
    }
}

fn with_listing(
    root: &Folder,
    path: &str,
    list: impl FnOnce(&Folder) -> Result<Listing, DataError>,
) -> Result<(Folder, Listing), DataError> {
    let folder = resolve(root, path)?;
    let listing = list(&folder)?;
    Ok((folder, listing))
}

fn counts(entries: &[Entry], classes: usize) -> Vec<u32> {
    let mut counts = vec![0; classes];
    entries.iter().for_each(|entry| counts[entry.label as usize] += 1);
    counts
}

fn drawn(procedural: &Procedural) -> Manifest {
    let facts = procedural.facts();
    let entries = |per_class: u32| {
        let classes = 0..facts.classes.len() as u32;
        classes.flat_map(|label| (0..per_class).map(move |i| Entry { label, location: Location::Drawn(i) })).collect()
    };
    let (train, test) = (entries(procedural.train_per_class), entries(procedural.test_per_class));
    Manifest {
        facts,
        train,
        test,
        files: Vec::new(),
        groups: None,
        ignored: Ignored::default(),
        left_out: LeftOut::default(),
        folder: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_the_root() {
        let root = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(root.path().join("a")).expect("a folder");
        let open = Folder::root(root.path()).expect("a root");
        assert!(resolve(&open, "a").is_ok());
        assert!(resolve(&open, ".").is_ok());
        for path in ["/etc", "..", "a/../../b", ""] {
            let error = resolve(&open, path).expect_err("a mistake");
            assert!(matches!(error, DataError::Root(RootError::Outside { .. })), "{path}: {error}");
        }
        let error = resolve(&open, "b").expect_err("a mistake");
        assert!(error.to_string().contains(&root.path().join("b").display().to_string()), "{error}");
    }

    #[test]
    fn drawn_pictures_are_listed_by_class() {
        let source = Source::Procedural(Procedural { train_per_class: 2, test_per_class: 1, seed: 0 });
        let manifest = scan(Path::new("nowhere"), &source, None).expect("nothing to read");
        assert_eq!(manifest.train.iter().map(|entry| entry.label).collect::<Vec<_>>(), [0, 0, 1, 1, 2, 2]);
        assert_eq!(manifest.path_of(Part::Train, 3), "train/tree/1");
        assert_eq!(manifest.path_of(Part::Test, 2), "test/boat/0");
    }
}
