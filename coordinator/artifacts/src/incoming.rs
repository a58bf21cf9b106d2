//! An artifact on its way in.

use pretext_shared::ids::{ArtifactId, ContentHash};

use super::allowance::Promise;
use super::{ArtifactError, bucket, directory};

/// An artifact on its way in. Dropped before [`Incoming::finish`], it leaves nothing.
#[derive(Debug)]
pub struct Incoming {
    id: ArtifactId,
    announced: u64,
    found: u64,
    hasher: blake3::Hasher,
    draft: Draft,
    promise: Promise,
}

/// Content that nobody sees yet.
#[derive(Debug)]
pub(super) enum Draft {
    File(directory::Draft),
    Object(bucket::Draft),
}

impl Incoming {
    pub(super) fn new(id: ArtifactId, announced: u64, draft: Draft, promise: Promise) -> Self {
        Self { id, announced, found: 0, hasher: blake3::Hasher::new(), draft, promise }
    }

    /// The next piece.
    ///
    /// # Errors
    /// When more comes than was announced, or the home says no.
    pub async fn write(&mut self, piece: &[u8]) -> Result<(), ArtifactError> {
        self.found += piece.len() as u64;
        if self.found > self.announced {
            return Err(ArtifactError::Length { announced: self.announced, found: self.found });
        }
        self.hasher.update(piece);
        match &mut self.draft {
            Draft::File(draft) => draft.write(piece).await,
            Draft::Object(draft) => draft.write(piece).await,
        }
    }

    /// Checks the content against its name, and makes it durable and visible, in this order.
    ///
    /// # Errors
    /// When it is not what was announced (then nothing is left of it), or the home says no.
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
            Draft::File(draft) => draft.finish().await?,
            Draft::Object(draft) => draft.finish().await?,
        }
        promise.keep(id);
        Ok(())
    }
}
