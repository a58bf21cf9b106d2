//! Counts the work to do, by device class, for autoscalers and monitoring; and finds the holder of a stage.

use std::collections::BTreeMap;

use pretext_shared::device::NumericClass;
use pretext_shared::ids::{AttemptId, SweepId};

use super::{Engine, Holder, Millis, State, Waiting};

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
    /// Drained devices of these connected workers.
    pub drained: usize,
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
        let index = self.table.index();
        for (class, tally) in index.tallies.classes() {
            let counts = backlog.class_mut(class);
            (counts.running, counts.failed, counts.expired) = (tally.running, tally.failed, tally.expired);
            counts.blocked = tally.wanted;
        }
        // A back-off is short: it ends before a worker that is started for it is ready. Stages that fewer sweeps need
        // take their room first.
        let mut rooms: BTreeMap<&SweepId, usize> = BTreeMap::new();
        for (sweeps, class, count) in index.tallies.open() {
            let mut ready = 0;
            for sweep in sweeps {
                let room = rooms.entry(sweep).or_insert_with(|| index.queues.of(sweep).map_or(0, |queue| queue.room()));
                let taken = (count - ready).min(*room);
                *room -= taken;
                ready += taken;
            }
            let counts = backlog.class_mut(class);
            counts.ready += ready;
            counts.blocked -= ready;
        }
        for (id, entry) in &self.workers {
            if !self.is_connected(entry, now) {
                backlog.silent += 1;
                continue;
            }
            backlog.connected += 1;
            backlog.drained += self.drained_of(id, entry);
            for device in &entry.offer.devices {
                backlog.class_mut(device.class).slots += device.slots as usize;
            }
        }
        backlog.open_sweeps = self.table.sweeps().values().filter(|sweep| !sweep.counts().is_final()).count();
        backlog
    }

    /// Returns the worker that holds an attempt, or held it until its lease expired. `None` if the attempt has ended or
    /// never existed.
    pub fn holder(&self, attempt: AttemptId) -> Option<&Holder> {
        let progress = &self.table.stages().get(&attempt.stage)?.progress;
        match &progress.state {
            State::Leased(holder) | State::Waiting(Waiting::Expired(holder)) => {
                (progress.fence == attempt.fence).then_some(holder)
            }
            _ => None,
        }
    }
}
