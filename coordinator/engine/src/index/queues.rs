//! The stages of each sweep that are ready or run, and the turns of the sweeps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pretext_shared::ids::{StageId, SweepId};

use super::keys::{Demand, Place, PlaceKind, Rank};
use crate::SweepRecord;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Queues {
    sweeps: BTreeMap<SweepId, Queue>,
    /// The active sweeps that have ready stages of a demand and may run one more, in the order of their turns.
    turns: BTreeMap<Arc<Demand>, BTreeSet<(Turn, SweepId)>>,
}

/// The order of sweeps: the first one gets the free slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Turn {
    submitted_ms: u64,
}

/// A sweep's part of the schedule.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    submitted_ms: u64,
    max_parallel: Option<u32>,
    is_active: bool,
    /// Ready stages, in order.
    ready: BTreeMap<Arc<Demand>, BTreeSet<(Rank, StageId)>>,
    /// Its stages that run, for whichever sweep.
    pub(crate) running: BTreeSet<StageId>,
    /// Steps of its finished stages.
    pub(crate) steps: u64,
    /// Images of its finished stages.
    pub(crate) images: u64,
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
        (self.room() > 0).then_some(Turn { submitted_ms: self.submitted_ms })
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
            submitted_ms: sweep.submitted_ms,
            max_parallel: sweep.max_parallel,
            is_active,
            ready: BTreeMap::new(),
            running: BTreeSet::new(),
            steps: 0,
            images: 0,
        };
        self.sweeps.insert(sweep.id.clone(), queue);
    }

    /// Lets a sweep take part, or no longer.
    pub(crate) fn activate(&mut self, sweep: &SweepId, is_active: bool) {
        self.change(sweep, |queue| queue.is_active = is_active);
    }

    pub(super) fn enter(&mut self, id: StageId, place: &Place) {
        for sweep in &place.sweeps {
            self.change(sweep, |queue| match &place.kind {
                PlaceKind::Ready { demand, rank } => {
                    queue.ready.entry(demand.clone()).or_default().insert((*rank, id));
                }
                PlaceKind::Running => drop(queue.running.insert(id)),
                PlaceKind::Finished { steps, images } => {
                    queue.steps += steps;
                    queue.images += images;
                }
            });
        }
    }

    pub(super) fn leave(&mut self, id: StageId, place: &Place) {
        for sweep in &place.sweeps {
            self.change(sweep, |queue| match &place.kind {
                PlaceKind::Ready { demand, rank } => {
                    if let Some(stages) = queue.ready.get_mut(demand) {
                        stages.remove(&(*rank, id));
                        if stages.is_empty() {
                            queue.ready.remove(demand);
                        }
                    }
                }
                PlaceKind::Running => drop(queue.running.remove(&id)),
                PlaceKind::Finished { steps, images } => {
                    queue.steps -= steps;
                    queue.images -= images;
                }
            });
        }
    }

    /// Changes a sweep, and moves its turns.
    fn change(&mut self, sweep: &SweepId, change: impl FnOnce(&mut Queue)) {
        let Some(queue) = self.sweeps.get_mut(sweep) else { return };
        if let Some(turn) = queue.turn() {
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
            }
        }
    }

    /// Returns a sweep's part of the schedule.
    pub(crate) fn of(&self, sweep: &SweepId) -> Option<&Queue> {
        self.sweeps.get(sweep)
    }

    /// Returns the ready stage whose turn it is, among those with a demand that `fits`.
    pub(crate) fn first(&self, fits: impl Fn(&Demand) -> bool) -> Option<StageId> {
        let fitting: Vec<_> = self.turns.iter().filter(|(demand, _)| fits(demand)).collect();
        let (_, sweep) = fitting.iter().filter_map(|(_, turns)| turns.first()).min()?;
        let queue = self.sweeps.get(sweep)?;
        let firsts = fitting.iter().filter_map(|(demand, _)| queue.ready.get(*demand)?.first());
        firsts.min().map(|(_, id)| *id)
    }
}
