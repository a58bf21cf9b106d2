//! Checks the promises of a sweep from the store's content: its records, its grant log, its points, and the artifacts
//! that it lists. Nothing is changed. The checks share no code with the engine that they check.

mod checks;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};

use pretext_engine::{Batch, GrantRecord, Progress, StageRecord, SweepMark, SweepRecord};
use pretext_shared::ids::{ArtifactId, Fence, StageId, SweepId};
use pretext_shared::sweep::SweepView;
use pretext_shared::verification::{Finding, Harm, Verification};

use crate::{Store, StoreError};

/// The store's content about a sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The sweep.
    pub sweep: SweepRecord,
    /// Whether it was cancelled.
    pub mark: SweepMark,
    /// Its stages, as far as they are stored.
    pub stages: Vec<StageEvidence>,
}

impl Evidence {
    /// The plans of its stages.
    pub fn plans(&self) -> BTreeMap<StageId, StageRecord> {
        self.stages.iter().map(|stage| (stage.id, stage.record.clone())).collect()
    }
}

/// The store's content about a stage.
#[derive(Debug, Clone, PartialEq)]
pub struct StageEvidence {
    /// Id.
    pub id: StageId,
    /// Its plan.
    pub record: StageRecord,
    /// Its progress.
    pub progress: Progress,
    /// Its points.
    pub batches: Vec<Batch>,
    /// Its grants.
    pub grants: Vec<(Fence, GrantRecord)>,
    /// Whether an active sweep needs it.
    pub is_needed: bool,
}

/// Reads the store's content about a sweep; `None` if there is no such sweep. Commits after the first read are left
/// out, so that the content is that of one moment even if the store is written meanwhile.
pub fn collect(store: &dyn Store, sweep: &SweepId) -> Result<Option<Evidence>, StoreError> {
    let snapshot = store.load()?;
    let Some((record, mark)) = snapshot.sweeps.iter().find(|(record, _)| record.id == *sweep).cloned() else {
        return Ok(None);
    };
    let mut ids: Vec<StageId> = record.cells.iter().flat_map(|cell| cell.stages()).collect();
    ids.sort();
    ids.dedup();
    let active = snapshot.sweeps.iter().filter(|(_, mark)| !mark.is_cancelled());
    let needed: HashSet<StageId> = active.flat_map(|(sweep, _)| &sweep.cells).flat_map(|cell| cell.stages()).collect();
    let mut plans = store.plans(&ids)?;
    let mut stages = Vec::with_capacity(ids.len());
    for id in ids {
        let Some(((_, progress), record)) = snapshot.stages.get(&id).cloned().zip(plans.remove(&id)) else { continue };
        let (batches, grants) = (store.points(id)?, store.grants(id)?);
        let is_older = |batch: &Batch| {
            batch.fence < progress.fence || (batch.fence == progress.fence && batch.sequence < progress.batches)
        };
        stages.push(StageEvidence {
            id,
            batches: batches.into_iter().filter(is_older).collect(),
            grants: grants.into_iter().filter(|(fence, _)| *fence <= progress.fence).collect(),
            record,
            progress: *progress,
            is_needed: needed.contains(&id),
        });
    }
    Ok(Some(Evidence { sweep: record, mark, stages }))
}

/// Checks the evidence. `view` is the sweep as readers see it. `artifact` reads an artifact and returns its problem.
/// `slots` returns the number of slots of a worker's device, if the worker is connected.
pub fn verify(
    evidence: &Evidence,
    view: &SweepView,
    artifact: &dyn Fn(ArtifactId) -> Result<(), String>,
    slots: &dyn Fn(&pretext_engine::Holder) -> Option<u32>,
) -> Verification {
    let mut inspection = checks::Inspection::new(evidence);
    inspection.cells(view);
    for stage in &evidence.stages {
        inspection.stage(stage, artifact);
    }
    inspection.leases(slots);
    inspection.plan();
    let (checked, findings) = inspection.conclude();
    let count = |harm| findings.iter().filter(|finding: &&Finding| finding.harm == harm).count() as u64;
    Verification {
        sweep: evidence.sweep.id.to_string(),
        invariants: ["I1", "I2", "I3", "I4", "I6", "I9", "I10", "I11", "I12"].map(str::to_owned).to_vec(),
        checked,
        lost: count(Harm::Lost),
        doubled: count(Harm::Doubled),
        findings,
    }
}
