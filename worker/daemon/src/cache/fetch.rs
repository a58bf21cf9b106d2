//! Fetches a data set pack by pack. Every pack is checked against its name, its pieces go to their files, and then it is
//! noted as done: a fetch that was cut goes on at the first pack that is not.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use pretext_shared::ids::{ArtifactId, Fingerprint};
use pretext_shared::packing::{Packing, Piece};
use serde::{Deserialize, Serialize};

use super::super::link::Link;
use super::super::transfer::{self, TransferError};
use super::{CacheError, disk, remove};

/// The folder of the files, in that of the data set.
pub(super) const DATA: &str = "data";
/// Where it is noted how far a fetch has come.
const PROGRESS: &str = "progress.json";
/// A pack on its way.
const PACK: &str = "pack";
/// How often a pack is asked for that comes damaged.
const TRIES: u32 = 3;

/// How far a fetch has come, kept beside the files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// The list that is followed.
    pub(super) packing: ArtifactId,
    /// Bytes of all files.
    pub(super) bytes: u64,
    /// Packs whose pieces are in their files.
    pub(super) done: usize,
}

impl Progress {
    /// What was noted in `folder`, and when it was last used.
    pub(super) fn read(folder: &Path) -> Option<(Self, SystemTime)> {
        let path = folder.join(PROGRESS);
        let noted = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
        Some((noted, path.metadata().ok()?.modified().ok()?))
    }

    /// Notes it in `folder`.
    pub(super) fn write(&self, folder: &Path) -> Result<(), CacheError> {
        let (path, temporary) = (folder.join(PROGRESS), folder.join("progress.new"));
        let text = serde_json::to_vec(self).map_err(io::Error::other).map_err(disk("write", &temporary))?;
        fs::write(&temporary, text).map_err(disk("write", &temporary))?;
        fs::rename(&temporary, &path).map_err(disk("rename", &temporary))
    }

    /// Notes that the data set in `folder` is used now.
    pub(super) fn touch(folder: &Path) -> Result<(), CacheError> {
        let path = folder.join(PROGRESS);
        let file = File::options().append(true).open(&path).map_err(disk("open", &path))?;
        file.set_modified(SystemTime::now()).map_err(disk("write", &path))
    }
}

/// Downloads an artifact of a data set. One that comes damaged is asked for again: it may have been the way.
pub(super) async fn download(link: &Link, data: Fingerprint, pack: ArtifactId, path: &Path) -> Result<(), CacheError> {
    for _ in 0..TRIES {
        match transfer::download(link, pack, path).await {
            Err(TransferError::Damaged(_)) => tracing::warn!(pack = %pack.short(), "a pack came damaged"),
            other => return other.map_err(|error| CacheError::Fetch { data, cause: error.to_string() }),
        }
    }
    Err(CacheError::Damaged { data, pack })
}

/// Brings all files of `list`, which is `packing`, to `incoming`.
pub(super) async fn fetch(
    link: &Link,
    data: Fingerprint,
    packing: ArtifactId,
    list: &Arc<Packing>,
    incoming: &Path,
) -> Result<(), CacheError> {
    let mut progress = begin(packing, list, incoming)?;
    let handle = Dir::open_ambient_dir(incoming.join(DATA), ambient_authority()).map_err(disk("open", incoming))?;
    let handle = Arc::new(handle);
    let pack = incoming.join(PACK);
    let packs = list.packs().iter().zip(list.pieces());
    for (artifact, pieces) in packs.skip(progress.done) {
        download(link, data, *artifact, &pack).await?;
        let (handle, files, path) = (handle.clone(), list.clone(), pack.clone());
        tokio::task::spawn_blocking(move || unpack(&handle, &files, &pieces, &path))
            .await
            .map_err(|error| CacheError::Fetch { data, cause: error.to_string() })??;
        progress.done += 1;
        progress.write(incoming)?;
        tracing::debug!(data = %data.short(), pack = progress.done, of = list.packs().len(), "a pack is here");
    }
    remove_packs(incoming)
}

/// How far an earlier fetch by the same list has come, or a new beginning.
fn begin(packing: ArtifactId, list: &Packing, incoming: &Path) -> Result<Progress, CacheError> {
    let noted = Progress::read(incoming).map(|(noted, _)| noted);
    if let Some(noted) = noted.filter(|noted| noted.packing == packing && noted.done <= list.packs().len()) {
        tracing::info!(done = noted.done, of = list.packs().len(), "going on with a data set that was begun");
        remove_packs(incoming)?;
        return Ok(noted);
    }
    remove(incoming)?;
    fs::create_dir_all(incoming.join(DATA)).map_err(disk("make", incoming))?;
    let progress = Progress { packing, bytes: list.bytes(), done: 0 };
    progress.write(incoming)?;
    Ok(progress)
}

/// Removes packs, and what a process that was killed had of one.
fn remove_packs(incoming: &Path) -> Result<(), CacheError> {
    for entry in fs::read_dir(incoming).map_err(disk("list", incoming))? {
        let path = entry.map_err(disk("list", incoming))?.path();
        if path.file_stem().and_then(|stem| stem.to_str()).is_some_and(|stem| stem.split('.').next() == Some(PACK)) {
            fs::remove_file(&path).map_err(disk("remove", &path))?;
        }
    }
    Ok(())
}

/// Writes the pieces of the pack at `path` to their files below `data`: names that came over the wire lead nowhere else.
fn unpack(data: &Dir, list: &Packing, pieces: &[Piece], path: &Path) -> Result<(), CacheError> {
    let mut pack = BufReader::new(File::open(path).map_err(disk("open", path))?);
    let mut made = "";
    for piece in pieces {
        let file = &list.files()[piece.file];
        let shown = path.with_file_name(DATA).join(&file.path);
        if let Some((folder, _)) = file.path.rsplit_once('/').filter(|(folder, _)| *folder != made) {
            data.create_dir_all(folder).map_err(disk("make", &shown))?;
            made = folder;
        }
        let mut options = OpenOptions::new();
        let mut out =
            data.open_with(&file.path, options.write(true).create(true)).map_err(disk("make", &shown))?.into_std();
        out.seek(SeekFrom::Start(piece.offset)).map_err(disk("write", &shown))?;
        let written = io::copy(&mut pack.by_ref().take(piece.bytes), &mut out).map_err(disk("write", &shown))?;
        if written != piece.bytes {
            return Err(disk("read", path)(io::ErrorKind::UnexpectedEof.into()));
        }
    }
    Ok(())
}
