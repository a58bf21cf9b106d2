//! The facts that all decisions follow from, read only and without anything that the engine derives from them. A
//! simulation judges the engine's decisions by these facts.

use std::collections::BTreeMap;

use pretext_shared::ids::{StageId, SweepId, WorkerId};
use pretext_shared::split::Fraction;
use pretext_shared::stage::{Method, StageKind};

use super::{DeviceState, Engine, Limits, Millis, Offer, Outline, Pace, Progress, SweepMark, SweepRecord};

/// The facts of a stage.
#[derive(Debug, Clone, Copy)]
pub struct StageFacts<'a> {
    /// The stage.
    pub id: StageId,
    /// The part of its plan that the scheduler needs.
    pub outline: &'a Outline,
    /// Its progress.
    pub progress: &'a Progress,
    /// The end of its lease or of its back-off, on the coordinator's clock.
    pub until: Millis,
    /// The end of its detour around the places where it failed, on the coordinator's clock; in the past if it has ended.
    pub avoid_until: Millis,
    /// Steps and images of the running attempt, as last reported.
    pub step: u64,
    /// See `step`.
    pub images: u64,
    /// The name of the worker that reported its result, if it did so since the coordinator started.
    pub made_by: Option<&'a str>,
    /// The time for which it took a slot; `None` if it has no result.
    pub took: Option<Millis>,
}

/// The facts of a worker.
#[derive(Debug, Clone, Copy)]
pub struct WorkerFacts<'a> {
    /// The worker.
    pub id: &'a WorkerId,
    /// Its offer.
    pub offer: &'a Offer,
    /// The time of its last sign of life, on the coordinator's clock.
    pub last_seen: Millis,
}

impl Engine {
    /// Returns every stage, by id.
    pub fn all_stages(&self) -> impl Iterator<Item = StageFacts<'_>> {
        self.table.stages().iter().map(|(id, entry)| StageFacts {
            id: *id,
            outline: &entry.outline,
            progress: &entry.progress,
            until: self.leased_until(*id).unwrap_or(entry.until),
            avoid_until: entry.avoid_until,
            step: entry.step,
            images: entry.images,
            made_by: entry.made_by.as_deref(),
            took: entry.took,
        })
    }

    /// Returns every sweep, by id.
    pub fn all_sweeps(&self) -> impl Iterator<Item = (&SweepRecord, &SweepMark)> {
        self.table.sweeps().values().map(|sweep| (&sweep.record, &sweep.mark))
    }

    /// Returns every worker that has registered, by id.
    pub fn all_workers(&self) -> impl Iterator<Item = WorkerFacts<'_>> {
        self.workers.iter().map(|(id, entry)| WorkerFacts {
            id,
            offer: &entry.offer,
            last_seen: entry.last_seen + self.deaf,
        })
    }

    /// Returns how long the stages of a sweep take and how many are left, by kind, method and label fraction.
    pub fn paces(&self, sweep: &SweepId) -> BTreeMap<(StageKind, Method, Fraction), Pace> {
        let paces = self.table.index().paces.of(sweep).into_iter();
        paces.map(|((kind, group), pace)| ((kind, group.method, group.fraction), pace)).collect()
    }

    /// Returns the state of a device.
    pub fn state_of(&self, worker: &WorkerId, device: &str) -> DeviceState {
        self.device_state(worker, device)
    }

    /// Returns whether a request of a worker was answered with a stage before.
    pub fn was_answered(&self, worker: &WorkerId, request: &str) -> bool {
        self.workers.get(worker).is_some_and(|entry| entry.was_answered(request))
    }

    /// Returns the stage that a free slot of a device would get now. If the stage's budget of losses is exhausted, the
    /// stage fails instead, and the slot gets another one.
    pub fn choice(&self, worker: &WorkerId, device: &str) -> Option<StageId> {
        let entry = self.workers.get(worker)?;
        self.choose(worker, entry, entry.device(device)?)
    }

    /// Returns the times and limits.
    pub fn limits(&self) -> Limits {
        self.limits
    }
}
