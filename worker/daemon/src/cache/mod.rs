//! The cache of pushed data sets that this worker fetched: one folder for each fingerprint, within a limit of bytes. A
//! data set gets its final name only after all of it is there and matches its fingerprint.

mod fetch;
mod room;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use pretext_data::DataError;
use pretext_shared::dataset::Source;
use pretext_shared::ids::{ArtifactId, Fingerprint};
use pretext_shared::outcome::FailureCode;
use pretext_shared::packing::{Packing, PackingError};
use tokio::sync::Notify;

use self::fetch::{DATA, Fetched};
use self::room::{Completeness, NoRoom, Room};
use super::link::Link;
use super::transfer;

/// Suffix of a folder that a data set is being fetched to.
const INCOMING: &str = ".incoming";

/// The folder of fetched data sets, and its limit.
#[derive(Debug, Clone)]
pub struct CacheOptions {
    /// The folder; created at the first fetch.
    pub folder: PathBuf,
    /// Limit in bytes for all data sets together; 0: fetch none.
    pub limit: u64,
}

/// Why a data set is not available.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// This machine's disk failed.
    #[error("cannot {action} {path}: {cause}", path = path.display())]
    Disk {
        /// The operation.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// The coordinator, or the connection to it, failed.
    #[error("the pushed data set {data} cannot be fetched: {cause}", data = data.short())]
    Fetch {
        /// The data set.
        data: Fingerprint,
        /// The cause.
        cause: String,
    },
    /// A pack does not match its hash in any of the tries.
    #[error("pack {pack} of the pushed data set {data} is damaged: remove the data set and push it again", pack = pack.short(), data = data.short())]
    Damaged {
        /// The data set.
        data: Fingerprint,
        /// Its pack, or its list of packs.
        pack: ArtifactId,
    },
    /// The list of packs is wrong.
    #[error("the pushed data set {data} cannot be used: {cause}; remove it and push it again", data = data.short())]
    Packing {
        /// The data set.
        data: Fingerprint,
        /// The cause.
        cause: PackingError,
    },
    /// The fetched files are not the data set that was asked for.
    #[error("the files pushed as {data} are another data set ({found}): remove it and push it again", data = data.short())]
    Misfit {
        /// The data set that was asked for.
        data: Fingerprint,
        /// The data set that was found.
        found: String,
    },
    /// The data set is larger than the limit.
    #[error("the data set has {} MiB but --data-cache-limit is {} MiB: raise the limit", bytes.div_ceil(1 << 20), limit >> 20)]
    TooLarge {
        /// Its length in bytes.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
}

impl CacheError {
    /// Returns whether the disk has no room: the same fetch may succeed later.
    pub(super) fn is_full(&self) -> bool {
        matches!(self, CacheError::Disk { cause, .. } if transfer::is_full(cause))
    }

    /// Returns the failure code of an attempt that needs this data set.
    pub(super) fn code(&self) -> FailureCode {
        match self {
            CacheError::Damaged { .. } | CacheError::Packing { .. } | CacheError::Misfit { .. } => FailureCode::Data,
            CacheError::Disk { .. } | CacheError::Fetch { .. } | CacheError::TooLarge { .. } => FailureCode::Storage,
        }
    }
}

fn disk(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CacheError {
    let path = path.to_owned();
    move |cause| CacheError::Disk { action, path, cause }
}

/// See the module.
pub(super) struct Cache {
    options: CacheOptions,
    room: Arc<Mutex<Room>>,
    /// Notified when a data set is no longer in use.
    released: Arc<Notify>,
    /// Allows one fetch at a time.
    fetching: tokio::sync::Mutex<()>,
}

/// A data set in use: it stays on the disk until this is dropped.
pub(super) struct Hold {
    data: Fingerprint,
    /// The folder that [`Hold::source`] is relative to.
    pub(super) root: PathBuf,
    room: Arc<Mutex<Room>>,
    released: Arc<Notify>,
}

impl Hold {
    /// Returns `source` with its path below [`Hold::root`].
    pub(super) fn source(&self, source: &Source) -> Source {
        source.at(DATA)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        locked(&self.room).release(self.data);
        self.released.notify_waiters();
    }
}

fn locked(room: &Mutex<Room>) -> MutexGuard<'_, Room> {
    // The value is consistent after every statement, so a panic of another holder does no harm.
    room.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cache {
    /// Opens the cache in its folder, with the data sets that earlier runs of the daemon left there. Folders with other
    /// names are not touched.
    pub(super) fn open(options: CacheOptions) -> Result<Self, CacheError> {
        let mut found: Vec<(SystemTime, Fingerprint, Completeness, u64)> = Vec::new();
        let entries = match fs::read_dir(&options.folder) {
            Ok(entries) => entries.collect::<Result<Vec<_>, _>>().map_err(disk("list", &options.folder))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(disk("list", &options.folder)(error)),
        };
        for path in entries.into_iter().map(|entry| entry.path()) {
            let Some((data, completeness)) = path.file_name().and_then(|name| name.to_str()).and_then(named) else {
                continue;
            };
            match Fetched::read(&path) {
                Some((progress, used)) => found.push((used, data, completeness, progress.bytes)),
                None => fs::remove_dir_all(&path).map_err(disk("remove", &path))?,
            }
        }
        found.sort_by_key(|(used, ..)| *used);
        let mut room = Room::new(options.limit);
        found.into_iter().for_each(|(_, data, completeness, bytes)| room.found(data, completeness, bytes));
        Ok(Self {
            options,
            room: Arc::new(Mutex::new(room)),
            released: Arc::default(),
            fetching: tokio::sync::Mutex::default(),
        })
    }

    /// Returns the data set of `source` with this fingerprint. Fetches it by its list of packs if it is not here.
    pub(super) async fn hold(
        &self,
        link: &Link,
        data: Fingerprint,
        packing: ArtifactId,
        source: &Source,
    ) -> Result<Hold, CacheError> {
        if let Some(hold) = self.whole(data)? {
            return Ok(hold);
        }
        let _one_at_a_time = self.fetching.lock().await;
        if let Some(hold) = self.whole(data)? {
            return Ok(hold);
        }
        fs::create_dir_all(&self.options.folder).map_err(disk("make", &self.options.folder))?;
        let list = Arc::new(self.list(link, data, packing).await?);
        let hold = self.reserve(data, list.bytes()).await?;
        tracing::info!(data = %data.short(), mib = list.bytes().div_ceil(1 << 20), packs = list.packs().len(), "fetching a data set");
        let (incoming, folder) = (self.path(data, INCOMING), self.path(data, ""));
        fetch::fetch(link, data, packing, &list, &incoming).await?;
        let checked = {
            let (incoming, source) = (incoming.clone(), hold.source(source));
            tokio::task::spawn_blocking(move || pretext_data::scan(&incoming, &source, None)).await
        };
        match checked {
            Ok(Ok(manifest)) if manifest.facts.fingerprint == data => {}
            other => {
                // Start again, whatever the folder holds.
                fs::remove_dir_all(&incoming).map_err(disk("remove", &incoming))?;
                locked(&self.room).forget(data);
                return Err(CacheError::Misfit { data, found: said(other) });
            }
        }
        let place = (incoming, folder);
        tokio::task::spawn_blocking(move || publish(&place.0, &place.1))
            .await
            .map_err(|error| CacheError::Fetch { data, cause: error.to_string() })??;
        locked(&self.room).complete(data);
        tracing::info!(data = %data.short(), "the data set was fetched");
        Ok(hold)
    }

    fn path(&self, data: Fingerprint, ending: &str) -> PathBuf {
        self.options.folder.join(format!("{data}{ending}"))
    }

    fn held(&self, data: Fingerprint) -> Hold {
        let (room, released) = (self.room.clone(), self.released.clone());
        Hold { data, root: self.path(data, ""), room, released }
    }

    fn whole(&self, data: Fingerprint) -> Result<Option<Hold>, CacheError> {
        if !locked(&self.room).hold(data) {
            return Ok(None);
        }
        let hold = self.held(data);
        match Fetched::touch(&hold.root) {
            Ok(()) => Ok(Some(hold)),
            // Someone removed files to make room.
            Err(CacheError::Disk { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {
                locked(&self.room).forget(data);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the list of files and packs.
    async fn list(&self, link: &Link, data: Fingerprint, packing: ArtifactId) -> Result<Packing, CacheError> {
        let path = self.options.folder.join(format!("{data}.packing"));
        fetch::download(link, data, packing, &path).await?;
        let text = fs::read(&path).map_err(disk("read", &path))?;
        fs::remove_file(&path).map_err(disk("remove", &path))?;
        Packing::parse(&text).map_err(|cause| CacheError::Packing { data, cause })
    }

    /// Makes room, which may take until other stages of this worker end.
    async fn reserve(&self, data: Fingerprint, bytes: u64) -> Result<Hold, CacheError> {
        loop {
            let released = self.released.notified();
            tokio::pin!(released);
            // A release after this line is not missed.
            released.as_mut().enable();
            let reserved = locked(&self.room).reserve(data, bytes);
            match reserved {
                Ok(gone) => {
                    let hold = self.held(data);
                    for other in gone {
                        tracing::info!(data = %other.short(), "removing a data set from the cache");
                        for ending in ["", INCOMING] {
                            remove(&self.path(other, ending))?;
                        }
                    }
                    return Ok(hold);
                }
                Err(NoRoom::Limit) => return Err(CacheError::TooLarge { bytes, limit: self.options.limit }),
                Err(NoRoom::InUse) => {
                    tracing::info!(data = %data.short(), "waiting for room in the data cache");
                    released.await;
                }
            }
        }
    }
}

/// Returns the data set of a folder of the cache, by the folder's name.
fn named(name: &str) -> Option<(Fingerprint, Completeness)> {
    match name.strip_suffix(INCOMING) {
        Some(name) => Some((name.parse().ok()?, Completeness::Begun)),
        None => Some((name.parse().ok()?, Completeness::Whole)),
    }
}

fn said(checked: Result<Result<pretext_data::Manifest, DataError>, tokio::task::JoinError>) -> String {
    match checked {
        Ok(Ok(manifest)) => format!("fingerprint {}", manifest.facts.fingerprint.short()),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    }
}

/// Removes a folder if it exists.
fn remove(folder: &Path) -> Result<(), CacheError> {
    match fs::remove_dir_all(folder) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(disk("remove", folder)(cause)),
        _ => Ok(()),
    }
}

/// Makes the fetched files durable, then visible.
fn publish(incoming: &Path, folder: &Path) -> Result<(), CacheError> {
    let handle = File::open(incoming).map_err(disk("open", incoming))?;
    sync_all_of(&handle).map_err(disk("sync", incoming))?;
    fs::rename(incoming, folder).map_err(disk("rename", incoming))?;
    let parent = folder.parent().unwrap_or(Path::new("."));
    File::open(parent).and_then(|parent| parent.sync_all()).map_err(disk("sync", parent))
}

/// Forces the file system of a folder to the disk with one call; one call for each file would take minutes.
#[cfg(target_os = "linux")]
fn sync_all_of(folder: &File) -> io::Result<()> {
    Ok(rustix::fs::syncfs(folder)?)
}

/// Forces all file systems to the disk.
#[cfg(not(target_os = "linux"))]
fn sync_all_of(_: &File) -> io::Result<()> {
    rustix::fs::sync();
    Ok(())
}

#[cfg(test)]
mod tests {
    use pretext_shared::ids::ContentHash;

    use super::*;

    #[test]
    fn what_a_former_life_left_is_found_and_nothing_else_is_touched() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = |name: &str| Fingerprint(ContentHash::of(name.as_bytes()));
        let at = |name: String| folder.path().join(name);
        let progress = Fetched { packing: ArtifactId(ContentHash::of(b"list")), bytes: 60, done: 1 };
        for name in [data("whole").to_string(), format!("{}{INCOMING}", data("begun"))] {
            fs::create_dir(at(name.clone())).expect("a folder");
            progress.write(&at(name)).expect("writable");
        }
        // One folder torn by a crash before any progress was recorded, and one of another program.
        fs::create_dir(at(format!("{}{INCOMING}", data("torn")))).expect("a folder");
        fs::create_dir(at("photographs".to_owned())).expect("a folder");
        fs::write(at("photographs/a.png".to_owned()), "precious").expect("writable");
        let options = CacheOptions { folder: folder.path().to_owned(), limit: 130 };
        let cache = Cache::open(options).expect("readable");
        let hold = cache.whole(data("whole")).expect("readable").expect("it is there");
        assert!(cache.whole(data("begun")).expect("readable").is_none());
        assert!(!at(format!("{}{INCOMING}", data("torn"))).exists() && at("photographs/a.png".to_owned()).exists());
        let gone = locked(&cache.room).reserve(data("new"), 70);
        assert_eq!(gone, Ok(vec![data("begun")]), "the other one is in use");
        drop(hold);
        assert_eq!(locked(&cache.room).reserve(data("newest"), 60), Ok(vec![data("whole")]));
    }
}
