//! Protects against a store that has gone back to an older state: after a fail-over to a replica that lagged, or from a
//! restored backup. Workers may still hold grants that the store has lost. Three rules prevent a second grant that goes
//! unnoticed. The fences of a coordinator begin above those of all coordinators before it. A fence carries a mark of
//! the granted request, so two grants never have the same fence. An attempt that this store never granted quarantines
//! its stage, in any call. With TLS, the call must prove its grant first (`claim.rs`).

use pretext_shared::ids::{AttemptId, Fence, WorkerId};
use pretext_shared::outcome::{Failure, FailureCode};

use super::{Engine, Refusal, State};

/// Highest plausible fence: a higher one was never granted, and is ignored.
const CREDIBLE: Fence = Fence(1 << 60);

/// Returns whether a fence can have been granted.
pub(super) fn is_credible(fence: Fence) -> bool {
    fence <= CREDIBLE
}

/// Returns the failure of a stage whose grant the store has lost.
pub(super) fn forgotten(refusal: &Refusal, worker: Option<&WorkerId>) -> Failure {
    let holder = worker.map(|worker| format!("; worker {} holds it", worker.name)).unwrap_or_default();
    let message = format!("{refusal}{holder}; the attempt is refused from now on, run the stage again with `retry`");
    Failure { code: FailureCode::RolledBack, message, log: Vec::new() }
}

impl Engine {
    /// Makes new grants have fences above `first`. A starting coordinator passes a number above every fence that an
    /// earlier coordinator can have granted (its wall clock, in seconds). So a lost grant has a lower fence than a new
    /// one, and is refused.
    pub fn raise_fences(&mut self, first: Fence) {
        self.first_fence = self.first_fence.max(first);
    }

    /// Quarantines the stage of an attempt that this store never granted. The stage fails with the known facts, and its
    /// fence rises above the attempt's; only `retry` lets it run again.
    pub(super) fn quarantine_forgotten(&mut self, attempt: AttemptId, known: Fence, failure: Failure) {
        let Some(entry) = self.table.stages().get(&attempt.stage) else { return };
        let runs = match entry.progress.state {
            State::Waiting(_) | State::Leased(_) => true,
            State::Failed(_) | State::Cancelled => false,
            // A result is never taken back, and its stage is never granted again.
            State::Succeeded(_) => return,
        };
        self.transition(attempt.stage, 0, |progress| {
            progress.fence = known.max(attempt.fence).above();
            progress.batches = 0;
            if runs {
                progress.remember(known, failure.clone());
                progress.state = State::Failed(failure);
            }
        });
    }
}
