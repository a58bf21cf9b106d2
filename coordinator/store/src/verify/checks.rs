//! The checks of `verify`, one function for each subject.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use pretext_engine::{Holder, State, SweepMark, Waiting, curve};
use pretext_shared::dataset::SweepFacts;
use pretext_shared::ids::{ArtifactId, Fence, StageId};
use pretext_shared::plan;
use pretext_shared::point::{Metric, Part};
use pretext_shared::spec;
use pretext_shared::sweep::{Cell, CellState, SweepView};
use pretext_shared::verification::{Checked, Finding, Harm};

use super::{Evidence, StageEvidence};

/// Returns whether a result that ran on `ran` is from the device `held`: results name the device alone, or with the
/// features that its numbers depend on, as in `cpu (x86-64 with AVX-512)`.
fn is_on(held: &str, ran: &str) -> bool {
    ran.strip_prefix(held).is_some_and(|rest| rest.is_empty() || rest.starts_with(" ("))
}

/// Findings so far.
pub(super) struct Inspection<'a> {
    evidence: &'a Evidence,
    states: HashMap<StageId, &'a State>,
    checked: Checked,
    findings: Vec<Finding>,
}

impl<'a> Inspection<'a> {
    pub(super) fn new(evidence: &'a Evidence) -> Self {
        let checked = Checked {
            cells: evidence.sweep.cells.len() as u64,
            stages: evidence.stages.len() as u64,
            ..Checked::default()
        };
        let states = evidence.stages.iter().map(|stage| (stage.id, &stage.progress.state)).collect();
        Self { evidence, states, checked, findings: Vec::new() }
    }

    pub(super) fn conclude(self) -> (Checked, Vec<Finding>) {
        (self.checked, self.findings)
    }

    fn found(&mut self, invariant: &str, harm: Harm, seen: String) {
        self.findings.push(Finding { invariant: invariant.to_owned(), harm, seen });
    }

    fn state(&self, stage: StageId) -> Option<&'a State> {
        self.states.get(&stage).copied()
    }

    /// I1, I11, I12: every cell has one state that follows from its stages, and the view shows that state.
    pub(super) fn cells(&mut self, view: &SweepView) {
        let mut keys = BTreeSet::new();
        for (place, cell) in self.evidence.sweep.cells.iter().enumerate() {
            let id = cell.id(&self.evidence.sweep.id);
            if !keys.insert(&cell.key) {
                self.found("I10", Harm::Doubled, format!("cell {id} occurs twice"));
            }
            for stage in cell.stages().filter(|stage| self.state(*stage).is_none()).collect::<Vec<_>>() {
                self.found("I10", Harm::Lost, format!("stage {} of cell {id} is missing", stage.short()));
            }
            let folded = self.fold(place, cell);
            match view.cells.get(place) {
                Some(shown) if shown == cell => {
                    let shown = view.state(shown);
                    // The view may be older or newer than the store: only final states must agree.
                    if shown != folded && shown.is_final() && folded.is_final() {
                        let (shown, folded) = (shown.as_str(), folded.as_str());
                        self.found("I12", Harm::Wrong, format!("cell {id} is shown as {shown}, but is {folded}"));
                    }
                }
                _ => self.found("I12", Harm::Lost, format!("cell {id} is not shown")),
            }
        }
        for (id, stage) in &view.stages {
            let stored = self.state(*id);
            if let (pretext_shared::sweep::StageStatus::Succeeded(shown), Some(State::Succeeded(stored))) =
                (&stage.status, stored)
                && shown != stored
            {
                self.found(
                    "I12",
                    Harm::Wrong,
                    format!("the shown result of stage {} differs from the stored one", id.short()),
                );
            }
        }
    }

    /// Returns the state of a cell, from its stages alone.
    fn fold(&self, place: usize, cell: &Cell) -> CellState {
        if let SweepMark::Cancelled(ended) = &self.evidence.mark
            && !ended.contains(&(place as u32))
        {
            return CellState::Cancelled;
        }
        let states: Vec<&State> = cell.stages().filter_map(|stage| self.state(stage)).collect();
        let any = |is: &dyn Fn(&State) -> bool| states.iter().any(|state| is(state));
        if any(&|state| matches!(state, State::Failed(_))) {
            CellState::Failed
        } else if matches!(self.state(cell.test), Some(State::Succeeded(_))) {
            CellState::Succeeded
        } else if any(&|state| *state == State::Cancelled) {
            CellState::Cancelled
        } else if any(&|state| matches!(state, State::Leased(_))) {
            CellState::Running
        } else {
            CellState::Pending
        }
    }

    /// I1 to I4, I6, I11: one stage.
    pub(super) fn stage(&mut self, stage: &StageEvidence, artifact: &dyn Fn(ArtifactId) -> Result<(), String>) {
        let name = stage.id.short();
        if stage.record.stage.id() != stage.id {
            self.found("I10", Harm::Wrong, format!("the id of stage {name} is not the hash of its inputs"));
        }
        let has_run = !stage.grants.is_empty();
        if let Some(parent) = stage.record.stage.spec.parent()
            && has_run
            && !matches!(self.state(parent), Some(State::Succeeded(_)))
        {
            let parent = parent.short();
            self.found("I1", Harm::Lost, format!("stage {name} ran, but its parent {parent} has no result"));
        }
        if stage.progress.state == State::Cancelled && stage.is_needed {
            self.found("I11", Harm::Wrong, format!("stage {name} is cancelled, but a sweep needs it"));
        }
        self.grants(stage);
        self.points(stage);
        self.artifacts(stage, artifact);
    }

    /// I2, I3: fences rise, the log names every holder, and nothing was written without a grant.
    fn grants(&mut self, stage: &StageEvidence) {
        let name = stage.id.short();
        let progress = &stage.progress;
        self.checked.attempts += stage.grants.len() as u64;
        let mut requests: BTreeSet<(&str, u128, &str)> = BTreeSet::new();
        let mut last = None;
        for (fence, grant) in &stage.grants {
            if last.is_some_and(|last: Fence| last.count() >= fence.count()) {
                self.found("I2", Harm::Doubled, format!("stage {name} was granted twice as {}", fence.count()));
            }
            last = Some(*fence);
            let holder = &grant.holder;
            let request = (holder.worker.name.as_str(), holder.worker.boot.as_u128(), holder.request.as_str());
            if !requests.insert(request) {
                let worker = &holder.worker;
                self.found("I2", Harm::Doubled, format!("stage {name} was granted twice to one request of {worker}"));
            }
        }
        match (&progress.state, stage.grants.last()) {
            (State::Leased(holder) | State::Waiting(Waiting::Expired(holder)), Some((fence, grant)))
                if *fence == progress.fence && grant.holder == *holder => {}
            (State::Leased(holder) | State::Waiting(Waiting::Expired(holder)), _) => {
                let worker = &holder.worker;
                self.found(
                    "I2",
                    Harm::Wrong,
                    format!("stage {name} is held by {worker}, but the grant log does not list this"),
                );
            }
            (State::Succeeded(result), Some((fence, grant))) => {
                if *fence != progress.fence {
                    self.found(
                        "I3",
                        Harm::Wrong,
                        format!("the result of stage {name} does not belong to its last grant"),
                    );
                }
                if !is_on(&grant.holder.device, &result.device) {
                    let (held, ran) = (&grant.holder.device, &result.device);
                    self.found(
                        "I3",
                        Harm::Wrong,
                        format!("stage {name} was granted to {held}, but its result is from {ran}"),
                    );
                }
            }
            (State::Succeeded(_), None) => {
                self.found("I2", Harm::Lost, format!("stage {name} has a result, but was never granted"));
            }
            _ => {}
        }
        let granted: BTreeSet<Fence> = stage.grants.iter().map(|(fence, _)| *fence).collect();
        let strangers: BTreeSet<Fence> =
            stage.batches.iter().map(|batch| batch.fence).filter(|fence| !granted.contains(fence)).collect();
        for fence in strangers {
            self.found(
                "I3",
                Harm::Doubled,
                format!("stage {name} has points of attempt {fence}, which was never granted"),
            );
        }
    }

    /// I4: acknowledged points are stored, once, and the steps of a curve rise.
    fn points(&mut self, stage: &StageEvidence) {
        let name = stage.id.short();
        let mut streams: BTreeMap<Fence, BTreeSet<u64>> = BTreeMap::new();
        for batch in &stage.batches {
            self.checked.points += batch.points.len() as u64;
            if !streams.entry(batch.fence).or_default().insert(batch.sequence) {
                let at = format!("{}@{} #{}", name, batch.fence, batch.sequence);
                self.found("I4", Harm::Doubled, format!("batch {at} occurs twice"));
            }
        }
        let newest = (stage.progress.fence, stage.progress.batches);
        let due = streams.iter().map(|(fence, all)| (*fence, all.last().map_or(0, |last| last.saturating_add(1))));
        let mut due: BTreeMap<Fence, u64> = due.collect();
        if newest.1 > 0 {
            due.insert(newest.0, newest.1);
        }
        for (fence, due) in due {
            // Do not count one by one: a damaged number may have any value.
            let there = streams.get(&fence).map_or(0, |there| there.range(..due).count() as u64);
            let missing = due.saturating_sub(there);
            if missing > 0 {
                self.found("I4", Harm::Lost, format!("{missing} of {due} batches of {name}@{fence} are missing"));
            }
        }
        let mut last: BTreeMap<(Part, Metric), u64> = BTreeMap::new();
        for point in curve(&stage.batches, &stage.grants) {
            let series = (point.part, point.metric);
            if last.insert(series, point.step).is_some_and(|former| former >= point.step) {
                let (part, metric) = (point.part.as_str(), point.metric.as_str());
                let seen = format!("{part} {metric} of {name} does not rise at step {}", point.step);
                self.found("I4", Harm::Doubled, seen);
            }
        }
    }

    /// I6: listed artifacts can be read, and their content matches their name.
    fn artifacts(&mut self, stage: &StageEvidence, artifact: &dyn Fn(ArtifactId) -> Result<(), String>) {
        let name = stage.id.short();
        let checkpoint = stage.progress.checkpoint.iter().map(|checkpoint| ("checkpoint", checkpoint.artifact));
        let outputs = match &stage.progress.state {
            State::Succeeded(result) => result.artifacts.iter().map(|(kind, id)| (kind.as_str(), *id)).collect(),
            _ => Vec::new(),
        };
        for (kind, id) in checkpoint.chain(outputs) {
            self.checked.artifacts += 1;
            if let Err(problem) = artifact(id) {
                self.found("I6", Harm::Lost, format!("the {kind} of stage {name}: {problem}"));
            }
        }
    }

    /// I9: no device has more leases than slots, and no request holds two stages.
    pub(super) fn leases(&mut self, slots: &dyn Fn(&Holder) -> Option<u32>) {
        let mut held: BTreeMap<(&str, u128, &str), (u32, &Holder)> = BTreeMap::new();
        let mut requests = BTreeSet::new();
        let mut findings = Vec::new();
        for stage in &self.evidence.stages {
            if let State::Leased(holder) = &stage.progress.state {
                let worker = (holder.worker.name.as_str(), holder.worker.boot.as_u128());
                held.entry((worker.0, worker.1, holder.device.as_str())).or_insert((0, holder)).0 += 1;
                if !requests.insert((worker, holder.request.as_str())) {
                    findings.push((Harm::Doubled, format!("one request of {} holds two stages", holder.worker)));
                }
            }
        }
        for (count, holder) in held.into_values() {
            if let Some(slots) = slots(holder)
                && count > slots
            {
                let seen = format!("{} of {} holds {count} stages in {slots} slots", holder.device, holder.worker);
                findings.push((Harm::Wrong, seen));
            }
        }
        findings.into_iter().for_each(|(harm, seen)| self.found("I9", harm, seen));
    }

    /// I10: the stored file, planned again, gives the same sweep, cells and stages.
    pub(super) fn plan(&mut self) {
        let provenance = &self.evidence.sweep.provenance;
        let id = &self.evidence.sweep.id;
        if provenance.version != env!("CARGO_PKG_VERSION") {
            return;
        }
        let planned = spec::parse(&provenance.spec)
            .map_err(|_| "its file is not a valid sweep any more".to_owned())
            .and_then(|sweep| {
                let facts = SweepFacts { dataset: &provenance.dataset, pretext: provenance.pretext_dataset.as_ref() };
                plan::expand(&sweep, facts, provenance.class, provenance.extent).map_err(|errors| errors.to_string())
            });
        match planned {
            Err(problem) => self.found("I10", Harm::Wrong, format!("{id} cannot be planned again: {problem}")),
            Ok(planned) => {
                if planned.sweep != *id || planned.cells != self.evidence.sweep.cells {
                    let again = planned.sweep;
                    self.found("I10", Harm::Wrong, format!("{id}, planned again, gives {again} with other cells"));
                }
            }
        }
    }
}
