//! Decodes the picture files that were not seen before, on all threads.

use std::collections::BTreeSet;

use pretext_shared::ids::ContentHash;
use rayon::prelude::*;

use super::decode::MAX_BYTES;
use super::error::DataError;
use super::listing::ManifestFile;
use super::looks::{Look, Looks, Seen};
use crate::root::Folder;

/// Makes `looks` know every file of `files` with one picture. Identical files are decoded once.
pub(super) fn see<'a>(
    folder: &Folder,
    files: impl IntoIterator<Item = &'a ManifestFile>,
    looks: &mut Looks,
) -> Result<(), DataError> {
    let mut seen = BTreeSet::new();
    let new: Vec<&ManifestFile> = files
        .into_iter()
        .filter(|file| file.class.is_some() && looks.get(file.hash).is_none() && seen.insert(file.hash))
        .collect();
    let found: Vec<Result<(ContentHash, Seen), DataError>> =
        new.into_par_iter().map(|file| Ok((file.hash, look(folder, file)?))).collect();
    // The first error in the order of the list, so that the same file is named every time.
    looks.keep(found.into_iter().collect::<Result<Vec<_>, _>>()?);
    Ok(())
}

fn look(folder: &Folder, file: &ManifestFile) -> Result<Seen, DataError> {
    if file.bytes > MAX_BYTES {
        return Ok(Err(format!("its length is {} bytes, more than {} MiB", file.bytes, MAX_BYTES >> 20)));
    }
    let bytes = folder.read(&file.path)?;
    if ContentHash::of(&bytes) != file.hash {
        return Err(DataError::Changed { path: folder.shown(&file.path) });
    }
    Ok(Look::at(&bytes))
}
