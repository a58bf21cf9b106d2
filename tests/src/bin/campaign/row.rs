//! What a campaign found.

use std::fmt;
use std::time::Duration;

use pretext_shared::draw::{Draw, Place, Purpose};

/// A row of the table in docs/evidence/reliability.md.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) campaign: String,
    /// What was done to the system, in words.
    pub(crate) faults: String,
    /// How often.
    pub(crate) runs: u64,
    pub(crate) seed: u64,
    /// What should not have happened.
    pub(crate) violations: Vec<String>,
    /// What was measured on the way.
    pub(crate) measured: Vec<String>,
    pub(crate) took: Duration,
}

impl Row {
    /// The table's head.
    pub(crate) const HEAD: &str =
        "| campaign | faults | runs | seed | violations | measured | minutes |\n|---|---|---|---|---|---|---|";
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { campaign, faults, runs, seed, violations, measured, took } = self;
        let (violations, measured, minutes) = (violations.len(), measured.join("; "), took.as_secs_f64() / 60.0);
        write!(f, "| {campaign} | {faults} | {runs} | {seed} | {violations} | {measured} | {minutes:.1} |")
    }
}

/// The draws of a campaign.
pub(crate) fn draws(seed: u64) -> Draw {
    Draw::new(Place { seed, purpose: Purpose::Order, epoch: 0, sample: 0, view: 0 }, 0)
}
