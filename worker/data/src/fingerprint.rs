//! The fingerprint of a data set: BLAKE3 over part, path, class, length and content hash of every file.

use std::fs::File;

use pretext_shared::ids::{ContentHash, Fingerprint};
use rayon::prelude::*;

use super::error::DataError;
use super::groups::Groups;
use super::hash_cache::{HashCache, Stamp};
use super::listing::{ListedFile, ManifestFile};
use crate::root::Folder;

/// Hashes every file that `cache` does not know, on all threads, and stores the hashes there.
pub(super) fn hash_files(
    folder: &Folder,
    listed: Vec<ListedFile>,
    cache: &mut HashCache,
) -> Result<Vec<ManifestFile>, DataError> {
    // Canonical, so that a file has one line in the cache, whatever the working directory is.
    let absolute = folder.canonical()?;
    let hashed = listed
        .into_par_iter()
        .map(|file| {
            let path = absolute.join(&file.path);
            let content = folder.open(&file.path)?;
            let failed = DataError::io(&folder.shown(&file.path));
            let metadata = content.metadata().map_err(&failed)?;
            let stamp = Stamp::of(&metadata);
            let known = stamp.and_then(|stamp| cache.get(&path, stamp));
            let hash = match known {
                Some(hash) => hash,
                None => hash_file(content).map_err(&failed)?,
            };
            let ListedFile { part, path: relative, class, layout, name_at: _ } = file;
            Ok((ManifestFile { part, path: relative, class, bytes: metadata.len(), hash, layout }, path, stamp))
        })
        .collect::<Vec<Result<_, DataError>>>();
    // The first error in the order of the list, so that the same file is named every time.
    let hashed = hashed.into_iter().collect::<Result<Vec<_>, _>>()?;
    cache.replace(&absolute, hashed.iter().filter_map(|(file, path, stamp)| Some((path, (*stamp)?, file.hash))));
    Ok(hashed.into_iter().map(|(file, ..)| file).collect())
}

/// Returns the hash of a file that is open at its beginning.
pub(super) fn hash_file(content: File) -> std::io::Result<ContentHash> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(content)?;
    Ok(ContentHash::from_bytes(*hasher.finalize().as_bytes()))
}

/// Returns the fingerprint of `files` of a data set of `kind` with `classes` and, if there are any, `groups`. Every
/// text is hashed with its length, so that different lists have different hashes.
pub(super) fn fingerprint(
    kind: &str,
    classes: &[String],
    files: &[ManifestFile],
    groups: Option<&Groups>,
) -> Fingerprint {
    let mut hasher = blake3::Hasher::new();
    let text = |hasher: &mut blake3::Hasher, text: &str| {
        hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    };
    text(&mut hasher, "pretext manifest 1");
    text(&mut hasher, kind);
    hasher.update(&(classes.len() as u64).to_le_bytes());
    classes.iter().for_each(|class| text(&mut hasher, class));
    hasher.update(&(files.len() as u64).to_le_bytes());
    for file in files {
        hasher.update(&[file.part as u8]);
        text(&mut hasher, &file.path);
        hasher.update(&file.class.map_or(u64::MAX, u64::from).to_le_bytes());
        hasher.update(&file.bytes.to_le_bytes());
        text(&mut hasher, &file.hash.to_string());
    }
    if let Some(groups) = groups {
        text(&mut hasher, "groups");
        (0..files.len() as u32).for_each(|file| text(&mut hasher, groups.name_of(file)));
    }
    Fingerprint(ContentHash::from_bytes(*hasher.finalize().as_bytes()))
}
