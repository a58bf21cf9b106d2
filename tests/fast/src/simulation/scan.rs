//! The answers of the engine, computed from its facts by walking all of them: slow, and without anything derived. The
//! simulation compares the engine's answers with these after every event.

mod paces;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use pretext_engine::inspect::{StageFacts, WorkerFacts};
use pretext_engine::{
    Backlog, CellCounts, ClassBacklog, DeviceState, Engine, Holder, Millis, Progress, Site, State, SweepMark,
    SweepRecord, Waiting,
};
use pretext_shared::device::{DeviceFacts, NumericClass};
use pretext_shared::ids::{ArtifactId, Fingerprint, StageId, SweepId, WorkerId};
use pretext_shared::stage::StageKind;
use pretext_shared::sweep::{Cell, CellState};

/// All facts of an engine at one time.
pub(super) struct Scan<'a> {
    engine: &'a Engine,
    now: Millis,
    stages: BTreeMap<StageId, StageFacts<'a>>,
    sweeps: Vec<(&'a SweepRecord, &'a SweepMark)>,
    /// The distinct stages of each sweep, in the order of `sweeps`.
    members: Vec<BTreeSet<StageId>>,
    workers: BTreeMap<&'a WorkerId, WorkerFacts<'a>>,
}

/// The status of a sweep.
pub(super) struct Status<'a> {
    pub(super) sweep: &'a SweepId,
    /// Its running stages, each with the number of cells that share it.
    pub(super) running: Vec<(StageId, usize)>,
    /// Finished steps, and all steps.
    pub(super) steps: (u64, u64),
    /// Finished images, and all images.
    pub(super) images: (u64, u64),
}

/// Returns the stages whose leases end at `now`, after `deaf` in which the coordinator heard nobody.
pub(super) fn expiring(engine: &Engine, deaf: Millis, now: Millis) -> BTreeSet<StageId> {
    let leased = engine.all_stages().filter(|stage| matches!(stage.progress.state, State::Leased(_)));
    leased.filter(|stage| stage.until + deaf <= now).map(|stage| stage.id).collect()
}

/// Whether a device takes stages that other devices can run.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Drained,
    Open,
}

/// The place of a stage among those that a slot could run: the first one runs.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    turn: (Reverse<i8>, usize, u64, SweepId),
    replicate: usize,
    is_no_test: bool,
    weight: Reverse<u64>,
    fetches_data: bool,
    fetches_model: bool,
}

impl<'a> Scan<'a> {
    pub(super) fn new(engine: &'a Engine, now: Millis) -> Self {
        let sweeps: Vec<_> = engine.all_sweeps().collect();
        Self {
            engine,
            now,
            stages: engine.all_stages().map(|stage| (stage.id, stage)).collect(),
            members: sweeps
                .iter()
                .map(|(sweep, _)| sweep.cells.iter().flat_map(|cell| cell.stages()).collect())
                .collect(),
            sweeps,
            workers: engine.all_workers().map(|worker| (worker.id, worker)).collect(),
        }
    }

    /// Returns the stage that a request for work gets.
    pub(super) fn granted(&self, worker: &WorkerId, device: &str, request: &str) -> Option<StageId> {
        self.workers.get(worker)?;
        let of_request = |stage: &&StageFacts<'_>| {
            holder(stage.progress).is_some_and(|holder| holder.worker == *worker && holder.request == request)
        };
        if let Some(stage) = self.stages.values().find(of_request) {
            return Some(stage.id);
        }
        if self.engine.was_answered(worker, request) {
            return None;
        }
        // A stage whose budget of losses ends with this request fails, and another one is chosen.
        let mut over = BTreeSet::new();
        loop {
            let chosen = self.choice(worker, device, &over)?;
            let progress = self.stages.get(&chosen)?.progress;
            let is_lost = matches!(progress.state, State::Waiting(Waiting::Expired(_)));
            if !is_lost || progress.lost + 1 < self.engine.limits().max_lost {
                return Some(chosen);
            }
            over.insert(chosen);
        }
    }

    /// Returns the stage that a free slot gets if the stages of `over` fail.
    pub(super) fn choice(&self, worker: &WorkerId, device: &str, over: &BTreeSet<StageId>) -> Option<StageId> {
        let offer = self.workers.get(worker)?;
        let device = offer.offer.devices.iter().find(|offered| offered.name == device)?;
        let (held, owed) = self.held_on(worker, &device.name, over);
        let slots = match self.engine.state_of(worker, &device.name) {
            DeviceState::Good => device.slots as usize,
            DeviceState::OnProbation | DeviceState::Drained { .. } => 1,
        };
        if held.len() >= slots {
            return None;
        }
        let among = if held.len() + owed.len() >= slots { Some(&owed) } else { None };
        self.choose(offer, device, among, over)
    }

    /// Returns the stages that a device holds, and those whose leases on it have expired.
    fn held_on(
        &self,
        worker: &WorkerId,
        device: &str,
        over: &BTreeSet<StageId>,
    ) -> (BTreeSet<StageId>, BTreeSet<StageId>) {
        let (mut held, mut owed) = (BTreeSet::new(), BTreeSet::new());
        for stage in self.stages.values() {
            let here = holder(stage.progress).is_some_and(|it| it.worker == *worker && it.device == device);
            match stage.progress.state {
                State::Leased(_) if here => drop(held.insert(stage.id)),
                State::Waiting(_) if here && !over.contains(&stage.id) => drop(owed.insert(stage.id)),
                _ => {}
            }
        }
        (held, owed)
    }

    fn choose(
        &self,
        worker: &WorkerFacts<'_>,
        device: &DeviceFacts,
        among: Option<&BTreeSet<StageId>>,
        over: &BTreeSet<StageId>,
    ) -> Option<StageId> {
        let rooms: Vec<usize> = (0..self.sweeps.len()).map(|sweep| self.room(sweep)).collect();
        let candidates = self.stages.values().filter(|stage| {
            among.is_none_or(|among| among.contains(&stage.id))
                && !over.contains(&stage.id)
                && self.is_ready(stage)
                && self.fits(stage, worker, device)
                && self.is_the_place(stage, worker, device)
        });
        let ranked = candidates.filter_map(|stage| Some((self.rank(stage, worker, &rooms)?, stage.id)));
        ranked.min().map(|(_, id)| id)
    }

    fn rank(&self, stage: &StageFacts<'_>, worker: &WorkerFacts<'_>, rooms: &[usize]) -> Option<Rank> {
        let turns = self.needing(stage.id).filter(|sweep| rooms[*sweep] > 0).map(|sweep| {
            let record = self.sweeps[sweep].0;
            let turn = (Reverse(record.priority), self.running(sweep), record.submitted_ms, record.id.clone());
            (turn, sweep)
        });
        let (turn, sweep) = turns.min()?;
        let parent = stage.outline.parent.map(|parent| self.stages.get(&parent));
        let made_here = |parent: &StageFacts<'_>| parent.made_by == Some(&worker.id.name);
        Some(Rank {
            turn,
            replicate: replicate(self.sweeps[sweep].0, stage.id)?,
            is_no_test: stage.outline.kind != StageKind::Test,
            weight: Reverse(self.weight(stage)),
            fetches_data: stage.outline.place.is_some() && !announces(worker, stage.outline.data),
            fetches_model: parent.is_some_and(|parent| !parent.is_some_and(made_here)),
        })
    }

    /// Returns the images of the longest chain of stages that starts with this one.
    fn weight(&self, stage: &StageFacts<'_>) -> u64 {
        let children = self.stages.values().filter(|other| other.outline.parent == Some(stage.id));
        stage.outline.cost.images_seen.max(1) + children.map(|child| self.weight(child)).max().unwrap_or(0)
    }

    fn is_ready(&self, stage: &StageFacts<'_>) -> bool {
        let waits = match stage.progress.state {
            State::Waiting(Waiting::Open | Waiting::Expired(_)) => true,
            State::Waiting(Waiting::BackOff(_)) => stage.until <= self.now,
            _ => false,
        };
        waits && self.parent_is_done(stage)
    }

    fn parent_is_done(&self, stage: &StageFacts<'_>) -> bool {
        let parent = stage.outline.parent.map(|parent| self.stages.get(&parent));
        parent.is_none_or(|parent| parent.is_some_and(|parent| matches!(parent.progress.state, State::Succeeded(_))))
    }

    fn is_stranded(&self, stage: &StageFacts<'_>) -> bool {
        let before = |stage: &StageFacts<'_>| self.stages.get(&stage.outline.parent?).copied();
        std::iter::successors(before(stage), before)
            .any(|stage| matches!(stage.progress.state, State::Failed(_) | State::Cancelled))
    }

    fn fits(&self, stage: &StageFacts<'_>, worker: &WorkerFacts<'_>, device: &DeviceFacts) -> bool {
        let data = stage.outline.data;
        let fetched = || self.engine.pushed_data().get(&data).is_some_and(|it| it.bytes <= worker.offer.data_cache);
        device.class == stage.outline.class && (stage.outline.place.is_none() || announces(worker, data) || fetched())
    }

    /// Returns whether no better place can run the stage: first one where it never failed, on a machine that is not
    /// drained.
    fn is_the_place(&self, stage: &StageFacts<'_>, worker: &WorkerFacts<'_>, device: &DeviceFacts) -> bool {
        let own = self.worth(stage, worker, device);
        let able = self.workers.values().filter(|other| self.is_connected(other)).flat_map(|other| {
            other
                .offer
                .devices
                .iter()
                .filter(|it| self.fits(stage, other, it))
                .map(move |it| self.worth(stage, other, it))
        });
        able.max().is_none_or(|best| own >= best)
    }

    /// Returns the worth of a place for a stage: not drained is better than drained, and of several places that are not
    /// drained, one where the stage did not fail is better. A drained place is as good as any other drained one.
    fn worth(&self, stage: &StageFacts<'_>, worker: &WorkerFacts<'_>, device: &DeviceFacts) -> (Place, i32) {
        let progress = stage.progress;
        let limits = self.engine.limits();
        let is_last_try = progress.lost + 1 >= limits.max_lost || progress.failed + 1 >= limits.max_failed;
        let avoids = is_last_try || stage.avoid_until > self.now;
        let of = |site: &Site| match &site.device {
            _ if site.worker != worker.id.name => 0,
            Some(other) if *other != device.name => -1,
            _ => -2,
        };
        let near = progress.failed_at.iter().filter(|_| avoids).map(of).min().unwrap_or(0);
        match self.engine.state_of(worker.id, &device.name) {
            DeviceState::Drained { .. } => (Place::Drained, 0),
            DeviceState::Good | DeviceState::OnProbation => (Place::Open, near),
        }
    }

    fn is_drained(&self, worker: &WorkerFacts<'_>, device: &DeviceFacts) -> bool {
        matches!(self.engine.state_of(worker.id, &device.name), DeviceState::Drained { .. })
    }

    /// Returns whether a connected device that is not drained can run the stage.
    fn is_open_elsewhere(&self, stage: &StageFacts<'_>) -> bool {
        self.workers.values().filter(|other| self.is_connected(other)).any(|other| {
            other.offer.devices.iter().any(|it| !self.is_drained(other, it) && self.fits(stage, other, it))
        })
    }

    fn is_connected(&self, worker: &WorkerFacts<'_>) -> bool {
        self.now.saturating_sub(worker.last_seen) <= self.engine.limits().lease_ms
    }

    /// Returns the active sweeps that need the stage, by their place.
    fn needing(&self, stage: StageId) -> impl Iterator<Item = usize> {
        let needs =
            move |sweep: &usize| *self.sweeps[*sweep].1 == SweepMark::Active && self.members[*sweep].contains(&stage);
        (0..self.sweeps.len()).filter(needs)
    }

    /// Returns how many more stages a sweep may start.
    fn room(&self, sweep: usize) -> usize {
        let running = self.running(sweep);
        self.sweeps[sweep].0.max_parallel.map_or(usize::MAX, |most| (most as usize).saturating_sub(running))
    }

    fn running(&self, sweep: usize) -> usize {
        let stages = self.members[sweep].iter().filter_map(|id| self.stages.get(id));
        stages.filter(|stage| matches!(stage.progress.state, State::Leased(_))).count()
    }

    /// Returns whether a waiting stage could run on the device.
    pub(super) fn has_prospects(&self, worker: &WorkerId, device: &str) -> bool {
        let Some(worker) = self.workers.get(worker) else { return true };
        let Some(device) = worker.offer.devices.iter().find(|offered| offered.name == device) else { return false };
        self.stages.values().any(|stage| {
            matches!(stage.progress.state, State::Waiting(_))
                && self.needing(stage.id).next().is_some()
                && !self.is_stranded(stage)
                && self.fits(stage, worker, device)
                && (!self.is_drained(worker, device) || !self.is_open_elsewhere(stage))
        })
    }

    pub(super) fn backlog(&self) -> Backlog {
        let mut backlog = Backlog::default();
        let mut open: Vec<(usize, Vec<usize>, NumericClass)> = Vec::new();
        for stage in self.stages.values() {
            let needing: Vec<usize> = self.needing(stage.id).collect();
            let counts = class(&mut backlog, stage.outline.class);
            match &stage.progress.state {
                State::Leased(_) => counts.running += 1,
                State::Failed(_) => counts.failed += 1,
                State::Succeeded(_) | State::Cancelled => {}
                State::Waiting(waiting) => {
                    counts.expired += usize::from(matches!(waiting, Waiting::Expired(_)));
                    if needing.is_empty() {
                        continue;
                    }
                    if self.parent_is_done(stage) {
                        open.push((needing.len(), needing, stage.outline.class));
                    } else {
                        counts.blocked += 1;
                    }
                }
            }
        }
        // Stages that fewer sweeps need take their room first.
        open.sort();
        let mut rooms: Vec<usize> = (0..self.sweeps.len()).map(|sweep| self.room(sweep)).collect();
        for (_, needing, of) in open {
            let counts = class(&mut backlog, of);
            match needing.into_iter().find(|sweep| rooms[*sweep] > 0) {
                Some(sweep) => {
                    counts.ready += 1;
                    rooms[sweep] -= 1;
                }
                None => counts.blocked += 1,
            }
        }
        for worker in self.workers.values() {
            if !self.is_connected(worker) {
                backlog.silent += 1;
                continue;
            }
            backlog.connected += 1;
            backlog.drained += worker.offer.devices.iter().filter(|device| self.is_drained(worker, device)).count();
            for device in &worker.offer.devices {
                class(&mut backlog, device.class).slots += device.slots as usize;
            }
        }
        let open_sweeps = self.sweeps.iter().filter(|(sweep, mark)| !self.cells(sweep, mark).is_final());
        backlog.open_sweeps = open_sweeps.count();
        backlog
    }

    /// Returns the number of cells of each sweep in each state.
    pub(super) fn counts(&self) -> BTreeMap<&'a SweepId, CellCounts> {
        self.sweeps.iter().map(|(sweep, mark)| (&sweep.id, self.cells(sweep, mark))).collect()
    }

    /// Returns whether a sweep has cells that may change; `None` if it is not known.
    pub(super) fn runs(&self, sweep: &SweepId) -> Option<bool> {
        let (record, mark) = self.sweeps.iter().find(|(record, _)| record.id == *sweep)?;
        Some(!mark.is_cancelled() && !self.cells(record, mark).is_final())
    }

    /// Returns the stages that no sweep needs.
    pub(super) fn loose(&self) -> BTreeSet<StageId> {
        self.stages.keys().filter(|id| !self.members.iter().any(|members| members.contains(id))).copied().collect()
    }

    fn cells(&self, sweep: &SweepRecord, mark: &SweepMark) -> CellCounts {
        let mut counts = CellCounts::default();
        for (place, cell) in (0..).zip(&sweep.cells) {
            let state = match mark {
                SweepMark::Cancelled(ended) if !ended.contains(&place) => CellState::Cancelled,
                _ => self.cell(cell),
            };
            *match state {
                CellState::Pending => &mut counts.pending,
                CellState::Running => &mut counts.running,
                CellState::Succeeded => &mut counts.succeeded,
                CellState::Failed => &mut counts.failed,
                CellState::Cancelled => &mut counts.cancelled,
            } += 1;
        }
        counts
    }

    fn cell(&self, cell: &Cell) -> CellState {
        let states: Vec<&State> =
            cell.stages().filter_map(|id| self.stages.get(&id)).map(|stage| &stage.progress.state).collect();
        let test = self.stages.get(&cell.test).map(|stage| &stage.progress.state);
        if states.iter().any(|state| matches!(state, State::Failed(_))) {
            CellState::Failed
        } else if matches!(test, Some(State::Succeeded(_))) {
            CellState::Succeeded
        } else if states.contains(&&State::Cancelled) {
            CellState::Cancelled
        } else if states.iter().any(|state| matches!(state, State::Leased(_))) {
            CellState::Running
        } else {
            CellState::Pending
        }
    }

    /// Returns the status of every sweep.
    pub(super) fn statuses(&self) -> impl Iterator<Item = Status<'a>> {
        self.sweeps.iter().zip(&self.members).map(|((sweep, _), members)| {
            let (mut running, mut steps, mut images) = (Vec::new(), (0, 0), (0, 0));
            for stage in members.iter().filter_map(|id| self.stages.get(id)) {
                let cost = stage.outline.cost;
                steps.1 += cost.steps;
                images.1 += cost.images_seen;
                match stage.progress.state {
                    State::Succeeded(_) => {
                        steps.0 += cost.steps;
                        images.0 += cost.images_seen;
                    }
                    State::Leased(_) => {
                        steps.0 += stage.step.min(cost.steps);
                        images.0 += stage.images.min(cost.images_seen);
                        let sharing = sweep.cells.iter().filter(|cell| cell.stages().any(|id| id == stage.id));
                        running.push((stage.id, sharing.count()));
                    }
                    _ => {}
                }
            }
            Status { sweep: &sweep.id, running, steps, images }
        })
    }

    /// Returns every artifact that a stage or a pushed data set needs.
    pub(super) fn artifacts(&self) -> BTreeSet<ArtifactId> {
        let mut needed = BTreeSet::new();
        for stage in self.stages.values() {
            if let State::Succeeded(result) = &stage.progress.state {
                needed.extend(result.artifacts.values());
            }
            let checkpoints = stage.progress.checkpoint.iter().chain(&stage.progress.predecessors);
            needed.extend(checkpoints.map(|checkpoint| checkpoint.artifact));
        }
        for data in self.engine.pushed_data().values() {
            needed.extend(data.packs.iter().chain([&data.packing]));
        }
        needed
    }

    /// Returns the stages that each worker holds.
    pub(super) fn holds(&self) -> BTreeMap<&'a WorkerId, Vec<StageId>> {
        let held = |worker: &WorkerId| {
            let leased = self
                .stages
                .values()
                .filter(|stage| matches!(&stage.progress.state, State::Leased(holder) if holder.worker == *worker));
            leased.map(|stage| stage.id).collect()
        };
        self.workers.keys().map(|worker| (*worker, held(worker))).collect()
    }

    /// Returns the devices of all workers.
    pub(super) fn devices(&self) -> impl Iterator<Item = (&'a WorkerId, &'a DeviceFacts)> {
        self.workers.values().flat_map(|worker| worker.offer.devices.iter().map(|device| (worker.id, device)))
    }
}

fn announces(worker: &WorkerFacts<'_>, data: Fingerprint) -> bool {
    worker.offer.datasets.iter().any(|it| it.facts.as_ref().is_ok_and(|facts| facts.fingerprint == data))
}

fn holder(progress: &Progress) -> Option<&Holder> {
    match &progress.state {
        State::Leased(holder) | State::Waiting(Waiting::Expired(holder)) => Some(holder),
        _ => None,
    }
}

/// Returns the lowest place of a stage's seeds among the seeds of the sweep.
fn replicate(sweep: &SweepRecord, stage: StageId) -> Option<usize> {
    let mut seeds: Vec<u64> = Vec::new();
    for cell in &sweep.cells {
        if !seeds.contains(&cell.key.seed) {
            seeds.push(cell.key.seed);
        }
    }
    let cells = sweep.cells.iter().filter(|cell| cell.stages().any(|id| id == stage));
    cells.filter_map(|cell| seeds.iter().position(|seed| *seed == cell.key.seed)).min()
}

fn class(backlog: &mut Backlog, class: NumericClass) -> &mut ClassBacklog {
    match class {
        NumericClass::Cpu => &mut backlog.cpu,
        NumericClass::Gpu => &mut backlog.gpu,
    }
}
