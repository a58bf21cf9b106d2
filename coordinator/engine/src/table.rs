//! The facts of sweeps, stages and pushed data, with the indexes over them. A stage changes only through
//! [`Table::amend`]. The stage leaves its old places in the indexes and enters its new ones. Its cells are counted again,
//! and the stages after it learn of it. So no fact can change without everything that is derived from it.

mod cells;
mod deletion;
mod drafts;
mod restore;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cells::Cells;
pub(super) use cells::{by_stage, state};
use pretext_shared::ids::{Fingerprint, StageId, SweepId};
use pretext_shared::sweep::CellState;

use super::facts::{CellCounts, Demand, StageEntry, images};
use super::index::{Index, Keys};
use super::{DeviceKey, Outline, Progress, PushedData, SweepMark, SweepRecord};

/// A sweep, with everything that the engine knows of it.
#[derive(Debug, Clone)]
pub(super) struct SweepEntry {
    pub(super) record: SweepRecord,
    pub(super) mark: SweepMark,
    /// Its distinct stages, sorted.
    pub(super) stages: Vec<StageId>,
    /// Steps and images of all its stages.
    pub(super) steps: u64,
    pub(super) images: u64,
    cells: Cells,
}

impl SweepEntry {
    /// Returns the number of its cells in each state.
    pub(super) fn counts(&self) -> CellCounts {
        self.cells.counts()
    }

    /// Returns the number of changes of its cells.
    pub(super) fn revision(&self) -> u64 {
        self.cells.revision()
    }

    /// Returns the cells that changed after the change number `since`, by position, with their states.
    pub(super) fn changed_cells(&self, since: u64) -> impl Iterator<Item = (u32, CellState)> {
        self.cells.changed(since)
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Table {
    sweeps: BTreeMap<SweepId, SweepEntry>,
    /// Sweeps that are not published yet.
    drafts: BTreeMap<SweepId, SweepEntry>,
    stages: BTreeMap<StageId, StageEntry>,
    /// Data sets that workers can fetch.
    data: BTreeMap<Fingerprint, PushedData>,
    demands: BTreeSet<Arc<Demand>>,
    index: Index,
}

impl Table {
    pub(super) fn stages(&self) -> &BTreeMap<StageId, StageEntry> {
        &self.stages
    }

    pub(super) fn sweeps(&self) -> &BTreeMap<SweepId, SweepEntry> {
        &self.sweeps
    }

    pub(super) fn data(&self) -> &BTreeMap<Fingerprint, PushedData> {
        &self.data
    }

    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    /// Returns the demands of the stages that became ready since the last call, and the devices that hold fewer stages.
    pub(super) fn take_wakes(&mut self) -> (BTreeSet<Arc<Demand>>, BTreeSet<DeviceKey>) {
        (self.index.queues.take_woken(), self.index.holdings.take_freed())
    }

    /// Counts the ready stages that read a data set as ready anew.
    pub(super) fn wake_readers(&mut self, fingerprint: Fingerprint) {
        self.index.queues.wake_readers(fingerprint);
    }

    /// Changes a stage; no other code does so.
    pub(super) fn amend(&mut self, id: StageId, change: impl FnOnce(&mut StageEntry)) {
        let Some(entry) = self.stages.get_mut(&id) else { return };
        let (old, old_state) = (entry.keys(), std::mem::discriminant(&entry.progress.state));
        let old_next = (entry.before_next(), entry.model_of_next());
        change(entry);
        self.index.replace(id, &old, &entry.keys());
        let is_news = (entry.before_next(), entry.model_of_next()) != old_next;
        if std::mem::discriminant(&entry.progress.state) != old_state {
            self.count_cells(id);
        }
        if is_news {
            self.tell_children(id);
        }
    }

    /// Counts the cells again that share a stage: their states may all have changed.
    fn count_cells(&mut self, id: StageId) {
        let Some(entry) = self.stages.get(&id) else { return };
        for need in &entry.needs {
            let published = self.sweeps.get_mut(&need.sweep);
            if let Some(sweep) = published.or_else(|| self.drafts.get_mut(&need.sweep)) {
                for place in &need.cells {
                    sweep.cells.count(*place, &sweep.record, &self.stages);
                }
            }
        }
    }

    /// Lets the stages after `id` know what is before them.
    fn tell_children(&mut self, id: StageId) {
        let Some(entry) = self.stages.get(&id) else { return };
        let (before, model) = (entry.before_next(), entry.model_of_next());
        for child in self.index.children(id) {
            if self.stages.get(&child).is_some_and(|child| child.before != before || child.model != model) {
                self.amend(child, |child| (child.before, child.model) = (before, model.clone()));
            }
        }
    }

    /// Raises the weights of the stages before `id` to what follows them.
    fn tell_ancestors(&mut self, id: StageId) {
        let Some(entry) = self.stages.get(&id) else { return };
        let (weight, Some(parent)) = (entry.weight, entry.outline.parent) else { return };
        let Some(above) = self.stages.get(&parent) else { return };
        let raised = images(&above.outline) + weight;
        if raised > above.weight {
            self.amend(parent, |parent| parent.weight = raised);
            self.tell_ancestors(parent);
        }
    }

    fn demand(&mut self, outline: &Outline) -> Arc<Demand> {
        let demand = Demand::from(outline);
        match self.demands.get(&demand) {
            Some(known) => known.clone(),
            None => {
                let demand = Arc::new(demand);
                self.demands.insert(demand.clone());
                demand
            }
        }
    }

    /// Adds a stage that no sweep needs yet.
    pub(super) fn add_stage(&mut self, id: StageId, outline: Box<Outline>, progress: Box<Progress>) {
        let demand = self.demand(&outline);
        let mut entry = StageEntry::new(outline, progress, demand);
        if let Some(parent) = entry.outline.parent.and_then(|parent| self.stages.get(&parent)) {
            (entry.before, entry.model) = (parent.before_next(), parent.model_of_next());
        }
        entry.weight += self.longest_after(id);
        self.index.replace(id, &Keys::default(), &entry.keys());
        self.stages.insert(id, entry);
        self.tell_children(id);
        self.tell_ancestors(id);
    }

    /// Returns the images of the longest chain of stages after `id`.
    fn longest_after(&self, id: StageId) -> u64 {
        let children = self.index.children(id);
        children.iter().filter_map(|child| self.stages.get(child)).map(|child| child.weight).max().unwrap_or(0)
    }

    /// Marks a sweep as active or cancelled.
    pub(super) fn mark(&mut self, id: &SweepId, mark: SweepMark) {
        let Some(sweep) = self.sweeps.get_mut(id) else { return };
        let is_active = !mark.is_cancelled();
        let states = sweep.record.cells.iter().map(|cell| state(cell, &self.stages)).collect();
        sweep.cells = Cells::new(states, &mark, sweep.cells.revision() + 1);
        sweep.mark = mark;
        self.index.queues.activate(id, is_active);
        for stage in sweep.stages.clone() {
            self.amend(stage, |entry| {
                entry.needs.iter_mut().filter(|need| need.sweep == *id).for_each(|need| need.is_active = is_active);
            });
        }
    }

    /// Adds, replaces or removes a pushed data set; returns the one that was there.
    pub(super) fn set_data(&mut self, fingerprint: Fingerprint, data: Option<PushedData>) -> Option<PushedData> {
        if let Some(data) = &data {
            self.index.need(&data.artifacts().collect::<Vec<_>>());
        }
        let old = match data {
            Some(data) => self.data.insert(fingerprint, data),
            None => self.data.remove(&fingerprint),
        };
        if let Some(old) = &old {
            self.index.give_up(&old.artifacts().collect::<Vec<_>>());
        }
        old
    }
}
