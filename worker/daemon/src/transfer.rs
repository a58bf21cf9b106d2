//! Uploads and downloads of artifacts, between this machine and the coordinator.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pretext_proto::refusal::{self, Kind};
use pretext_proto::v1 as pb;
use pretext_shared::claim::Claim;
use pretext_shared::ids::{ArtifactId, ContentHash};
use pretext_shared::outcome::ArtifactKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use super::link::Link;
use super::messages;
use crate::refusal::Refused;

/// Number of times to upload a file again that was removed before anything referred to it (a garbage collection came
/// between).
pub(super) const AGAIN: usize = 3;
/// Pause before the next attempt to write to a disk that is full.
pub(super) const NO_ROOM: Duration = Duration::from_secs(5);
/// Size of the pieces of an upload.
const PIECE: usize = 256 << 10;

/// Why a file could not be transferred.
#[derive(Debug, thiserror::Error)]
pub(super) enum TransferError {
    /// The disk of this machine failed.
    #[error("cannot {action} {path}: {cause}", path = path.display())]
    Disk {
        /// The operation.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        cause: std::io::Error,
    },
    /// The coordinator refused.
    #[error("the coordinator refused it: {0}")]
    Refused(#[from] Refused),
    /// The coordinator no longer has points that it had acknowledged.
    #[error("the coordinator has lost points that it had acknowledged: {0}")]
    PointsLost(String),
    /// The uploaded file is no longer there.
    #[error("the coordinator refused it: {0}")]
    Removed(String),
    /// The content does not match the artifact's hash.
    #[error("artifact {} was damaged on the way", .0.short())]
    Damaged(ArtifactId),
}

fn disk(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> TransferError {
    let path = path.to_owned();
    move |cause| TransferError::Disk { action, path, cause }
}

/// Returns the status of a call that this machine ended: no retry helps, and the coordinator said nothing.
fn local(message: String) -> Status {
    refusal::status(Code::Internal, Kind::Invalid, message)
}

/// Returns the status of a download whose file cannot be written here. If the disk is full, the download is tried again.
fn unwritten(path: &Path) -> impl Fn(std::io::Error) -> Status + use<'_> {
    move |error| {
        let message = format!("cannot write {}: {error}", path.display());
        if !is_full(&error) {
            return local(message);
        }
        tracing::error!(path = %path.display(), "the disk is full: waiting until there is room");
        // The part that was written may be the last room of this disk.
        let _ = std::fs::remove_file(path);
        refusal::status(Code::Unavailable, Kind::Retryable(Some(NO_ROOM)), message)
    }
}

/// Returns whether a disk has no room: the same write may succeed later.
pub(super) fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

/// Returns the hash and length of a file's content.
async fn identify(path: &Path) -> Result<(ArtifactId, u64), TransferError> {
    let mut file = tokio::fs::File::open(path).await.map_err(disk("open", path))?;
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0; PIECE];
    let mut length = 0;
    loop {
        match file.read(&mut piece).await.map_err(disk("read", path))? {
            0 => return Ok((ArtifactId(ContentHash::from_bytes(*hasher.finalize().as_bytes())), length)),
            read => {
                hasher.update(&piece[..read]);
                length += read as u64;
            }
        }
    }
}

/// Uploads a file, with as many tries as needed, and returns its id.
pub(super) async fn upload(
    link: &Link,
    claim: &Claim,
    kind: ArtifactKind,
    path: &Path,
) -> Result<ArtifactId, TransferError> {
    let (artifact, length) = identify(path).await?;
    let header = messages::upload(claim, kind, artifact, length);
    link.persist("upload", |mut client| {
        let (header, path) = (header.clone(), path.to_owned());
        async move {
            // A file that is gone does not come back: a newer checkpoint replaced it.
            let failed = |error: std::io::Error| local(format!("cannot open {}: {error}", path.display()));
            let file = tokio::fs::File::open(&path).await.map_err(failed)?;
            let (parts, stream) = tokio::sync::mpsc::channel(4);
            tokio::spawn(send_file(file, header, parts));
            client.upload(ReceiverStream::new(stream)).await
        }
    })
    .await
    .map_err(|status| Refused::of(&status))?;
    Ok(artifact)
}

/// Sends a file's content until the file ends or the receiver stops (then the call says why).
async fn send_file(
    mut file: tokio::fs::File,
    header: pb::UploadHeader,
    parts: tokio::sync::mpsc::Sender<pb::UploadPart>,
) {
    let mut part = Some(pb::upload_part::Part::Header(header));
    while part.is_some() {
        if parts.send(pb::UploadPart { part }).await.is_err() {
            return;
        }
        let mut data = vec![0; PIECE];
        part = match file.read(&mut data).await {
            // A file that can no longer be read ends early, and the coordinator refuses it as incomplete.
            Ok(0) | Err(_) => None,
            Ok(read) => {
                data.truncate(read);
                Some(pb::upload_part::Part::Chunk(pb::Chunk { data }))
            }
        };
    }
}

/// Makes a folder, once there is room for it.
pub(super) async fn make_folder(path: &Path) -> Result<(), TransferError> {
    loop {
        match tokio::fs::create_dir_all(path).await {
            Err(error) if is_full(&error) => {
                tracing::error!(path = %path.display(), "the disk is full: waiting until there is room");
                tokio::time::sleep(NO_ROOM).await;
            }
            made => return made.map_err(disk("make", path)),
        }
    }
}

/// Downloads an artifact to `path`, unless the file is there already with the right content.
pub(super) async fn download(link: &Link, artifact: ArtifactId, path: &Path) -> Result<(), TransferError> {
    if path.is_file() && identify(path).await?.0 == artifact {
        return Ok(());
    }
    // Each call has a name of its own, because another slot may fetch the same model at the same time.
    let temporary = path.with_extension(format!("{}.incoming", uuid::Uuid::now_v7()));
    let request = pb::DownloadRequest { artifact: artifact.to_string() };
    link.persist("download", |mut client| {
        let (request, temporary) = (request.clone(), temporary.clone());
        async move {
            let mut pieces = client.download(request).await?.into_inner();
            let failed = unwritten(&temporary);
            let mut file = tokio::fs::File::create(&temporary).await.map_err(&failed)?;
            while let Some(piece) = pieces.message().await? {
                file.write_all(&piece.data).await.map_err(&failed)?;
            }
            file.sync_all().await.map_err(&failed)
        }
    })
    .await
    .map_err(|status| Refused::of(&status))?;
    if identify(&temporary).await?.0 != artifact {
        tokio::fs::remove_file(&temporary).await.map_err(disk("remove", &temporary))?;
        return Err(TransferError::Damaged(artifact));
    }
    tokio::fs::rename(&temporary, path).await.map_err(disk("rename", &temporary))
}
