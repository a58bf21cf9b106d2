//! The places where attempts failed for reasons that may lie there. The next attempt goes elsewhere if it can.

use pretext_shared::outcome::Blame;
use serde::{Deserialize, Serialize};

/// Most places that are kept with a stage: as many as all budgets together allow.
const SITES: usize = 8;

/// A machine, or one device of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Site {
    /// The name of the worker on that machine. A later run of the worker is at the same place.
    pub worker: String,
    /// The device's name; `None` for all devices of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
}

/// How far a device is from the places where a stage failed. Stages prefer a greater distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Nearness {
    /// The stage did not fail on this machine.
    Elsewhere,
    /// It failed on another device of this machine.
    SameMachine,
    /// It failed here.
    Here,
}

impl Site {
    /// Returns the place that a failure blames; `None` if it blames none.
    pub fn blamed(worker: &str, device: &str, blame: Blame) -> Option<Self> {
        let device = match blame {
            Blame::Stage => return None,
            Blame::Device => Some(device.to_owned()),
            Blame::Machine => None,
        };
        Some(Self { worker: worker.to_owned(), device })
    }

    /// Returns whether the place includes a device of a worker of this name.
    pub(crate) fn includes(&self, worker: &str, device: &str) -> bool {
        self.worker == worker && self.device.as_ref().is_none_or(|own| own == device)
    }

    /// Adds the place to those of a stage, once.
    pub(crate) fn keep_in(self, sites: &mut Vec<Self>) {
        if !sites.contains(&self) {
            sites.push(self);
            let surplus = sites.len().saturating_sub(SITES);
            sites.drain(..surplus);
        }
    }
}

/// Returns how near a device is to the places where a stage failed.
pub(crate) fn nearness(sites: &[Site], worker: &str, device: &str) -> Nearness {
    let of = |site: &Site| match site {
        site if site.includes(worker, device) => Nearness::Here,
        site if site.worker == worker => Nearness::SameMachine,
        _ => Nearness::Elsewhere,
    };
    sites.iter().map(of).max().unwrap_or(Nearness::Elsewhere)
}
