//! Compares the engine's answers with those of a scan over all its facts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pretext_engine::{CellCounts, DeviceKey, Engine, Millis, State, Waiting};
use pretext_shared::artifact::StoredArtifact;
use pretext_shared::ids::{ArtifactId, StageId, SweepId, WorkerId};

use super::scan::{self, Scan, Status};
use super::store::{Violation, violation};

/// The name of the violations.
const INDEX: &str = "index";

/// Advances the engine's time, and checks which leases expire. `heard` is the time of the tick before.
pub(super) fn tick(engine: &mut Engine, heard: Millis, now: Millis) -> Result<(), Violation> {
    let gap = now.saturating_sub(heard);
    let deaf = if gap > (engine.limits().lease_ms / 4).max(1_000) { gap } else { 0 };
    let due = scan::expiring(engine, deaf, now);
    let before = expired(engine);
    engine.tick(now);
    let after = expired(engine);
    let new: BTreeSet<StageId> = after.difference(&before).copied().collect();
    same("the leases that expire", &new, &due)
}

fn expired(engine: &Engine) -> BTreeSet<StageId> {
    let expired = engine.all_stages().filter(|it| matches!(it.progress.state, State::Waiting(Waiting::Expired(_))));
    expired.map(|stage| stage.id).collect()
}

/// Checks every answer that the engine gives without a walk over its stages. `artifacts` are all stored ones.
pub(super) fn answers(engine: &Engine, artifacts: &BTreeSet<ArtifactId>, now: Millis) -> Result<(), Violation> {
    let scan = Scan::new(engine, now);
    let counts: BTreeMap<&SweepId, CellCounts> =
        engine.all_sweeps().filter_map(|(sweep, _)| Some((&sweep.id, engine.cell_counts(&sweep.id)?))).collect();
    same("the counts of cells", &counts, &scan.counts())?;
    for Status { sweep, running, steps, images } in scan.statuses() {
        let Ok(status) = engine.status(sweep, now) else { return violation(INDEX, format!("{sweep} is unknown")) };
        let shown: Vec<_> = status.running.iter().map(|stage| (stage.attempt.stage, stage.cells)).collect();
        same("the status of a sweep", &(shown, status.steps, status.images), &(running, steps, images))?;
    }
    for (sweep, paces) in scan.paces() {
        same("the paces of a sweep", &engine.paces(sweep), &paces)?;
    }
    same("the backlog", &engine.backlog(now), &scan.backlog())?;
    for (worker, device) in scan.devices() {
        let prospects = engine.has_prospects(worker, &device.name);
        same("the prospects of a device", &prospects, &scan.has_prospects(worker, &device.name))?;
        let choice = engine.choice(worker, &device.name);
        same("the next stage of a device", &choice, &scan.choice(worker, &device.name, &BTreeSet::new()))?;
    }
    let views = engine.workers(now);
    let holds: BTreeMap<&WorkerId, Vec<StageId>> = views
        .iter()
        .map(|view| (&view.worker, view.holds.iter().map(|(attempt, ..)| attempt.stage).collect()))
        .collect();
    same("the stages that workers hold", &holds, &scan.holds())?;
    same("the stages that no sweep needs", &engine.loose_stages().collect(), &scan.loose())?;
    let needed = scan.artifacts();
    let all: Vec<ArtifactId> = artifacts.union(&needed).copied().collect();
    let unneeded: Vec<ArtifactId> = artifacts.difference(&needed).copied().collect();
    same("the artifacts that nothing needs", &engine.unreferenced(all.iter().copied()), &unneeded)?;
    let stored = |artifact| StoredArtifact { artifact, bytes: 1, age: Duration::MAX };
    let held: Vec<StoredArtifact> = all.into_iter().map(stored).collect();
    match engine.garbage(&held, Duration::ZERO) {
        Ok(sorted) => {
            let garbage: Vec<ArtifactId> = sorted.garbage.iter().map(|stored| stored.artifact).collect();
            same("the garbage", &garbage, &unneeded)
        }
        Err(_) => Ok(()),
    }
}

/// The devices that would have got no stage after the last round.
#[derive(Debug, Default)]
pub(super) struct Idle(BTreeSet<DeviceKey>);

impl Idle {
    /// Checks that the engine wakes every device that was idle and can get a stage now.
    pub(super) fn wake(&mut self, engine: &mut Engine) -> Result<(), Violation> {
        let woken = engine.take_wakes();
        let devices = engine
            .all_workers()
            .flat_map(|worker| worker.offer.devices.iter().map(|device| (worker.id.clone(), device.name.clone())));
        let gets_a_stage = |(worker, device): &DeviceKey| engine.choice(worker, device).is_some();
        let (busy, idle): (BTreeSet<_>, BTreeSet<_>) = devices.partition(gets_a_stage);
        if let Some((worker, device)) = busy.iter().find(|key| self.0.contains(key) && !woken.contains(key)) {
            return violation("wake", format!("{device} of {worker} can get a stage and sleeps"));
        }
        self.0 = idle;
        Ok(())
    }
}

/// Checks that a request got the stage that the scan chose.
pub(super) fn grant(granted: Option<StageId>, chosen: Option<StageId>) -> Result<(), Violation> {
    same("the chosen stage", &granted, &chosen)
}

/// Checks whether a sweep was deleted, which ran or not; `None` if it was not known.
pub(super) fn deletion(engine: &Engine, sweep: &SweepId, ran: Option<bool>, deleted: bool) -> Result<(), Violation> {
    same("whether a sweep can be deleted", &deleted, &(ran == Some(false)))?;
    let is_left = engine.all_sweeps().any(|(left, _)| left.id == *sweep);
    same("whether a sweep is left", &is_left, &(ran == Some(true)))
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, answer: &T, scanned: &T) -> Result<(), Violation> {
    if answer == scanned {
        return Ok(());
    }
    violation(INDEX, format!("{what}: the engine says {answer:?}, its facts say {scanned:?}"))
}
