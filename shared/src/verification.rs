//! What `coordinator verify` found out about a sweep.

use serde::{Deserialize, Serialize};

/// How far a finding goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Harm {
    /// Something that was acknowledged is not there.
    Lost,
    /// Something is there twice.
    Doubled,
    /// Something is not as it must be.
    Wrong,
}

/// A promise that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// `I1` to `I12`.
    pub invariant: String,
    /// How far it goes.
    pub harm: Harm,
    /// Where, and what was seen.
    pub seen: String,
}

/// What was looked at.
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

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// The sweep.
    pub sweep: String,
    /// The invariants that were checked.
    pub invariants: Vec<String>,
    /// What was looked at.
    pub checked: Checked,
    /// Findings of things lost.
    pub lost: u64,
    /// Findings of things doubled.
    pub doubled: u64,
    /// Everything that was found.
    pub findings: Vec<Finding>,
}
