//! Tells which waiting slots may get a stage now, so that only these ask again.

use std::collections::BTreeSet;

use pretext_shared::ids::{Fingerprint, WorkerId};

use super::Engine;
use super::workers::{Offer, WorkerEntry};

/// A device of a worker.
pub type DeviceKey = (WorkerId, String);

/// The devices that should ask again, for reasons other than a ready stage or a free slot.
#[derive(Debug, Clone, Default)]
pub(super) struct Wakes {
    /// Devices of workers that registered or were forgotten, and devices on which a stage succeeded.
    devices: BTreeSet<DeviceKey>,
    extent: Extent,
}

/// See [`Wakes`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Extent {
    /// These devices alone.
    #[default]
    Devices,
    /// All devices.
    All,
}

impl Engine {
    /// Returns the devices whose waiting slots should ask again. Since the last call a stage became ready that they can
    /// run, a slot of them became free, or their worker registered or was forgotten. If a place can no longer run stages
    /// that avoid others, all devices should ask. A slot of any other device that got nothing before gets nothing now.
    pub fn take_wakes(&mut self) -> BTreeSet<DeviceKey> {
        let (demands, freed) = self.table.take_wakes();
        let Wakes { devices: mut wakes, extent } = std::mem::take(&mut self.wakes);
        if extent == Extent::All {
            let devices = |(id, worker): (&WorkerId, &WorkerEntry)| {
                worker.offer.devices.iter().map(|device| (id.clone(), device.name.clone())).collect::<Vec<_>>()
            };
            wakes.extend(self.workers.iter().flat_map(devices));
        }
        wakes.extend(freed);
        if demands.is_empty() {
            return wakes;
        }
        for (id, worker) in &self.workers {
            let can_run = worker
                .offer
                .devices
                .iter()
                .filter(|device| demands.iter().any(|demand| self.unfit(demand, id, worker, device).is_none()));
            wakes.extend(can_run.map(|device| (id.clone(), device.name.clone())));
        }
        wakes
    }

    /// Notes that a worker has registered or is forgotten.
    pub(super) fn wake_worker(&mut self, id: &WorkerId, offer: &Offer) {
        self.wakes.devices.extend(offer.devices.iter().map(|device| (id.clone(), device.name.clone())));
    }

    /// Notes that a device may run more stages than before.
    pub(super) fn wake_device(&mut self, device: DeviceKey) {
        self.wakes.devices.insert(device);
    }

    /// Notes that a place may no longer run what others avoid: any device may get a stage now.
    pub(super) fn wake_all(&mut self) {
        self.wakes.extent = Extent::All;
    }

    /// Notes that workers can fetch a data set from now on.
    pub(super) fn wake_readers(&mut self, fingerprint: Fingerprint) {
        self.table.wake_readers(fingerprint);
    }
}

#[cfg(test)]
mod tests {
    use pretext_shared::device::NumericClass;
    use pretext_shared::outcome::{Failure, FailureCode};

    use super::*;
    use crate::Limits;
    use crate::fixtures::*;

    fn names(engine: &mut Engine) -> Vec<String> {
        engine.take_wakes().into_iter().map(|(worker, device)| format!("{}:{device}", worker.name)).collect()
    }

    #[test]
    fn a_device_wakes_when_a_stage_that_it_can_run_becomes_ready_or_a_slot_is_free() {
        let mut engine = engine_with(&[("a", 1), ("bb", 1)]);
        let devices = vec![device("gpu", NumericClass::Gpu, 1)];
        engine.register(worker("ccc"), Offer { devices, datasets: vec![], version: String::new(), data_cache: 0 }, 0);
        assert_eq!(names(&mut engine), ["a:cpu", "bb:cpu", "ccc:gpu"], "they registered");
        engine.submit(submission(&SWEEP.replace("[supervised, rotation]", "[rotation]"), 1));
        assert_eq!(names(&mut engine), ["a:cpu", "bb:cpu"], "the stage needs a CPU");
        let grant = lease(&mut engine, "a", "r1", 0).expect("work");
        engine.heartbeat(&worker("a"), &[(grant.attempt, 1, 8)], 1);
        engine.points(grant.attempt, 0, vec![], 1).expect("accepted");
        assert_eq!(names(&mut engine), [""; 0], "nothing became ready");
        let failure = Failure { code: FailureCode::OutOfMemory, message: String::new(), log: vec![] };
        engine.fail(grant.attempt, failure, 2).expect("the holder fails");
        assert_eq!(names(&mut engine), ["a:cpu"], "its slot is free, and the stage backs off");
        engine.tick(Limits::default().back_off_ms * 2);
        assert_eq!(names(&mut engine), ["a:cpu", "bb:cpu"], "the back-off has ended");
        let grant = lease(&mut engine, "a", "r2", 3_000).expect("work");
        engine.complete(grant.attempt, result(), 0).expect("completes");
        assert_eq!(names(&mut engine), ["a:cpu", "bb:cpu"], "the next stage is ready");
    }

    #[test]
    fn a_sweep_that_may_start_one_more_stage_wakes_the_others() {
        let mut engine = engine_with(&[("a", 1), ("bb", 1)]);
        let text = format!("{SWEEP}max_parallel: 1\n").replace("[supervised, rotation]", "[supervised]");
        engine.submit(submission(&text.replace("seeds: [0]", "seeds: [0, 1]"), 1));
        let grant = lease(&mut engine, "a", "r1", 0).expect("work");
        assert!(lease(&mut engine, "bb", "r1", 0).is_none());
        names(&mut engine);
        engine.release(grant.attempt).expect("held");
        assert_eq!(names(&mut engine), ["a:cpu", "bb:cpu"]);
    }
}
