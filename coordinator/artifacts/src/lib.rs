//! Artifacts: checkpoints, models and reports, named by the hash of their content. They are stored in a directory or in
//! a bucket of S3-compatible storage, with the same guarantees (`tests/system/artifacts.rs`).
//!
//! Content becomes visible only after its hash was checked, so every visible artifact is complete. Storing it twice is
//! the same as storing it once. Artifacts never change.

mod allowance;
mod bucket;
mod credentials;
mod directory;
mod error;
mod incoming;
mod location;
mod pieces;

use std::sync::Arc;

use pretext_shared::artifact::StoredArtifact;
use pretext_shared::ids::{ArtifactId, ContentHash};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use self::allowance::Allowance;
pub use self::allowance::ArtifactLimits;
use self::bucket::Bucket;
use self::directory::Directory;
pub use self::error::ArtifactError;
pub use self::incoming::Incoming;
use self::incoming::Pending;
pub use self::location::{AwsVariables, Location};
pub use self::pieces::Pieces;

/// Location and limits of the artifacts.
#[derive(Debug, Clone)]
pub struct ArtifactOptions {
    /// The folder or bucket.
    pub place: Location,
    /// Settings of the connection to a bucket.
    pub variables: AwsVariables,
    /// The limits.
    pub limits: ArtifactLimits,
}

impl ArtifactOptions {
    /// Returns options for a folder, without limits.
    pub fn in_folder(folder: impl Into<std::path::PathBuf>) -> Self {
        let (variables, limits) = (AwsVariables::default(), ArtifactLimits::default());
        Self { place: Location::Directory(folder.into()), variables, limits }
    }
}

/// The artifact store. Clones share one store.
#[derive(Debug, Clone)]
pub struct Artifacts(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    home: Home,
    allowance: Arc<Allowance>,
    /// Held while a reference to a stored artifact becomes durable; see [`Artifacts::alone`].
    references: RwLock<()>,
}

#[derive(Debug)]
enum Home {
    Directory(Directory),
    Bucket(Bucket),
}

impl Artifacts {
    /// Opens the store; a folder is created if it is missing. Uploads by other processes are not touched.
    ///
    /// # Errors
    /// If the folder cannot be made, or if settings of the bucket are missing.
    pub async fn open(options: &ArtifactOptions) -> Result<Self, ArtifactError> {
        let home = match &options.place {
            Location::Directory(root) => Home::Directory(Directory::open(root).await?),
            Location::Bucket(address) => Home::Bucket(Bucket::open(address, &options.variables).await?),
        };
        let allowance = Arc::new(Allowance::new(options.limits));
        Ok(Self(Arc::new(Inner { home, allowance, references: RwLock::new(()) })))
    }

    /// Checks that a bucket can be written, before anything depends on it.
    ///
    /// # Errors
    /// A message that says what is missing: a server, a bucket, a right.
    pub async fn probe(&self) -> Result<(), ArtifactError> {
        match &self.0.home {
            Home::Directory(_) => Ok(()),
            Home::Bucket(bucket) => bucket.probe().await,
        }
    }

    /// Starts the writing: from here on only this process writes artifacts. Removes unfinished uploads of former
    /// processes, and counts the stored artifacts if there is a quota.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn begin(&self) -> Result<(), ArtifactError> {
        if let Home::Directory(directory) = &self.0.home {
            directory.clear_incoming().await?;
        }
        if self.0.allowance.counts() {
            self.0.allowance.count(&self.list().await?);
        }
        Ok(())
    }

    /// Returns whether the artifact is stored.
    pub async fn has(&self, id: ArtifactId) -> Result<bool, ArtifactError> {
        match &self.0.home {
            Home::Directory(directory) => directory.has(id).await,
            Home::Bucket(bucket) => bucket.has(id).await,
        }
    }

    /// Begins to receive an artifact of `length` bytes.
    ///
    /// # Errors
    /// If the length exceeds a limit, or if the storage fails.
    pub async fn receive(&self, id: ArtifactId, length: u64) -> Result<Incoming, ArtifactError> {
        let promise = self.0.allowance.admit(length)?;
        let draft = match &self.0.home {
            Home::Directory(directory) => Pending::File(directory.draft(id).await?),
            Home::Bucket(bucket) => Pending::Object(bucket.draft(id).await),
        };
        Ok(Incoming::new(id, length, draft, promise))
    }

    /// Returns the content in pieces; the receiver checks the hash.
    pub async fn pieces(&self, id: ArtifactId) -> Result<Pieces, ArtifactError> {
        match &self.0.home {
            Home::Directory(directory) => directory.pieces(id).await,
            Home::Bucket(bucket) => bucket.pieces(id).await,
        }
    }

    /// Returns the whole content, checked against its name.
    pub async fn read(&self, id: ArtifactId) -> Result<Vec<u8>, ArtifactError> {
        let mut pieces = self.pieces(id).await?;
        let mut content = Vec::new();
        while let Some(piece) = pieces.next().await? {
            content.extend_from_slice(&piece);
        }
        let found = ArtifactId(ContentHash::of(&content));
        if found == id { Ok(content) } else { Err(ArtifactError::Mismatch { expected: id, found }) }
    }

    /// The same as [`Artifacts::read`], for a thread that may block.
    pub fn blocking_read(&self, id: ArtifactId) -> Result<Vec<u8>, ArtifactError> {
        tokio::runtime::Handle::current().block_on(self.read(id))
    }

    /// Removes an artifact. A missing artifact is not an error.
    pub async fn remove(&self, id: ArtifactId) -> Result<(), ArtifactError> {
        match &self.0.home {
            Home::Directory(directory) => directory.remove(id).await?,
            Home::Bucket(bucket) => bucket.remove(id).await?,
        }
        self.0.allowance.forget(id);
        Ok(())
    }

    /// Returns all stored artifacts, without uploads in progress.
    pub async fn list(&self) -> Result<Vec<StoredArtifact>, ArtifactError> {
        match &self.0.home {
            Home::Directory(directory) => directory.list().await,
            Home::Bucket(bucket) => bucket.list().await,
        }
    }

    /// Returns a lock that allows references: held from the check that an artifact exists until a reference to it is
    /// durable.
    pub async fn referring(&self) -> RwLockReadGuard<'_, ()> {
        self.0.references.read().await
    }

    /// Returns a lock that excludes references: held while an artifact is checked and, if it is garbage, removed.
    pub async fn alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.0.references.write().await
    }
}
