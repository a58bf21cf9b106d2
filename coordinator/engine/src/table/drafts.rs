//! Drafts: sweeps whose stages are added piece by piece.

use pretext_shared::ids::{StageId, SweepId};

use super::{Cells, SweepEntry, Table};
use crate::facts::{Group, Need};
use crate::{State, SweepMark, SweepRecord};

impl Table {
    /// Returns whether the draft of this sweep is open.
    pub(crate) fn is_draft(&self, sweep: &SweepId) -> bool {
        self.drafts.contains_key(sweep)
    }

    /// Opens a draft, which takes no part in the schedule. `stages` are its distinct stages, sorted, and `costs` the steps
    /// and images of all of them.
    pub(crate) fn begin(&mut self, record: SweepRecord, stages: Vec<StageId>, costs: (u64, u64)) {
        let (steps, images) = costs;
        self.index.queues.open(&record, false);
        let cells = Cells::pending(record.cells.len());
        let (id, mark) = (record.id.clone(), SweepMark::Active);
        self.drafts.insert(id, SweepEntry { record, mark, stages, steps, images, cells });
    }

    /// Notes that a draft needs a stage that was added before.
    pub(crate) fn need(&mut self, sweep: &SweepId, stage: StageId, replicate: u32, cells: Box<[u32]>) {
        let Some(draft) = self.drafts.get(sweep) else { return };
        let Some(group) = Group::of(&draft.record, &cells) else { return };
        let places = cells.clone();
        self.amend(stage, |entry| {
            let place = entry.needs.partition_point(|need| need.sweep < *sweep);
            entry.needs.insert(place, Need { sweep: sweep.clone(), is_active: true, replicate, group, cells });
        });
        let (Some(draft), Some(entry)) = (self.drafts.get_mut(sweep), self.stages.get(&stage)) else { return };
        let is_news = !matches!(entry.progress.state, State::Waiting(_));
        for place in places {
            // Cells are pending until something else is known of one of their stages.
            if is_news || !draft.cells.is_pending(place) {
                draft.cells.count(place, &draft.record, &self.stages);
            }
        }
    }

    /// Makes a draft a sweep that takes part in the schedule.
    pub(crate) fn publish(&mut self, sweep: &SweepId) {
        let Some(entry) = self.drafts.remove(sweep) else { return };
        self.sweeps.insert(sweep.clone(), entry);
        self.index.queues.activate(sweep, true);
    }

    /// Forgets a draft. Returns the stages that it needed.
    pub(crate) fn withdraw(&mut self, sweep: &SweepId) -> Vec<StageId> {
        let Some(entry) = self.drafts.remove(sweep) else { return Vec::new() };
        self.leave_sweep(sweep, &entry.stages);
        entry.stages
    }
}
