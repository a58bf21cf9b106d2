//! The user of the simulation: submits sweeps, cancels, retries and deletes them, and repeats calls that got no answer.

use pretext_engine::{State, SweepMark};

use super::event::{Event, Op, Origin};
use super::store::{Violation, violation};
use super::world::World;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Client {
    /// Sweeps that are not submitted yet.
    pub(super) open: Vec<usize>,
    /// The call that has no answer yet.
    pub(super) waiting: Option<(u64, Op)>,
    pub(super) calls: u64,
    /// Number of `retry` rounds since the calm began.
    pub(super) rounds: u32,
    /// Time at which the sweeps must have ended.
    pub(super) deadline: u64,
}

impl World<'_> {
    pub(super) fn act(&mut self) {
        if self.is_calm {
            return;
        }
        self.later(2_000, 40_000, Event::Act);
        if self.client.waiting.is_some() {
            return;
        }
        let any = self.chosen[self.rng.usize(0..self.chosen.len())];
        let id = self.workload.submissions[any].sweep.id.clone();
        let op = match self.client.open.pop() {
            Some(index) => Op::Submit(index),
            None => match self.rng.u32(0..14) {
                0 | 1 => Op::Cancel(id),
                2 | 3 => Op::Retry(id),
                4 | 5 => Op::Submit(any),
                6 => Op::Push,
                7 => Op::Remove,
                8 | 9 => Op::Delete(id),
                10 => Op::Clear,
                _ => return,
            },
        };
        self.call(op);
    }

    fn call(&mut self, op: Op) {
        self.client.calls += 1;
        let call = self.client.calls;
        self.note(|| format!("client: {op:?}"));
        self.client.waiting = Some((call, op));
        self.insist(call);
    }

    pub(super) fn insist(&mut self, call: u64) {
        let Some((waiting, op)) = &self.client.waiting else { return };
        if *waiting == call {
            let op = op.clone();
            self.send(Origin::Client(call), op);
            self.later(1_000, 3_000, Event::Insist(call));
        }
    }

    pub(super) fn client_answered(&mut self, call: u64) {
        if self.client.waiting.as_ref().is_some_and(|(waiting, _)| *waiting == call) {
            self.client.waiting = None;
        }
    }

    pub(super) fn calm_client(&mut self) {
        self.client.deadline = self.now + PATIENCE;
        self.client.open = self.chosen.clone();
        self.later(500, 501, Event::Look);
    }

    /// Checks whether all sweeps have ended. Returns true once all have ended well.
    pub(super) fn look(&mut self) -> Result<bool, Violation> {
        if !self.is_calm {
            let stages: Vec<_> = self.store.points.keys().copied().collect();
            if !stages.is_empty() {
                let any = self.rng.usize(0..stages.len());
                self.curve_holds(stages[any])?;
            }
            self.later(10_000, 10_001, Event::Look);
            return Ok(false);
        }
        self.later(1_000, 1_001, Event::Look);
        if self.client.waiting.is_some() {
            return self.in_time();
        }
        // A store that was set back may have forgotten sweeps: the same file again is the same sweep.
        if let Some(index) = self.client.open.pop() {
            self.call(Op::Submit(index));
            return self.in_time();
        }
        let Some(engine) = &self.process.engine else { return self.in_time() };
        let sweeps = &self.store.snapshot.sweeps;
        let is_final = |id| engine.cell_counts(id).is_some_and(|counts| counts.is_final());
        if !sweeps.iter().all(|(sweep, _)| is_final(&sweep.id)) {
            return self.in_time();
        }
        // Everything is final. Failed cells get another try now that there are no more faults.
        let failed = sweeps.iter().find(|(sweep, mark)| {
            let failed = |stage| matches!(self.store.progress(stage).map(|p| &p.state), Some(State::Failed(_)));
            *mark == SweepMark::Active && sweep.cells.iter().any(|cell| cell.stages().any(failed))
        });
        if let Some((sweep, _)) = failed {
            let id = sweep.id.clone();
            self.client.rounds += 1;
            if self.client.rounds > ROUNDS {
                return violation("I8", format!("{id} fails again and again, and nothing goes wrong"));
            }
            self.poisoned.clear();
            self.client.deadline = self.now + PATIENCE;
            self.call(Op::Retry(id));
            return Ok(false);
        }
        Ok(true)
    }

    fn in_time(&self) -> Result<bool, Violation> {
        if self.now < self.client.deadline {
            return Ok(false);
        }
        let open = self
            .store
            .snapshot
            .stages
            .iter()
            .find(|(_, (_, progress))| matches!(progress.state, State::Waiting(_) | State::Leased(_)));
        let seen = open.map_or_else(
            || "nobody answers".to_owned(),
            |(id, (_, progress))| format!("{} is still {:?}", id.short(), progress.state),
        );
        violation("I8", seen)
    }
}

/// Longest time for all sweeps to end after the last fault.
const PATIENCE: u64 = 20 * 60_000;
/// Largest number of retries that failed cells may need.
const ROUNDS: u32 = 8;
