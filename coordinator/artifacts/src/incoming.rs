//! The upload of an artifact.

use pretext_shared::ids::{ArtifactId, ContentHash};

use super::allowance::Promise;
use super::{ArtifactError, bucket, directory};

/// An upload of an artifact. If it is dropped before [`Incoming::finish`], it leaves nothing.
#[derive(Debug)]
pub struct Incoming {
    id: ArtifactId,
    announced: u64,
    found: u64,
    hasher: blake3::Hasher,
    draft: Pending,
    promise: Promise,
}

/// Content that is not visible yet.
#[derive(Debug)]
pub(super) enum Pending {
    File(directory::PendingFile),
    Object(bucket::PendingObject),
}

impl Incoming {
    pub(super) fn new(id: ArtifactId, announced: u64, draft: Pending, promise: Promise) -> Self {
        Self { id, announced, found: 0, hasher: blake3::Hasher::new(), draft, promise }
    }

    /// Writes the next piece.
    ///
    /// # Errors
    /// If there is more content than was announced, or if the storage fails.
    pub async fn write(&mut self, piece: &[u8]) -> Result<(), ArtifactError> {
        self.found += piece.len() as u64;
        if self.found > self.announced {
            return Err(ArtifactError::Length { announced: self.announced, found: self.found });
        }
        self.hasher.update(piece);
        match &mut self.draft {
            Pending::File(draft) => draft.write(piece).await,
            Pending::Object(draft) => draft.write(piece).await,
        }
    }

    /// Checks the content against its name, then makes it durable, then visible.
    ///
    /// # Errors
    /// If the content is not what was announced (it is removed then), or if the storage fails.
    pub async fn finish(self) -> Result<(), ArtifactError> {
        let Self { id, announced, found, hasher, draft, promise } = self;
        if found != announced {
            return Err(ArtifactError::Length { announced, found });
        }
        let hash = ArtifactId(ContentHash::from_bytes(*hasher.finalize().as_bytes()));
        if hash != id {
            return Err(ArtifactError::Mismatch { expected: id, found: hash });
        }
        match draft {
            Pending::File(draft) => draft.finish().await?,
            Pending::Object(draft) => draft.finish().await?,
        }
        promise.keep(id);
        Ok(())
    }
}
