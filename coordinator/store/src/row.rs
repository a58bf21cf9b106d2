//! Converts changes to rows, which both stores write in the same encoding (JSON, exact floats).

use std::collections::HashMap;

use pretext_engine::{Change, Outline};
use pretext_shared::ids::{Fence, StageId};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{StoreError, outline};

/// The table of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Table {
    /// By sweep id.
    Sweeps,
    /// By sweep id.
    Marks,
    /// By the 32 bytes of the stage's id.
    Stages,
    /// By the 32 bytes of the stage's id: the part of the plan that the scheduler needs.
    Outlines,
    /// By the 32 bytes of the stage's id.
    Progress,
    /// By the 32 bytes of the data set's fingerprint; `null` for a removed data set.
    Data,
    /// By the 32 bytes of the stage's id: the highest fence. Used only if the progress does not contain it.
    Fences,
    /// Of one stage, by fence and sequence.
    Points(StageId),
    /// Of one stage, by fence.
    Grants(StageId),
}

impl Table {
    /// Returns its name in errors.
    pub(super) fn name(self) -> &'static str {
        match self {
            Table::Sweeps => "sweeps",
            Table::Marks => "sweep-marks",
            Table::Stages => "stages",
            Table::Outlines => "outlines",
            Table::Progress => "progress",
            Table::Data => "data",
            Table::Fences => "fences",
            Table::Points(_) => "points",
            Table::Grants(_) => "grants",
        }
    }
}

/// One value to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) table: Table,
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
}

impl Row {
    /// Returns the size of key and value, in bytes.
    pub(super) fn size(&self) -> usize {
        self.key.len() + self.value.len()
    }
}

/// The condition of a commit on the fence of a stage: the store must know no fence of that stage above `lowest`. The
/// commit raises it to `highest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Guard {
    pub(super) stage: StageId,
    pub(super) lowest: Fence,
    pub(super) highest: Fence,
}

/// The changes of a commit, ready to be written in any order.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// The last value of each key.
    pub(super) rows: Vec<Row>,
    /// One guard for each stage that the commit writes to.
    pub(super) guards: Vec<Guard>,
}

impl Rows {
    /// Returns the rows of `changes`.
    ///
    /// # Errors
    ///
    /// A change whose fence is lower than that of an earlier change to the same stage.
    pub(super) fn of(changes: &[Change]) -> Result<Self, StoreError> {
        let mut rows: Vec<Row> = Vec::with_capacity(changes.len());
        let mut places = HashMap::new();
        let mut guards: Vec<Guard> = Vec::new();
        let mut guarded = HashMap::new();
        for change in changes {
            if let Some((stage, fence)) = fence_of(change) {
                let place = *guarded.entry(stage).or_insert_with(|| {
                    guards.push(Guard { stage, lowest: fence, highest: fence });
                    guards.len() - 1
                });
                let guard: &mut Guard = &mut guards[place];
                if fence < guard.highest {
                    return Err(StoreError::StaleFence { stage, presented: fence, stored: guard.highest });
                }
                guard.highest = fence;
            }
            for row in std::iter::once(row(change)?).chain(outline_row(change)) {
                match places.entry((row.table, row.key.clone())) {
                    std::collections::hash_map::Entry::Occupied(place) => rows[*place.get()] = row,
                    std::collections::hash_map::Entry::Vacant(place) => {
                        place.insert(rows.len());
                        rows.push(row);
                    }
                }
            }
        }
        Ok(Self { rows, guards })
    }
}

fn fence_of(change: &Change) -> Option<(StageId, Fence)> {
    match change {
        Change::SetProgress(stage, progress) => Some((*stage, progress.fence)),
        Change::LogGrant(stage, fence, _) => Some((*stage, *fence)),
        Change::AppendPoints(stage, batch) => Some((*stage, batch.fence)),
        Change::AddSweep(_) | Change::MarkSweep(..) | Change::AddStage(..) | Change::SetData(..) => None,
    }
}

fn outline_row(change: &Change) -> Option<Row> {
    let Change::AddStage(id, record) = change else { return None };
    let value = outline::encode(&Outline::from(record.as_ref()));
    Some(Row { table: Table::Outlines, key: id.0.as_bytes().to_vec(), value })
}

fn row(change: &Change) -> Result<Row, StoreError> {
    let stage_key = |stage: &StageId| stage.0.as_bytes().to_vec();
    let (table, key, value) = match change {
        Change::AddSweep(sweep) => (Table::Sweeps, sweep.id.as_str().into(), encode(Table::Sweeps, sweep)?),
        Change::MarkSweep(id, mark) => (Table::Marks, id.as_str().into(), encode(Table::Marks, mark)?),
        Change::AddStage(id, stage) => (Table::Stages, stage_key(id), encode(Table::Stages, stage)?),
        Change::SetProgress(id, standing) => (Table::Progress, stage_key(id), encode(Table::Progress, standing)?),
        Change::SetData(fingerprint, data) => {
            (Table::Data, fingerprint.0.as_bytes().to_vec(), encode(Table::Data, data)?)
        }
        Change::LogGrant(id, fence, grant) => {
            let table = Table::Grants(*id);
            (table, fence.0.to_be_bytes().to_vec(), encode(table, grant)?)
        }
        Change::AppendPoints(id, batch) => {
            let table = Table::Points(*id);
            let key = [batch.fence.0.to_be_bytes(), batch.sequence.to_be_bytes()].concat();
            (table, key, encode(table, &batch.points)?)
        }
    };
    Ok(Row { table, key, value })
}

fn encode<T: Serialize>(table: Table, value: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|cause| StoreError::Damaged { table: table.name(), cause: cause.to_string() })
}

/// Decodes a value.
pub(super) fn decode<T: DeserializeOwned>(table: &'static str, bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|cause| StoreError::Damaged { table, cause: cause.to_string() })
}

/// Returns the big-endian number at `at`, in keys whose byte order is the order of the numbers.
pub(super) fn number(table: &'static str, key: &[u8], at: usize) -> Result<u64, StoreError> {
    let bytes = key.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
    let damaged = || StoreError::Damaged { table, cause: format!("a key has {} bytes", key.len()) };
    bytes.map(u64::from_be_bytes).ok_or_else(damaged)
}
