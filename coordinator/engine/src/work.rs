//! The reports of holders: signs of life, points, checkpoints, results, failures.

use pretext_shared::ids::{ArtifactId, AttemptId, StageId, WorkerId};
use pretext_shared::outcome::{Budget, Failure, FailureCode, StageResult};
use pretext_shared::point::Point;

use super::{Batch, Change, Checkpoint, Engine, Millis, Refusal, Site, State, Waiting};

/// An instruction to a holder about an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Directive {
    /// Continue.
    Continue,
    /// Stop: no sweep needs it any more.
    Cancel,
    /// Stop: this attempt is refused from now on.
    Superseded,
}

impl Engine {
    /// Takes a sign of life of a worker that holds these attempts, at these steps and images. Renews the leases.
    pub fn heartbeat(&mut self, worker: &WorkerId, held: &[(AttemptId, u64, u64)], now: Millis) -> Vec<Directive> {
        let heard_at = self.listening(now);
        if let Some(entry) = self.workers.get_mut(worker) {
            entry.hear(heard_at);
            self.next_silence = self.next_silence.min(heard_at + self.limits.lease_ms);
        }
        held.iter().map(|(attempt, step, images)| self.keep_alive(worker, *attempt, *step, *images, now)).collect()
    }

    fn keep_alive(&mut self, worker: &WorkerId, attempt: AttemptId, step: u64, images: u64, now: Millis) -> Directive {
        match self.renew_from(attempt, Some(worker), now) {
            Ok(()) => {
                self.table.amend(attempt.stage, |entry| (entry.step, entry.images) = (step, images));
                Directive::Continue
            }
            Err(_) => match self.table.stages().get(&attempt.stage).map(|entry| &entry.progress) {
                Some(progress) if progress.state == State::Cancelled && progress.fence == attempt.fence => {
                    Directive::Cancel
                }
                _ => Directive::Superseded,
            },
        }
    }

    /// Accepts a batch of points. A repeated batch is accepted again, and kept once.
    pub fn points(
        &mut self,
        attempt: AttemptId,
        sequence: u64,
        points: Vec<Point>,
        now: Millis,
    ) -> Result<(), Refusal> {
        let progress = &self.entry(attempt.stage)?.progress;
        if progress.fence == attempt.fence && sequence < progress.batches {
            return Ok(());
        }
        if !progress.may_be_handed_in(attempt.fence) {
            self.renew(attempt, now)?;
        }
        let entry = self.entry(attempt.stage)?;
        let (expected, until) = (entry.progress.batches, entry.until);
        if sequence > expected {
            return Err(Refusal::Gap { stage: attempt.stage, sequence, expected });
        }
        self.transition(attempt.stage, until, |progress| progress.batches += 1);
        let batch = Batch { fence: attempt.fence, sequence, points };
        self.changes.push(Change::AppendPoints(attempt.stage, batch));
        Ok(())
    }

    /// Makes an uploaded checkpoint the one to resume from, if all points up to it are durable. Returns the checkpoints
    /// that are no longer needed: those beyond the `keep` newest.
    pub fn register_checkpoint(
        &mut self,
        attempt: AttemptId,
        checkpoint: Checkpoint,
        keep: u32,
        batches: u64,
        now: Millis,
    ) -> Result<Vec<ArtifactId>, Refusal> {
        self.renew(attempt, now)?;
        self.all_points_are_here(attempt, batches)?;
        let old = self.entry(attempt.stage)?.progress.checkpoint.as_ref();
        if old.is_some_and(|old| old.step >= checkpoint.step) {
            return Ok(Vec::new());
        }
        let mut surplus = Vec::new();
        self.transition(attempt.stage, self.lease_end(now), |progress| {
            // The stage makes progress, so it is not the cause of the losses.
            progress.lost = 0;
            if let Some(old) = progress.checkpoint.replace(checkpoint) {
                progress.predecessors.insert(0, old);
            }
            let kept = progress.predecessors.len().min(keep.saturating_sub(1) as usize);
            surplus = progress.predecessors.split_off(kept);
        });
        Ok(self.unreferenced(surplus.into_iter().map(|checkpoint| checkpoint.artifact)))
    }

    fn all_points_are_here(&self, attempt: AttemptId, batches: u64) -> Result<(), Refusal> {
        let expected = self.entry(attempt.stage)?.progress.batches;
        if batches > expected {
            return Err(Refusal::Gap { stage: attempt.stage, sequence: batches, expected });
        }
        Ok(())
    }

    /// Accepts the one final result. The same holder may report it again, and a person may hand in the result of an
    /// attempt that ended as invalid. Returns the checkpoints that are no longer needed.
    pub fn complete(
        &mut self,
        attempt: AttemptId,
        result: StageResult,
        batches: u64,
    ) -> Result<Vec<ArtifactId>, Refusal> {
        let progress = &self.entry(attempt.stage)?.progress;
        if progress.fence == attempt.fence && matches!(progress.state, State::Succeeded(_)) {
            return Ok(Vec::new());
        }
        self.check_outputs(attempt)?;
        self.all_points_are_here(attempt, batches)?;
        let maker = self.holder(attempt).map(|holder| holder.worker.name.as_str().into());
        self.note_success(attempt);
        let seconds = result.seconds;
        let now = self.heard;
        self.table.amend(attempt.stage, |entry| {
            entry.made_by = maker;
            entry.took = Some(entry.time_taken(now).unwrap_or((seconds * 1_000.0) as Millis));
        });
        let mut surplus = Vec::new();
        self.transition(attempt.stage, 0, |progress| {
            surplus = std::mem::take(&mut progress.predecessors);
            surplus.extend(progress.checkpoint.take());
            progress.failed_at.clear();
            progress.state = State::Succeeded(result);
        });
        Ok(self.unreferenced(surplus.into_iter().map(|checkpoint| checkpoint.artifact)))
    }

    /// Accepts a failure. If a retry may help and the budget allows it, another attempt follows after a back-off;
    /// otherwise the stage fails.
    pub fn fail(&mut self, attempt: AttemptId, failure: Failure, now: Millis) -> Result<(), Refusal> {
        let history = &self.entry(attempt.stage)?.progress.history;
        if history.iter().any(|(fence, known)| *fence == attempt.fence && *known == failure) {
            return Ok(());
        }
        self.check(attempt)?;
        self.note_failure(attempt, &failure);
        self.charge(attempt.stage, failure, now);
        Ok(())
    }

    /// Ends the last attempt of a stage with a failure: charges its budget, and if that is exhausted, fails the stage.
    pub(super) fn charge(&mut self, id: StageId, failure: Failure, now: Millis) {
        let Some(entry) = self.table.stages().get(&id) else { return };
        let fence = entry.progress.fence;
        let mut charged = entry.progress.clone();
        let site = match &charged.state {
            State::Leased(holder) | State::Waiting(Waiting::Expired(holder)) => {
                Site::blamed(&holder.worker.name, &holder.device, failure.code.blame())
            }
            _ => None,
        };
        let mut nothing = 1;
        let (spent, most) = match failure.code.budget() {
            Budget::Infrastructure => (&mut charged.lost, self.limits.max_lost),
            Budget::Code => (&mut charged.failed, self.limits.max_failed),
            Budget::Memory => (&mut charged.out_of_memory, self.limits.max_out_of_memory),
            Budget::None => (&mut nothing, 1),
        };
        *spent += u32::from(*spent < most);
        let (spent, is_spent) = (*spent, *spent >= most);
        let delay = back_off(self.limits.back_off_ms, spent, AttemptId { stage: id, fence });
        charged.remember(fence, failure.clone());
        let is_blamed = site.map(|site| site.keep_in(&mut charged.failed_at)).is_some();
        charged.state = if is_spent {
            State::Failed(verdict(&failure, &charged, most))
        } else if failure.code == FailureCode::Lost {
            // No back-off: the time of the lease has passed already.
            State::Waiting(Waiting::Open)
        } else {
            State::Waiting(Waiting::BackOff(delay))
        };
        self.transition(id, now + delay, |progress| *progress = *charged);
        if is_blamed {
            let until = now + self.limits.avoid_ms;
            self.table.amend(id, |entry| entry.avoid_until = until);
        }
    }
}

/// Returns the failure of a stage: that of its last attempt; for a quarantine with the evidence of all attempts.
fn verdict(last: &Failure, progress: &super::Progress, most: u32) -> Failure {
    if last.code.budget() != Budget::Infrastructure {
        return last.clone();
    }
    let evidence = progress.history.iter().filter(|(_, failure)| failure.code.budget() == Budget::Infrastructure);
    let mut lines: Vec<String> = evidence
        .map(|(fence, failure)| format!("attempt {fence} ({}): {}", failure.code.as_str(), failure.message))
        .collect();
    lines.drain(..lines.len().saturating_sub(most as usize));
    let message = format!(
        "quarantined: {most} consecutive attempts lost their worker, its devices or its data without progress, the last: {}; \
         run the stage again with `retry`",
        last.message
    );
    lines.extend(last.log.iter().cloned());
    Failure { code: last.code, message, log: lines }
}

/// Returns an exponential back-off with jitter: 2^(n-1) times the first, times 0.5 to 1.5. The jitter is derived from
/// the attempt, so that the engine stays a function of its inputs.
fn back_off(first: Millis, failures: u32, attempt: AttemptId) -> Millis {
    let ceiling = first.saturating_mul(1 << failures.saturating_sub(1).min(8));
    let hash = pretext_shared::ids::ContentHash::of(attempt.to_string().as_bytes()).to_string();
    let jitter = u64::from(u8::from_str_radix(&hash[..2], 16).unwrap_or(128));
    ceiling / 2 + ceiling * jitter / 255
}
