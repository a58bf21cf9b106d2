//! What holders report: signs of life, points, checkpoints, results, failures.

use pretext_shared::ids::{ArtifactId, AttemptId, WorkerId};
use pretext_shared::outcome::{Failure, StageResult};
use pretext_shared::point::Point;

use super::{Batch, Change, Checkpoint, Engine, Millis, Refusal, State, Waiting};

/// Failed attempts that are kept with a stage.
const HISTORY: usize = 5;

/// What a holder should do with an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Directive {
    /// Go on.
    Continue,
    /// Stop: no sweep needs it any more.
    Cancel,
    /// Stop: nothing of this attempt is accepted any more.
    Superseded,
}

impl Engine {
    /// A worker is alive and holds these attempts, at these steps and images. Renews the leases.
    pub fn heartbeat(&mut self, worker: &WorkerId, held: &[(AttemptId, u64, u64)], now: Millis) -> Vec<Directive> {
        if let Some(entry) = self.workers.get_mut(worker) {
            entry.last_seen = now;
        }
        for (attempt, ..) in held {
            self.quarantine_lost_grant(*attempt, worker);
        }
        held.iter().map(|(attempt, step, images)| self.keep_alive(*attempt, *step, *images, now)).collect()
    }

    fn keep_alive(&mut self, attempt: AttemptId, step: u64, images: u64, now: Millis) -> Directive {
        match self.renew(attempt, now) {
            Ok(()) => {
                if let Some(entry) = self.stages.get_mut(&attempt.stage) {
                    (entry.step, entry.images) = (step, images);
                }
                Directive::Continue
            }
            Err(_) => match self.stages.get(&attempt.stage).map(|entry| &entry.progress) {
                Some(progress) if progress.state == State::Cancelled && progress.fence == attempt.fence => {
                    Directive::Cancel
                }
                _ => Directive::Superseded,
            },
        }
    }

    /// Accepts a batch of points. A batch that is already durable is accepted again and kept once.
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
        self.renew(attempt, now)?;
        let Some(entry) = self.stages.get_mut(&attempt.stage) else {
            return Err(Refusal::UnknownStage(attempt.stage));
        };
        let expected = entry.progress.batches;
        if sequence > expected {
            return Err(Refusal::Gap { stage: attempt.stage, sequence, expected });
        }
        entry.progress.batches += 1;
        let until = entry.until;
        self.transition(attempt.stage, until, |_| {});
        let batch = Batch { fence: attempt.fence, sequence, points };
        self.changes.push(Change::AppendPoints(attempt.stage, batch));
        Ok(())
    }

    /// Makes an uploaded checkpoint the one to resume from, if all points up to it are durable. Returns
    /// the checkpoint that it replaces.
    pub fn register_checkpoint(
        &mut self,
        attempt: AttemptId,
        checkpoint: Checkpoint,
        batches: u64,
        now: Millis,
    ) -> Result<Option<ArtifactId>, Refusal> {
        self.renew(attempt, now)?;
        self.all_points_are_here(attempt, batches)?;
        let old = self.entry(attempt.stage)?.progress.checkpoint.clone();
        if old.as_ref().is_some_and(|old| old.step >= checkpoint.step) {
            return Ok(None);
        }
        self.transition(attempt.stage, now + self.limits.lease_ms, |progress| progress.checkpoint = Some(checkpoint));
        Ok(old.map(|old| old.artifact))
    }

    fn all_points_are_here(&self, attempt: AttemptId, batches: u64) -> Result<(), Refusal> {
        let expected = self.entry(attempt.stage)?.progress.batches;
        if batches > expected {
            return Err(Refusal::Gap { stage: attempt.stage, sequence: batches, expected });
        }
        Ok(())
    }

    /// Accepts the one final result. The same holder may say it again. Returns the checkpoint that is
    /// no longer needed.
    pub fn complete(
        &mut self,
        attempt: AttemptId,
        result: StageResult,
        batches: u64,
    ) -> Result<Option<ArtifactId>, Refusal> {
        let progress = &self.entry(attempt.stage)?.progress;
        if progress.fence == attempt.fence && matches!(progress.state, State::Succeeded(_)) {
            return Ok(None);
        }
        self.check(attempt)?;
        self.all_points_are_here(attempt, batches)?;
        let mut checkpoint = None;
        self.transition(attempt.stage, 0, |progress| {
            checkpoint = progress.checkpoint.take();
            progress.state = State::Succeeded(result);
        });
        Ok(checkpoint.map(|checkpoint| checkpoint.artifact))
    }

    /// Accepts a failure: another attempt follows after a back-off where that may help and the budget
    /// allows, otherwise the stage has failed.
    pub fn fail(&mut self, attempt: AttemptId, failure: Failure, now: Millis) -> Result<(), Refusal> {
        let progress = &self.entry(attempt.stage)?.progress;
        let reported = progress.history.last().is_some_and(|(fence, last)| *fence == attempt.fence && *last == failure);
        if reported {
            return Ok(());
        }
        self.check(attempt)?;
        let limits = self.limits;
        let failed = progress.failed + 1;
        let again = failure.code.is_retryable() && failed < limits.max_failed;
        let delay = back_off(limits.back_off_ms, failed, attempt);
        self.transition(attempt.stage, now + delay, |progress| {
            progress.failed = failed;
            progress.history.push((attempt.fence, failure.clone()));
            let surplus = progress.history.len().saturating_sub(HISTORY);
            progress.history.drain(..surplus);
            progress.state = if again { State::Waiting(Waiting::BackOff(delay)) } else { State::Failed(failure) };
        });
        Ok(())
    }
}

/// Exponential back-off with jitter: 2^(n-1) times the first, times 0.5 to 1.5. The jitter is taken from
/// the attempt, so that the engine stays a function of its inputs.
fn back_off(first: Millis, failures: u32, attempt: AttemptId) -> Millis {
    let ceiling = first.saturating_mul(1 << failures.saturating_sub(1).min(8));
    let hash = pretext_shared::ids::ContentHash::of(attempt.to_string().as_bytes()).to_string();
    let jitter = u64::from(u8::from_str_radix(&hash[..2], 16).unwrap_or(128));
    ceiling / 2 + ceiling * jitter / 255
}
