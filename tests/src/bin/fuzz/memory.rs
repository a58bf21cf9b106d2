//! A store in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pretext_engine::{Batch, Change, GrantRecord, Outline, Snapshot, StageRecord, SweepMark};
use pretext_shared::ids::{Fence, StageId};
use pretext_store::{Store, StoreError};

#[derive(Default)]
struct Content {
    snapshot: Snapshot,
    plans: BTreeMap<StageId, StageRecord>,
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
                Change::AddStage(id, record) => {
                    let outline = Box::new(Outline::from(record.as_ref()));
                    content.snapshot.stages.insert(id, (outline, Default::default()));
                    content.plans.insert(id, *record);
                }
                Change::SetProgress(id, progress) => {
                    if let Some(known) = content.snapshot.stages.get_mut(&id) {
                        known.1 = progress;
                    }
                }
                Change::SetData(fingerprint, None) => drop(content.snapshot.data.remove(&fingerprint)),
                Change::SetData(fingerprint, Some(data)) => drop(content.snapshot.data.insert(fingerprint, *data)),
                Change::LogGrant(id, fence, grant) => content.grants.entry(id).or_default().push((fence, grant)),
                Change::AppendPoints(id, batch) => content.points.entry(id).or_default().push(batch),
                Change::DeleteSweep(id) => content.snapshot.sweeps.retain(|(sweep, _)| sweep.id != id),
                Change::DeleteStage(id) => {
                    content.snapshot.stages.remove(&id);
                    content.plans.remove(&id);
                    content.grants.remove(&id);
                    content.points.remove(&id);
                }
                Change::RaiseFences(first) => content.snapshot.first_fence = first,
            }
        }
        Ok(())
    }

    fn reopen(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn plans(&self, stages: &[StageId]) -> Result<BTreeMap<StageId, StageRecord>, StoreError> {
        let content = self.content();
        Ok(stages.iter().filter_map(|id| Some((*id, content.plans.get(id)?.clone()))).collect())
    }

    fn points(&self, stage: StageId) -> Result<Vec<Batch>, StoreError> {
        Ok(self.content().points.get(&stage).cloned().unwrap_or_default())
    }

    fn grants(&self, stage: StageId) -> Result<Vec<(Fence, GrantRecord)>, StoreError> {
        Ok(self.content().grants.get(&stage).cloned().unwrap_or_default())
    }
}
