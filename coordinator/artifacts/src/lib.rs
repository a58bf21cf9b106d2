//! Artifacts: checkpoints, models and reports, named by the hash of their content. They live in a directory or in a
//! bucket of S3-compatible storage; what holds of one home holds of the other (`tests/tests/artifacts.rs`).
//!
//! Content is checked against its name before anybody can see it, so what is there is whole, and putting it there twice is
//! the same as once. Nothing is ever changed.

mod allowance;
mod bucket;
mod credentials;
mod directory;
mod error;
mod incoming;
mod pieces;
mod place;

use std::sync::Arc;

use pretext_shared::artifact::StoredArtifact;
use pretext_shared::ids::{ArtifactId, ContentHash};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use self::allowance::Allowance;
pub use self::allowance::ArtifactLimits;
use self::bucket::Bucket;
use self::directory::Directory;
pub use self::error::ArtifactError;
use self::incoming::Draft;
pub use self::incoming::Incoming;
pub use self::pieces::Pieces;
pub use self::place::{AwsVariables, Place};

/// Where artifacts are kept and how much of them.
#[derive(Debug, Clone)]
pub struct ArtifactOptions {
    /// The home.
    pub place: Place,
    /// How a bucket is reached.
    pub variables: AwsVariables,
    /// How much is taken.
    pub limits: ArtifactLimits,
}

impl ArtifactOptions {
    /// In a folder, with no other limit than its disk.
    pub fn in_folder(folder: impl Into<std::path::PathBuf>) -> Self {
        let (variables, limits) = (AwsVariables::default(), ArtifactLimits::default());
        Self { place: Place::Directory(folder.into()), variables, limits }
    }
}

/// The artifact store. Copies are of one store.
#[derive(Debug, Clone)]
pub struct Artifacts(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    home: Home,
    allowance: Arc<Allowance>,
    /// Held while a reference to an artifact that is there becomes durable; see [`Artifacts::alone`].
    references: RwLock<()>,
}

#[derive(Debug)]
enum Home {
    Directory(Directory),
    Bucket(Bucket),
}

impl Artifacts {
    /// Opens the store; a folder is made if it is not there. What others have under way there is left alone.
    ///
    /// # Errors
    /// When the folder cannot be made, or it is not said how the bucket is reached.
    pub async fn open(options: &ArtifactOptions) -> Result<Self, ArtifactError> {
        let home = match &options.place {
            Place::Directory(root) => Home::Directory(Directory::open(root).await?),
            Place::Bucket(address) => Home::Bucket(Bucket::open(address, &options.variables).await?),
        };
        let allowance = Arc::new(Allowance::new(options.limits));
        Ok(Self(Arc::new(Inner { home, allowance, references: RwLock::new(()) })))
    }

    /// Sees that a bucket can be written, before anything depends on it.
    ///
    /// # Errors
    /// A sentence about what is missing: a server, a bucket, a right.
    pub async fn probe(&self) -> Result<(), ArtifactError> {
        match &self.0.home {
            Home::Directory(_) => Ok(()),
            Home::Bucket(bucket) => bucket.probe().await,
        }
    }

    /// From here on this process alone puts artifacts there: what a former one left half done is cleared, and where there is
    /// a quota, what is there is counted.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn begin(&self) -> Result<(), ArtifactError> {
        if let Home::Directory(directory) = &self.0.home {
            directory.clear_incoming().await?;
        }
        if self.0.allowance.counts() {
            self.0.allowance.count(&self.list().await?);
        }
        Ok(())
    }

    /// Whether the artifact is there.
    pub async fn has(&self, id: ArtifactId) -> Result<bool, ArtifactError> {
        match &self.0.home {
            Home::Directory(directory) => directory.has(id).await,
            Home::Bucket(bucket) => bucket.has(id).await,
        }
    }

    /// Begins to receive an artifact of `length` bytes.
    ///
    /// # Errors
    /// When that is more than is taken, or the home says no.
    pub async fn receive(&self, id: ArtifactId, length: u64) -> Result<Incoming, ArtifactError> {
        let promise = self.0.allowance.admit(length)?;
        let draft = match &self.0.home {
            Home::Directory(directory) => Draft::File(directory.draft(id).await?),
            Home::Bucket(bucket) => Draft::Object(bucket.draft(id).await),
        };
        Ok(Incoming::new(id, length, draft, promise))
    }

    /// The content in pieces; the receiver checks the hash.
    pub async fn pieces(&self, id: ArtifactId) -> Result<Pieces, ArtifactError> {
        match &self.0.home {
            Home::Directory(directory) => directory.pieces(id).await,
            Home::Bucket(bucket) => bucket.pieces(id).await,
        }
    }

    /// The whole content, checked against its name.
    pub async fn read(&self, id: ArtifactId) -> Result<Vec<u8>, ArtifactError> {
        let mut pieces = self.pieces(id).await?;
        let mut content = Vec::new();
        while let Some(piece) = pieces.next().await? {
            content.extend_from_slice(&piece);
        }
        let found = ArtifactId(ContentHash::of(&content));
        if found == id { Ok(content) } else { Err(ArtifactError::Mismatch { expected: id, found }) }
    }

    /// The same for a thread of the runtime that may block.
    pub fn blocking_read(&self, id: ArtifactId) -> Result<Vec<u8>, ArtifactError> {
        tokio::runtime::Handle::current().block_on(self.read(id))
    }

    /// Removes an artifact. One that is not there is not an error.
    pub async fn remove(&self, id: ArtifactId) -> Result<(), ArtifactError> {
        match &self.0.home {
            Home::Directory(directory) => directory.remove(id).await?,
            Home::Bucket(bucket) => bucket.remove(id).await?,
        }
        self.0.allowance.forget(id);
        Ok(())
    }

    /// Everything that is there. Uploads that are under way are not.
    pub async fn list(&self) -> Result<Vec<StoredArtifact>, ArtifactError> {
        match &self.0.home {
            Home::Directory(directory) => directory.list().await,
            Home::Bucket(bucket) => bucket.list().await,
        }
    }

    /// Held from the moment at which an artifact is seen to be there until a reference to it is durable.
    pub async fn referring(&self) -> RwLockReadGuard<'_, ()> {
        self.0.references.read().await
    }

    /// Held from the moment at which nothing is seen to refer to an artifact until it is removed.
    pub async fn alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.0.references.write().await
    }
}
