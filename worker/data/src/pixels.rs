//! The pictures of a data set, one by one: from image files, from places in shards, from rows of tables, from records of
//! binary files, or drawn.

use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::PathBuf;

use ::parquet::data_type::ByteArray;
use pretext_shared::dataset::{Fit, Source};
use pretext_shared::ids::ContentHash;
use rayon::prelude::*;

use super::decode::{self, Decoded, MAX_BYTES, Picture};
use super::error::DataError;
use super::fingerprint::hash_file;
use super::fit::fit;
use super::manifest::{Entry, Location, Manifest, Part};
use super::tables::Table;
use super::{arrays, procedural};
use crate::augment::Planes;
use crate::root::Folder;

/// The source of the pictures.
pub(super) enum Pictures<'a> {
    /// Image files, read one after the other, or places in shards.
    Files(&'a Manifest, &'a Folder),
    /// Binary files, read whole, in the order of [`Manifest::files`].
    Records(&'a Manifest, &'a Folder, Vec<Vec<u8>>),
    /// Tables of encoded images, in the order of [`Manifest::files`], of which one row group is in memory at a time.
    Tables(&'a Manifest, &'a Folder, Vec<Table>),
    /// The program itself, which draws them from the seed.
    Drawn(u64),
}

/// What is in memory to read some pictures.
pub(super) enum Batch {
    /// Nothing more than the pictures themselves have.
    Single,
    /// The encoded images of a row group, and its first row.
    Rows(Vec<ByteArray>, u32),
}

impl<'a> Pictures<'a> {
    pub(super) fn open(manifest: &'a Manifest, source: &Source) -> Result<Self, DataError> {
        let folder = match (source, &manifest.folder) {
            (Source::Procedural(procedural), _) => return Ok(Self::Drawn(procedural.seed)),
            (_, Some(folder)) => folder,
            (source, None) => unreachable!("the manifest of {} has no folder", source.key()),
        };
        let contents = |content: fn(&Manifest, &Folder, usize) -> Result<Vec<u8>, DataError>| {
            (0..manifest.files.len()).map(|file| content(manifest, folder, file)).collect::<Result<_, _>>()
        };
        match source {
            Source::ImageFolder { .. } | Source::List { .. } => Ok(Self::Files(manifest, folder)),
            Source::Webdataset { .. } => {
                check_unchanged(manifest, folder)?;
                Ok(Self::Files(manifest, folder))
            }
            Source::Parquet { .. } => {
                check_unchanged(manifest, folder)?;
                let tables = manifest.files.iter().map(|file| Table::open(folder, &file.path));
                Ok(Self::Tables(manifest, folder, tables.collect::<Result<_, _>>()?))
            }
            Source::Arrays { .. } => Ok(Self::Records(manifest, folder, contents(array)?)),
            Source::Cifar10 { .. } | Source::Cifar100 { .. } | Source::Idx { .. } => {
                Ok(Self::Records(manifest, folder, contents(whole)?))
            }
            Source::Procedural(_) => unreachable!("drawn pictures have no files"),
        }
    }

    /// Returns the runs of `entries` that one batch serves, in their order.
    pub(super) fn runs(&self, entries: &[Entry]) -> Vec<Range<usize>> {
        let Self::Tables(.., tables) = self else {
            let whole = 0..entries.len();
            return std::iter::once(whole).collect();
        };
        let group = |entry: &Entry| match entry.location {
            Location::Record { file, record } => Some((file, tables[file as usize].group_of(record)?.0)),
            _ => None,
        };
        let mut runs: Vec<(Option<_>, Range<usize>)> = Vec::new();
        for (at, entry) in entries.iter().enumerate() {
            let group = group(entry);
            match runs.last_mut() {
                Some((last, run)) if *last == group => run.end = at + 1,
                _ => runs.push((group, at..at + 1)),
            }
        }
        runs.into_iter().map(|(_, run)| run).collect()
    }

    /// Reads what the pictures of a run need, of which `first` is the first.
    pub(super) fn batch(&self, first: Entry) -> Result<Batch, DataError> {
        match (self, first.location) {
            (Self::Tables(manifest, folder, tables), Location::Record { file, record }) => {
                let table = &tables[file as usize];
                let changed = || DataError::Changed { path: folder.shown(&manifest.files[file as usize].path) };
                let (group, row) = table.group_of(record).ok_or_else(changed)?;
                Ok(Batch::Rows(table.images(group)?, row))
            }
            _ => Ok(Batch::Single),
        }
    }

    /// Writes the picture of `entry`, which is in the run of `batch`, as `[3, size, size]` to `out`, made square as `how`
    /// says.
    pub(super) fn read(
        &self,
        batch: &Batch,
        part: Part,
        entry: Entry,
        (size, how): (usize, Fit),
        out: &mut [u8],
    ) -> Result<(), DataError> {
        match (self, entry.location) {
            (Self::Drawn(seed), Location::Drawn(index)) => {
                procedural::draw(procedural::Subject { seed: *seed, part, class: entry.label, index }, size, out);
            }
            _ => {
                let Picture { data, height, width } = self.decoded(batch, entry)?.picture;
                fit(Planes { data: &data, height, width }, how, size, out);
            }
        }
        Ok(())
    }

    /// Returns the picture of `entry`, which is in the run of `batch`, as it is stored.
    pub(super) fn decoded(&self, batch: &Batch, entry: Entry) -> Result<Decoded, DataError> {
        let decoded = |bytes: &[u8], path| decode::read(bytes).map_err(|reason| DataError::Decode { path, reason });
        match (self, entry.location) {
            (Self::Files(manifest, folder), Location::File(file)) => {
                let (path, bytes) = read_unchanged(manifest, folder, file as usize)?;
                decoded(&bytes, path)
            }
            (Self::Files(manifest, folder), Location::Range { file, offset, length, record }) => {
                let name = &manifest.files[file as usize].path;
                let bytes = read_range(folder, name, offset, length)?;
                decoded(&bytes, folder.shown(&format!("{name}#{record}")))
            }
            (Self::Tables(manifest, folder, _), Location::Record { file, record }) => {
                let name = &manifest.files[file as usize].path;
                let image = match batch {
                    Batch::Rows(images, first) => record.checked_sub(*first).and_then(|row| images.get(row as usize)),
                    Batch::Single => None,
                };
                let image = image.ok_or_else(|| DataError::Changed { path: folder.shown(name) })?;
                decoded(image.data(), folder.shown(&format!("{name}#{record}")))
            }
            (Self::Records(manifest, folder, contents), Location::Record { file, record }) => {
                let listed = &manifest.files[file as usize];
                let layout = listed.layout.expect("files with records have a layout");
                let data = layout.planes(&folder.shown(&listed.path), &contents[file as usize], record)?;
                let picture = Picture { data, height: layout.height, width: layout.width };
                Ok(Decoded { picture, format: "array", several: false })
            }
            (_, location) => unreachable!("{location:?} in a manifest of another source"),
        }
    }
}

/// Returns the content of a file with records.
fn whole(manifest: &Manifest, folder: &Folder, file: usize) -> Result<Vec<u8>, DataError> {
    read_unchanged(manifest, folder, file).map(|(_, bytes)| bytes)
}

/// Returns the records of a file with arrays, which may be in an archive.
fn array(manifest: &Manifest, folder: &Folder, file: usize) -> Result<Vec<u8>, DataError> {
    let bytes = whole(manifest, folder, file)?;
    let name = &manifest.files[file].path;
    if arrays::is_archive(name) { arrays::pixels(folder, name, &bytes) } else { Ok(bytes) }
}

/// Returns a file's path and content, if the content still matches the manifest.
fn read_unchanged(manifest: &Manifest, folder: &Folder, file: usize) -> Result<(PathBuf, Vec<u8>), DataError> {
    let listed = &manifest.files[file];
    let path = folder.shown(&listed.path);
    if listed.layout.is_none() && listed.class.is_some() && listed.bytes > MAX_BYTES {
        let reason = format!("its length is {} bytes, more than {} MiB", listed.bytes, MAX_BYTES >> 20);
        return Err(DataError::Decode { path, reason });
    }
    let bytes = folder.read(&listed.path)?;
    // Hashing costs little compared with decoding, and finds changes that size and time do not show.
    if ContentHash::of(&bytes) == listed.hash { Ok((path, bytes)) } else { Err(DataError::Changed { path }) }
}

/// Checks that all files still match the manifest: files of which only parts are read.
fn check_unchanged(manifest: &Manifest, folder: &Folder) -> Result<(), DataError> {
    let changed = manifest.files.par_iter().find_map_first(|listed| {
        let path = folder.shown(&listed.path);
        match folder.open(&listed.path).map(hash_file) {
            Ok(Ok(hash)) if hash == listed.hash => None,
            Ok(Ok(_)) => Some(DataError::Changed { path }),
            Ok(Err(source)) => Some(DataError::io(&path)(source)),
            Err(error) => Some(error.into()),
        }
    });
    changed.map_or(Ok(()), Err)
}

/// Returns `length` bytes of the file `name` from `offset` on.
fn read_range(folder: &Folder, name: &str, offset: u64, length: u32) -> Result<Vec<u8>, DataError> {
    let failed = DataError::io(&folder.shown(name));
    let mut file = folder.open(name)?;
    file.seek(SeekFrom::Start(offset)).map_err(&failed)?;
    let mut bytes = Vec::new();
    file.take(u64::from(length)).read_to_end(&mut bytes).map_err(&failed)?;
    if bytes.len() == length as usize { Ok(bytes) } else { Err(DataError::Changed { path: folder.shown(name) }) }
}
