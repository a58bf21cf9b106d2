//! The memory of what was told: a file for each sweep, with the id of the last event. Written durably.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use pretext_shared::ids::SweepId;

use super::Event;

/// Written last at the first start: from then on, every sweep that has finished is told.
const BEGUN: &str = ".begun";

/// Why the memory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ToldError {
    /// A fault of the disk.
    #[error("cannot {action} {path}: {cause}", path = path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// There is no such program.
    #[error("--on-final {path}: there is no such file, or it cannot be executed", path = .0.display())]
    NoProgram(PathBuf),
}

/// See the module.
pub(super) struct Told {
    folder: PathBuf,
    /// Sweeps that have finished and were told, so that their files need not be read again.
    known: BTreeSet<SweepId>,
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ToldError {
    move |cause| ToldError::Io { action, path: path.to_owned(), cause }
}

impl Told {
    /// Opens the memory, which is empty if its folder is new.
    pub(super) fn open(folder: PathBuf) -> Result<Self, ToldError> {
        fs::create_dir_all(&folder).map_err(failed("make", &folder))?;
        Ok(Self { folder, known: BTreeSet::new() })
    }

    /// Returns whether a first start has ended in this folder.
    pub(super) fn has_begun(folder: &Path) -> bool {
        folder.join(BEGUN).is_file()
    }

    /// Ends the first start.
    pub(super) fn begin(&self) -> Result<(), ToldError> {
        self.write(BEGUN, "")
    }

    /// Forgets that sweeps outside `finished` were told: they run again.
    pub(super) fn keep(&mut self, finished: &[SweepId]) {
        let finished: BTreeSet<&SweepId> = finished.iter().collect();
        self.known.retain(|sweep| finished.contains(sweep));
    }

    /// Returns whether the last event of a sweep was told, as far as this is known without a look at the disk.
    pub(super) fn knows(&self, sweep: &SweepId) -> bool {
        self.known.contains(sweep)
    }

    /// Returns whether the event was told.
    pub(super) fn has(&mut self, event: &Event) -> Result<bool, ToldError> {
        let path = self.folder.join(event.sweep.as_str());
        match fs::read_to_string(&path) {
            Ok(told) if told == event.event => {
                self.known.insert(event.sweep.clone());
                Ok(true)
            }
            Ok(_) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    /// Notes that the event was told.
    pub(super) fn note(&mut self, event: &Event) -> Result<(), ToldError> {
        self.write(event.sweep.as_str(), &event.event)?;
        self.known.insert(event.sweep.clone());
        Ok(())
    }

    fn write(&self, name: &str, text: &str) -> Result<(), ToldError> {
        let (path, temporary) = (self.folder.join(name), self.folder.join(format!(".new-{name}")));
        let write = |file: &mut File| file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        File::create(&temporary).and_then(|mut file| write(&mut file)).map_err(failed("write", &temporary))?;
        fs::rename(&temporary, &path).map_err(failed("rename", &temporary))?;
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(failed("sync", &self.folder))
    }
}
