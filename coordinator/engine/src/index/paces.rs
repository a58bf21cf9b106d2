//! How long the stages of each sweep take, and how many are left, by kind and group.

use std::collections::BTreeMap;

use pretext_shared::ids::SweepId;
use pretext_shared::stage::StageKind;

use super::keys::{Effort, EffortState};
use crate::Millis;
use crate::facts::Group;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Paces {
    sweeps: BTreeMap<SweepId, BTreeMap<(StageKind, Group), Pace>>,
}

/// The stages of one kind and group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pace {
    /// Stages that wait for a slot or run; not those behind a failed stage.
    pub left: usize,
    /// The images that they will see.
    pub left_images: u64,
    /// Stages with a result.
    pub done: usize,
    /// The images that they saw.
    pub done_images: u64,
    /// The time for which they took a slot, in all.
    pub done_ms: Millis,
}

impl Paces {
    pub(super) fn enter(&mut self, effort: &Effort) {
        for (sweep, group) in &effort.groups {
            let paces = self.sweeps.entry(sweep.clone()).or_default();
            let pace = paces.entry((effort.kind, *group)).or_default();
            match effort.state {
                EffortState::Left => {
                    pace.left += 1;
                    pace.left_images += effort.images;
                }
                EffortState::Done { took } => {
                    pace.done += 1;
                    pace.done_images += effort.images;
                    pace.done_ms += took;
                }
            }
        }
    }

    pub(super) fn leave(&mut self, effort: &Effort) {
        for (sweep, group) in &effort.groups {
            let Some(paces) = self.sweeps.get_mut(sweep) else { continue };
            let Some(pace) = paces.get_mut(&(effort.kind, *group)) else { continue };
            match effort.state {
                EffortState::Left => {
                    pace.left -= 1;
                    pace.left_images -= effort.images;
                }
                EffortState::Done { took } => {
                    pace.done -= 1;
                    pace.done_images -= effort.images;
                    pace.done_ms -= took;
                }
            }
            if *pace == Pace::default() {
                paces.remove(&(effort.kind, *group));
            }
            if paces.is_empty() {
                self.sweeps.remove(sweep);
            }
        }
    }

    /// Returns the paces of a sweep.
    pub(crate) fn of(&self, sweep: &SweepId) -> BTreeMap<(StageKind, Group), Pace> {
        self.sweeps.get(sweep).cloned().unwrap_or_default()
    }
}
