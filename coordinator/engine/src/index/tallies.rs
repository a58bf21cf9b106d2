//! Counts of stages by device class, and of waiting stages by what they wait for.

use std::collections::BTreeMap;
use std::sync::Arc;

use pretext_shared::device::NumericClass;
use pretext_shared::ids::SweepId;

use super::keys::{Tally, TallyKind};
use super::less;
use crate::facts::{Before, Demand};

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tallies {
    classes: BTreeMap<NumericClass, ClassTally>,
    /// Waiting stages that wait for no other stage, by the active sweeps that need them. Those of fewer sweeps are
    /// first.
    open: BTreeMap<(usize, Vec<SweepId>, NumericClass), usize>,
    /// Waiting stages that may run without a person's help, by demand.
    prospects: BTreeMap<Arc<Demand>, usize>,
}

/// Counts of the stages of one class.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ClassTally {
    /// Under a lease.
    pub(crate) running: usize,
    /// Failed finally.
    pub(crate) failed: usize,
    /// With an expired lease.
    pub(crate) expired: usize,
    /// Waiting, and needed by an active sweep.
    pub(crate) wanted: usize,
}

impl Tallies {
    pub(super) fn enter(&mut self, tally: &Tally) {
        let counts = self.classes.entry(tally.class).or_default();
        match &tally.kind {
            TallyKind::Running => counts.running += 1,
            TallyKind::Failed => counts.failed += 1,
            TallyKind::Waiting(wait) => {
                counts.expired += usize::from(wait.is_expired);
                if wait.needed_by.is_empty() {
                    return;
                }
                counts.wanted += 1;
                if wait.before == Before::Done {
                    let group = (wait.needed_by.len(), wait.needed_by.clone(), tally.class);
                    *self.open.entry(group).or_default() += 1;
                }
                if wait.before != Before::Over {
                    *self.prospects.entry(wait.demand.clone()).or_default() += 1;
                }
            }
        }
    }

    pub(super) fn leave(&mut self, tally: &Tally) {
        let counts = self.classes.entry(tally.class).or_default();
        match &tally.kind {
            TallyKind::Running => counts.running -= 1,
            TallyKind::Failed => counts.failed -= 1,
            TallyKind::Waiting(wait) => {
                counts.expired -= usize::from(wait.is_expired);
                if wait.needed_by.is_empty() {
                    return;
                }
                counts.wanted -= 1;
                if wait.before == Before::Done {
                    less(&mut self.open, &(wait.needed_by.len(), wait.needed_by.clone(), tally.class));
                }
                if wait.before != Before::Over {
                    less(&mut self.prospects, &wait.demand);
                }
            }
        }
    }

    /// Returns the counts of each class.
    pub(crate) fn classes(&self) -> impl Iterator<Item = (NumericClass, ClassTally)> {
        self.classes.iter().map(|(class, counts)| (*class, *counts))
    }

    /// Returns the numbers of stages that wait for no other stage, with the sweeps that need them and their class.
    pub(crate) fn open(&self) -> impl Iterator<Item = (&[SweepId], NumericClass, usize)> {
        self.open.iter().map(|((_, sweeps, class), count)| (sweeps.as_slice(), *class, *count))
    }

    /// Returns the demands of the waiting stages that may run without a person's help.
    pub(crate) fn prospects(&self) -> impl Iterator<Item = &Demand> {
        self.prospects.keys().map(Arc::as_ref)
    }
}
