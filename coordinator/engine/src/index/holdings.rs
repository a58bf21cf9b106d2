//! The stages that each worker holds, by device and by request.

use std::collections::{BTreeMap, BTreeSet};

use pretext_shared::ids::{StageId, WorkerId};

use super::keys::{Hold, HoldKind};
use crate::DeviceKey;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Holdings {
    workers: BTreeMap<WorkerId, Holding>,
    /// Devices that hold fewer stages than before.
    freed: BTreeSet<DeviceKey>,
}

/// The stages that one worker holds.
#[derive(Debug, Clone, Default)]
struct Holding {
    devices: BTreeMap<String, OnDevice>,
    requests: BTreeMap<String, BTreeSet<StageId>>,
}

/// The stages on one device.
#[derive(Debug, Clone, Default)]
pub(crate) struct OnDevice {
    /// Those with a lease.
    pub(crate) held: BTreeSet<StageId>,
    /// Those whose lease has expired.
    pub(crate) owed: BTreeSet<StageId>,
}

impl OnDevice {
    fn of(&mut self, kind: HoldKind) -> &mut BTreeSet<StageId> {
        match kind {
            HoldKind::Held => &mut self.held,
            HoldKind::Owed => &mut self.owed,
        }
    }
}

impl Holdings {
    pub(super) fn enter(&mut self, id: StageId, hold: &Hold) {
        let holding = self.workers.entry(hold.holder.worker.clone()).or_default();
        holding.devices.entry(hold.holder.device.clone()).or_default().of(hold.kind).insert(id);
        holding.requests.entry(hold.holder.request.clone()).or_default().insert(id);
    }

    pub(super) fn leave(&mut self, id: StageId, hold: &Hold) {
        self.freed.insert((hold.holder.worker.clone(), hold.holder.device.clone()));
        let Some(holding) = self.workers.get_mut(&hold.holder.worker) else { return };
        if let Some(device) = holding.devices.get_mut(&hold.holder.device) {
            device.of(hold.kind).remove(&id);
            if device.held.is_empty() && device.owed.is_empty() {
                holding.devices.remove(&hold.holder.device);
            }
        }
        if let Some(stages) = holding.requests.get_mut(&hold.holder.request) {
            stages.remove(&id);
            if stages.is_empty() {
                holding.requests.remove(&hold.holder.request);
            }
        }
        if holding.devices.is_empty() {
            self.workers.remove(&hold.holder.worker);
        }
    }

    /// Returns the devices that hold fewer stages than at the last call.
    pub(crate) fn take_freed(&mut self) -> BTreeSet<DeviceKey> {
        std::mem::take(&mut self.freed)
    }

    /// Returns the stage that a request was granted, if its holder may still work on it.
    pub(crate) fn granted_to(&self, worker: &WorkerId, request: &str) -> Option<StageId> {
        self.workers.get(worker)?.requests.get(request)?.first().copied()
    }

    /// Returns the stages on a device of a worker; `None` if there are none.
    pub(crate) fn on_device(&self, worker: &WorkerId, device: &str) -> Option<&OnDevice> {
        self.workers.get(worker)?.devices.get(device)
    }

    /// Returns the stages that a worker holds, with their devices, by stage.
    pub(crate) fn held_by(&self, worker: &WorkerId) -> BTreeMap<StageId, &str> {
        let devices = self.workers.get(worker).into_iter().flat_map(|holding| &holding.devices);
        devices.flat_map(|(name, device)| device.held.iter().map(move |id| (*id, name.as_str()))).collect()
    }
}
