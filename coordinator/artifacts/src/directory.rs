//! Artifacts in a directory: `XX/YYYY…`, the two parts of the name. Uploads in progress are in `incoming/`.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use pretext_shared::artifact::StoredArtifact;
use pretext_shared::ids::ArtifactId;
use tokio::io::AsyncWriteExt;

use super::error::disk;
use super::{ArtifactError, Pieces};

#[derive(Debug)]
pub(super) struct Directory {
    root: PathBuf,
}

/// Runs `work` on the disk, outside the threads that answer calls.
async fn blocking<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> Result<T, ArtifactError> + Send + 'static,
) -> Result<T, ArtifactError> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.unwrap_or_else(|error| Err(disk("work on", path)(std::io::Error::other(error))))
}

impl Directory {
    /// Opens the directory `root`, which is created if it is missing.
    pub(super) async fn open(root: &Path) -> Result<Self, ArtifactError> {
        let incoming = root.join("incoming");
        tokio::fs::create_dir_all(&incoming).await.map_err(disk("make", &incoming))?;
        Ok(Self { root: root.to_owned() })
    }

    /// Removes what unfinished uploads of a former process left.
    pub(super) async fn clear_incoming(&self) -> Result<(), ArtifactError> {
        let incoming = self.root.join("incoming");
        tokio::fs::remove_dir_all(&incoming).await.map_err(disk("clear", &incoming))?;
        tokio::fs::create_dir_all(&incoming).await.map_err(disk("make", &incoming))
    }

    fn path(&self, id: ArtifactId) -> PathBuf {
        let name = id.to_string();
        self.root.join(&name[..2]).join(&name[2..])
    }

    pub(super) async fn has(&self, id: ArtifactId) -> Result<bool, ArtifactError> {
        let path = self.path(id);
        match tokio::fs::metadata(&path).await {
            Ok(file) => Ok(file.is_file()),
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(false),
            Err(cause) => Err(disk("look at", &path)(cause)),
        }
    }

    pub(super) async fn draft(&self, id: ArtifactId) -> Result<PendingFile, ArtifactError> {
        let temporary = self.root.join("incoming").join(uuid::Uuid::now_v7().to_string());
        let file = tokio::fs::File::create(&temporary).await.map_err(disk("make", &temporary))?;
        Ok(PendingFile { path: self.path(id), temporary, file })
    }

    pub(super) async fn pieces(&self, id: ArtifactId) -> Result<Pieces, ArtifactError> {
        let path = self.path(id);
        match tokio::fs::File::open(&path).await {
            Ok(file) => Ok(Pieces::of_file(file, path)),
            Err(cause) if cause.kind() == ErrorKind::NotFound => Err(ArtifactError::Missing(id)),
            Err(cause) => Err(disk("open", &path)(cause)),
        }
    }

    pub(super) async fn remove(&self, id: ArtifactId) -> Result<(), ArtifactError> {
        let path = self.path(id);
        match tokio::fs::remove_file(&path).await {
            Err(cause) if cause.kind() != ErrorKind::NotFound => Err(disk("remove", &path)(cause)),
            _ => Ok(()),
        }
    }

    pub(super) async fn list(&self) -> Result<Vec<StoredArtifact>, ArtifactError> {
        let root = self.root.clone();
        blocking(&self.root, move || list(&root)).await
    }
}

/// Skips files whose names are not artifact names: they belong to somebody else.
fn list(root: &Path) -> Result<Vec<StoredArtifact>, ArtifactError> {
    let now = SystemTime::now();
    let mut found = Vec::new();
    for half in fs::read_dir(root).map_err(disk("list", root))? {
        let half = half.map_err(disk("list", root))?.path();
        let Some(first) = half.file_name().and_then(|name| name.to_str()).filter(|name| name.len() == 2) else {
            continue;
        };
        for file in fs::read_dir(&half).map_err(disk("list", &half))? {
            let file = file.map_err(disk("list", &half))?;
            let artifact = file.file_name().to_str().and_then(|rest| format!("{first}{rest}").parse().ok());
            let Some(artifact) = artifact else { continue };
            let facts = match file.metadata() {
                Ok(facts) => facts,
                // The file was removed meanwhile.
                Err(cause) if cause.kind() == ErrorKind::NotFound => continue,
                Err(cause) => return Err(disk("look at", &file.path())(cause)),
            };
            let put = facts.modified().map_err(disk("look at", &file.path()))?;
            found.push(StoredArtifact {
                artifact,
                bytes: facts.len(),
                age: now.duration_since(put).unwrap_or_default(),
            });
        }
    }
    Ok(found)
}

/// A file in `incoming/`.
#[derive(Debug)]
pub(super) struct PendingFile {
    path: PathBuf,
    temporary: PathBuf,
    file: tokio::fs::File,
}

impl PendingFile {
    pub(super) async fn write(&mut self, piece: &[u8]) -> Result<(), ArtifactError> {
        self.file.write_all(piece).await.map_err(disk("write", &self.temporary))
    }

    /// Syncs the file, renames it, syncs the folder. If the file exists already, it has the same content.
    pub(super) async fn finish(mut self) -> Result<(), ArtifactError> {
        self.file.flush().await.map_err(disk("write", &self.temporary))?;
        self.file.sync_all().await.map_err(disk("sync", &self.temporary))?;
        let (path, temporary) = (self.path.clone(), self.temporary.clone());
        blocking(&self.path, move || {
            let folder = path.parent().unwrap_or(Path::new("."));
            fs::create_dir_all(folder).map_err(disk("make", folder))?;
            fs::rename(&temporary, &path).map_err(disk("rename", &temporary))?;
            for folder in [Some(folder), folder.parent()].into_iter().flatten() {
                fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(disk("sync", folder))?;
            }
            Ok(())
        })
        .await
    }
}

impl Drop for PendingFile {
    fn drop(&mut self) {
        // After `finish` the file is gone. Otherwise it must be removed; if that fails, the next start removes it.
        let _ = fs::remove_file(&self.temporary);
    }
}
