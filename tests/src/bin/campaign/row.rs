//! The result of a campaign.

use std::fmt;
use std::time::Duration;

use pretext_shared::draw::{Draw, Place, Purpose};

/// A row of the table in docs/evidence/reliability.md.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) campaign: String,
    /// The faults, as the table shows them.
    pub(crate) faults: String,
    /// Number of faults.
    pub(crate) runs: u64,
    pub(crate) seed: u64,
    /// What went wrong.
    pub(crate) violations: Vec<String>,
    /// The measurements.
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

/// Returns the draws of a campaign.
pub(crate) fn draws(seed: u64) -> Draw {
    Draw::new(Place { seed, purpose: Purpose::Order, epoch: 0, sample: 0, view: 0 }, 0)
}
