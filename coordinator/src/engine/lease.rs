//! Leases: grants, renewals, expiry, release.

use pretext_shared::dataset::Source;
use pretext_shared::ids::{ArtifactId, AttemptId, StageId, WorkerId};
use pretext_shared::outcome::{ArtifactKind, Failure, FailureCode};
use pretext_shared::stage::Stage;
use pretext_shared::trainer::CheckpointPolicy;

use super::{Change, Checkpoint, Engine, GrantRecord, Holder, Millis, Refusal, State, Waiting};

/// What a worker gets with a stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// The right to write.
    pub attempt: AttemptId,
    /// What to do.
    pub stage: Stage,
    /// Where the data are on this worker.
    pub source: Source,
    /// The parent stage's model.
    pub parent_model: Option<ArtifactId>,
    /// When to write checkpoints.
    pub checkpoint: CheckpointPolicy,
    /// The checkpoint to resume from.
    pub resume_from: Option<Checkpoint>,
}

impl Engine {
    /// Grants a stage to a free slot on `device`, or nothing if none fits. The same request again gets
    /// the same grant: its first reply may have been lost.
    pub fn lease(
        &mut self,
        worker: &WorkerId,
        device: &str,
        request: &str,
        now: Millis,
        wall_ms: u64,
    ) -> Result<Option<Grant>, Refusal> {
        let entry = self.workers.get_mut(worker).ok_or_else(|| Refusal::UnknownWorker(worker.clone()))?;
        entry.last_seen = now;
        if let Some(id) = self.granted_to(worker, request) {
            return self.grant(id).map(Some);
        }
        loop {
            let entry = self.workers.get(worker).ok_or_else(|| Refusal::UnknownWorker(worker.clone()))?;
            let facts = entry
                .device(device)
                .ok_or_else(|| Refusal::UnknownDevice { worker: worker.clone(), device: device.to_owned() })?;
            if self.held_on(worker, device) >= facts.slots as usize {
                return Ok(None);
            }
            let Some(id) = self.choose(entry, facts, now) else { return Ok(None) };
            if self.quarantine(id) {
                continue;
            }
            let holder = Holder { worker: worker.clone(), device: device.to_owned(), request: request.to_owned() };
            let log = GrantRecord { holder: holder.clone(), granted_ms: wall_ms };
            let first_fence = self.first_fence;
            self.transition(id, now + self.limits.lease_ms, |progress| {
                if matches!(progress.state, State::Waiting(Waiting::Expired(_))) {
                    progress.lost += 1;
                }
                progress.fence = progress.fence.next().max(first_fence);
                progress.batches = 0;
                progress.state = State::Leased(holder);
            });
            let grant = self.grant(id)?;
            self.changes.push(Change::LogGrant(id, grant.attempt.fence, log));
            if let Some(entry) = self.stages.get_mut(&id) {
                (entry.step, entry.images) = (0, 0);
            }
            return Ok(Some(grant));
        }
    }

    /// Fails a stage whose workers were lost too often, instead of granting it once more.
    fn quarantine(&mut self, id: StageId) -> bool {
        let max_lost = self.limits.max_lost;
        let Some(entry) = self.stages.get(&id) else { return false };
        let State::Waiting(Waiting::Expired(holder)) = &entry.progress.state else { return false };
        if entry.progress.lost + 1 < max_lost {
            return false;
        }
        let failure = Failure {
            code: FailureCode::Lost,
            message: format!(
                "{max_lost} workers were lost while they ran this stage, the last one {} on {}: quarantined, `retry` lets it run again",
                holder.worker.name, holder.device
            ),
            log: Vec::new(),
        };
        self.transition(id, 0, |progress| {
            progress.lost = max_lost;
            progress.history.push((progress.fence, failure.clone()));
            progress.state = State::Failed(failure);
        });
        true
    }

    fn granted_to(&self, worker: &WorkerId, request: &str) -> Option<StageId> {
        self.stages.iter().find_map(|(id, entry)| match &entry.progress.state {
            State::Leased(holder) if holder.worker == *worker && holder.request == request => Some(*id),
            _ => None,
        })
    }

    fn grant(&self, id: StageId) -> Result<Grant, Refusal> {
        let entry = self.entry(id)?;
        let spec = &entry.record.stage.spec;
        let model_of = |parent| match self.stages.get(&parent).map(|parent| &parent.progress.state) {
            Some(State::Succeeded(result)) => result.artifacts.get(&ArtifactKind::Model).copied(),
            _ => None,
        };
        let holder = match &entry.progress.state {
            State::Leased(holder) => self.workers.get(&holder.worker),
            _ => None,
        };
        let key = holder.and_then(|worker| worker.dataset(spec.data().fingerprint));
        Ok(Grant {
            attempt: AttemptId { stage: id, fence: entry.progress.fence },
            stage: entry.record.stage.clone(),
            source: match key {
                Some(key) => entry.record.source.relocated(key),
                None => entry.record.source.clone(),
            },
            parent_model: spec.parent().and_then(model_of),
            checkpoint: entry.record.checkpoint,
            resume_from: entry.progress.checkpoint.clone(),
        })
    }

    /// A holder shows that it is alive. After expiry it goes on with the same fence, unless the stage was
    /// granted again.
    pub(super) fn renew(&mut self, attempt: AttemptId, now: Millis) -> Result<(), Refusal> {
        self.check(attempt)?;
        let until = now + self.limits.lease_ms;
        let Some(entry) = self.stages.get_mut(&attempt.stage) else {
            return Err(Refusal::UnknownStage(attempt.stage));
        };
        entry.until = until;
        if let State::Waiting(Waiting::Expired(holder)) = &entry.progress.state {
            let holder = holder.clone();
            self.transition(attempt.stage, until, |progress| progress.state = State::Leased(holder));
        }
        Ok(())
    }

    pub(super) fn expire(&mut self, id: StageId) {
        self.transition(id, 0, |progress| {
            if let State::Leased(holder) = &progress.state {
                progress.state = State::Waiting(Waiting::Expired(holder.clone()));
            }
        });
    }

    /// A holder gives its lease back: nobody is to blame, the stage may be granted at once.
    pub fn release(&mut self, attempt: AttemptId) -> Result<(), Refusal> {
        self.check(attempt)?;
        self.transition(attempt.stage, 0, |progress| progress.state = State::Waiting(Waiting::Open));
        Ok(())
    }

    /// Whether a write by `attempt` may be accepted.
    pub fn check(&self, attempt: AttemptId) -> Result<(), Refusal> {
        let AttemptId { stage, fence } = attempt;
        let progress = &self.entry(stage)?.progress;
        if fence > progress.fence {
            return Err(Refusal::FromTheFuture { stage, fence, known: progress.fence });
        }
        if progress.admits(fence) { Ok(()) } else { Err(Refusal::Superseded { stage, fence }) }
    }
}
