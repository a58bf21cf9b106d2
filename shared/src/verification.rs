//! What `coordinator verify` found out about a sweep.

use serde::{Deserialize, Serialize};

/// The kind of harm of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Harm {
    /// Something that was acknowledged is missing.
    Lost,
    /// Something occurs twice.
    Doubled,
    /// Something else is wrong.
    Wrong,
}

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// `I1` to `I12`.
    pub invariant: String,
    /// The kind of harm.
    pub harm: Harm,
    /// The place and the observation.
    pub seen: String,
}

/// Counts of the checked items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// Cells.
    pub cells: u64,
    /// Distinct stages.
    pub stages: u64,
    /// Grants.
    pub attempts: u64,
    /// Points of all attempts.
    pub points: u64,
    /// Artifacts read and hashed.
    pub artifacts: u64,
}

/// The outcome of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// The sweep.
    pub sweep: String,
    /// The invariants that were checked.
    pub invariants: Vec<String>,
    /// Counts of the checked items.
    pub checked: Checked,
    /// Findings of things lost.
    pub lost: u64,
    /// Findings of things doubled.
    pub doubled: u64,
    /// Everything that was found.
    pub findings: Vec<Finding>,
}
