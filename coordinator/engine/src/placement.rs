//! Chooses the stage for a free slot.

use std::collections::BTreeSet;

use pretext_shared::device::DeviceFacts;
use pretext_shared::ids::{StageId, WorkerId};

use super::Engine;
use super::index::{Demand, Fetch, ModelPlace};
use super::workers::WorkerEntry;

impl Engine {
    /// Returns a message that says why `device` of `worker` cannot run the stage; `None` if it can.
    pub(super) fn unfit(&self, demand: &Demand, worker: &WorkerEntry, device: &DeviceFacts) -> Option<String> {
        if device.class != demand.class {
            return Some(format!("it needs a {}, but {} is a {}", demand.class, device.name, device.class));
        }
        if let Some((fingerprint, key)) = &demand.data
            && worker.dataset(*fingerprint).is_none()
        {
            match self.table.data().get(fingerprint).map(|data| data.bytes) {
                Some(bytes) if bytes <= worker.offer.data_cache => return None,
                Some(bytes) if worker.offer.data_cache > 0 => {
                    return Some(format!(
                        "{key} has {} MiB, but its --data-cache-limit is {} MiB",
                        bytes.div_ceil(1 << 20),
                        worker.offer.data_cache >> 20
                    ));
                }
                Some(_) | None => {}
            }
            let other = worker.offer.datasets.iter().find(|data| data.key == **key);
            return Some(match other.map(|data| &data.facts) {
                Some(Ok(facts)) => format!(
                    "its copy of {key} differs: fingerprint {} instead of {}",
                    facts.fingerprint.short(),
                    fingerprint.short()
                ),
                Some(Err(problem)) => format!("its copy of {key} cannot be used: {problem}"),
                None => format!("it does not have {key}"),
            });
        }
        None
    }

    /// Returns whether a waiting stage (for a slot or for another stage) could run on `device` of `worker`. Stages that
    /// run on another device do not count: they wait again if their worker is lost.
    pub fn has_prospects(&self, worker: &WorkerId, device: &str) -> bool {
        let Some(worker) = self.workers.get(worker) else { return true };
        let Some(device) = worker.device(device) else { return false };
        self.table.index().tallies.prospects().any(|demand| self.unfit(demand, worker, device).is_none())
    }

    /// Returns the stage that a free slot on `device` should run: of the sweep whose turn it is, the stage of the lowest
    /// rank, and of several the one for which the worker must fetch the least. `None` if the device has no free slot,
    /// or no stage fits.
    pub(super) fn choose(&self, id: &WorkerId, worker: &WorkerEntry, device: &DeviceFacts) -> Option<StageId> {
        let index = self.table.index();
        let slots = device.slots as usize;
        let fits = |demand: &Demand| self.unfit(demand, worker, device).is_none();
        let has = |demand: &Demand| demand.data.as_ref().is_none_or(|(data, _)| worker.dataset(*data).is_some());
        let on_device = index.holdings.on_device(id, &device.name);
        let (held, owed) = on_device.map_or((0, 0), |on_device| (on_device.held.len(), on_device.owed.len()));
        if held >= slots {
            return None;
        }
        // If expired leases occupy the slots of a device, the device gets one of these stages again, or nothing. Their
        // holder may still come back with them, and a further stage would then exceed the slots.
        match on_device {
            Some(on_device) if held + owed >= slots => self.first_of(&on_device.owed, fits, has, &id.name),
            Some(_) | None => index.queues.first(fits, has, &id.name),
        }
    }

    /// Returns the stage of a few whose turn it is.
    fn first_of(
        &self,
        stages: &BTreeSet<StageId>,
        fits: impl Fn(&Demand) -> bool,
        has: impl Fn(&Demand) -> bool,
        worker: &str,
    ) -> Option<StageId> {
        let queues = &self.table.index().queues;
        let entries = stages.iter().filter_map(|id| Some((id, self.table.stages().get(id)?)));
        let candidates = entries.filter(|(_, entry)| entry.is_ready() && fits(&entry.demand));
        let ranked = candidates.filter_map(|(id, entry)| {
            let turns = entry
                .needs
                .iter()
                .filter_map(|need| Some((queues.of(&need.sweep)?.turn()?, &need.sweep, entry.rank(need))));
            let model = match &entry.model {
                ModelPlace::Everywhere => false,
                ModelPlace::At(maker) => **maker != *worker,
                ModelPlace::Unknown => true,
            };
            Some((turns.min()?, Fetch { data: !has(&entry.demand), model }, *id))
        });
        ranked.min().map(|(.., id)| id)
    }
}
