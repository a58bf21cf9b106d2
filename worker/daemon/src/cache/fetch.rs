//! Fetches a data set pack by pack. A pack is checked against its hash, its pieces are written to their files, and then
//! the pack is recorded as done. An interrupted fetch continues at the first pack that is not recorded.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
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

/// The folder of the files, inside the data set's folder.
pub(super) const DATA: &str = "data";
/// The file that records the progress of a fetch.
const PROGRESS: &str = "progress.json";
/// The file of the pack that is being downloaded.
const PACK: &str = "pack";
/// Number of tries for a pack that arrives damaged.
const TRIES: u32 = 3;

/// The progress of a fetch, stored beside the files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fetched {
    /// The list of packs that the fetch follows.
    pub(super) packing: ArtifactId,
    /// Bytes of all files.
    pub(super) bytes: u64,
    /// Number of packs whose pieces are in their files.
    pub(super) done: usize,
}

impl Fetched {
    /// Returns the progress recorded in `folder`, and the time when the data set was last used.
    pub(super) fn read(folder: &Path) -> Option<(Self, SystemTime)> {
        let path = folder.join(PROGRESS);
        let noted = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
        Some((noted, path.metadata().ok()?.modified().ok()?))
    }

    /// Records the progress in `folder`.
    pub(super) fn write(&self, folder: &Path) -> Result<(), CacheError> {
        let (path, temporary) = (folder.join(PROGRESS), folder.join("progress.new"));
        let text = serde_json::to_vec(self).map_err(io::Error::other).map_err(disk("write", &temporary))?;
        // The content must be durable before the name is, and the name before the next pack is fetched.
        let mut file = File::create(&temporary).map_err(disk("make", &temporary))?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(disk("write", &temporary))?;
        fs::rename(&temporary, &path).map_err(disk("rename", &temporary))?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(disk("sync", folder))
    }

    /// Records that the data set in `folder` is used now.
    pub(super) fn touch(folder: &Path) -> Result<(), CacheError> {
        let path = folder.join(PROGRESS);
        let file = File::options().append(true).open(&path).map_err(disk("open", &path))?;
        file.set_modified(SystemTime::now()).map_err(disk("write", &path))
    }
}

/// Downloads an artifact of a data set. Tries again if it arrives damaged, because the damage may come from the
/// network.
pub(super) async fn download(link: &Link, data: Fingerprint, pack: ArtifactId, path: &Path) -> Result<(), CacheError> {
    for _ in 0..TRIES {
        match transfer::download(link, pack, path).await {
            Err(TransferError::Damaged(_)) => tracing::warn!(pack = %pack.short(), "a pack arrived damaged"),
            other => return other.map_err(|error| CacheError::Fetch { data, cause: error.to_string() }),
        }
    }
    Err(CacheError::Damaged { data, pack })
}

/// Fetches all files of `list`, whose artifact is `packing`, to `incoming`.
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
        tracing::debug!(data = %data.short(), pack = progress.done, of = list.packs().len(), "a pack was fetched");
    }
    remove_packs(incoming)
}

/// Returns the progress of an earlier fetch by the same list, or starts anew.
fn begin(packing: ArtifactId, list: &Packing, incoming: &Path) -> Result<Fetched, CacheError> {
    let noted = Fetched::read(incoming).map(|(noted, _)| noted);
    if let Some(noted) = noted.filter(|noted| noted.packing == packing && noted.done <= list.packs().len()) {
        tracing::info!(done = noted.done, of = list.packs().len(), "resuming the fetch of a data set");
        remove_packs(incoming)?;
        return Ok(noted);
    }
    remove(incoming)?;
    fs::create_dir_all(incoming.join(DATA)).map_err(disk("make", incoming))?;
    let progress = Fetched { packing, bytes: list.bytes(), done: 0 };
    progress.write(incoming)?;
    Ok(progress)
}

/// Removes packs, and the partial pack of a process that was killed.
fn remove_packs(incoming: &Path) -> Result<(), CacheError> {
    for entry in fs::read_dir(incoming).map_err(disk("list", incoming))? {
        let path = entry.map_err(disk("list", incoming))?.path();
        if path.file_stem().and_then(|stem| stem.to_str()).is_some_and(|stem| stem.split('.').next() == Some(PACK)) {
            fs::remove_file(&path).map_err(disk("remove", &path))?;
        }
    }
    Ok(())
}

/// Writes the pieces of the pack at `path` to their files below `data`. The handle keeps names from the network inside
/// that folder.
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
        // The progress says that this pack is done: it must not be ahead of the files.
        out.sync_all().map_err(disk("sync", &shown))?;
    }
    Ok(())
}
