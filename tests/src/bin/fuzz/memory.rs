//! A store in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use coordinator::engine::{Batch, Change, GrantRecord, Snapshot, SweepMark};
use coordinator::store::{Store, StoreError};
use pretext_shared::ids::{Fence, StageId};

#[derive(Default)]
struct Content {
    snapshot: Snapshot,
    points: BTreeMap<StageId, Vec<Batch>>,
    grants: BTreeMap<StageId, Vec<(Fence, GrantRecord)>>,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Memory(Mutex<Content>);

impl Memory {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Memory {
    fn load(&self) -> Result<Snapshot, StoreError> {
        Ok(self.content().snapshot.clone())
    }

    fn commit(&self, changes: &[Change]) -> Result<(), StoreError> {
        let mut content = self.content();
        for change in changes.iter().cloned() {
            match change {
                Change::AddSweep(sweep) => content.snapshot.sweeps.push((*sweep, SweepMark::Active)),
                Change::MarkSweep(id, mark) => {
                    let mut sweeps = content.snapshot.sweeps.iter_mut();
                    if let Some(known) = sweeps.find(|(sweep, _)| sweep.id == id) {
                        known.1 = mark;
                    }
                }
                Change::AddStage(id, record) => drop(content.snapshot.stages.insert(id, (*record, Default::default()))),
                Change::SetProgress(id, progress) => {
                    if let Some(known) = content.snapshot.stages.get_mut(&id) {
                        known.1 = *progress;
                    }
                }
                Change::LogGrant(id, fence, grant) => content.grants.entry(id).or_default().push((fence, grant)),
                Change::AppendPoints(id, batch) => content.points.entry(id).or_default().push(batch),
            }
        }
        Ok(())
    }

    fn points(&self, stage: StageId) -> Result<Vec<Batch>, StoreError> {
        Ok(self.content().points.get(&stage).cloned().unwrap_or_default())
    }

    fn grants(&self, stage: StageId) -> Result<Vec<(Fence, GrantRecord)>, StoreError> {
        Ok(self.content().grants.get(&stage).cloned().unwrap_or_default())
    }
}
