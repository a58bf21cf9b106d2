//! The coordinator's process: the real engine, the core's loop around it, and the moments at which it may die.

use std::collections::BTreeSet;

use pretext_engine::{Change, Directive, Engine, Millis, State, SweepMark, Waiting};
use pretext_shared::ids::StageId;
use pretext_shared::outcome::Budget;

use super::compare::{self, Idle};
use super::event::{Answer, Envelope, Event, Life, Op, Origin, worker};
use super::health::{History, begins_detours_anew};
use super::oracle::Known;
use super::store::{Seen, Store, Violation, violation};
use super::world::World;

/// The process, and the state that it has in memory only.
#[derive(Default)]
pub(super) struct Process {
    pub(super) engine: Option<Engine>,
    started_at: Millis,
    /// Time by which the monotonic clock is ahead of the true time.
    pub(super) jump: Millis,
    /// Offset of the wall clock.
    pub(super) wall: u64,
    pub(super) paused_until: Millis,
    inbox: Vec<Envelope>,
    turn_is_planned: bool,
    start_is_planned: bool,
    /// True time of its last reading of the clock.
    heard_at: Millis,
    /// The same, on its own clock.
    ticked_at: Millis,
    idle: Idle,
    pub(super) health: History,
    /// The drained devices, each of one run of a worker.
    drained: BTreeSet<Life>,
    /// Time of its next reading of the clock if there is no request. Ticks of an earlier process are void.
    tick_at: Millis,
}

/// A copy of the store, and of everything that was acknowledged before the copy.
pub(super) struct Backup {
    store: Store,
    known: Known,
}

/// An answer that is ready, with its request.
struct Answered {
    origin: Origin,
    op: Op,
    answer: Answer,
}

impl World<'_> {
    fn mono(&self) -> Millis {
        self.now - self.process.started_at + self.process.jump
    }

    /// Kills the process; another one starts after a while.
    pub(super) fn crash(&mut self, why: &str) {
        if self.process.engine.is_none() {
            return;
        }
        self.note(|| format!("coordinator dies: {why}"));
        self.stats.crashes += 1;
        self.process.engine = None;
        self.process.inbox.clear();
        self.process.paused_until = 0;
        let rest = if self.is_calm || self.rng.bool() { 300 } else { self.rng.u64(300..60_000) };
        if !self.process.start_is_planned {
            self.process.start_is_planned = true;
            self.later(rest, rest + 1, Event::Start);
        }
    }

    pub(super) fn start(&mut self) -> Result<(), Violation> {
        self.process.start_is_planned = false;
        if self.process.engine.is_some() {
            return Ok(());
        }
        self.note(|| "coordinator starts".to_owned());
        self.process.started_at = self.now;
        self.process.jump = 0;
        self.process.heard_at = self.now;
        self.process.ticked_at = 0;
        self.process.idle = Idle::default();
        self.process.health = History::default();
        self.process.drained.clear();
        self.known.used.clear();
        self.known.registered.clear();
        let engine = Engine::restore(self.limits, self.store.snapshot.clone(), 0);
        begins_detours_anew(&engine)?;
        self.process.engine = Some(engine);
        for (id, (_, progress)) in &self.store.snapshot.stages {
            match progress.state {
                // Its holder has a whole lease to return.
                State::Leased(_) => {
                    self.known.contact.insert(*id, self.known.attentive);
                }
                State::Waiting(Waiting::BackOff(ms)) => {
                    self.known.back_off.insert(*id, (0, ms));
                }
                _ => {}
            }
        }
        self.tick_again();
        Ok(())
    }

    fn tick_again(&mut self) {
        self.process.tick_at = self.now + 1_000;
        self.agenda.plan(self.process.tick_at, Event::Tick);
    }

    pub(super) fn back_up(&mut self) {
        self.note(|| "the store is copied".to_owned());
        self.backup = Some(Backup { store: self.store.clone(), known: self.known.clone() });
    }

    /// Sets the store back to its copy, without notice.
    pub(super) fn roll_back(&mut self) {
        let Some(backup) = self.backup.take() else { return };
        self.crash("the store is set back");
        self.note(|| "the store is what it was".to_owned());
        let attentive = self.known.attentive;
        self.store = backup.store;
        self.known = backup.known;
        self.known.attentive = attentive;
        self.was_rolled_back = true;
        self.stats.rollbacks += 1;
    }

    pub(super) fn arrive(&mut self, envelope: Envelope) {
        if self.process.engine.is_none() {
            return;
        }
        self.process.inbox.push(envelope);
        if !self.process.turn_is_planned {
            self.process.turn_is_planned = true;
            self.later(1, 12, Event::Turn);
        }
    }

    pub(super) fn tick(&mut self) -> Result<(), Violation> {
        if self.process.engine.is_some() && self.process.tick_at == self.now {
            self.turn()?;
            self.tick_again();
        }
        Ok(())
    }

    /// Runs one round of the core: time, all waiting requests, one commit, then the answers.
    pub(super) fn turn(&mut self) -> Result<(), Violation> {
        self.process.turn_is_planned = false;
        let Some(mut engine) = self.process.engine.take() else { return Ok(()) };
        if self.process.paused_until > self.now {
            self.process.engine = Some(engine);
            if !self.process.turn_is_planned {
                self.process.turn_is_planned = true;
                let pause = self.process.paused_until - self.now;
                self.later(pause, pause + 1, Event::Turn);
            }
            return Ok(());
        }
        // Others count as silent only in time in which the coordinator listened.
        let gap = self.now - self.process.heard_at;
        if gap <= self.limits.lease_ms / 4 {
            self.known.attentive += gap;
        }
        self.process.heard_at = self.now;
        let now = self.mono();
        compare::tick(&mut engine, self.process.ticked_at, now)?;
        self.process.ticked_at = now;
        let inbox = std::mem::take(&mut self.process.inbox);
        let mut answered = Vec::with_capacity(inbox.len());
        let mut discards = Vec::new();
        for envelope in inbox {
            let Envelope { origin, op } = envelope;
            let answer = self.admit(&mut engine, origin, &op, now, &mut discards)?;
            answered.push(Answered { origin, op, answer });
        }
        self.lie(&mut engine, now)?;
        compare::answers(&engine, &self.artifacts, now)?;
        let drained = self.process.health.compare(&engine)?;
        self.stats.drains += drained.difference(&self.process.drained).count() as u64;
        self.process.drained = drained;
        self.process.idle.wake(&mut engine)?;
        let changes = engine.take_changes();
        if !changes.is_empty() && self.chance(self.faults.crash_before) {
            self.process.engine = Some(engine);
            self.crash("before a commit");
            return Ok(());
        }
        for change in &changes {
            if let Change::MarkSweep(id, SweepMark::Active) = change
                && !answered.iter().any(|answered| matches!(&answered.op, Op::Retry(sweep) if sweep == id))
            {
                return violation("I11", format!("the cancellation of {id} was undone without a request"));
            }
        }
        let crowd = changes.iter().any(|change| matches!(change, Change::SetProgress(..)));
        self.stats.commits += u64::from(!changes.is_empty());
        for seen in self.store.commit(changes, &self.limits)? {
            self.saw(seen, now)?;
        }
        if crowd {
            self.store.crowded(self.slots)?;
        }
        for answered in &answered {
            self.acknowledge(answered.origin, &answered.op, &answered.answer, now)?;
        }
        for artifact in discards {
            self.artifacts.remove(&artifact);
        }
        if !self.was_rolled_back {
            for (id, (_, progress)) in &self.store.snapshot.stages {
                if let Some(checkpoint) = &progress.checkpoint
                    && !self.artifacts.contains(&checkpoint.artifact)
                {
                    return violation("I6", format!("the listed checkpoint of {} is not there", id.short()));
                }
            }
        }
        self.process.engine = Some(engine);
        if !answered.is_empty() && self.chance(self.faults.crash_after) {
            self.crash("after a commit");
            return Ok(());
        }
        for Answered { origin, op, answer } in answered {
            self.reply(origin, op, answer);
        }
        Ok(())
    }

    /// Checks a transition against the simulation's knowledge of the truth.
    fn saw(&mut self, seen: Seen, now: Millis) -> Result<(), Violation> {
        let silence = |world: &Self, stage: StageId| {
            world.known.attentive - world.known.contact.get(&stage).copied().unwrap_or(world.known.attentive)
        };
        match seen {
            Seen::Lost { stage, fence } => {
                let silence = silence(self, stage);
                if silence < self.limits.lease_ms {
                    let seen = format!("{}@{fence} was lost after a silence of {silence} ms", stage.short());
                    return violation("lease", seen);
                }
                *self.known.losses.entry(stage).or_default() += 1;
            }
            Seen::Granted { stage, fence } => {
                self.stats.grants += 1;
                self.note(|| format!("grant {}@{fence}", stage.short()));
                let lost = self.known.losses.get(&stage).copied().unwrap_or(0);
                if lost >= self.limits.max_lost {
                    return violation("I8", format!("grant {}@{fence} after {lost} lost workers", stage.short()));
                }
                if let Some((at, wait)) = self.known.back_off.remove(&stage)
                    && now < at + wait
                {
                    return violation("back-off", format!("{}@{fence} {wait} ms after {at}, at {now}", stage.short()));
                }
                self.known.contact.insert(stage, self.known.attentive);
            }
            Seen::Quarantined { stage, fence } => {
                self.stats.quarantines += 1;
                self.note(|| format!("quarantine {}@{fence}", stage.short()));
                let lost = self.known.losses.get(&stage).copied().unwrap_or(0);
                if lost < self.limits.max_lost {
                    return violation("quarantine", format!("{} after {lost} workers", stage.short()));
                }
                if let Some(State::Failed(failure)) = self.store.progress(stage).map(|progress| &progress.state)
                    && failure.log.len() < self.limits.max_lost as usize
                {
                    return violation("quarantine", format!("{} without evidence: {failure:?}", stage.short()));
                }
            }
            Seen::Failed { stage } if self.is_only_sick => {
                return violation("sick", format!("{} failed because of a sick machine", stage.short()));
            }
            Seen::Failed { .. } => {}
            Seen::BackedOff { stage } => {
                let Some(progress) = self.store.progress(stage) else { return Ok(()) };
                if let State::Waiting(Waiting::BackOff(wait)) = progress.state {
                    self.known.back_off.insert(stage, (now, wait));
                }
            }
            Seen::Reset { stage } => self.known.reset(stage),
            Seen::Deleted { stage } => {
                self.stats.deletions += 1;
                self.known.reset(stage);
                self.known.contact.remove(&stage);
                self.known.ledger.forget(stage);
            }
        }
        Ok(())
    }

    /// Records an acknowledgement in the ledger, and checks that the store has it.
    fn acknowledge(&mut self, origin: Origin, op: &Op, answer: &Answer, now: Millis) -> Result<(), Violation> {
        if let (Op::Register, Origin::Worker(life)) = (op, origin) {
            // A later process of the same machine has replaced this one, whenever its messages arrive.
            let is_newest =
                !self.known.registered.iter().any(|other| other.machine == life.machine && other.boot > life.boot);
            if is_newest {
                self.known.registered.retain(|other| other.machine != life.machine);
                self.known.registered.insert(life);
            }
        }
        let (attempt, request) = match (op, answer) {
            (Op::Heartbeat(_), Answer::Directives(directives, _)) => {
                for (attempt, directive) in directives {
                    if *directive == Directive::Continue {
                        self.known.contact.insert(attempt.stage, self.known.attentive);
                    }
                }
                return Ok(());
            }
            (Op::Lease { request, .. }, Answer::Granted(Some(grant))) => (grant.attempt, request),
            (
                Op::Points { attempt, request, .. }
                | Op::Checkpoint { attempt, request, .. }
                | Op::Complete { attempt, request, .. }
                | Op::Fail { attempt, request, .. }
                | Op::Release { attempt, request },
                Answer::Done,
            ) => (*attempt, request),
            (
                Op::Points { attempt, .. }
                | Op::Checkpoint { attempt, .. }
                | Op::Complete { attempt, .. }
                | Op::Fail { attempt, .. }
                | Op::Release { attempt, .. },
                Answer::Forgotten,
            ) => {
                if self.store.deleted.get(&attempt.stage).is_some_and(|deleted| attempt.fence <= *deleted) {
                    return violation("I2", format!("{attempt} is of a deleted stage, and was taken for a lost grant"));
                }
                return self.is_quarantined(*attempt);
            }
            (Op::Submit(index), Answer::Done) => {
                self.known.ledger.sweeps.insert(self.workload.submissions[*index].sweep.id.clone());
                return Ok(());
            }
            (Op::Cancel(sweep), Answer::Done) => {
                self.known.ledger.cancelled.insert(sweep.clone(), true);
                return Ok(());
            }
            (Op::Retry(sweep), Answer::Done) => {
                self.known.ledger.cancelled.insert(sweep.clone(), false);
                return Ok(());
            }
            (Op::Delete(sweep), Answer::Done) => {
                self.known.ledger.sweeps.remove(sweep);
                self.known.ledger.cancelled.remove(sweep);
                return Ok(());
            }
            _ => return Ok(()),
        };
        if self.store.deleted.get(&attempt.stage).is_some_and(|deleted| attempt.fence <= *deleted) {
            // The stage was deleted in the same round, after this request.
            return Ok(());
        }
        let grant = self.store.grants.get(&attempt.stage).and_then(|grants| grants.get(&attempt.fence));
        if grant.is_none_or(|grant| grant.holder.request != *request) {
            let holder = grant.map(|grant| grant.holder.request.as_str());
            return violation("I3", format!("{attempt} of {request} was accepted, granted to {holder:?}"));
        }
        let Some(progress) = self.store.progress(attempt.stage) else {
            return violation("I5", format!("{attempt} was accepted of a stage that is not there"));
        };
        // A repeated report of an ended attempt says nothing new about the request.
        let is_news = match op {
            Op::Points { sequence, .. } => !self.known.ledger.points.contains_key(&(attempt, *sequence)),
            Op::Complete { .. } => !self.known.ledger.results.contains_key(&attempt.stage),
            Op::Fail { .. } => !self.known.failed.contains(&attempt),
            Op::Checkpoint { .. } | Op::Release { .. } => true,
            _ => false,
        };
        if let Origin::Worker(life) = origin
            && is_news
            && grant.is_some_and(|grant| grant.holder.worker == worker(life))
            && self.known.registered.contains(&life)
        {
            self.known.used.insert(request.clone());
        }
        match op {
            Op::Lease { .. } => {
                if let Answer::Granted(Some(grant)) = answer {
                    let is_known = matches!(origin, Origin::Worker(life) if self.known.registered.contains(&life));
                    let is_used = self.known.used.contains(request) && !self.known.resumes.contains_key(&attempt);
                    if is_known && is_used {
                        return violation("lease", format!("{attempt} is granted to {request}, which had its answer"));
                    }
                    let step = grant.resume_from.as_ref().map_or(0, |checkpoint| checkpoint.step);
                    self.known.resumes.entry(attempt).or_insert(step);
                }
            }
            Op::Points { sequence, points, .. } => {
                let stored = self.store.points.get(&attempt.stage).and_then(|all| all.get(&(attempt.fence, *sequence)));
                if stored != Some(points) {
                    return violation("I4", format!("{attempt} #{sequence} was acknowledged and is {stored:?}"));
                }
                let fresh = self.known.ledger.points.insert((attempt, *sequence), points.clone()).is_none();
                if fresh && progress.fence == attempt.fence {
                    self.known.contact.insert(attempt.stage, self.known.attentive);
                }
            }
            Op::Checkpoint { checkpoint, .. } => {
                let step = self.known.ledger.checkpoints.entry(attempt.stage).or_default();
                if checkpoint.step > *step {
                    *step = checkpoint.step;
                    self.known.losses.remove(&attempt.stage);
                }
                self.known.contact.insert(attempt.stage, self.known.attentive);
                self.points_up_to(attempt, checkpoint.step)?;
            }
            Op::Complete { result, .. } => {
                if progress.state != State::Succeeded((**result).clone()) {
                    return violation("I1", format!("{attempt} was acknowledged and is {:?}", progress.state));
                }
                self.known.ledger.results.insert(attempt.stage, (**result).clone());
                self.points_up_to(attempt, super::workload::steps(attempt.stage))?;
            }
            Op::Fail { failure, .. } => {
                let was_reset = matches!(progress.state, State::Waiting(Waiting::Open) | State::Leased(_));
                if !self.known.failed.insert(attempt) || was_reset {
                    return Ok(());
                }
                match failure.code.budget() {
                    Budget::Infrastructure => *self.known.losses.entry(attempt.stage).or_default() += 1,
                    _ => *self.known.failures.entry((attempt.stage, failure.code)).or_default() += 1,
                }
                self.failure_is_fair(attempt, failure.code, now)?;
            }
            _ => {}
        }
        Ok(())
    }
}
