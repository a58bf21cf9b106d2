//! Converts changes to rows, which both stores write in the same encoding (JSON, exact floats).

use std::collections::{HashMap, HashSet};

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
    /// By the name of a number, which is decimal: facts of the whole store.
    Meta,
}

/// The name in [`Table::Meta`] of the fence at which new stages begin.
pub(super) const FIRST_FENCE: &str = "first-fence";

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
            Table::Meta => "meta",
        }
    }
}

/// The effect of a write on its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    /// It gets this value.
    Set(Vec<u8>),
    /// It is removed.
    Remove,
    /// All rows of the table are removed, which belongs to one stage.
    Clear,
}

/// One write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) table: Table,
    pub(super) key: Vec<u8>,
    pub(super) effect: Effect,
}

impl Row {
    /// Returns the size of key and value, in bytes.
    pub(super) fn size(&self) -> usize {
        self.key.len() + if let Effect::Set(value) = &self.effect { value.len() } else { 0 }
    }

    fn remove(table: Table, key: &[u8]) -> Self {
        Self { table, key: key.to_owned(), effect: Effect::Remove }
    }

    fn clear(table: Table) -> Self {
        Self { table, key: Vec::new(), effect: Effect::Clear }
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

/// The changes of a commit.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// The last value of each key, to be written in this order: what follows a deletion is there afterwards.
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
        // How often each stage was deleted. A row that comes after a deletion must not move before it.
        let mut deletions: HashMap<StageId, u32> = HashMap::new();
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
            for row in rows_of(change)? {
                let deleted = match row.table {
                    Table::Points(stage) | Table::Grants(stage) => deletions.get(&stage).copied().unwrap_or(0),
                    _ => 0,
                };
                match places.entry((row.table, row.key.clone(), deleted)) {
                    std::collections::hash_map::Entry::Occupied(place) => rows[*place.get()] = row,
                    std::collections::hash_map::Entry::Vacant(place) => {
                        place.insert(rows.len());
                        rows.push(row);
                    }
                }
            }
            if let Change::DeleteStage(stage) = change {
                *deletions.entry(*stage).or_default() += 1;
                if let Some(place) = guarded.get(stage) {
                    let guard: &mut Guard = &mut guards[*place];
                    guard.highest = Fence(0);
                }
            }
        }
        if !deletions.is_empty() {
            // A store that writes the fences of the guards beside the rows does not know which of the two comes first.
            let raised = guards.iter().filter(|guard| guard.highest > Fence(0));
            let raised: HashSet<&[u8]> = raised.map(|guard| guard.stage.0.as_bytes().as_slice()).collect();
            rows.retain(|row| row.table != Table::Fences || !raised.contains(row.key.as_slice()));
        }
        Ok(Self { rows, guards })
    }
}

fn fence_of(change: &Change) -> Option<(StageId, Fence)> {
    match change {
        Change::SetProgress(stage, progress) => Some((*stage, progress.fence)),
        Change::LogGrant(stage, fence, _) => Some((*stage, *fence)),
        Change::AppendPoints(stage, batch) => Some((*stage, batch.fence)),
        Change::AddSweep(_)
        | Change::MarkSweep(..)
        | Change::AddStage(..)
        | Change::SetData(..)
        | Change::DeleteSweep(_)
        | Change::DeleteStage(_)
        | Change::RaiseFences(_) => None,
    }
}

/// Returns the rows of a change.
fn rows_of(change: &Change) -> Result<Vec<Row>, StoreError> {
    let stage_key = |stage: &StageId| stage.0.as_bytes().to_vec();
    let set = |table, key: Vec<u8>, value| vec![Row { table, key, effect: Effect::Set(value) }];
    Ok(match change {
        Change::AddSweep(sweep) => set(Table::Sweeps, sweep.id.as_str().into(), encode(Table::Sweeps, sweep)?),
        Change::MarkSweep(id, mark) => set(Table::Marks, id.as_str().into(), encode(Table::Marks, mark)?),
        Change::AddStage(id, stage) => {
            let outline = outline::encode(&Outline::from(stage.as_ref()));
            let rows = set(Table::Stages, stage_key(id), encode(Table::Stages, stage)?);
            [rows, set(Table::Outlines, stage_key(id), outline)].concat()
        }
        Change::SetProgress(id, standing) => set(Table::Progress, stage_key(id), encode(Table::Progress, standing)?),
        Change::SetData(fingerprint, data) => {
            set(Table::Data, fingerprint.0.as_bytes().to_vec(), encode(Table::Data, data)?)
        }
        Change::LogGrant(id, fence, grant) => {
            let table = Table::Grants(*id);
            set(table, fence.0.to_be_bytes().to_vec(), encode(table, grant)?)
        }
        Change::AppendPoints(id, batch) => {
            let table = Table::Points(*id);
            let key = [batch.fence.0.to_be_bytes(), batch.sequence.to_be_bytes()].concat();
            set(table, key, encode(table, &batch.points)?)
        }
        Change::DeleteSweep(id) => {
            [Table::Sweeps, Table::Marks].map(|it| Row::remove(it, id.as_str().as_bytes())).into()
        }
        Change::DeleteStage(id) => {
            let of_stages = [Table::Stages, Table::Outlines, Table::Progress, Table::Fences];
            let removed = of_stages.map(|table| Row::remove(table, id.0.as_bytes()));
            let cleared = [Table::Points(*id), Table::Grants(*id)].map(Row::clear);
            removed.into_iter().chain(cleared).collect()
        }
        Change::RaiseFences(first) => set(Table::Meta, FIRST_FENCE.into(), first.0.to_string().into_bytes()),
    })
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
