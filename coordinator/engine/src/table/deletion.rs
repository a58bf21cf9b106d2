//! Takes sweeps and stages out of the table.

use std::sync::Arc;

use pretext_shared::ids::{StageId, SweepId};

use super::{Keys, Table, images};
use crate::Progress;
use crate::facts::{Before, ModelPlace};

impl Table {
    /// Forgets a sweep. Its stages stay until they are removed one by one.
    pub(crate) fn remove_sweep(&mut self, sweep: &SweepId) {
        let Some(entry) = self.sweeps.remove(sweep) else { return };
        self.leave_sweep(sweep, &entry.stages);
    }

    /// Lets the stages of a sweep be needed by the other sweeps alone.
    pub(super) fn leave_sweep(&mut self, sweep: &SweepId, stages: &[StageId]) {
        for stage in stages {
            self.amend(*stage, |stage| stage.needs.retain(|need| need.sweep != *sweep));
        }
        self.index.queues.close(sweep);
    }

    /// Forgets a stage that no sweep needs, and returns its progress. The stages before and after it are then what they
    /// would be after a restart without it.
    pub(crate) fn remove_stage(&mut self, id: StageId) -> Option<Box<Progress>> {
        let entry = self.stages.remove(&id)?;
        self.index.replace(id, &entry.keys(), &Keys::default());
        for child in self.index.children(id) {
            self.amend(child, |child| (child.before, child.model) = (Before::Open, ModelPlace::Unknown));
        }
        if let Some(parent) = entry.outline.parent {
            self.weigh_again(parent);
        }
        let (progress, demand) = (entry.progress, entry.demand);
        // One in this function, one in the set of demands.
        if Arc::strong_count(&demand) == 2 {
            self.demands.remove(&demand);
        }
        Some(progress)
    }

    /// Computes the images of the chains that start with `id` and with the stages before it.
    fn weigh_again(&mut self, id: StageId) {
        let Some(entry) = self.stages.get(&id) else { return };
        let (weight, parent) = (images(&entry.outline) + self.longest_after(id), entry.outline.parent);
        if weight == entry.weight {
            return;
        }
        self.amend(id, |entry| entry.weight = weight);
        if let Some(parent) = parent {
            self.weigh_again(parent);
        }
    }
}
