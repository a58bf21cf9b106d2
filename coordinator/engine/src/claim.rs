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
    /// If another worker holds the attempt, or if `evidence` is missing and the store does not know the attempt or it
    /// ended as invalid.
    pub fn vouch(&self, name: &str, attempt: AttemptId, evidence: Evidence) -> Result<(), Denied> {
        if self.holder(attempt).is_some_and(|holder| holder.worker.name != name) {
            return Err(Denied::Foreign);
        }
        let progress = self.progress(attempt.stage);
        if progress.is_some_and(|progress| progress.may_be_handed_in(attempt.fence)) && evidence == Evidence::Missing {
            // It has no holder any more whose name could be compared.
            return Err(Denied::Refused(Refusal::Superseded { stage: attempt.stage, fence: attempt.fence }));
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

#[cfg(test)]
mod tests {
    use pretext_shared::outcome::{Failure, FailureCode};

    use super::*;
    use crate::State;
    use crate::fixtures::*;

    #[test]
    fn what_ended_as_invalid_can_be_handed_in_until_the_stage_is_granted_again() {
        let mut engine = engine_with(&[("a", 1)]);
        let submitted = submission(SWEEP, 1);
        engine.submit(submitted.clone());
        let attempt = lease(&mut engine, "a", "r1", 0).expect("work").attempt;
        engine.points(attempt, 0, vec![], 0).expect("the holder sends");
        let invalid = Failure { code: FailureCode::Invalid, message: "why".to_owned(), log: vec![] };
        engine.fail(attempt, invalid, 0).expect("the holder fails");

        // It has no holder any more, so that only the proof names its worker.
        assert!(matches!(engine.vouch("a", attempt, Evidence::Missing), Err(Denied::Refused(_))));
        assert_eq!(engine.vouch("a", attempt, Evidence::Proof), Ok(()));
        assert!(engine.release(attempt).is_err(), "its lease has ended");
        let restored = engine.clone();
        engine.points(attempt, 1, vec![], 1).expect("points are handed in");
        assert!(matches!(engine.complete(attempt, result(), 3), Err(Refusal::Gap { .. })));
        engine.complete(attempt, result(), 2).expect("the result is handed in");
        assert!(matches!(engine.progress(attempt.stage).expect("known").state, State::Succeeded(_)));

        let mut engine = restored;
        engine.retry(&submitted.sweep.id).expect("known");
        let again = lease(&mut engine, "a", "r2", 2).expect("work").attempt;
        assert_eq!(again.stage, attempt.stage);
        assert!(engine.complete(attempt, result(), 1).is_err(), "another attempt has the stage");
        engine.complete(again, result(), 0).expect("the holder completes");
    }
}
