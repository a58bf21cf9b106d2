//! The tables of an open transaction, and the writes to them.

use pretext_shared::ids::StageId;
use redb::{Table as Open, WriteTransaction};

use super::{Bytes, DATA, GRANTS, MARKS, META, OUTLINES, POINTS, PROGRESS, STAGES, SWEEPS, bad_key, write};
use crate::StoreError;
use crate::row::{Effect, Row, Table};

type ById<'t> = Open<'t, &'static [u8; 32], Bytes>;

/// See the module.
pub(super) struct Tables<'t> {
    pub(super) progress: ById<'t>,
    meta: Open<'t, &'static str, u64>,
    sweeps: Open<'t, &'static str, Bytes>,
    marks: Open<'t, &'static str, Bytes>,
    stages: ById<'t>,
    outlines: ById<'t>,
    data: ById<'t>,
    points: Open<'t, &'static [u8; 48], Bytes>,
    grants: Open<'t, &'static [u8; 40], Bytes>,
}

impl<'t> Tables<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            progress: transaction.open_table(PROGRESS).map_err(write)?,
            meta: transaction.open_table(META).map_err(write)?,
            sweeps: transaction.open_table(SWEEPS).map_err(write)?,
            marks: transaction.open_table(MARKS).map_err(write)?,
            stages: transaction.open_table(STAGES).map_err(write)?,
            outlines: transaction.open_table(OUTLINES).map_err(write)?,
            data: transaction.open_table(DATA).map_err(write)?,
            points: transaction.open_table(POINTS).map_err(write)?,
            grants: transaction.open_table(GRANTS).map_err(write)?,
        })
    }

    /// Writes one row.
    pub(super) fn write(&mut self, Row { table, key, effect }: &Row) -> Result<(), StoreError> {
        match table {
            Table::Sweeps => named(&mut self.sweeps, key, effect),
            Table::Marks => named(&mut self.marks, key, effect),
            Table::Stages => by_id(&mut self.stages, key, effect),
            Table::Outlines => by_id(&mut self.outlines, key, effect),
            Table::Progress => by_id(&mut self.progress, key, effect),
            Table::Data => by_id(&mut self.data, key, effect),
            Table::Points(stage) => of_stage(&mut self.points, *stage, key, effect),
            Table::Grants(stage) => of_stage(&mut self.grants, *stage, key, effect),
            Table::Meta => {
                let Effect::Set(value) = effect else { return Ok(()) };
                let number: u64 = std::str::from_utf8(value).map_err(bad_key)?.parse().map_err(bad_key)?;
                self.meta.insert(name(key)?, number).map_err(write).map(drop)
            }
            // In this store the fence is a part of the progress.
            Table::Fences => Ok(()),
        }
    }
}

fn named(table: &mut Open<'_, &'static str, Bytes>, key: &[u8], effect: &Effect) -> Result<(), StoreError> {
    match effect {
        Effect::Set(value) => table.insert(name(key)?, value.as_slice()).map_err(write).map(drop),
        Effect::Remove | Effect::Clear => table.remove(name(key)?).map_err(write).map(drop),
    }
}

fn by_id(table: &mut ById<'_>, key: &[u8], effect: &Effect) -> Result<(), StoreError> {
    match effect {
        Effect::Set(value) => table.insert(&bytes(key)?, value.as_slice()).map_err(write).map(drop),
        Effect::Remove | Effect::Clear => table.remove(&bytes(key)?).map_err(write).map(drop),
    }
}

/// Writes to a table whose keys begin with a stage and have `N` bytes.
fn of_stage<const N: usize>(
    table: &mut Open<'_, &'static [u8; N], Bytes>,
    stage: StageId,
    key: &[u8],
    effect: &Effect,
) -> Result<(), StoreError> {
    let whole = || bytes(&[&stage.0.as_bytes()[..], key].concat());
    match effect {
        Effect::Set(value) => table.insert(&whole()?, value.as_slice()).map_err(write).map(drop),
        Effect::Remove => table.remove(&whole()?).map_err(write).map(drop),
        Effect::Clear => {
            let (mut first, mut last) = ([0; N], [u8::MAX; N]);
            first[..32].copy_from_slice(stage.0.as_bytes());
            last[..32].copy_from_slice(stage.0.as_bytes());
            table.retain_in::<&[u8; N], _>(&first..=&last, |_, _| false).map_err(write)
        }
    }
}

/// Returns the key in a table with names.
fn name(key: &[u8]) -> Result<&str, StoreError> {
    std::str::from_utf8(key).map_err(bad_key)
}

/// Returns the key in a table with keys of `N` bytes.
fn bytes<const N: usize>(key: &[u8]) -> Result<[u8; N], StoreError> {
    key.try_into().map_err(bad_key)
}
