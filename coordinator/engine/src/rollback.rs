//! A store that has gone back to an older state: a fail-over to a replica that lagged, a restored backup.
//! Grants that it has forgotten are still held. Three things keep such a grant from being made a second time
//! unseen: fences of one coordinator begin above those of all before it; a fence carries a mark of the request
//! that was granted, so that two grants never share one; and an attempt that this store never granted
//! quarantines its stage, whatever call it comes with.

use pretext_shared::ids::{AttemptId, Fence, WorkerId};
use pretext_shared::outcome::{Failure, FailureCode};

use super::{Engine, Refusal, State};

/// A fence above this was never granted, and is not believed.
const CREDIBLE: Fence = Fence(1 << 60);

/// Whether a fence can have been granted.
pub(super) fn is_credible(fence: Fence) -> bool {
    fence <= CREDIBLE
}

/// The failure of a stage whose grant was forgotten.
pub(super) fn forgotten(refusal: &Refusal, worker: Option<&WorkerId>) -> Failure {
    let holder = worker.map(|worker| format!("; worker {} holds it", worker.name)).unwrap_or_default();
    let message = format!("{refusal}{holder}; nothing more is accepted of it, `retry` lets it run again");
    Failure { code: FailureCode::RolledBack, message, log: Vec::new() }
}

impl Engine {
    /// Lets new grants have fences above `first`. A coordinator that starts passes a number above every
    /// fence that any coordinator before it can have granted (its wall clock, in seconds), so that a
    /// forgotten grant is below a new one: it is refused.
    pub fn raise_fences(&mut self, first: Fence) {
        self.first_fence = self.first_fence.max(first);
    }

    /// Quarantines the stage of an attempt that this store never granted. The stage fails with what is known, and
    /// its fence rises above the one that was used; only `retry` lets it run again.
    pub(super) fn quarantine_forgotten(&mut self, attempt: AttemptId, known: Fence, failure: Failure) {
        let Some(entry) = self.stages.get(&attempt.stage) else { return };
        let runs = match entry.progress.state {
            State::Waiting(_) | State::Leased(_) => true,
            State::Failed(_) | State::Cancelled => false,
            // A result is never taken back, and its stage never granted again.
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
