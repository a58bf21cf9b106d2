//! Limits on artifacts: the size of one, and of all together. An upload counts from its announcement, so that several
//! uploads together cannot exceed the quota.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pretext_shared::artifact::StoredArtifact;
use pretext_shared::ids::ArtifactId;

use super::ArtifactError;

/// Default limit of the size of an artifact, in bytes. A bucket takes 10,000 parts of 8 MiB.
const LARGEST: u64 = 16 << 30;

/// The limits of an artifact store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArtifactLimits {
    /// Most bytes of one artifact.
    pub artifact: u64,
    /// Most bytes of all artifacts together; `None` for no limit.
    pub quota: Option<u64>,
}

impl Default for ArtifactLimits {
    fn default() -> Self {
        Self { artifact: LARGEST, quota: None }
    }
}

/// Counts the bytes of stored and announced artifacts.
#[derive(Debug)]
pub(super) struct Allowance {
    limits: ArtifactLimits,
    tally: Mutex<Tally>,
}

/// Size of each stored artifact; empty if there is no quota.
#[derive(Debug, Default)]
struct Tally {
    sizes: BTreeMap<ArtifactId, u64>,
    /// The sum of `sizes`.
    kept: u64,
    /// Bytes that are announced and not stored yet.
    promised: u64,
}

impl Allowance {
    pub(super) fn new(limits: ArtifactLimits) -> Self {
        Self { limits, tally: Mutex::default() }
    }

    /// Returns whether there is a quota.
    pub(super) fn counts(&self) -> bool {
        self.limits.quota.is_some()
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the stored artifacts.
    pub(super) fn count(&self, held: &[StoredArtifact]) {
        let mut tally = self.tally();
        tally.sizes = held.iter().map(|held| (held.artifact, held.bytes)).collect();
        tally.kept = tally.sizes.values().sum();
    }

    /// Reserves room for an announced artifact.
    pub(super) fn admit(self: &Arc<Self>, length: u64) -> Result<Promise, ArtifactError> {
        if length > self.limits.artifact {
            return Err(ArtifactError::TooLarge { length, limit: self.limits.artifact });
        }
        if let Some(quota) = self.limits.quota {
            let mut tally = self.tally();
            let used = tally.kept.saturating_add(tally.promised);
            if used.saturating_add(length) > quota {
                return Err(ArtifactError::Full { length, used, quota });
            }
            tally.promised += length;
        }
        Ok(Promise { allowance: self.clone(), length })
    }

    /// Takes a removed artifact out of the count.
    pub(super) fn forget(&self, id: ArtifactId) {
        let mut tally = self.tally();
        if let Some(bytes) = tally.sizes.remove(&id) {
            tally.kept -= bytes;
        }
    }
}

/// Room that is reserved for an upload; released on drop.
#[derive(Debug)]
pub(super) struct Promise {
    allowance: Arc<Allowance>,
    length: u64,
}

impl Promise {
    /// Counts the artifact as stored.
    pub(super) fn keep(self, id: ArtifactId) {
        if self.allowance.counts() {
            let mut tally = self.allowance.tally();
            if tally.sizes.insert(id, self.length).is_none() {
                tally.kept += self.length;
            }
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if self.allowance.counts() {
            self.allowance.tally().promised -= self.length;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pretext_shared::ids::ContentHash;

    use super::*;

    fn id(name: &str) -> ArtifactId {
        ArtifactId(ContentHash::of(name.as_bytes()))
    }

    #[test]
    fn what_is_there_and_what_is_on_its_way_share_the_quota() {
        let allowance = Arc::new(Allowance::new(ArtifactLimits { artifact: 8, quota: Some(10) }));
        allowance.count(&[StoredArtifact { artifact: id("old"), bytes: 4, age: Duration::ZERO }]);
        assert!(matches!(allowance.admit(9), Err(ArtifactError::TooLarge { limit: 8, .. })));
        let first = allowance.admit(6).expect("exactly what is left");
        assert!(matches!(allowance.admit(1), Err(ArtifactError::Full { used: 10, .. })));
        drop(first);
        allowance.admit(6).expect("the first one was given up").keep(id("new"));
        assert!(allowance.admit(1).is_err(), "stored bytes count exactly once");
        allowance.forget(id("old"));
        allowance.forget(id("old"));
        allowance.admit(4).expect("one is gone").keep(id("new"));
        let tally = allowance.tally();
        assert_eq!((tally.kept, tally.promised), (6, 0), "the same again is there once");
    }
}
