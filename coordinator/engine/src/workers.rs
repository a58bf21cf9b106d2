//! Workers: their offers, and the times of their last signs of life. Not durable: a restarted coordinator asks workers
//! to register again.

use std::collections::{BTreeMap, VecDeque};

use pretext_shared::dataset::DatasetFacts;
use pretext_shared::device::DeviceFacts;
use pretext_shared::ids::{Fingerprint, WorkerId};

use super::{Engine, Millis};

/// A data set on a worker: its facts, or why it cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// `KIND:PATH`.
    pub key: String,
    /// Its facts, or a message about the problem.
    pub facts: Result<DatasetFacts, String>,
}

/// The offer that a worker registers with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its devices.
    pub devices: Vec<DeviceFacts>,
    /// Its data sets.
    pub datasets: Vec<Announcement>,
    /// Version of its program.
    pub version: String,
    /// Bytes of pushed data sets that the worker can keep at a time; 0 if it fetches none.
    pub data_cache: u64,
}

#[derive(Debug, Clone)]
pub(super) struct WorkerEntry {
    pub(super) offer: Offer,
    /// On the listening clock.
    pub(super) last_seen: Millis,
    /// Whether it was seen to be silent for longer than the lease time.
    pub(super) is_silent: bool,
    /// The last requests for work that were answered with a stage.
    answered: VecDeque<String>,
}

/// Most answered requests that are remembered for each worker: late copies arrive within seconds.
const ANSWERED: usize = 32;

impl WorkerEntry {
    /// Returns the key under which this worker has the data with `fingerprint`.
    pub(super) fn dataset(&self, fingerprint: Fingerprint) -> Option<&str> {
        self.offer
            .datasets
            .iter()
            .find(|data| data.facts.as_ref().is_ok_and(|facts| facts.fingerprint == fingerprint))
            .map(|data| data.key.as_str())
    }

    /// Returns whether the request was answered with a stage before.
    pub(super) fn was_answered(&self, request: &str) -> bool {
        self.answered.iter().any(|answered| answered == request)
    }

    pub(super) fn answered(&self) -> &VecDeque<String> {
        &self.answered
    }

    pub(super) fn answer(&mut self, request: &str) {
        if self.answered.len() == ANSWERED {
            self.answered.pop_front();
        }
        self.answered.push_back(request.to_owned());
    }

    /// Notes a sign of life, on the listening clock.
    pub(super) fn hear(&mut self, at: Millis) {
        (self.last_seen, self.is_silent) = (at, false);
    }

    pub(super) fn device(&self, name: &str) -> Option<&DeviceFacts> {
        self.offer.devices.iter().find(|device| device.name == name)
    }
}

impl Engine {
    /// Registers a worker. Silent workers of the same name are forgotten: they are its earlier runs. One that is not
    /// silent is another worker of that name. Leases expire by themselves.
    pub fn register(&mut self, worker: WorkerId, offer: Offer, now: Millis) {
        let (heard_at, lease) = (self.listening(now), self.limits.lease_ms);
        let is_over = |other: &WorkerId, entry: &mut WorkerEntry| {
            let is_silent = heard_at.saturating_sub(entry.last_seen) > lease;
            other.name == worker.name && other.boot != worker.boot && is_silent
        };
        let forgotten: Vec<_> = self.workers.extract_if(.., is_over).collect();
        let former = self.workers.remove(&worker);
        if former.is_none() {
            self.health.begins(&worker, offer.devices.iter().map(|device| device.name.as_str()));
        }
        for (other, entry) in &forgotten {
            self.wake_worker(other, &entry.offer);
            self.health.forget(other);
        }
        if !forgotten.is_empty() || former.as_ref().is_some_and(|former| former.offer != offer) {
            self.wake_all();
        }
        self.wake_worker(&worker, &offer);
        let answered = former.map(|entry| entry.answered).unwrap_or_default();
        self.next_silence = self.next_silence.min(heard_at + lease);
        self.workers.insert(worker, WorkerEntry { offer, last_seen: heard_at, is_silent: false, answered });
    }

    /// Notes which workers have become silent.
    pub(super) fn note_silence(&mut self, now: Millis) {
        let now = self.listening(now);
        if now <= self.next_silence {
            return;
        }
        self.next_silence = Millis::MAX;
        let mut was_heard = false;
        for entry in self.workers.values_mut().filter(|entry| !entry.is_silent) {
            let silence = entry.last_seen + self.limits.lease_ms;
            if now > silence {
                (entry.is_silent, was_heard) = (true, true);
            } else {
                self.next_silence = self.next_silence.min(silence);
            }
        }
        if was_heard {
            self.wake_all();
        }
    }

    /// Returns whether the worker has registered since this coordinator started.
    pub fn knows(&self, worker: &WorkerId) -> bool {
        self.workers.contains_key(worker)
    }

    /// Returns whether a worker was heard of within the lease time.
    pub(super) fn is_connected(&self, entry: &WorkerEntry, now: Millis) -> bool {
        self.listening(now).saturating_sub(entry.last_seen) <= self.limits.lease_ms
    }

    /// Returns what connected workers announce and what was pushed, by key; if they differ, each version once.
    pub fn announced(&self, now: Millis) -> BTreeMap<String, Vec<Result<DatasetFacts, String>>> {
        let mut all: BTreeMap<String, Vec<Result<DatasetFacts, String>>> = BTreeMap::new();
        for (key, data) in self.pushed_by_key() {
            all.insert(key.to_owned(), vec![Ok(data.facts.clone())]);
        }
        for entry in self.workers.values().filter(|entry| self.is_connected(entry, now)) {
            for data in &entry.offer.datasets {
                let versions = all.entry(data.key.clone()).or_default();
                let is_known = |known: &Result<DatasetFacts, String>| match (known, &data.facts) {
                    (Ok(known), Ok(facts)) => known.is_same_data(facts),
                    (known, facts) => known == facts,
                };
                if !versions.iter().any(is_known) {
                    versions.push(data.facts.clone());
                }
            }
        }
        all
    }

    /// Returns the devices of connected workers.
    pub fn devices(&self, now: Millis) -> impl Iterator<Item = &DeviceFacts> {
        self.workers.values().filter(move |entry| self.is_connected(entry, now)).flat_map(|entry| &entry.offer.devices)
    }
}
