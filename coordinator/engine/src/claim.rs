//! Decides whether a worker with a certificate may speak for an attempt, before the call itself is decided. A call may
//! quarantine the stage of an attempt that this store never granted, so such an attempt needs a proof. The proof itself
//! is checked outside the engine, because its key is not in the store.

use pretext_shared::ids::AttemptId;

use super::{Engine, Refusal};

/// The evidence that an attempt was granted to its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// The caller has a valid proof.
    Proof,
    /// The caller has no proof, or one of another stage, fence or worker.
    Missing,
}

/// The reason why a worker may not speak for an attempt. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// Another worker holds the attempt.
    Foreign,
    /// The store does not know the attempt, and there is no proof that it was granted.
    Refused(Refusal),
}

impl Engine {
    /// Checks that the worker called `name` may speak for `attempt`. The call itself decides whether the attempt is
    /// still valid. A fence that the store knows stays known, so the answer holds until that call.
    ///
    /// # Errors
    /// If another worker holds the attempt, or if the store does not know it and `evidence` is missing.
    pub fn vouch(&self, name: &str, attempt: AttemptId, evidence: Evidence) -> Result<(), Denied> {
        if self.holder(attempt).is_some_and(|holder| holder.worker.name != name) {
            return Err(Denied::Foreign);
        }
        match (self.judge(attempt), evidence) {
            (Err(Refusal::FromTheFuture { stage, fence, .. }), Evidence::Missing) => {
                Err(Denied::Refused(Refusal::Superseded { stage, fence }))
            }
            // A stage that is submitted before the call itself has a fence below this one.
            (Err(refusal @ Refusal::UnknownStage(_)), Evidence::Missing) => Err(Denied::Refused(refusal)),
            _ => Ok(()),
        }
    }
}
