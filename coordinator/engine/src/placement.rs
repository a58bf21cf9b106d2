//! Chooses the stage for a free slot.

use pretext_shared::device::DeviceFacts;
use pretext_shared::ids::{StageId, SweepId, WorkerId};
use pretext_shared::stage::StageKind;

use super::workers::WorkerEntry;
use super::{Engine, Holder, Millis, StageEntry, State, SweepMark, Waiting};

impl Engine {
    /// Returns whether the stage waits only for a slot.
    pub(super) fn is_ready(&self, entry: &StageEntry, now: Millis) -> bool {
        let waits = match &entry.progress.state {
            State::Waiting(Waiting::Open | Waiting::Expired(_)) => true,
            State::Waiting(Waiting::BackOff(_)) => entry.until <= now,
            _ => false,
        };
        waits && self.parent_is_done(entry)
    }

    pub(super) fn parent_is_done(&self, entry: &StageEntry) -> bool {
        entry.outline.parent.is_none_or(|parent| {
            self.stages.get(&parent).is_some_and(|parent| matches!(parent.progress.state, State::Succeeded(_)))
        })
    }

    /// Returns a message that says why `device` of `worker` cannot run the stage; `None` if it can.
    pub(super) fn unfit(&self, entry: &StageEntry, worker: &WorkerEntry, device: &DeviceFacts) -> Option<String> {
        let stage = &entry.outline;
        if device.class != stage.class {
            return Some(format!("it needs a {}, but {} is a {}", stage.class, device.name, device.class));
        }
        let fingerprint = stage.data;
        if let Some(key) = stage.place.as_deref()
            && worker.dataset(fingerprint).is_none()
        {
            match self.data.get(&fingerprint).map(|data| data.bytes) {
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
            let other = worker.offer.datasets.iter().find(|data| data.key == key);
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
        self.stages.iter().any(|(id, entry)| {
            matches!(entry.progress.state, State::Waiting(_))
                && self.is_needed(*id)
                && !self.is_stranded(entry)
                && self.unfit(entry, worker, device).is_none()
        })
    }

    /// Returns whether an earlier stage failed finally: this stage waits until a person asks for a retry.
    pub(super) fn is_stranded(&self, entry: &StageEntry) -> bool {
        let before = |entry: &StageEntry| self.stages.get(&entry.outline.parent?);
        std::iter::successors(before(entry), |entry| before(entry))
            .any(|entry| matches!(entry.progress.state, State::Failed(_) | State::Cancelled))
    }

    /// Returns the leases on a device of a worker, and the stages whose leases on it have expired.
    pub(super) fn held_on(&self, worker: &WorkerId, device: &str) -> (usize, Vec<StageId>) {
        let is_here = |holder: &Holder| holder.worker == *worker && holder.device == device;
        let mut held = 0;
        let mut owed = Vec::new();
        for (id, entry) in &self.stages {
            match &entry.progress.state {
                State::Leased(holder) if is_here(holder) => held += 1,
                State::Waiting(Waiting::Expired(holder)) if is_here(holder) => owed.push(*id),
                _ => {}
            }
        }
        (held, owed)
    }

    /// Returns the stage that a free slot on `device` should run. Stages of the oldest sweep have priority. Among them
    /// tests are first, because they are short and give results. Next is the stage with the longest chain waiting for
    /// it, so that no long chain starts last. If `among` is given, the stage is one of these.
    pub(super) fn choose(
        &self,
        worker: &WorkerEntry,
        device: &DeviceFacts,
        among: Option<&[StageId]>,
        now: Millis,
    ) -> Option<StageId> {
        let mut best: Option<(Rank, StageId)> = None;
        for (id, entry) in &self.stages {
            if among.is_some_and(|among| !among.contains(id))
                || !self.is_ready(entry, now)
                || self.unfit(entry, worker, device).is_some()
            {
                continue;
            }
            let Some(submitted) = self.oldest_with_room(*id) else { continue };
            let rank = Rank {
                submitted,
                not_test: u8::from(entry.outline.kind != StageKind::Test),
                lightness: u64::MAX - entry.weight,
            };
            if best.as_ref().is_none_or(|(other, _)| rank < *other) {
                best = Some((rank, *id));
            }
        }
        best.map(|(_, id)| id)
    }

    /// Returns the submission time of the oldest active sweep that needs the stage and may run one more.
    fn oldest_with_room(&self, stage: StageId) -> Option<(u64, SweepId)> {
        let needed_by = &self.stages.get(&stage)?.needed_by;
        needed_by
            .iter()
            .filter_map(|id| self.sweeps.get(id))
            .filter(|sweep| sweep.mark == SweepMark::Active)
            .filter(|sweep| {
                sweep.record.max_parallel.is_none_or(|most| {
                    let running = sweep.stages.iter().filter_map(|id| self.stages.get(id));
                    let running = running.filter(|entry| matches!(entry.progress.state, State::Leased(_))).count();
                    running < most as usize
                })
            })
            .map(|sweep| (sweep.record.submitted_ms, sweep.record.id.clone()))
            .min()
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    submitted: (u64, SweepId),
    not_test: u8,
    lightness: u64,
}
