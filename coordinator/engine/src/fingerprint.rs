//! Fingerprints of engine states, independent of the time: for model checking.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Engine, Millis, State, Waiting};

impl Engine {
    /// Returns a hash of everything that determines what the engine does from `now` on, without plans, which never
    /// change.
    pub fn fingerprint(&self, now: Millis) -> u64 {
        let mut hasher = DefaultHasher::new();
        for (id, entry) in self.table.stages() {
            let progress = &entry.progress;
            id.hash(&mut hasher);
            (progress.fence, progress.lost, progress.failed, progress.out_of_memory).hash(&mut hasher);
            (progress.batches, progress.checkpoint.as_ref().map(|checkpoint| checkpoint.step)).hash(&mut hasher);
            progress.history.iter().for_each(|(fence, failure)| (fence, failure.code).hash(&mut hasher));
            let holder = match &progress.state {
                State::Leased(holder) | State::Waiting(Waiting::Expired(holder)) => Some(holder),
                _ => None,
            };
            std::mem::discriminant(&progress.state).hash(&mut hasher);
            if let State::Waiting(waiting) = &progress.state {
                std::mem::discriminant(waiting).hash(&mut hasher);
            }
            holder.map(|holder| (&holder.worker, &holder.device, &holder.request)).hash(&mut hasher);
            let clock = if matches!(progress.state, State::Leased(_)) { self.listening(now) } else { now };
            (entry.until.saturating_sub(clock), entry.step, &entry.made_by).hash(&mut hasher);
            if !progress.failed_at.is_empty() {
                (&progress.failed_at, entry.avoid_until.saturating_sub(now), entry.has_last_try).hash(&mut hasher);
            }
        }
        for (id, sweep) in self.table.sweeps() {
            (id, sweep.mark.is_cancelled()).hash(&mut hasher);
        }
        for (id, worker) in &self.workers {
            (id, worker.answered(), worker.is_silent).hash(&mut hasher);
        }
        self.newborn_fence.hash(&mut hasher);
        self.health.hash(&mut hasher);
        hasher.finish()
    }
}
