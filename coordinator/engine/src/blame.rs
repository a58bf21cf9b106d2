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
        let is_known = |(worker, device): &DeviceKey| {
            self.workers.get(worker).is_some_and(|entry| entry.device(device).is_some())
        };
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
