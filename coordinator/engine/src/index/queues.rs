//! The stages of each sweep that are ready or run, and the turns of the sweeps.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pretext_shared::ids::{ContentHash, Fingerprint, StageId, SweepId};

use super::keys::{Place, PlaceKind, Rank};
use crate::SweepRecord;
use crate::facts::{Demand, ModelPlace};

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Queues {
    sweeps: BTreeMap<SweepId, Queue>,
    /// The active sweeps that have ready stages of a demand and may run one more, in the order of their turns.
    turns: BTreeMap<Arc<Demand>, BTreeSet<(Turn, SweepId)>>,
    /// Demands of stages that may be granted and could not be before.
    woken: BTreeSet<Arc<Demand>>,
}

/// The order of sweeps: the first one gets the free slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Turn {
    /// A sweep of a higher priority is before all others.
    priority: Reverse<i8>,
    /// Sweeps of one priority get equal shares: the one with the fewest running stages is next.
    running: usize,
    /// The oldest of those.
    submitted_ms: u64,
}

/// A sweep's part of the schedule.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    priority: i8,
    submitted_ms: u64,
    max_parallel: Option<u32>,
    is_active: bool,
    ready: BTreeMap<Arc<Demand>, Ready>,
    /// Its stages that run, for whichever sweep.
    pub(crate) running: BTreeSet<StageId>,
    /// Number of its finished stages.
    pub(crate) finished: usize,
    /// Steps of its finished stages.
    pub(crate) steps: u64,
    /// Images of its finished stages.
    pub(crate) images: u64,
}

/// Ready stages of one demand.
#[derive(Debug, Clone, Default)]
struct Ready {
    /// All, in order.
    ranked: BTreeSet<(Rank, StageId)>,
    /// Those whose model is known to be somewhere, by that place.
    placed: BTreeSet<(ModelPlace, Rank, StageId)>,
}

impl Ready {
    /// Returns the first stage of a rank with the model at this place.
    fn at(&self, place: ModelPlace, rank: Rank) -> Option<StageId> {
        let lowest = StageId(ContentHash::from_bytes([0; 32]));
        let (other, other_rank, id) = self.placed.range((place.clone(), rank, lowest)..).next()?;
        (*other == place && *other_rank == rank).then_some(*id)
    }

    /// Returns the first stage of a rank.
    fn of(&self, rank: Rank) -> Option<StageId> {
        self.ranked.first().filter(|(first, _)| *first == rank).map(|(_, id)| *id)
    }
}

/// The things that a worker must fetch before it can run a stage. Of stages of one rank, the one with the least is
/// first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fetch {
    /// The data: the worker does not announce them.
    pub(crate) data: bool,
    /// The model: another worker made it.
    pub(crate) model: bool,
}

impl Queue {
    /// Returns how many more stages the sweep may start.
    pub(crate) fn room(&self) -> usize {
        match self.max_parallel {
            _ if !self.is_active => 0,
            None => usize::MAX,
            Some(most) => (most as usize).saturating_sub(self.running.len()),
        }
    }

    /// Returns the sweep's turn, if it may start a stage.
    pub(crate) fn turn(&self) -> Option<Turn> {
        (self.room() > 0).then_some(Turn {
            priority: Reverse(self.priority),
            running: self.running.len(),
            submitted_ms: self.submitted_ms,
        })
    }

    fn enter(&mut self, id: StageId, rank: Rank, kind: &PlaceKind) {
        match kind {
            PlaceKind::Ready { demand, model } => {
                let ready = self.ready.entry(demand.clone()).or_default();
                ready.ranked.insert((rank, id));
                if *model != ModelPlace::Unknown {
                    ready.placed.insert((model.clone(), rank, id));
                }
            }
            PlaceKind::Running => drop(self.running.insert(id)),
            PlaceKind::Finished { steps, images } => {
                self.finished += 1;
                self.steps += steps;
                self.images += images;
            }
        }
    }

    /// Returns the demands of its ready stages.
    pub(crate) fn demands(&self) -> impl Iterator<Item = &Demand> {
        self.ready.keys().map(Arc::as_ref)
    }
}

impl Queues {
    /// Adds a sweep.
    pub(crate) fn open(&mut self, sweep: &SweepRecord, is_active: bool) {
        let queue = Queue {
            priority: sweep.priority,
            submitted_ms: sweep.submitted_ms,
            max_parallel: sweep.max_parallel,
            is_active,
            ready: BTreeMap::new(),
            running: BTreeSet::new(),
            finished: 0,
            steps: 0,
            images: 0,
        };
        self.sweeps.insert(sweep.id.clone(), queue);
    }

    /// Lets a sweep take part, or no longer.
    pub(crate) fn activate(&mut self, sweep: &SweepId, is_active: bool) {
        self.change(sweep, |queue| queue.is_active = is_active);
    }

    /// Forgets a sweep, which has no stages any more.
    pub(crate) fn close(&mut self, sweep: &SweepId) {
        self.sweeps.remove(sweep);
    }

    pub(super) fn enter(&mut self, id: StageId, place: &Place) {
        for (sweep, rank) in &place.sweeps {
            if let PlaceKind::Ready { demand, .. } = &place.kind {
                self.woken.insert(demand.clone());
            }
            self.change(sweep, |queue| queue.enter(id, *rank, &place.kind));
        }
    }

    /// Enters a stage without the turns; see [`give_turns`](Self::give_turns).
    pub(super) fn fill(&mut self, id: StageId, place: &Place) {
        for (sweep, rank) in &place.sweeps {
            if let PlaceKind::Ready { demand, .. } = &place.kind {
                self.woken.insert(demand.clone());
            }
            if let Some(queue) = self.sweeps.get_mut(sweep) {
                queue.enter(id, *rank, &place.kind);
            }
        }
    }

    /// Gives every sweep its turns.
    pub(super) fn give_turns(&mut self) {
        let sweeps: Vec<SweepId> = self.sweeps.keys().cloned().collect();
        for sweep in sweeps {
            self.change(&sweep, |_| ());
        }
    }

    pub(super) fn leave(&mut self, id: StageId, place: &Place) {
        for (sweep, rank) in &place.sweeps {
            self.change(sweep, |queue| match &place.kind {
                PlaceKind::Ready { demand, model } => {
                    if let Some(ready) = queue.ready.get_mut(demand) {
                        ready.ranked.remove(&(*rank, id));
                        ready.placed.remove(&(model.clone(), *rank, id));
                        if ready.ranked.is_empty() {
                            queue.ready.remove(demand);
                        }
                    }
                }
                PlaceKind::Running => drop(queue.running.remove(&id)),
                PlaceKind::Finished { steps, images } => {
                    queue.finished -= 1;
                    queue.steps -= steps;
                    queue.images -= images;
                }
            });
        }
    }

    /// Changes a sweep, and moves its turns.
    fn change(&mut self, sweep: &SweepId, change: impl FnOnce(&mut Queue)) {
        let Some(queue) = self.sweeps.get_mut(sweep) else { return };
        let former = queue.turn();
        if let Some(turn) = former {
            for demand in queue.ready.keys() {
                if let Some(turns) = self.turns.get_mut(demand) {
                    turns.remove(&(turn, sweep.clone()));
                    if turns.is_empty() {
                        self.turns.remove(demand);
                    }
                }
            }
        }
        change(queue);
        if let Some(turn) = queue.turn() {
            for demand in queue.ready.keys() {
                self.turns.entry(demand.clone()).or_default().insert((turn, sweep.clone()));
                if former.is_none() {
                    self.woken.insert(demand.clone());
                }
            }
        }
    }

    /// Returns the demands of the stages that may be granted and could not be at the last call.
    pub(crate) fn take_woken(&mut self) -> BTreeSet<Arc<Demand>> {
        std::mem::take(&mut self.woken)
    }

    /// Counts stages with a turn that read a data set as ones that could not be granted before.
    pub(crate) fn wake_readers(&mut self, fingerprint: Fingerprint) {
        let reads = |demand: &&Arc<Demand>| demand.data.as_ref().is_some_and(|(data, _)| *data == fingerprint);
        self.woken.extend(self.turns.keys().filter(reads).cloned());
    }

    /// Returns a sweep's part of the schedule.
    pub(crate) fn of(&self, sweep: &SweepId) -> Option<&Queue> {
        self.sweeps.get(sweep)
    }

    /// Returns how many of `slots` a sweep gets beside the other active sweeps that have something to run.
    pub(crate) fn share(&self, sweep: &SweepId, slots: usize) -> usize {
        let Some(queue) = self.sweeps.get(sweep) else { return 0 };
        let competes = |other: &Queue| {
            let is_busy = other.is_active && !(other.ready.is_empty() && other.running.is_empty());
            is_busy && other.priority >= queue.priority
        };
        let others = self.sweeps.iter().filter(|(id, other)| *id != sweep && competes(other)).count();
        let most = queue.max_parallel.map_or(usize::MAX, |most| most as usize);
        slots.div_ceil(others + 1).max(queue.running.len()).min(slots).min(most)
    }

    /// Returns the ready stage whose turn it is, among those with a demand that `fits`. `has` says whether the worker
    /// of this name has the data of a demand.
    pub(crate) fn first(
        &self,
        fits: impl Fn(&Demand) -> bool,
        has: impl Fn(&Demand) -> bool,
        worker: &str,
    ) -> Option<StageId> {
        let fitting: Vec<_> = self.turns.iter().filter(|(demand, _)| fits(demand)).collect();
        let (_, sweep) = fitting.iter().filter_map(|(_, turns)| turns.first()).min()?;
        let queue = self.sweeps.get(sweep)?;
        let ready: Vec<(&Demand, &Ready)> =
            fitting.iter().filter_map(|(demand, _)| Some((demand.as_ref(), queue.ready.get(*demand)?))).collect();
        let rank = ready.iter().filter_map(|(_, ready)| ready.ranked.first()).min()?.0;
        let here = ModelPlace::At(worker.into());
        let candidates = ready.iter().flat_map(|(demand, ready)| {
            let data = !has(demand);
            let near = ready.at(ModelPlace::Everywhere, rank).into_iter().chain(ready.at(here.clone(), rank));
            let near = near.map(move |id| (Fetch { data, model: false }, id));
            near.chain(ready.of(rank).map(|id| (Fetch { data, model: true }, id)))
        });
        candidates.min().map(|(_, id)| id)
    }
}
