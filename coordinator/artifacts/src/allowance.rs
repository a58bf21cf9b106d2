//! How much is taken: the size of one artifact, and of all together. What is on its way counts from its announcement, so
//! that many uploads at a time cannot pass the quota together.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pretext_shared::artifact::StoredArtifact;
use pretext_shared::ids::ArtifactId;

use super::ArtifactError;

/// Largest artifact unless another limit is set. A bucket takes 10,000 parts of 8 MiB.
const LARGEST: u64 = 16 << 30;

/// What a store takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArtifactLimits {
    /// Bytes of one artifact.
    pub artifact: u64,
    /// Bytes of all together; `None` for as much as the home holds.
    pub quota: Option<u64>,
}

impl Default for ArtifactLimits {
    fn default() -> Self {
        Self { artifact: LARGEST, quota: None }
    }
}

/// Keeps the count.
#[derive(Debug)]
pub(super) struct Allowance {
    limits: ArtifactLimits,
    tally: Mutex<Tally>,
}

/// Empty where there is no quota.
#[derive(Debug, Default)]
struct Tally {
    sizes: BTreeMap<ArtifactId, u64>,
    /// The sum of `sizes`.
    kept: u64,
    /// Announced and not there yet.
    promised: u64,
}

impl Allowance {
    pub(super) fn new(limits: ArtifactLimits) -> Self {
        Self { limits, tally: Mutex::default() }
    }

    /// Whether there is a quota.
    pub(super) fn counts(&self) -> bool {
        self.limits.quota.is_some()
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts what is there.
    pub(super) fn count(&self, held: &[StoredArtifact]) {
        let mut tally = self.tally();
        tally.sizes = held.iter().map(|held| (held.artifact, held.bytes)).collect();
        tally.kept = tally.sizes.values().sum();
    }

    /// Room for an artifact that was announced.
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

    /// An artifact is gone.
    pub(super) fn forget(&self, id: ArtifactId) {
        let mut tally = self.tally();
        if let Some(bytes) = tally.sizes.remove(&id) {
            tally.kept -= bytes;
        }
    }
}

/// Room that an upload has; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Promise {
    allowance: Arc<Allowance>,
    length: u64,
}

impl Promise {
    /// The artifact is there.
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
        assert!(allowance.admit(1).is_err(), "what is there counts once, and does count");
        allowance.forget(id("old"));
        allowance.forget(id("old"));
        allowance.admit(4).expect("one is gone").keep(id("new"));
        let tally = allowance.tally();
        assert_eq!((tally.kept, tally.promised), (6, 0), "the same again is there once");
    }
}
