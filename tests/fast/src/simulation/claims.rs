//! Which attempts a machine may speak for. The coordinator proves every grant to its machine, and honest machines
//! present their proofs. Liars present fences that no store ever gave, and nothing may change because of them: a seed is
//! the same world with and without them.

use std::collections::BTreeSet;

use fastrand::Rng;
use pretext_engine::{Checkpoint, Denied, Engine, Evidence, Millis, State};
use pretext_shared::ids::{ArtifactId, AttemptId, ContentHash, Fence, StageId};
use pretext_shared::outcome::{Failure, FailureCode};

use super::event::{Answer, Life, Op, Origin};
use super::machine::{points, result, worker};
use super::store::{Violation, violation};
use super::world::World;

/// What is known of grants outside the store.
pub(super) struct Claims {
    /// Grants that were proven to a machine. A rollback of the store takes none of them back.
    proven: BTreeSet<(AttemptId, usize)>,
    /// The liars' randomness: of its own, so that lies leave the world as it is.
    liars: Rng,
}

impl Claims {
    pub(super) fn new(seed: u64) -> Self {
        Self { proven: BTreeSet::new(), liars: Rng::with_seed(!seed) }
    }

    /// Notes an answer that leaves the coordinator: a grant comes with its proof.
    pub(super) fn note(&mut self, origin: Origin, answer: &Answer) {
        if let (Origin::Worker(life), Answer::Granted(Some(grant))) = (origin, answer) {
            self.proven.insert((grant.attempt, life.machine));
        }
    }
}

impl World<'_> {
    /// Applies a request of an attempt if its sender may speak for the attempt, and every other request. Heartbeats of
    /// honest machines hold only attempts with a proof.
    pub(super) fn admit(
        &mut self,
        engine: &mut Engine,
        origin: Origin,
        op: &Op,
        now: Millis,
        discards: &mut Vec<ArtifactId>,
    ) -> Result<Answer, Violation> {
        if let (Origin::Worker(life), Some(attempt)) = (origin, op.attempt()) {
            let proven = self.claims.proven.contains(&(attempt, life.machine));
            let evidence = if proven { Evidence::Proof } else { Evidence::Missing };
            match engine.vouch(&worker(life).name, attempt, evidence) {
                Ok(()) => {}
                Err(Denied::Foreign) => return Ok(Answer::Over("the lease is another worker's".to_owned())),
                Err(Denied::Refused(refusal)) => return Ok(Answer::Over(refusal.to_string())),
            }
        }
        self.apply(engine, origin, op, now, discards)
    }

    /// Lets a machine lie about the fence of a stage now and then, and checks that the lie is refused without a trace.
    pub(super) fn lie(&mut self, engine: &mut Engine, now: Millis) -> Result<(), Violation> {
        let count = self.store.snapshot.stages.len();
        if count == 0 || self.claims.liars.u32(0..8) > 0 {
            return Ok(());
        }
        let liars = &mut self.claims.liars;
        let (machine, nth) = (liars.usize(0..self.machines.len()), liars.usize(0..count));
        let Some(stage) = self.store.snapshot.stages.keys().nth(nth).copied() else { return Ok(()) };
        let Some(before) = engine.progress(stage).cloned() else { return Ok(()) };
        let fence = forged(before.fence, liars);
        let (attempt, op) = (AttemptId { stage, fence }, message(AttemptId { stage, fence }, liars));
        if self.claims.proven.contains(&(attempt, machine)) {
            return Ok(());
        }
        let origin = Origin::Worker(Life { machine, boot: self.machines[machine].boot });
        let answer = self.admit(engine, origin, &op, now, &mut Vec::new())?;
        if engine.progress(stage) != Some(&before) {
            let now = engine.progress(stage).map(|progress| &progress.state);
            return violation("I3", format!("{attempt} was never granted, and its stage became {now:?}"));
        }
        match answer {
            Answer::Over(_) => Ok(()),
            other => violation("I3", format!("{attempt} was never granted, and the answer was {other:?}")),
        }
    }

    /// Checks that a stage whose attempt the store has forgotten is granted only after a person asks for it.
    pub(super) fn is_quarantined(&self, attempt: AttemptId) -> Result<(), Violation> {
        let Some(progress) = self.store.progress(attempt.stage) else { return Ok(()) };
        let is_open = matches!(progress.state, State::Waiting(_) | State::Leased(_));
        let was_retried = progress.fence.count() > attempt.fence.count();
        let is_final = matches!(progress.state, State::Succeeded(_));
        if (is_open && !was_retried) || (progress.fence < attempt.fence && !is_final) {
            return violation("I2", format!("{attempt} was forgotten, and its stage is {:?}", progress.state));
        }
        Ok(())
    }
}

/// Returns a fence that differs from the one that the store knows.
fn forged(known: Fence, liars: &mut Rng) -> Fence {
    match liars.u32(0..5) {
        0 => Fence(known.0 + 1),
        1 => known.above(),
        2 => known.next("a request that nobody made"),
        // The same count with another mark.
        3 => Fence(known.0 ^ 1),
        _ => Fence(u64::MAX),
    }
}

/// Returns a call about an attempt.
fn message(attempt: AttemptId, liars: &mut Rng) -> Op {
    let (stage, request): (StageId, String) = (attempt.stage, "a lie".to_owned());
    match liars.u32(0..5) {
        0 => Op::Release { attempt, request },
        1 => {
            let failure = Failure { code: FailureCode::Diverged, message: "a lie".to_owned(), log: Vec::new() };
            Op::Fail { attempt, request, failure }
        }
        2 => Op::Points { attempt, request, sequence: 0, points: points(stage, 1) },
        3 => {
            let artifact = ArtifactId(ContentHash::of(b"a lie"));
            Op::Checkpoint { attempt, request, checkpoint: Checkpoint { artifact, step: 1 }, batches: 0 }
        }
        _ => Op::Complete { attempt, request, result: Box::new(result(stage)), batches: 0 },
    }
}
