//! A store that has gone back to an older state: a fail-over to a replica that lagged, a restored backup.
//! Grants that it has forgotten are still held. Two things keep such a grant from being made a second time
//! unseen: fences of one coordinator begin above those of all before it, and an attempt that is newer than
//! anything the store knows quarantines its stage.

use pretext_shared::ids::{AttemptId, Fence, WorkerId};
use pretext_shared::outcome::{Failure, FailureCode};

use super::{Change, Engine, GrantRecord, Holder, State, Waiting};

/// A fence above this was never granted, and is not believed.
const CREDIBLE: Fence = Fence(1 << 52);

impl Engine {
    /// Lets new grants have fences from `first` on. A coordinator that starts passes a number above every
    /// fence that any coordinator before it can have granted (its wall clock, in milliseconds), so that a
    /// forgotten grant and a new one never have the same fence: the forgotten one is refused.
    pub fn raise_fences(&mut self, first: Fence) {
        self.first_fence = self.first_fence.max(first);
    }

    /// Quarantines the stage of an attempt that this store never granted: its grant was lost. The stage
    /// fails with what is known, its fence rises to the one that was used, and the grant log says who had
    /// it; only `retry` lets it run again. A stage that has its result keeps it.
    pub(super) fn quarantine_lost_grant(&mut self, attempt: AttemptId, worker: &WorkerId) {
        let AttemptId { stage, fence } = attempt;
        let Some(entry) = self.stages.get(&stage) else { return };
        let known = entry.progress.fence;
        let open = matches!(&entry.progress.state, State::Leased(_) | State::Waiting(_) | State::Failed(_));
        if fence <= known || fence > CREDIBLE || !open {
            return;
        }
        let failure = Failure {
            code: FailureCode::Lost,
            message: format!(
                "the store has gone back to an older state: {} holds attempt {fence} of this stage, and the store \
                 knows only {known}: quarantined, `retry` lets it run again",
                worker.name
            ),
            log: Vec::new(),
        };
        let (device, request) = match &entry.progress.state {
            State::Leased(holder) | State::Waiting(Waiting::Expired(holder)) if holder.worker == *worker => {
                (holder.device.clone(), holder.request.clone())
            }
            _ => (String::new(), String::new()),
        };
        self.transition(stage, 0, |progress| {
            progress.fence = fence;
            progress.batches = 0;
            progress.history.push((fence, failure.clone()));
            progress.state = State::Failed(failure);
        });
        // When it was granted is not known any more.
        let holder = Holder { worker: worker.clone(), device, request };
        self.changes.push(Change::LogGrant(stage, fence, GrantRecord { holder, granted_ms: 0 }));
    }
}
