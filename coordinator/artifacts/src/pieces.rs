//! The download of an artifact.

use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;

use tokio::io::AsyncReadExt;
use tokio_stream::{Stream, StreamExt};

use super::ArtifactError;
use super::error::disk;

/// Bytes of a file that are read at a time.
const PIECE: usize = 256 << 10;

/// The content of an artifact, in order and in pieces that are never empty. At most one piece is in memory.
pub struct Pieces(Source);

enum Source {
    File(tokio::fs::File, PathBuf),
    Object(Pin<Box<dyn Stream<Item = Result<Vec<u8>, ArtifactError>> + Send>>),
}

impl Pieces {
    pub(super) fn of_file(file: tokio::fs::File, path: PathBuf) -> Self {
        Self(Source::File(file, path))
    }

    pub(super) fn of_object(stream: impl Stream<Item = Result<Vec<u8>, ArtifactError>> + Send + 'static) -> Self {
        Self(Source::Object(Box::pin(stream.filter(|piece| !piece.as_ref().is_ok_and(Vec::is_empty)))))
    }

    /// Returns the next piece; `None` after the last.
    ///
    /// # Errors
    /// If the storage fails. No piece follows then.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, ArtifactError> {
        match &mut self.0 {
            Source::File(file, path) => {
                let mut piece = vec![0; PIECE];
                let read = file.read(&mut piece).await.map_err(disk("read", path))?;
                piece.truncate(read);
                Ok((read > 0).then_some(piece))
            }
            Source::Object(stream) => stream.next().await.transpose(),
        }
    }
}

impl fmt::Debug for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pieces")
    }
}
