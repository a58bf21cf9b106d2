//! Counts the work to do, by device class, for autoscalers and monitoring; and finds the holder of a stage.

use std::collections::BTreeMap;

use pretext_shared::device::NumericClass;
use pretext_shared::ids::{AttemptId, StageId, SweepId};

use super::{Engine, Holder, Millis, State, SweepMark, Waiting};

/// Stages and slots of one device class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClassBacklog {
    /// Needed stages that wait only for a slot (or for the end of a back-off), as far as the `max_parallel` of their
    /// sweeps allows.
    pub ready: usize,
    /// Needed stages that wait for another stage or for room in their sweep.
    pub blocked: usize,
    /// Stages under a lease.
    pub running: usize,
    /// Stages that failed finally.
    pub failed: usize,
    /// Stages whose lease expired and that no other worker has taken over yet; part of `ready` if they are needed.
    pub expired: usize,
    /// Slots of connected workers.
    pub slots: usize,
}

/// The backlog of each class, and counts of the whole coordinator.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backlog {
    /// `cpu`.
    pub cpu: ClassBacklog,
    /// `gpu`.
    pub gpu: ClassBacklog,
    /// Workers heard of within the lease time.
    pub connected: usize,
    /// Workers that registered and are silent now.
    pub silent: usize,
    /// Sweeps with cells that are not final.
    pub open_sweeps: usize,
}

impl Backlog {
    /// Returns the backlog of one class.
    pub fn class(&self, class: NumericClass) -> ClassBacklog {
        match class {
            NumericClass::Cpu => self.cpu,
            NumericClass::Gpu => self.gpu,
        }
    }

    fn class_mut(&mut self, class: NumericClass) -> &mut ClassBacklog {
        match class {
            NumericClass::Cpu => &mut self.cpu,
            NumericClass::Gpu => &mut self.gpu,
        }
    }
}

impl Engine {
    /// Returns the present backlog.
    pub fn backlog(&self, now: Millis) -> Backlog {
        let mut backlog = Backlog::default();
        let mut room = self.room();
        for (id, entry) in &self.stages {
            let counts = backlog.class_mut(entry.outline.class);
            match &entry.progress.state {
                State::Leased(_) => counts.running += 1,
                State::Failed(_) => counts.failed += 1,
                State::Succeeded(_) | State::Cancelled => {}
                State::Waiting(waiting) => {
                    counts.expired += usize::from(matches!(waiting, Waiting::Expired(_)));
                    if !self.is_needed(*id) {
                        continue;
                    }
                    // A back-off is short: it ends before a worker that is started for it is ready.
                    if self.parent_is_done(entry) && self.take_room(*id, &mut room) {
                        counts.ready += 1;
                    } else {
                        counts.blocked += 1;
                    }
                }
            }
        }
        for entry in self.workers.values() {
            if !self.is_connected(entry, now) {
                backlog.silent += 1;
                continue;
            }
            backlog.connected += 1;
            for device in &entry.offer.devices {
                backlog.class_mut(device.class).slots += device.slots as usize;
            }
        }
        backlog.open_sweeps =
            self.sweeps.keys().filter(|id| self.cell_counts(id).is_some_and(|cells| !cells.is_final())).count();
        backlog
    }

    /// Returns the worker that holds an attempt, or held it until its lease expired. `None` if the attempt has ended or
    /// never existed.
    pub fn holder(&self, attempt: AttemptId) -> Option<&Holder> {
        let progress = &self.stages.get(&attempt.stage)?.progress;
        match &progress.state {
            State::Leased(holder) | State::Waiting(Waiting::Expired(holder)) => {
                (progress.fence == attempt.fence).then_some(holder)
            }
            _ => None,
        }
    }

    /// Returns how many more stages each active sweep may start.
    fn room(&self) -> BTreeMap<SweepId, usize> {
        let active = self.sweeps.iter().filter(|(_, sweep)| sweep.mark == SweepMark::Active);
        active
            .map(|(id, sweep)| {
                let room = sweep.record.max_parallel.map_or(usize::MAX, |most| {
                    let stages = sweep.stages.iter().filter_map(|stage| self.stages.get(stage));
                    let running = stages.filter(|entry| matches!(entry.progress.state, State::Leased(_))).count();
                    (most as usize).saturating_sub(running)
                });
                (id.clone(), room)
            })
            .collect()
    }

    fn take_room(&self, stage: StageId, room: &mut BTreeMap<SweepId, usize>) -> bool {
        for sweep in self.stages.get(&stage).map(|entry| &entry.needed_by).into_iter().flatten() {
            if let Some(left) = room.get_mut(sweep).filter(|left| **left > 0) {
                *left -= 1;
                return true;
            }
        }
        false
    }
}
