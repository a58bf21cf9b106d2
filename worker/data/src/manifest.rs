//! The manifest: every sample of a data set in a fixed order, with the hash of every file.

use std::path::Path;

use pretext_shared::dataset::{DatasetFacts, DuplicatePolicy, Policies, Procedural, Source};

use super::error::DataError;
use super::fingerprint::{fingerprint, hash_files};
use super::groups::Groups;
use super::hash_cache::HashCache;
use super::kinds::Ignored;
use super::listing::Listing;
pub use super::listing::{Entry, Location, ManifestFile, Part};
use super::sieve::Sieve;
use super::{arrays, cifar, idx, image_folder, list, tables, webdataset};
use crate::root::{Folder, Kind, RootError};

/// Everything that a scan finds out about a data set.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The facts that a worker announces.
    pub facts: DatasetFacts,
    /// Training samples, in the byte order of their paths (records in file order). The sample id is the position. The
    /// samples of a validation part follow.
    pub train: Vec<Entry>,
    /// The position in `train` of the first sample of a validation part; `None` if the data set has no such part.
    pub validating: Option<u32>,
    /// Test samples, in the same order. Empty if the data set has no test part.
    pub test: Vec<Entry>,
    /// The files, in the order in which the fingerprint covers them.
    pub files: Vec<ManifestFile>,
    /// The groups of the files, if the data name any.
    pub groups: Option<Groups>,
    /// Files that are no part of the data set.
    pub ignored: Ignored,
    /// The data set's folder; `None` for procedural pictures.
    pub folder: Option<Folder>,
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
        Source::ImageFolder { path, folders, .. } => image_folder::list(&resolve(root, path)?, folders)?,
        Source::Cifar10 { path } => with_listing(root, path, |folder| cifar::list(folder, cifar::Release::Ten))?,
        Source::Cifar100 { path } => with_listing(root, path, |folder| cifar::list(folder, cifar::Release::Hundred))?,
        Source::Idx { path } => with_listing(root, path, idx::list)?,
        Source::List { path, .. } => listed(root, path)?,
        Source::Arrays { path, .. } => arrays::list(root, path)?,
        Source::Parquet { path, .. } => tables::list(root, path)?,
        Source::Webdataset { path, .. } => webdataset::list(root, path)?,
    };
    let groups = match source {
        Source::ImageFolder { groups: Some(pattern), .. } => Some(Groups::named(&folder, pattern, &listing.files)?),
        Source::ImageFolder { groups: None, .. } => Groups::read(&folder, &listing.files)?,
        Source::List { .. } => match &listing.groups {
            Some(names) => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let refuse = |reason| DataError::List { path: folder.shown(""), reason };
                Some(Groups::new(&listing.files, &names).map_err(refuse)?)
            }
            None => None,
        },
        _ => None,
    };
    let mut hashes = HashCache::open(cache);
    let files = hash_files(&folder, listing.files, &mut hashes)?;
    hashes.save();
    let lists = [listing.train, listing.validation, listing.test];
    let mut sieve = Sieve { folder: &folder, classes: &listing.classes, files, groups, lists };
    let policies = if source.has_policies() {
        source.policies()
    } else {
        // Other kinds have no key to accept identical pictures with: they are told, not refused.
        Policies { duplicates: DuplicatePolicy::Keep, ..Policies::default() }
    };
    let noticed = sieve.apply(policies, cache)?;
    let Sieve { files, groups, lists, .. } = sieve;
    let [train, validation, test] = lists;
    let facts = DatasetFacts {
        key: source.key(),
        fingerprint: fingerprint(source.kind(), &listing.classes, &files, groups.as_ref()),
        train: counts(&train, listing.classes.len()),
        test: if test.is_empty() { Vec::new() } else { counts(&test, listing.classes.len()) },
        groups: groups.as_ref().map(|groups| groups.counts(&train, listing.classes.len())).unwrap_or_default(),
        validation: match validation.as_slice() {
            [] => Vec::new(),
            entries => counts(entries, listing.classes.len()),
        },
        notes: [listing.notes, noticed, listing.ignored.note().into_iter().collect()].concat(),
        classes: listing.classes,
    };
    let drawn = train.len() as u32;
    let validating = (!validation.is_empty()).then_some(drawn);
    Ok(Manifest {
        facts,
        train: [train, validation].concat(),
        validating,
        test,
        files,
        groups,
        ignored: listing.ignored,
        folder: Some(folder),
    })
}

impl Manifest {
    /// Returns the samples of a part. Those of a validation part are among the training samples.
    pub fn entries(&self, part: Part) -> &[Entry] {
        match part {
            Part::Train | Part::Validation => &self.train,
            Part::Test => &self.test,
        }
    }

    /// Returns how messages and lists call a sample: its path, with the record number if the file has many records.
    /// `id` is its position in the part's list.
    pub fn path_of(&self, part: Part, id: u32) -> String {
        let Some(entry) = self.entries(part).get(id as usize) else { return format!("no sample {id}") };
        match entry.location {
            Location::File(file) => self.files[file as usize].path.clone(),
            Location::Record { file, record } | Location::Range { file, record, .. } => {
                format!("{}#{record}", self.files[file as usize].path)
            }
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
        None if matches!(root.missing(path), RootError::Dangling { .. }) => Err(root.missing(path).into()),
        Some(Kind::File) | None => Err(DataError::NoFolder { path: folder.shown("") }),
    }
}

/// Returns the files of a list, and the folder that their paths are relative to.
fn listed(root: &Folder, path: &str) -> Result<(Folder, Listing), DataError> {
    if let (true, Some(Kind::File)) = (list::is_list(path), root.kind(path)?) {
        let (folder, name) = path.rsplit_once('/').unwrap_or((".", path));
        let folder = resolve(root, folder)?;
        let listing = list::list(&folder, name)?;
        return Ok((folder, listing));
    }
    let folder = resolve(root, path)?;
    let Some(name) = list::name_in(&folder)? else {
        let expected = format!("expected a list named {}", list::NAMES.join(", "));
        return Err(DataError::MissingFile { path: folder.shown(list::NAMES[0]), expected });
    };
    let listing = list::list(&folder, name)?;
    Ok((folder, listing))
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
        validating: None,
        test,
        files: Vec::new(),
        groups: None,
        ignored: Ignored::default(),
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
