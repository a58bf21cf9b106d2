//! Chooses the stage for a free slot.

use std::collections::BTreeSet;

use pretext_shared::device::DeviceFacts;
use pretext_shared::ids::{StageId, WorkerId};

use super::Engine;
use super::facts::{Demand, ModelPlace};
use super::index::Fetch;
use super::workers::WorkerEntry;

impl Engine {
    /// Returns a message that says why `device` of `worker` gets no stage with this demand now; `None` if it may get one.
    pub(super) fn unfit(
        &self,
        demand: &Demand,
        id: &WorkerId,
        worker: &WorkerEntry,
        device: &DeviceFacts,
    ) -> Option<String> {
        self.unable(demand, worker, device).or_else(|| self.kept_from(demand, id, device))
    }

    /// Returns a message that says why `device` of `worker` cannot run the stage; `None` if it can.
    pub(super) fn unable(&self, demand: &Demand, worker: &WorkerEntry, device: &DeviceFacts) -> Option<String> {
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
        let Some((id, worker)) = self.workers.get_key_value(worker) else { return true };
        let Some(device) = worker.device(device) else { return false };
        self.table.index().tallies.prospects().any(|demand| self.unfit(demand, id, worker, device).is_none())
    }

    /// Returns the stage that a free slot on `device` should run: the stage of the lowest rank in the sweep whose turn it
    /// is. Of several, it is the one for which the worker must fetch the least. `None` if the device has no free slot,
    /// or if no stage fits.
    pub(super) fn choose(&self, id: &WorkerId, worker: &WorkerEntry, device: &DeviceFacts) -> Option<StageId> {
        let index = self.table.index();
        let slots = self.slots(id, device);
        let fits = |demand: &Demand| self.unfit(demand, id, worker, device).is_none();
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
        let candidates = entries.filter(|(_, entry)| entry.is_ready() && fits(&entry.demand_now()));
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use pretext_shared::ids::SweepId;

    use super::*;
    use crate::fixtures::*;
    use crate::{Grant, Submission};

    /// Runs stages one after the other on one slot, and returns them in their order.
    fn run(engine: &mut Engine, name: &str) -> Vec<StageId> {
        let grants = (0..).map_while(|n| {
            let grant = lease(engine, name, &n.to_string(), 0)?;
            engine.complete(grant.attempt, result(), 0).expect("the holder completes");
            Some(grant.attempt.stage)
        });
        grants.collect()
    }

    /// Fills the slots of a worker, and returns how many stages of each sweep they run.
    fn fill(engine: &mut Engine, name: &str, sweeps: &[&Submission]) -> BTreeMap<SweepId, usize> {
        let mut running = BTreeMap::new();
        for n in 0.. {
            let Some(Grant { attempt, .. }) = lease(engine, name, &n.to_string(), 0) else { break };
            let mut of = sweeps.iter().filter(|sweep| sweep.stages.iter().any(|(id, _)| *id == attempt.stage));
            *running.entry(of.next().expect("a submitted sweep").sweep.id.clone()).or_default() += 1;
        }
        running
    }

    #[test]
    fn one_replicate_comes_after_the_other() {
        let mut engine = engine_with(&[("a", 1)]);
        let submitted = submission(&SWEEP.replace("seeds: [0]", "seeds: [7, 3]"), 1);
        let first = submitted.sweep.cells.iter().filter(|cell| cell.key.seed == 7).flat_map(|cell| cell.stages());
        let first: BTreeSet<StageId> = first.collect();
        engine.submit(submitted);
        let order = run(&mut engine, "a");
        assert_eq!(order.len(), 10);
        assert_eq!(order[..5].iter().copied().collect::<BTreeSet<_>>(), first);
    }

    #[test]
    fn sweeps_get_equal_shares_and_one_with_a_priority_comes_first() {
        let sweep = |seeds: &str, more: &str| {
            let text = SWEEP.replace("[supervised, rotation]", "[supervised]").replace("seeds: [0]", seeds);
            submission(&format!("{text}{more}"), 1)
        };
        let old = sweep("seeds: [0, 1, 2, 3, 4, 5, 6, 7]", "");
        let new = sweep("seeds: [10, 11, 12, 13, 14, 15, 16, 17]", "");
        let urgent = sweep("seeds: [20]", "priority: 1\n");
        let mut engine = engine_with(&[("a", 7)]);
        for submission in [&old, &new, &urgent] {
            engine.submit(submission.clone());
        }
        let running = fill(&mut engine, "a", &[&old, &new, &urgent]);
        assert_eq!(running[&urgent.sweep.id], 1);
        assert_eq!((running[&old.sweep.id], running[&new.sweep.id]), (3, 3));
    }

    #[test]
    fn of_equal_stages_a_worker_gets_the_one_whose_model_it_made() {
        let policies = "lr: {one: {kind: constant, base: 0.01}, two: {kind: constant, base: 0.02}}";
        let text = SWEEP.replace("lr: {fixed: {kind: constant, base: 0.01}}", policies);
        let submitted = submission(&text.replace("[supervised, rotation]", "[rotation]"), 1);
        for (first, second) in [("a", "bb"), ("bb", "a")] {
            let mut engine = engine_with(&[("a", 1), ("bb", 1)]);
            engine.submit(submitted.clone());
            let pretext = ["a", "bb"].map(|name| (name, lease(&mut engine, name, "pretext", 0).expect("work").attempt));
            for (_, attempt) in pretext {
                engine.complete(attempt, result(), 0).expect("the holder completes");
            }
            for name in [first, second] {
                let stage = lease(&mut engine, name, "downstream", 0).expect("work").attempt.stage;
                let parent = engine.entry(stage).expect("known").outline.parent;
                let own = pretext.iter().find(|(maker, _)| *maker == name).map(|(_, attempt)| attempt.stage);
                assert_eq!(parent, own, "{name} continues its own model");
            }
        }
    }

    #[test]
    fn of_equal_stages_a_worker_gets_the_one_whose_data_it_has() {
        for folder in [0, 1] {
            let mut submitted = submission(&SWEEP.replace("[supervised, rotation]", "[supervised]"), 1);
            let twin =
                submission(&SWEEP.replace("[supervised, rotation]", "[supervised]").replace("[50%]", "[100%]"), 1);
            // Two chains of one sweep that differ in their data alone: one reads a folder that was pushed.
            let mut stages = [submitted.stages.clone(), twin.stages];
            for (_, record) in &mut stages[folder] {
                record.source = "image-folder:cells".parse().expect("a key");
            }
            let cost = stages[0][0].1.cost;
            stages.iter_mut().flatten().for_each(|(_, record)| record.cost = cost);
            submitted.sweep.cells.extend(twin.sweep.cells);
            let drawn = stages[1 - folder].iter().map(|(id, _)| *id).collect::<BTreeSet<_>>();
            submitted.stages = stages.concat();
            let mut engine = engine_with(&[]);
            engine.register(worker("a"), offer(1_000), 0);
            engine.push_data(pushed()).expect("new data");
            engine.submit(submitted);
            let grant = lease(&mut engine, "a", "r", 0).expect("work");
            assert!(drawn.contains(&grant.attempt.stage), "the other one needs data that it must fetch");
        }
    }
}
