//! The health of devices. A device on which different stages fail in a row, for reasons that may lie at that place, is
//! drained as soon as a stage succeeds elsewhere: it gets no stage that another device can run. A stage that fails on
//! another machine too is itself the suspect, and does not count against a device until it succeeds somewhere.
//!
//! Not durable: a restarted coordinator trusts all devices, as stages keep the places where they failed.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use pretext_shared::ids::{StageId, WorkerId};

use super::{DeviceKey, Site};

/// Most failed stages that are remembered for each device.
const STREAK: usize = 32;

/// The state of a device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum DeviceState {
    /// It gets as many stages as it has slots.
    #[default]
    Good,
    /// A former run of its worker was drained: it gets one stage at a time until one succeeds.
    OnProbation,
    /// It gets no stage that another device can run, and one stage at a time of the others.
    Drained {
        /// The reason, for a person.
        reason: String,
    },
}

impl DeviceState {
    /// Returns the state as it is sent over the network and shown.
    pub fn as_str(&self) -> &'static str {
        match self {
            DeviceState::Good => "good",
            DeviceState::OnProbation => "on-probation",
            DeviceState::Drained { .. } => "drained",
        }
    }
}

/// The suspected cause of a failure on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Suspect {
    /// The device or its machine.
    Place,
    /// The stage: it failed on another machine too.
    Stage,
}

/// A device that is not known to be good.
#[derive(Debug, Clone, Default)]
struct Record {
    /// The different stages that failed here since the last success, oldest first.
    streak: Vec<(StageId, Suspect)>,
    /// The number of successes on all devices when the streak began.
    since: u64,
    is_on_probation: bool,
    /// The last failure, for a person.
    last: String,
}

impl Record {
    fn failures(&self) -> usize {
        self.streak.iter().filter(|(_, suspect)| *suspect == Suspect::Place).count()
    }
}

/// The health of all devices.
#[derive(Debug, Clone)]
pub(super) struct Health {
    max_streak: usize,
    /// Number of successes on all devices.
    successes: u64,
    /// The devices that are not known to be good.
    suspects: BTreeMap<WorkerId, BTreeMap<String, Record>>,
}

impl Health {
    /// Returns the health of devices that are all good. So many different failures in a row drain a device.
    pub(super) fn new(max_streak: usize) -> Self {
        Self { max_streak, successes: 0, suspects: BTreeMap::new() }
    }

    fn record(&self, worker: &WorkerId, device: &str) -> Option<&Record> {
        self.suspects.get(worker)?.get(device)
    }

    fn judges(&self, record: &Record) -> bool {
        match record.is_on_probation {
            true => record.failures() > 0,
            false => record.failures() >= self.max_streak && self.successes > record.since,
        }
    }

    /// Returns whether a device is drained.
    pub(super) fn is_drained(&self, worker: &WorkerId, device: &str) -> bool {
        self.record(worker, device).is_some_and(|record| self.judges(record))
    }

    /// Returns the state of a device.
    pub(super) fn state(&self, worker: &WorkerId, device: &str) -> DeviceState {
        match self.record(worker, device) {
            Some(record) if self.judges(record) => DeviceState::Drained { reason: self.reason(record) },
            Some(record) if record.is_on_probation => DeviceState::OnProbation,
            _ => DeviceState::Good,
        }
    }

    fn reason(&self, record: &Record) -> String {
        let why = match record.is_on_probation {
            true => "it was drained before, and a stage failed on it again".to_owned(),
            false => {
                format!("{} different stages failed on it in a row while stages succeeded elsewhere", record.failures())
            }
        };
        format!("{why}; the last failure: {}; repair the machine and restart its worker", record.last)
    }

    /// Returns the drained devices.
    pub(super) fn drained(&self) -> impl Iterator<Item = (&WorkerId, &str)> {
        let devices = self.suspects.iter().flat_map(|(worker, devices)| devices.iter().map(move |of| (worker, of)));
        let drained = devices.filter(|(_, (_, record))| self.judges(record));
        drained.map(|(worker, (device, _))| (worker, device.as_str()))
    }

    /// Returns whether a device may run as many stages as it has slots.
    pub(super) fn is_trusted(&self, worker: &WorkerId, device: &str) -> bool {
        self.record(worker, device).is_none_or(|record| !record.is_on_probation && !self.judges(record))
    }

    /// Notes a failure of a stage on the machine of this name, for which these devices of it are to blame. `former` are
    /// the places where the stage failed before.
    pub(super) fn failed(&mut self, stage: StageId, machine: &str, at: &[DeviceKey], former: &[Site], message: &str) {
        let mut suspect = Suspect::Place;
        for site in former.iter().filter(|site| site.worker != machine) {
            suspect = Suspect::Stage;
            self.suspect(stage, site, Suspect::Stage);
        }
        for (worker, device) in at {
            let successes = self.successes;
            let record = self.suspects.entry(worker.clone()).or_default().entry(device.clone()).or_default();
            if record.streak.is_empty() {
                record.since = successes;
            }
            record.streak.retain(|(failed, _)| *failed != stage);
            record.streak.push((stage, suspect));
            let surplus = record.streak.len().saturating_sub(STREAK);
            record.streak.drain(..surplus);
            record.last = message.to_owned();
        }
    }

    /// Changes the suspect of a stage's failures at a place.
    fn suspect(&mut self, stage: StageId, site: &Site, suspect: Suspect) {
        let workers = self.suspects.iter_mut().filter(|(worker, _)| worker.name == site.worker);
        let devices = workers.flat_map(|(worker, devices)| {
            devices.iter_mut().filter(|(device, _)| site.includes(&worker.name, device)).map(|(_, record)| record)
        });
        for (_, old) in devices.flat_map(|record| &mut record.streak).filter(|(failed, _)| *failed == stage) {
            *old = suspect;
        }
    }

    /// Notes a success on a device, of a stage that failed at the places of `former` before.
    pub(super) fn succeeded(&mut self, stage: StageId, worker: &WorkerId, device: &str, former: &[Site]) {
        self.successes += 1;
        for site in former {
            self.suspect(stage, site, Suspect::Place);
        }
        if let Some(devices) = self.suspects.get_mut(worker) {
            devices.remove(device);
            if devices.is_empty() {
                self.suspects.remove(worker);
            }
        }
    }

    /// Puts those devices of a new run of a worker on probation that are not good in another run of it.
    pub(super) fn begins<'a>(&mut self, worker: &WorkerId, devices: impl Iterator<Item = &'a str>) {
        for device in devices {
            let mut runs = self.suspects.iter().filter(|(other, _)| other.name == worker.name && *other != worker);
            let is_doubtful = runs.any(|(_, devices)| {
                devices.get(device).is_some_and(|record| record.is_on_probation || self.judges(record))
            });
            if is_doubtful {
                let record = Record { is_on_probation: true, ..Record::default() };
                self.suspects.entry(worker.clone()).or_default().insert(device.to_owned(), record);
            }
        }
    }

    /// Hashes everything that determines which devices are or will be drained.
    pub(super) fn hash(&self, hasher: &mut impl Hasher) {
        for (worker, devices) in &self.suspects {
            for (device, record) in devices {
                (worker, device, record.is_on_probation, self.successes > record.since).hash(hasher);
                record.streak.iter().for_each(|(stage, suspect)| (stage, *suspect as u8).hash(hasher));
            }
        }
    }

    /// Forgets a worker.
    pub(super) fn forget(&mut self, worker: &WorkerId) {
        self.suspects.remove(worker);
    }
}
