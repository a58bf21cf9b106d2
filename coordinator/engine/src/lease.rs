//! Leases: grants, renewals, expiry, release.

use pretext_shared::ids::{ArtifactId, AttemptId, StageId, WorkerId};
use pretext_shared::outcome::{ArtifactKind, Failure, FailureCode};
use pretext_shared::stage::StageKind;

use super::{Change, Checkpoint, Engine, GrantRecord, Holder, Millis, Refusal, State, Waiting, rollback};

/// A granted stage, without its plan, which is in the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// The right to write.
    pub attempt: AttemptId,
    /// The kind of the stage.
    pub kind: StageKind,
    /// The key under which the worker has the data, or under which they were pushed; `None` for drawn data.
    pub place: Option<String>,
    /// The list of files and packs to fetch, if the worker does not have the data.
    pub packing: Option<ArtifactId>,
    /// The parent stage's model.
    pub parent_model: Option<ArtifactId>,
    /// The checkpoint to resume from.
    pub resume_from: Option<Checkpoint>,
    /// Older checkpoints, newest first, in case `resume_from` cannot be read.
    pub predecessors: Vec<Checkpoint>,
}

impl Engine {
    /// Grants a stage to a free slot on `device`, or nothing if none fits. A repeated request gets the same grant as
    /// long as the attempt may be worked on, because its first reply may have been lost. After that it gets nothing:
    /// its sender has received the first reply.
    pub fn lease(
        &mut self,
        worker: &WorkerId,
        device: &str,
        request: &str,
        now: Millis,
        wall_ms: u64,
    ) -> Result<Option<Grant>, Refusal> {
        let heard_at = self.listening(now);
        let entry = self.workers.get_mut(worker).ok_or_else(|| Refusal::UnknownWorker(worker.clone()))?;
        entry.hear(heard_at);
        self.next_silence = self.next_silence.min(heard_at + self.limits.lease_ms);
        if let Some(stage) = self.table.index().holdings.granted_to(worker, request) {
            self.extend(stage, now);
            return self.grant(stage).map(Some);
        }
        self.end_waits(now);
        loop {
            let entry = self.workers.get(worker).ok_or_else(|| Refusal::UnknownWorker(worker.clone()))?;
            let facts = entry
                .device(device)
                .ok_or_else(|| Refusal::UnknownDevice { worker: worker.clone(), device: device.to_owned() })?;
            if entry.was_answered(request) {
                return Ok(None);
            }
            let Some(id) = self.choose(worker, entry, facts) else { return Ok(None) };
            self.charge_loss(id);
            if self.is_over(id) {
                continue;
            }
            return self.hand_out(id, worker, device, request, now, wall_ms).map(Some);
        }
    }

    /// Gives a stage to a holder: the only place where a grant raises a fence.
    fn hand_out(
        &mut self,
        id: StageId,
        worker: &WorkerId,
        device: &str,
        request: &str,
        now: Millis,
        wall_ms: u64,
    ) -> Result<Grant, Refusal> {
        let holder = Holder { worker: worker.clone(), device: device.to_owned(), request: request.to_owned() };
        let resume_step = self.entry(id)?.progress.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.step);
        let log = GrantRecord { holder: holder.clone(), granted_ms: wall_ms, resume_step };
        let first_fence = self.first_fence;
        self.transition(id, self.lease_end(now), |progress| {
            progress.fence = progress.fence.max(first_fence).next(request);
            progress.batches = 0;
            progress.state = State::Leased(holder);
        });
        let grant = self.grant(id)?;
        self.changes.push(Change::LogGrant(id, grant.attempt.fence, log));
        self.table.amend(id, |entry| {
            (entry.step, entry.images) = (0, 0);
            entry.began = Some((now, resume_step));
        });
        Ok(grant)
    }

    /// Charges the loss of a holder whose lease has expired, before the stage goes to another. If infrastructure's
    /// budget is exhausted, the stage is quarantined with the evidence.
    fn charge_loss(&mut self, id: StageId) {
        let Some(entry) = self.table.stages().get(&id) else { return };
        let State::Waiting(Waiting::Expired(holder)) = &entry.progress.state else { return };
        let seen = match entry.step {
            0 => "before it reported a step".to_owned(),
            step => format!("after step {step} of {}", entry.outline.cost.steps),
        };
        let message = format!("worker {} fell silent on {} {seen}", holder.worker, holder.device);
        let failure = Failure { code: FailureCode::Lost, message, log: Vec::new() };
        self.charge(id, failure, 0);
    }

    fn is_over(&self, id: StageId) -> bool {
        self.table.stages().get(&id).is_none_or(|entry| matches!(entry.progress.state, State::Failed(_)))
    }

    fn grant(&self, id: StageId) -> Result<Grant, Refusal> {
        let entry = self.entry(id)?;
        let model_of = |parent| match self.table.stages().get(&parent).map(|parent| &parent.progress.state) {
            Some(State::Succeeded(result)) => result.artifacts.get(&ArtifactKind::Model).copied(),
            _ => None,
        };
        let holder = match &entry.progress.state {
            State::Leased(holder) => self.workers.get(&holder.worker),
            _ => None,
        };
        let fingerprint = entry.outline.data;
        let own = holder.and_then(|worker| worker.dataset(fingerprint));
        let pushed = if own.is_none() { self.table.data().get(&fingerprint) } else { None };
        Ok(Grant {
            attempt: AttemptId { stage: id, fence: entry.progress.fence },
            kind: entry.outline.kind,
            place: own.or(pushed.map(|data| data.facts.key.as_str())).map(str::to_owned),
            packing: pushed.map(|data| data.packing),
            parent_model: entry.outline.parent.and_then(model_of),
            resume_from: entry.progress.checkpoint.clone(),
            predecessors: entry.progress.predecessors.clone(),
        })
    }

    /// Renews the lease of a holder. After expiry the holder continues with the same fence, unless the stage was
    /// granted again.
    pub(super) fn renew(&mut self, attempt: AttemptId, now: Millis) -> Result<(), Refusal> {
        self.renew_from(attempt, None, now)
    }

    /// The same, for a known worker.
    pub(super) fn renew_from(
        &mut self,
        attempt: AttemptId,
        worker: Option<&WorkerId>,
        now: Millis,
    ) -> Result<(), Refusal> {
        self.check_from(attempt, worker)?;
        self.extend(attempt.stage, now);
        Ok(())
    }

    /// Extends the lease of a stage that may be worked on to a full lease.
    fn extend(&mut self, id: StageId, now: Millis) {
        let until = self.lease_end(now);
        let Some(entry) = self.table.stages().get(&id) else { return };
        if let State::Waiting(Waiting::Expired(holder)) = &entry.progress.state {
            let holder = holder.clone();
            self.transition(id, until, |progress| progress.state = State::Leased(holder));
        } else {
            self.table.amend(id, |entry| entry.until = until);
        }
    }

    /// Returns the end of a lease that begins now, on the listening clock.
    pub(super) fn lease_end(&self, now: Millis) -> Millis {
        self.listening(now) + self.limits.lease_ms
    }

    pub(super) fn expire(&mut self, id: StageId) {
        self.transition(id, 0, |progress| {
            if let State::Leased(holder) = &progress.state {
                progress.state = State::Waiting(Waiting::Expired(holder.clone()));
            }
        });
    }

    /// Releases a lease that its holder gives back: no budget is charged, and the stage may be granted at once.
    pub fn release(&mut self, attempt: AttemptId) -> Result<(), Refusal> {
        self.check(attempt)?;
        self.transition(attempt.stage, 0, |progress| progress.state = State::Waiting(Waiting::Open));
        Ok(())
    }

    /// Checks that a write by `attempt` may be accepted. A fence from the future quarantines its stage.
    pub fn check(&mut self, attempt: AttemptId) -> Result<(), Refusal> {
        self.check_from(attempt, None)
    }

    /// Checks that outputs of `attempt` may be accepted: it may write, or a person hands it in after it ended as
    /// invalid.
    pub fn check_outputs(&mut self, attempt: AttemptId) -> Result<(), Refusal> {
        if self.entry(attempt.stage)?.progress.may_be_handed_in(attempt.fence) { Ok(()) } else { self.check(attempt) }
    }

    /// Checks the same as [`Engine::check`], for a known worker.
    fn check_from(&mut self, attempt: AttemptId, worker: Option<&WorkerId>) -> Result<(), Refusal> {
        let judged = self.judge(attempt);
        match &judged {
            Ok(()) => self.hears_of(attempt.stage),
            Err(refusal @ Refusal::FromTheFuture { known, .. }) => {
                let failure = rollback::forgotten(refusal, worker);
                self.quarantine_forgotten(attempt, *known, failure);
            }
            Err(_) => {}
        }
        judged
    }

    /// Judges a write by `attempt`, and changes nothing.
    pub(super) fn judge(&self, attempt: AttemptId) -> Result<(), Refusal> {
        let AttemptId { stage, fence } = attempt;
        let progress = &self.entry(stage)?.progress;
        let known = progress.fence;
        if fence > known && !rollback::is_credible(fence) {
            return Err(Refusal::Superseded { stage, fence });
        }
        // Another grant has the same count: one of the two belongs to a history that the store has lost.
        let is_twin = fence.count() > 0 && fence.count() == known.count() && fence != known;
        if fence > known || is_twin {
            return Err(Refusal::FromTheFuture { stage, fence, known });
        }
        if progress.admits(fence) { Ok(()) } else { Err(Refusal::Superseded { stage, fence }) }
    }

    /// Notes that a holder has received its grant: its request needs no further answer.
    fn hears_of(&mut self, id: StageId) {
        let Some(entry) = self.table.stages().get(&id) else { return };
        if let State::Leased(holder) | State::Waiting(Waiting::Expired(holder)) = &entry.progress.state
            && let Some(worker) = self.workers.get_mut(&holder.worker)
            && !worker.was_answered(&holder.request)
        {
            worker.answer(&holder.request);
        }
    }
}
