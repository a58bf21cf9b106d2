//! The pictures of a data set, one by one: from image files, from records of binary files, or drawn.

use std::path::PathBuf;

use pretext_shared::dataset::{Fit, Source};
use pretext_shared::ids::ContentHash;

use super::decode::{MAX_BYTES, Picture, decode};
use super::error::DataError;
use super::fit::fit;
use super::manifest::{Entry, Location, Manifest, Part};
use super::procedural;
use crate::augment::Planes;
use crate::root::Folder;

/// Height and width of a drawn picture that is asked for without a size.
const DRAWN: usize = 32;

/// The source of the pictures.
pub(super) enum Pictures<'a> {
    /// Image files, read one after the other.
    Files(&'a Manifest, &'a Folder),
    /// Binary files, read whole, in the order of [`Manifest::files`].
    Records(&'a Manifest, &'a Folder, Vec<Vec<u8>>),
    /// The program itself, which draws them from the seed.
    Drawn(u64),
}

impl<'a> Pictures<'a> {
    pub(super) fn open(manifest: &'a Manifest, source: &Source) -> Result<Self, DataError> {
        match (source, &manifest.folder) {
            (Source::Procedural(procedural), _) => Ok(Self::Drawn(procedural.seed)),
            (Source::ImageFolder { .. } | Source::List { .. }, Some(folder)) => Ok(Self::Files(manifest, folder)),
            (Source::Cifar10 { .. } | Source::Cifar100 { .. } | Source::Idx { .. }, Some(folder)) => {
                let content = |file| read_unchanged(manifest, folder, file).map(|(_, bytes)| bytes);
                let contents = (0..manifest.files.len()).map(content).collect::<Result<_, _>>()?;
                Ok(Self::Records(manifest, folder, contents))
            }
            (Source::Arrays { .. } | Source::Parquet { .. } | Source::Webdataset { .. }, Some(_)) => {
                Err(DataError::NoDataSet { path: PathBuf::new() })
            }
            (source, None) => unreachable!("the manifest of {} has no folder", source.key()),
        }
    }

    /// Writes the picture of `entry` as `[3, size, size]` to `out`, made square as `how` says.
    pub(super) fn read(
        &self,
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
                let Picture { data, height, width } = self.picture(part, entry)?;
                fit(Planes { data: &data, height, width }, how, size, out);
            }
        }
        Ok(())
    }

    /// Returns the picture of `entry` as it is stored. A drawn one has no size of its own.
    pub(super) fn picture(&self, part: Part, entry: Entry) -> Result<Picture, DataError> {
        match (self, entry.location) {
            (Self::Files(manifest, folder), Location::File(file)) => {
                let (path, bytes) = read_unchanged(manifest, folder, file as usize)?;
                decode(&bytes).map_err(|reason| DataError::Decode { path, reason })
            }
            (Self::Records(manifest, folder, contents), Location::Record { file, record }) => {
                let listed = &manifest.files[file as usize];
                let layout = listed.layout.expect("files with records have a layout");
                let data = layout.planes(&folder.shown(&listed.path), &contents[file as usize], record)?;
                Ok(Picture { data, height: layout.height, width: layout.width })
            }
            (Self::Drawn(seed), Location::Drawn(index)) => {
                let mut data = vec![0; 3 * DRAWN * DRAWN];
                let subject = procedural::Subject { seed: *seed, part, class: entry.label, index };
                procedural::draw(subject, DRAWN, &mut data);
                Ok(Picture { data, height: DRAWN, width: DRAWN })
            }
            (_, location) => unreachable!("{location:?} in a manifest of another source"),
        }
    }
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
