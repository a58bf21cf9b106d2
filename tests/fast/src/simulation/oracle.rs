//! The simulation's knowledge of the truth, and the checks that need it.

use std::collections::{BTreeMap, BTreeSet};

use pretext_engine::{Batch, Checkpoint, Engine, Evidence, Millis, State, SweepMark, Waiting, curve};
use pretext_shared::ids::{ArtifactId, AttemptId, ContentHash, StageId};
use pretext_shared::outcome::{Budget, Failure, FailureCode};
use pretext_shared::point::{Metric, Point};
use pretext_shared::sweep::CellState;

use super::event::{Answer, Life, Op, Origin};
use super::ledger::Ledger;
use super::machine;
use super::store::{Violation, violation};
use super::workload::steps;
use super::world::World;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) ledger: Ledger,
    /// Time in which the coordinator listened.
    pub(super) attentive: Millis,
    /// Last contact with each holder, in that time.
    pub(super) contact: BTreeMap<StageId, Millis>,
    /// Requests whose grant was used since the coordinator started.
    pub(super) used: BTreeSet<String>,
    /// Workers that the coordinator knows.
    pub(super) registered: BTreeSet<Life>,
    /// Number of holders lost, and of failures of their devices and disks, since the stage was last reset or made progress.
    pub(super) losses: BTreeMap<StageId, u32>,
    /// Number of failures since the stage was last reset.
    pub(super) failures: BTreeMap<(StageId, FailureCode), u32>,
    /// Attempts whose failure was counted.
    pub(super) failed: BTreeSet<AttemptId>,
    /// The step from which each attempt resumed.
    pub(super) resumes: BTreeMap<AttemptId, u64>,
    /// When a stage began to wait after a failure, on the coordinator's clock, and for how long.
    pub(super) back_off: BTreeMap<StageId, (Millis, Millis)>,
}

impl Known {
    /// Forgets the failures of a stage, which may run again.
    pub(super) fn reset(&mut self, stage: StageId) {
        self.losses.remove(&stage);
        self.failures.retain(|(other, _), _| *other != stage);
        self.back_off.remove(&stage);
    }
}

/// Returns a call of a liar about an attempt; `kind` chooses among five.
fn lie(attempt: AttemptId, kind: u32) -> Op {
    let request = "a lie".to_owned();
    match kind {
        0 => Op::Release { attempt, request },
        1 => {
            let failure = Failure { code: FailureCode::Diverged, message: "a lie".to_owned(), log: Vec::new() };
            Op::Fail { attempt, request, failure }
        }
        2 => Op::Points { attempt, request, sequence: 0, points: machine::points(attempt.stage, 1) },
        3 => {
            let artifact = ArtifactId(ContentHash::of(b"a lie"));
            Op::Checkpoint { attempt, request, checkpoint: Checkpoint { artifact, step: 1 }, batches: 0 }
        }
        _ => Op::Complete { attempt, request, result: Box::new(machine::result(attempt.stage)), batches: 0 },
    }
}

impl World<'_> {
    /// Lets a machine lie about the fence of a stage now and then, and checks that the lie is refused without a trace.
    pub(super) fn lie(&mut self, engine: &mut Engine, now: Millis) -> Result<(), Violation> {
        let count = self.store.snapshot.stages.len();
        if count == 0 || self.claims.liars.u32(0..8) > 0 {
            return Ok(());
        }
        let machine = self.claims.liars.usize(0..self.machines.len());
        let nth = self.claims.liars.usize(0..count);
        let Some(stage) = self.store.snapshot.stages.keys().nth(nth).copied() else { return Ok(()) };
        let Some(before) = engine.progress(stage).cloned() else { return Ok(()) };
        let attempt = AttemptId { stage, fence: self.claims.forged(before.fence) };
        let life = Life { machine, boot: self.machines[machine].boot };
        if self.claims.evidence(attempt, life) == Evidence::Proof {
            return Ok(());
        }
        let op = lie(attempt, self.claims.liars.u32(0..5));
        let answer = self.admit(engine, Origin::Worker(life), &op, now, &mut Vec::new())?;
        if engine.progress(stage) != Some(&before) {
            let state = engine.progress(stage).map(|progress| &progress.state);
            return violation("I3", format!("{attempt} was never granted, and its stage became {state:?}"));
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

    /// Checks that the stage is retried exactly as often as the budget of this kind of failure allows.
    pub(super) fn failure_is_fair(&self, attempt: AttemptId, code: FailureCode, now: Millis) -> Result<(), Violation> {
        let count = match code.budget() {
            Budget::Infrastructure => self.known.losses.get(&attempt.stage).copied().unwrap_or(0),
            _ => self.known.failures.get(&(attempt.stage, code)).copied().unwrap_or(0),
        };
        let Some(progress) = self.store.progress(attempt.stage) else { return Ok(()) };
        let allowed = match code {
            FailureCode::Crashed => self.limits.max_failed,
            FailureCode::OutOfMemory => self.limits.max_out_of_memory,
            _ if code.budget() == Budget::Infrastructure => self.limits.max_lost,
            _ => 1,
        };
        match &progress.state {
            State::Failed(failure) if failure.code == code && count < allowed => {
                let name = code.as_str();
                violation("I8", format!("{attempt} is failed after {count} of {allowed} failures ({name})"))
            }
            State::Waiting(Waiting::BackOff(wait)) => {
                let longest = (self.limits.back_off_ms << (count - 1).min(8)) * 3 / 2 + 2;
                let shortest = (self.limits.back_off_ms << (count - 1).min(8)) / 2;
                if count >= allowed {
                    return violation("I8", format!("{attempt} is tried again after {count} failures"));
                }
                if *wait < shortest || *wait > longest {
                    return violation("back-off", format!("{attempt} waits {wait} ms at {now}, failure {count}"));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Checks that every point of the attempt up to `step` is durable.
    pub(super) fn points_up_to(&self, attempt: AttemptId, step: u64) -> Result<(), Violation> {
        let AttemptId { stage, fence } = attempt;
        let stored = self.store.points.get(&stage);
        let last =
            stored.into_iter().flat_map(|all| all.range((fence, 0)..=(fence, u64::MAX))).flat_map(|(_, points)| points);
        let kept: BTreeSet<u64> =
            last.filter(|point| point.metric == Metric::StepLoss).map(|point| point.step).collect();
        match (1..=step).find(|step| !kept.contains(step)) {
            Some(missing) => violation("I4", format!("{}: the point of step {missing} is missing", stage.short())),
            None => Ok(()),
        }
    }

    /// Checks that the curve of a stage is everything that was acknowledged, except what a later attempt superseded:
    /// each point once, in order.
    pub(super) fn curve_holds(&self, stage: StageId) -> Result<(), Violation> {
        let Some(batches) = self.store.points.get(&stage) else { return Ok(()) };
        let batches: Vec<Batch> = batches
            .iter()
            .map(|((fence, sequence), points)| Batch { fence: *fence, sequence: *sequence, points: points.clone() })
            .collect();
        let grants: Vec<_> = self.store.grants.get(&stage).into_iter().flatten().collect();
        let mut expected: BTreeMap<(Metric, u64), Point> = BTreeMap::new();
        for (fence, _) in &grants {
            let attempt = AttemptId { stage, fence: **fence };
            // A grant whose answer was lost with the process has no known resume.
            let Some(resume) = self.known.resumes.get(&attempt) else { return Ok(()) };
            expected.retain(|(_, step), _| step <= resume);
            let sent = batches.iter().filter(|batch| batch.fence == **fence).flat_map(|batch| &batch.points);
            expected.extend(sent.map(|point| ((point.metric, point.step), *point)));
        }
        let grants: Vec<_> = grants.iter().map(|(fence, grant)| (**fence, (*grant).clone())).collect();
        let mut last: BTreeMap<Metric, u64> = BTreeMap::new();
        let curve = curve(&batches, &grants);
        for point in &curve {
            let former = last.insert(point.metric, point.step);
            if former.is_some_and(|former| former >= point.step) {
                return violation("I4", format!("the curve of {} goes back to step {}", stage.short(), point.step));
            }
            if !machine::points(stage, point.step).contains(point) {
                return violation("I4", format!("the curve of {} has {point:?}", stage.short()));
            }
        }
        if curve.len() != expected.len() {
            let name = stage.short();
            let seen = format!("the curve of {name} has {} points and {} are due", curve.len(), expected.len());
            return violation("I4", seen);
        }
        Ok(())
    }

    /// Checks everything that must hold after a good end.
    pub(super) fn all_is_well(&self) -> Result<(), Violation> {
        self.known.ledger.compare(&self.store)?;
        let Some(engine) = &self.process.engine else { return violation("I8", "no coordinator runs") };
        for (sweep, mark) in &self.store.snapshot.sweeps {
            let standing = match engine.standing(&sweep.id) {
                Ok(standing) => standing,
                Err(refusal) => return violation("I12", refusal.to_string()),
            };
            let view = match standing.with_plans(self.store.plans.clone()) {
                Ok(view) => view,
                Err(error) => return violation("I12", error.to_string()),
            };
            let mut states: BTreeMap<CellState, usize> = BTreeMap::new();
            for (place, cell) in view.cells.iter().enumerate() {
                let state = view.state(cell);
                *states.entry(state).or_default() += 1;
                let wanted = match mark {
                    SweepMark::Active => CellState::Succeeded,
                    SweepMark::Cancelled(ended) if ended.contains(&(place as u32)) => continue,
                    SweepMark::Cancelled(_) => CellState::Cancelled,
                };
                if state != wanted {
                    return violation("I8", format!("cell {} is {state:?} in the end", cell.id(&sweep.id)));
                }
            }
            let counts = engine.cell_counts(&sweep.id).unwrap_or_default();
            let shown = [
                (CellState::Succeeded, counts.succeeded),
                (CellState::Failed, counts.failed),
                (CellState::Cancelled, counts.cancelled),
            ];
            if shown.iter().any(|(state, count)| states.get(state).copied().unwrap_or(0) != *count) {
                return violation("I12", format!("{}: {counts:?} are shown and {states:?} are", sweep.id));
            }
        }
        for (stage, (_, progress)) in &self.store.snapshot.stages {
            self.curve_holds(*stage)?;
            if matches!(progress.state, State::Succeeded(_)) {
                self.points_up_to(AttemptId { stage: *stage, fence: progress.fence }, steps(*stage))?;
            }
        }
        Ok(())
    }
}
