//! Artifacts: files named by the hash of their content, in a directory.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use pretext_shared::ids::{ArtifactId, ContentHash};

/// The artifact store.
#[derive(Debug, Clone)]
pub struct Artifacts {
    root: PathBuf,
}

/// Why an artifact could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The disk said no.
    #[error("cannot {action} {path}: {cause}", path = path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        cause: io::Error,
    },
    /// The content is not what its name says.
    #[error("the content of artifact {} hashes to {}: it was damaged on the way", expected.short(), found.short())]
    Mismatch {
        /// The name.
        expected: ArtifactId,
        /// What the content hashes to.
        found: ArtifactId,
    },
    /// It is not there.
    #[error("no artifact {}", .0.short())]
    Missing(ArtifactId),
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ArtifactError {
    let path = path.to_owned();
    move |cause| ArtifactError::Io { action, path, cause }
}

impl Artifacts {
    /// Opens the store below `root`, made if it is not there. Left-over uploads are removed.
    pub fn open(root: &Path) -> Result<Self, ArtifactError> {
        let incoming = root.join("incoming");
        match fs::remove_dir_all(&incoming) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("clear", &incoming)(error));
            }
            _ => {}
        }
        fs::create_dir_all(&incoming).map_err(io_error("make", &incoming))?;
        Ok(Self { root: root.to_owned() })
    }

    fn path(&self, id: ArtifactId) -> PathBuf {
        let name = id.to_string();
        self.root.join(&name[..2]).join(&name[2..])
    }

    /// Whether the artifact is there.
    pub fn has(&self, id: ArtifactId) -> bool {
        self.path(id).is_file()
    }

    /// Begins to receive an artifact.
    pub fn receive(&self, id: ArtifactId) -> Result<Incoming, ArtifactError> {
        let temporary = self.root.join("incoming").join(uuid::Uuid::now_v7().to_string());
        let file = File::create(&temporary).map_err(io_error("make", &temporary))?;
        Ok(Incoming { id, path: self.path(id), temporary, file, hasher: blake3::Hasher::new() })
    }

    /// The whole content, checked against its name.
    pub fn read(&self, id: ArtifactId) -> Result<Vec<u8>, ArtifactError> {
        let mut content = Vec::new();
        self.open_file(id)?.read_to_end(&mut content).map_err(io_error("read", &self.path(id)))?;
        let found = ArtifactId(ContentHash::of(&content));
        if found == id { Ok(content) } else { Err(ArtifactError::Mismatch { expected: id, found }) }
    }

    /// The content as a file, to be sent in pieces; the receiver checks the hash.
    pub fn open_file(&self, id: ArtifactId) -> Result<File, ArtifactError> {
        let path = self.path(id);
        File::open(&path).map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => ArtifactError::Missing(id),
            _ => io_error("open", &path)(cause),
        })
    }

    /// Forgets an artifact that nothing refers to any more. One that is not there is not an error.
    pub fn remove(&self, id: ArtifactId) -> Result<(), ArtifactError> {
        let path = self.path(id);
        match fs::remove_file(&path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(io_error("remove", &path)(cause)),
            _ => Ok(()),
        }
    }
}

/// An artifact on its way in. Dropped before [`Incoming::finish`], it leaves nothing.
pub struct Incoming {
    id: ArtifactId,
    path: PathBuf,
    temporary: PathBuf,
    file: File,
    hasher: blake3::Hasher,
}

impl Incoming {
    /// The next piece.
    pub fn write(&mut self, piece: &[u8]) -> Result<(), ArtifactError> {
        self.hasher.update(piece);
        self.file.write_all(piece).map_err(io_error("write", &self.temporary))
    }

    /// Checks the content against its name and makes it durable: fsync, rename, fsync of the folder.
    pub fn finish(self) -> Result<(), ArtifactError> {
        let found = ArtifactId(ContentHash::from_bytes(*self.hasher.finalize().as_bytes()));
        if found != self.id {
            return Err(ArtifactError::Mismatch { expected: self.id, found });
        }
        self.file.sync_all().map_err(io_error("sync", &self.temporary))?;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(io_error("make", folder))?;
        fs::rename(&self.temporary, &self.path).map_err(io_error("rename", &self.temporary))?;
        for folder in [Some(folder), folder.parent()].into_iter().flatten() {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error("sync", folder))?;
        }
        Ok(())
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // After `finish` the file is gone; after anything else it must go, and if it cannot, the next
        // start clears it.
        let _ = fs::remove_file(&self.temporary);
    }
}
