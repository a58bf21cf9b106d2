//! The simulated store: its contract, and the checks at every commit.

use std::collections::BTreeMap;

use pretext_engine::{
    Change, GrantRecord, Limits, Outline, Progress, Snapshot, StageRecord, State, SweepMark, SweepRecord, Waiting,
};
use pretext_shared::ids::{Fence, StageId};
use pretext_shared::outcome::FailureCode;
use pretext_shared::point::Point;

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The promise: I1 to I12 of the invariants, or a name.
    pub invariant: &'static str,
    /// The observation.
    pub seen: String,
}

pub(super) fn violation<T>(invariant: &'static str, seen: impl Into<String>) -> Result<T, Violation> {
    Err(Violation { invariant, seen: seen.into() })
}

/// An effect of a commit that the world must know.
#[derive(Debug)]
pub(super) enum Seen {
    /// A stage was granted.
    Granted { stage: StageId, fence: Fence },
    /// The holder of a stage was given up.
    Lost { stage: StageId, fence: Fence },
    /// A stage was given up because of its workers.
    Quarantined { stage: StageId, fence: Fence },
    /// A stage failed finally.
    Failed { stage: StageId },
    /// An attempt failed and another follows after a back-off.
    BackedOff { stage: StageId },
    /// A stage may run again at once.
    Reset { stage: StageId },
    /// A stage was deleted.
    Deleted { stage: StageId },
}

/// Durable state.
#[derive(Debug, Clone, Default)]
pub(super) struct Store {
    pub(super) snapshot: Snapshot,
    pub(super) plans: BTreeMap<StageId, StageRecord>,
    pub(super) points: BTreeMap<StageId, BTreeMap<(Fence, u64), Vec<Point>>>,
    pub(super) grants: BTreeMap<StageId, BTreeMap<Fence, GrantRecord>>,
    /// The highest fence of each stage when it was deleted last.
    pub(super) deleted: BTreeMap<StageId, Fence>,
}

impl Store {
    pub(super) fn progress(&self, stage: StageId) -> Option<&Progress> {
        self.snapshot.stages.get(&stage).map(|(_, progress)| progress.as_ref())
    }

    /// Applies all `changes`, and checks the effect of each.
    pub(super) fn commit(&mut self, changes: Vec<Change>, limits: &Limits) -> Result<Vec<Seen>, Violation> {
        let mut seen = Vec::new();
        let mut touched: Vec<StageId> = Vec::new();
        let mut raised: BTreeMap<(StageId, Fence), State> = BTreeMap::new();
        for change in changes {
            match change {
                Change::AddSweep(sweep) => {
                    if self.snapshot.sweeps.iter().any(|(known, _)| known.id == sweep.id) {
                        return violation("I10", format!("sweep {} was added twice", sweep.id));
                    }
                    self.snapshot.sweeps.push((*sweep, SweepMark::Active));
                }
                Change::MarkSweep(id, mark) => {
                    match self.snapshot.sweeps.iter_mut().find(|(known, _)| known.id == id) {
                        Some((_, old)) => *old = mark,
                        None => return violation("I10", format!("sweep {id} was marked and is not there")),
                    }
                }
                Change::AddStage(id, record) => {
                    let outline = Box::new(Outline::from(record.as_ref()));
                    self.plans.insert(id, *record);
                    if self.snapshot.stages.insert(id, (outline, Box::default())).is_some() {
                        return violation("I10", format!("stage {} was added twice", id.short()));
                    }
                }
                Change::SetProgress(id, new) => {
                    let Some((_, old)) = self.snapshot.stages.get_mut(&id) else {
                        return violation("I10", format!("stage {} has progress and is not there", id.short()));
                    };
                    step(id, old, &new, limits, &mut seen)?;
                    // Only a quarantine may skip a fence; every other new fence needs a grant.
                    let passed_over = matches!(new.state, State::Failed(_) | State::Cancelled);
                    // A new stage begins above all that were deleted.
                    let is_born = **old == Progress::new() && new.fence == self.snapshot.first_fence;
                    if new.fence > old.fence && !passed_over && !is_born {
                        raised.insert((id, new.fence), old.state.clone());
                    }
                    *old = new;
                    touched.push(id);
                }
                Change::DeleteSweep(id) => {
                    let sweeps = &mut self.snapshot.sweeps;
                    let Some(place) = sweeps.iter().position(|(sweep, _)| sweep.id == id) else {
                        return violation("I10", format!("sweep {id} was deleted and is not there"));
                    };
                    sweeps.remove(place);
                }
                Change::DeleteStage(id) => {
                    self.delete(id)?;
                    seen.push(Seen::Deleted { stage: id });
                }
                Change::RaiseFences(first) => {
                    if first <= self.snapshot.first_fence {
                        return violation("I2", format!("the fence of new stages did not rise to {first}"));
                    }
                    self.snapshot.first_fence = first;
                }
                Change::SetData(fingerprint, None) => drop(self.snapshot.data.remove(&fingerprint)),
                Change::SetData(fingerprint, Some(data)) => drop(self.snapshot.data.insert(fingerprint, *data)),
                Change::LogGrant(id, fence, grant) => {
                    let before = raised.remove(&(id, fence));
                    self.granted(id, fence, before, &mut seen)?;
                    self.grants.entry(id).or_default().insert(fence, grant);
                }
                Change::AppendPoints(id, batch) => {
                    let key = (batch.fence, batch.sequence);
                    if self.points.entry(id).or_default().insert(key, batch.points).is_some() {
                        return violation("I4", format!("points {}@{} #{} twice", id.short(), key.0, key.1));
                    }
                }
            }
        }
        if let Some((id, fence)) = raised.keys().next() {
            return violation("I2", format!("the fence of {} rose to {fence} without a grant", id.short()));
        }
        if let Some((id, fence)) = self.deleted.iter().find(|(_, fence)| **fence >= self.snapshot.first_fence) {
            return violation("I2", format!("new stages begin below the fence {fence} of the deleted {}", id.short()));
        }
        touched.sort();
        touched.dedup();
        for id in &touched {
            self.stage_holds(*id)?;
        }
        Ok(seen)
    }

    fn delete(&mut self, id: StageId) -> Result<(), Violation> {
        let needs = |sweep: &SweepRecord| sweep.cells.iter().any(|cell| cell.stages().any(|stage| stage == id));
        if let Some((sweep, _)) = self.snapshot.sweeps.iter().find(|(sweep, _)| needs(sweep)) {
            return violation("I5", format!("{} was deleted, and {} needs it", id.short(), sweep.id));
        }
        let Some((_, progress)) = self.snapshot.stages.remove(&id) else {
            return violation("I10", format!("stage {} was deleted and is not there", id.short()));
        };
        if self.grants.contains_key(&id) {
            let fence = self.deleted.entry(id).or_default();
            *fence = progress.fence.max(*fence);
        }
        self.plans.remove(&id);
        self.points.remove(&id);
        self.grants.remove(&id);
        Ok(())
    }

    fn granted(&self, id: StageId, fence: Fence, before: Option<State>, seen: &mut Vec<Seen>) -> Result<(), Violation> {
        let name = format!("{}@{fence}", id.short());
        let newest = self.grants.get(&id).and_then(|grants| grants.keys().next_back().copied());
        if self.deleted.get(&id).is_some_and(|deleted| *deleted >= fence) {
            return violation("I2", format!("grant {name} does not rise above those of the deleted stage"));
        }
        if newest.is_some_and(|newest| newest >= fence) {
            return violation("I2", format!("grant {name} does not rise above {}", newest.unwrap_or_default()));
        }
        let Some(before) = before else {
            return violation("I2", format!("grant {name} did not raise the fence"));
        };
        let Some((outline, _)) = self.snapshot.stages.get(&id) else {
            return violation("I2", format!("grant {name} of an unknown stage"));
        };
        if let Some(parent) = outline.parent
            && !matches!(self.progress(parent).map(|parent| &parent.state), Some(State::Succeeded(_)))
        {
            return violation("I1", format!("grant {name} before its parent had a result"));
        }
        let needs = |(sweep, mark): &&(pretext_engine::SweepRecord, SweepMark)| {
            !mark.is_cancelled() && sweep.cells.iter().any(|cell| cell.stages().any(|stage| stage == id))
        };
        if !self.snapshot.sweeps.iter().any(|sweep| needs(&sweep)) {
            return violation("I11", format!("grant {name}, which only cancelled sweeps need"));
        }
        for (sweep, mark) in &self.snapshot.sweeps {
            let Some(most) = sweep.max_parallel else { continue };
            // A stage that another sweep needs too may run on that sweep's account.
            let alone = self.snapshot.sweeps.iter().filter(needs).count() == 1;
            if mark.is_cancelled() || !alone || !needs(&&(sweep.clone(), mark.clone())) {
                continue;
            }
            let mut stages: Vec<StageId> = sweep.cells.iter().flat_map(|cell| cell.stages()).collect();
            stages.sort();
            stages.dedup();
            let held = |stage: &&StageId| matches!(self.progress(**stage).map(|p| &p.state), Some(State::Leased(_)));
            let running = stages.iter().filter(held).count();
            if running > most as usize && stages.contains(&id) {
                return violation("max_parallel", format!("grant {name}: {running} stages of {} run", sweep.id));
            }
        }
        match before {
            State::Waiting(_) => {
                seen.push(Seen::Granted { stage: id, fence });
                Ok(())
            }
            other => violation("I2", format!("grant {name} of a stage that was {other:?}")),
        }
    }

    /// Checks what must hold for a stage between commits.
    fn stage_holds(&self, id: StageId) -> Result<(), Violation> {
        let Some(progress) = self.progress(id) else { return Ok(()) };
        let fence = progress.fence;
        let stored = self.points.get(&id).map_or(0, |points| points.range((fence, 0)..=(fence, u64::MAX)).count());
        if stored as u64 != progress.batches {
            let name = id.short();
            return violation("I4", format!("{name}@{fence} counts {} batches and has {stored}", progress.batches));
        }
        if let State::Leased(holder) = &progress.state {
            let grant = self.grants.get(&id).and_then(|grants| grants.get(&fence));
            if grant.is_none_or(|grant| grant.holder != *holder) {
                return violation(
                    "I2",
                    format!("{}@{fence} is held by a worker that the log does not name", id.short()),
                );
            }
        }
        if progress.state == State::Cancelled {
            let wanted = self.snapshot.sweeps.iter().any(|(sweep, mark)| {
                !mark.is_cancelled() && sweep.cells.iter().any(|cell| cell.stages().any(|stage| stage == id))
            });
            if wanted {
                return violation("I11", format!("{} is cancelled and a sweep needs it", id.short()));
            }
        }
        Ok(())
    }

    /// Checks the number of leases on each device of a worker.
    pub(super) fn crowded(&self, slots: usize) -> Result<(), Violation> {
        let mut held: BTreeMap<(&str, u128, &str), usize> = BTreeMap::new();
        for (_, progress) in self.snapshot.stages.values() {
            if let State::Leased(holder) = &progress.state {
                let place = (holder.worker.name.as_str(), holder.worker.boot.as_u128(), holder.device.as_str());
                let count = held.entry(place).or_default();
                *count += 1;
                if *count > slots {
                    return violation("I9", format!("{count} leases on the {slots} slot(s) of {}", holder.worker));
                }
            }
        }
        Ok(())
    }
}

/// Checks one transition of a stage.
fn step(id: StageId, old: &Progress, new: &Progress, limits: &Limits, seen: &mut Vec<Seen>) -> Result<(), Violation> {
    let name = || format!("{}@{}", id.short(), new.fence);
    if new.fence < old.fence {
        return violation("I2", format!("the fence of {} fell to {}", id.short(), new.fence));
    }
    if matches!(old.state, State::Succeeded(_)) && new.state != old.state {
        return violation("I1", format!("{} had a result and is now {:?}", name(), new.state));
    }
    let over = |state: &State| matches!(state, State::Failed(_) | State::Cancelled);
    if over(&old.state) && old.state != new.state && new.state != State::Waiting(Waiting::Open) {
        return violation("I1", format!("{} was over and is now {:?}", name(), new.state));
    }
    if over(&old.state) && !over(&new.state) {
        if (new.lost, new.failed) != (0, 0) {
            return violation("I8", format!("{} runs again without fresh budgets", name()));
        }
        seen.push(Seen::Reset { stage: id });
    }
    match (&old.checkpoint, &new.checkpoint) {
        (Some(old), Some(new)) if new.step < old.step => {
            return violation("I6", format!("the checkpoint of {} fell from {} to {}", name(), old.step, new.step));
        }
        (Some(_), None) if !matches!(new.state, State::Succeeded(_)) => {
            return violation("I6", format!("the checkpoint of {} is gone", name()));
        }
        _ => {}
    }
    if new.fence == old.fence && new.batches < old.batches {
        return violation("I4", format!("{} lost batches: {} of {}", name(), new.batches, old.batches));
    }
    if new.lost > limits.max_lost || new.failed > limits.max_failed {
        return violation("I8", format!("{} overran its budgets: {} lost, {} failed", name(), new.lost, new.failed));
    }
    let last = new.history.last().map(|(_, failure)| failure.code);
    let was_given_up = new.fence > old.fence || (new.lost > old.lost && last == Some(FailureCode::Lost));
    if matches!(old.state, State::Waiting(Waiting::Expired(_))) && was_given_up && !is_forgotten(&new.state) {
        seen.push(Seen::Lost { stage: id, fence: old.fence });
    }
    if let State::Failed(failure) = &new.state
        && !over(&old.state)
        && failure.code == FailureCode::Lost
    {
        seen.push(Seen::Quarantined { stage: id, fence: new.fence });
    }
    if matches!(new.state, State::Failed(_)) && !over(&old.state) {
        seen.push(Seen::Failed { stage: id });
    }
    let is_fresh = matches!(new.state, State::Succeeded(_)) || (over(&old.state) && !over(&new.state));
    if is_fresh && !new.failed_at.is_empty() {
        return violation("health", format!("{} keeps the places of failures: {:?}", name(), new.failed_at));
    }
    if matches!(new.state, State::Waiting(Waiting::BackOff(_))) && old.state != new.state {
        seen.push(Seen::BackedOff { stage: id });
    }
    Ok(())
}

/// Returns whether the stage was given up because the store does not know its attempt.
fn is_forgotten(state: &State) -> bool {
    matches!(state, State::Failed(failure) if failure.code.as_str() == "rolled-back")
}
