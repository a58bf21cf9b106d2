//! Which devices a failure blames, and which devices are kept from a stage for that. Two rules: a stage that failed at
//! a place goes to another one, for a time or for its last try. A drained device gets only what no other device can run.

use pretext_shared::device::DeviceFacts;
use pretext_shared::ids::{AttemptId, WorkerId};
use pretext_shared::outcome::{Blame, Failure};

use super::facts::Demand;
use super::site::{Nearness, Site, nearness};
use super::workers::WorkerEntry;
use super::{DeviceKey, DeviceState, Engine};

/// Most characters of a failure's message that are shown with a device.
const MESSAGE: usize = 300;

impl Engine {
    /// Returns why a device that could run stages with this demand is kept from them; `None` if it may run them. A
    /// device is kept from them only while another connected device can take them.
    pub(super) fn kept_from(&self, demand: &Demand, id: &WorkerId, device: &DeviceFacts) -> Option<String> {
        let near = nearness(&demand.avoids, &id.name, &device.name);
        let is_drained = self.health.is_drained(id, &device.name);
        if !is_drained && near == Nearness::Elsewhere {
            return None;
        }
        let is_another_open = |is_better: &dyn Fn(Nearness) -> bool| {
            self.workers.iter().filter(|(_, worker)| !worker.is_silent).any(|(other, worker)| {
                worker.offer.devices.iter().any(|device| {
                    !self.health.is_drained(other, &device.name)
                        && is_better(nearness(&demand.avoids, &other.name, &device.name))
                        && self.unable(demand, worker, device).is_none()
                })
            })
        };
        if is_drained && is_another_open(&|_| true) {
            let DeviceState::Drained { reason } = self.health.state(id, &device.name) else { return None };
            return Some(format!("{} is drained: {reason}", device.name));
        }
        (near > Nearness::Elsewhere && is_another_open(&|other| other < near))
            .then(|| format!("the stage failed on {} and goes elsewhere", device.name))
    }

    /// Returns the state of a device of a worker.
    pub(super) fn device_state(&self, id: &WorkerId, device: &str) -> DeviceState {
        self.health.state(id, device)
    }

    /// Returns how many stages a device may run at a time.
    pub(super) fn slots(&self, id: &WorkerId, device: &DeviceFacts) -> usize {
        match self.health.is_trusted(id, &device.name) {
            true => device.slots as usize,
            false => device.slots.min(1) as usize,
        }
    }

    /// Notes a failure against the devices that it blames. Called before it is charged to the stage.
    pub(super) fn note_failure(&mut self, attempt: AttemptId, failure: &Failure) {
        let Some(holder) = self.holder(attempt) else { return };
        let devices: Vec<DeviceKey> = match failure.code.blame() {
            Blame::Stage => return,
            Blame::Device => vec![(holder.worker.clone(), holder.device.clone())],
            Blame::Machine => {
                let offered = self.workers.get(&holder.worker).into_iter().flat_map(|worker| &worker.offer.devices);
                offered.map(|device| (holder.worker.clone(), device.name.clone())).collect()
            }
        };
        let is_known =
            |(worker, device): &DeviceKey| self.workers.get(worker).is_some_and(|entry| entry.device(device).is_some());
        let devices: Vec<DeviceKey> = devices.into_iter().filter(is_known).collect();
        let former = self.former_sites(attempt);
        let message: String = failure.message.chars().take(MESSAGE).collect();
        let message = format!("{} ({})", message, failure.code.as_str());
        let worker = holder.worker.name.clone();
        self.change_health(|health| health.failed(attempt.stage, &worker, &devices, &former, &message));
    }

    /// Notes the success of an attempt. Called before the stage has its result.
    pub(super) fn note_success(&mut self, attempt: AttemptId) {
        let Some(holder) = self.holder(attempt).cloned() else { return };
        let former = self.former_sites(attempt);
        self.change_health(|health| health.succeeded(attempt.stage, &holder.worker, &holder.device, &former));
        self.wake_device((holder.worker, holder.device));
    }

    fn former_sites(&self, attempt: AttemptId) -> Vec<Site> {
        let entry = self.table.stages().get(&attempt.stage);
        entry.map(|entry| entry.progress.failed_at.clone()).unwrap_or_default()
    }

    /// Changes the health of devices. If other devices are drained then, any device may get other stages than before.
    fn change_health(&mut self, change: impl FnOnce(&mut super::health::Health)) {
        let before = self.drained_devices();
        change(&mut self.health);
        if self.drained_devices() != before {
            self.wake_all();
        }
    }

    fn drained_devices(&self) -> Vec<DeviceKey> {
        self.health.drained().map(|(worker, device)| (worker.clone(), device.to_owned())).collect()
    }

    /// Returns the number of drained devices of a worker.
    pub(super) fn drained_of(&self, id: &WorkerId, worker: &WorkerEntry) -> usize {
        worker.offer.devices.iter().filter(|device| self.health.is_drained(id, &device.name)).count()
    }
}

#[cfg(test)]
mod tests {
    use pretext_shared::ids::{StageId, WorkerId};
    use pretext_shared::outcome::FailureCode;

    use super::*;
    use crate::fixtures::*;
    use crate::{Backlog, Grant, Limits, Millis, Snapshot, State};

    /// Six cells of two stages each.
    fn six() -> crate::Submission {
        submission(
            &SWEEP.replace("[supervised, rotation]", "[supervised]").replace("seeds: [0]", "seeds: [0, 1, 2, 3, 4, 5]"),
            1,
        )
    }

    fn fail(engine: &mut Engine, attempt: AttemptId, code: FailureCode, now: Millis) {
        let failure = Failure { code, message: "the disk is gone".to_owned(), log: vec![] };
        engine.fail(attempt, failure, now).expect("the holder fails");
    }

    fn is_drained(engine: &Engine, worker: &WorkerId) -> bool {
        matches!(engine.state_of(worker, "cpu"), DeviceState::Drained { .. })
    }

    /// Lets the worker `bb` fail so many stages, one after the other.
    fn sicken(engine: &mut Engine, stages: usize, code: FailureCode) -> Vec<StageId> {
        let failed = (0..stages).map(|n| {
            let Grant { attempt, .. } = lease(engine, "bb", &format!("sick {n}"), 0).expect("work");
            fail(engine, attempt, code, 0);
            attempt.stage
        });
        failed.collect()
    }

    #[test]
    fn a_stage_goes_elsewhere_for_a_time_and_for_its_last_try_without_an_end() {
        let mut engine = engine_with(&[("a", 1), ("bb", 1)]);
        let text = SWEEP.replace("[supervised, rotation]", "[rotation]");
        engine.submit(submission(&text, 1));
        let avoid = Limits::default().avoid_ms;
        let grant = lease(&mut engine, "bb", "1", 0).expect("work");
        fail(&mut engine, grant.attempt, FailureCode::Crashed, 0);
        let beat = |engine: &mut Engine, from: Millis, until: Millis| {
            for now in (from..=until).step_by(1_000) {
                engine.tick(now);
                engine.heartbeat(&worker("a"), &[], now);
            }
        };
        beat(&mut engine, 0, avoid - 1_000);
        assert!(lease(&mut engine, "bb", "2", avoid - 1_000).is_none(), "the other worker may take it");
        beat(&mut engine, avoid, avoid);
        let grant = lease(&mut engine, "bb", "3", avoid).expect("the other worker did not take it in time");
        fail(&mut engine, grant.attempt, FailureCode::Crashed, avoid);
        beat(&mut engine, avoid, 10 * avoid);
        assert!(lease(&mut engine, "bb", "4", 10 * avoid).is_none(), "one more failure would be final");
        let lines = engine.explain(&format!("{}/rotation/50%/fixed/0", engine.list(0)[0].id), 10 * avoid);
        assert!(lines.expect("a cell")[1].contains("if possible elsewhere than on cpu of worker bb"));
        // The other worker falls silent: this place is the last one.
        engine.take_wakes();
        for now in (10 * avoid..=11 * avoid).step_by(1_000) {
            engine.tick(now);
        }
        assert!(engine.take_wakes().contains(&(worker("bb"), "cpu".to_owned())));
        assert!(lease(&mut engine, "bb", "5", 11 * avoid).is_some());
    }

    #[test]
    fn a_restart_keeps_the_places_of_failures() {
        let mut engine = engine_with(&[("a", 1), ("bb", 1)]);
        let mut snapshot = Snapshot::default();
        engine.submit(submission(&SWEEP.replace("[supervised, rotation]", "[rotation]"), 1));
        sicken(&mut engine, 1, FailureCode::Storage);
        persist(&mut snapshot, engine.take_changes());
        let mut engine = Engine::restore(Limits::default(), snapshot, 0);
        engine.register(worker("a"), offer(0), 0);
        engine.register(worker("bb"), offer(0), 0);
        engine.tick(5_000);
        assert!(lease(&mut engine, "bb", "r", 5_000).is_none());
        assert!(lease(&mut engine, "a", "r", 5_000).is_some());
    }

    #[test]
    fn a_device_that_fails_different_stages_while_others_succeed_is_drained_until_its_worker_restarts() {
        let mut engine = engine_with(&[("a", 1), ("bb", 2)]);
        engine.submit(six());
        let sweep = engine.list(0)[0].id.clone();
        let good = lease(&mut engine, "a", "1", 0).expect("work");
        sicken(&mut engine, 3, FailureCode::DataCopy);
        assert!(!is_drained(&engine, &worker("bb")), "nothing shows that other places are better");
        engine.complete(good.attempt, result(), 0).expect("completes");
        assert!(is_drained(&engine, &worker("bb")));
        assert!(lease(&mut engine, "bb", "2", 0).is_none(), "the other worker can run all of it");
        assert!(!engine.has_prospects(&worker("bb"), "cpu"));
        assert!(matches!(engine.backlog(0), Backlog { drained: 1, .. }));
        let shown = engine.workers(0).into_iter().find(|view| view.worker == worker("bb")).expect("registered");
        assert!(matches!(&shown.unwell["cpu"], DeviceState::Drained { reason } if reason.contains("the disk is gone")));
        let lines = engine.explain(&format!("{sweep}/supervised/50%/fixed/5"), 0).expect("a cell").join("\n");
        assert!(lines.contains("cpu of worker bb is drained: 3 different stages failed on it in a row"), "{lines}");
        // A new run gets one stage, and a failure of it drains the device again.
        for (boot, code) in [(10, FailureCode::DataCopy), (11, FailureCode::DataCopy), (12, FailureCode::Invalid)] {
            let again = WorkerId { boot: uuid::Uuid::from_u128(boot), ..worker("bb") };
            let twice =
                crate::Offer { devices: vec![device("cpu", pretext_shared::device::NumericClass::Cpu, 2)], ..offer(0) };
            engine.register(again.clone(), twice, 0);
            assert_eq!(engine.state_of(&again, "cpu"), DeviceState::OnProbation);
            let probe = engine.lease(&again, "cpu", "probe", 0, 0).expect("registered").expect("one stage");
            assert_eq!(engine.lease(&again, "cpu", "more", 0, 0).expect("registered"), None, "one at a time");
            if code.blame() == Blame::Stage {
                engine.complete(probe.attempt, result(), 0).expect("completes");
                assert_eq!(engine.state_of(&again, "cpu"), DeviceState::Good);
            } else {
                fail(&mut engine, probe.attempt, code, 0);
                assert!(is_drained(&engine, &again));
            }
        }
        assert!(!engine.all_stages().any(|stage| matches!(stage.progress.state, State::Failed(_))));
    }

    #[test]
    fn the_last_device_that_can_run_a_stage_gets_it_even_if_it_is_drained() {
        let mut engine = engine_with(&[("a", 1), ("bb", 2)]);
        engine.submit(six());
        let good = lease(&mut engine, "a", "1", 0).expect("work");
        sicken(&mut engine, 3, FailureCode::Device);
        engine.complete(good.attempt, result(), 0).expect("completes");
        assert!(lease(&mut engine, "bb", "2", 0).is_none());
        engine.take_wakes();
        for now in (0..30_000).step_by(1_000) {
            engine.tick(now);
        }
        assert!(engine.take_wakes().contains(&(worker("bb"), "cpu".to_owned())));
        assert!(lease(&mut engine, "bb", "3", 30_000).is_some());
        assert!(lease(&mut engine, "bb", "4", 30_000).is_none(), "one at a time");
    }

    #[test]
    fn a_stage_that_fails_on_every_machine_is_not_held_against_them() {
        let mut engine = engine_with(&[("a", 1), ("bb", 1)]);
        engine.submit(six());
        let good = lease(&mut engine, "a", "1", 0).expect("work");
        let failed = sicken(&mut engine, 3, FailureCode::Crashed);
        engine.complete(good.attempt, result(), 0).expect("completes");
        assert!(is_drained(&engine, &worker("bb")));
        engine.tick(2_000);
        let mut others = Vec::new();
        while is_drained(&engine, &worker("bb")) {
            let grant = lease(&mut engine, "a", &format!("a {}", others.len()), 2_000).expect("work");
            if failed.contains(&grant.attempt.stage) {
                fail(&mut engine, grant.attempt, FailureCode::Crashed, 2_000);
            } else {
                engine.complete(grant.attempt, result(), 0).expect("completes");
            }
            others.push(grant.attempt.stage);
        }
        assert!(!is_drained(&engine, &worker("a")));
        assert!(lease(&mut engine, "bb", "again", 2_000).is_some(), "the program is at fault");
    }
}
