//! Reads the tables of the store, combined with the pieces of a commit that is not folded in yet.

use std::collections::{BTreeMap, HashMap};
use std::sync::PoisonError;

use pretext_engine::Snapshot;
use pretext_shared::ids::{ContentHash, Fence, Fingerprint, StageId};
use redis::Connection;

use super::RedisStore;
use super::link::Trouble;
use super::piece::unpack;
use crate::row::{Effect, FIRST_FENCE, Row, Table, decode};
use crate::{StoreError, load, outline};

/// Most connections that are kept for readers.
const READERS: usize = 4;

type Hash = HashMap<Vec<u8>, Vec<u8>>;
/// The content of a hash, in no order.
pub(super) type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

impl RedisStore {
    /// Reads with a connection of its own, so that no writer waits for it.
    pub(super) fn read<T>(
        &self,
        operation: impl FnMut(&mut Connection) -> Result<T, Trouble>,
    ) -> Result<T, StoreError> {
        let mut slot = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let answer = self.home.link.persist(&mut slot, operation);
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < READERS {
            readers.extend(slot);
        }
        answer
    }

    /// Returns the values of `keys` in `table`, including those of a commit that is not folded in yet.
    pub(super) fn fields_of(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let (key, redo) = (self.home.keys.table(table), self.home.keys.redo());
        let mut pipe = redis::pipe();
        pipe.atomic().cmd("HMGET").arg(&key).arg(keys).cmd("HGETALL").arg(&redo);
        let (values, redo): (Vec<Option<Vec<u8>>>, Hash) = self.read(|connection| Ok(pipe.query(connection)?))?;
        let newer = published(redo)?.into_iter().filter(|row| row.table == table);
        let mut newer: HashMap<_, _> = newer.map(|row| (row.key, value(row.effect))).collect();
        Ok(keys.iter().zip(values).map(|(key, value)| newer.remove(*key).unwrap_or(value)).collect())
    }

    /// Returns the rows of one stage in `table`, including those of a commit that is not folded in yet.
    pub(super) fn rows_of(&self, table: Table) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, StoreError> {
        let (key, redo) = (self.home.keys.table(table), self.home.keys.redo());
        let read = |command: &str| {
            let mut pipe = redis::pipe();
            pipe.atomic().cmd("HGETALL").arg(&key).cmd(command).arg(&redo);
            pipe
        };
        let (rows, folding): (Hash, bool) = self.read(|connection| Ok(read("EXISTS").query(connection)?))?;
        let mut all: BTreeMap<_, _> = rows.into_iter().collect();
        if folding {
            let (rows, redo): (Hash, Hash) = self.read(|connection| Ok(read("HGETALL").query(connection)?))?;
            all.extend(rows);
            for row in published(redo)? {
                match row.effect {
                    _ if row.table != table => {}
                    Effect::Set(value) => drop(all.insert(row.key, value)),
                    Effect::Remove => drop(all.remove(&row.key)),
                    Effect::Clear => all.clear(),
                }
            }
        }
        Ok(all)
    }

    /// Returns what the engine needs of all tables, as of one moment.
    pub(super) fn read_all(&self) -> Result<Snapshot, StoreError> {
        let keys = &self.home.keys;
        let tables = [Table::Sweeps, Table::Marks, Table::Outlines, Table::Progress, Table::Data, Table::Meta];
        let mut pipe = redis::pipe();
        pipe.atomic();
        for key in tables.map(|table| keys.table(table)).into_iter().chain([keys.redo()]) {
            pipe.cmd("HGETALL").arg(key);
        }
        type Tables = (Pairs, Pairs, Pairs, Pairs, Pairs, Pairs);
        let ((sweeps, marks, outlines, progress, data, meta), redo): (Tables, Hash) = self.read(|connection| {
            let (a, b, c, d, e, f, redo) = pipe.query(connection)?;
            Ok(((a, b, c, d, e, f), redo))
        })?;
        let mut all = [sweeps, marks, outlines, progress, data, meta];
        let mut newer: [HashMap<Vec<u8>, Option<Vec<u8>>>; 6] = Default::default();
        for row in published(redo)? {
            if let Some(place) = tables.iter().position(|table| *table == row.table) {
                newer[place].insert(row.key, value(row.effect));
            }
        }
        for (rows, newer) in all.iter_mut().zip(newer) {
            rows.retain(|(key, _)| !newer.contains_key(key));
            rows.extend(newer.into_iter().filter_map(|(key, value)| Some((key, value?))));
        }
        snapshot(all)
    }
}

/// Returns the rows of all pieces, in their order.
fn published(redo: Hash) -> Result<Vec<Row>, StoreError> {
    let place = |key: &[u8]| std::str::from_utf8(key).ok().and_then(|key| key.parse::<u64>().ok());
    let mut pieces: Vec<_> = redo.into_iter().map(|(key, piece)| (place(&key), piece)).collect();
    pieces.sort_unstable_by_key(|(place, _)| *place);
    let mut rows = Vec::new();
    for (_, piece) in pieces {
        rows.extend(unpack(&piece)?);
    }
    Ok(rows)
}

/// Returns the value of a row that is kept.
fn value(effect: Effect) -> Option<Vec<u8>> {
    match effect {
        Effect::Set(value) => Some(value),
        Effect::Remove | Effect::Clear => None,
    }
}

/// Returns the fence at which new stages begin; 0 in a store that never deleted a stage.
fn first_fence(meta: &Pairs) -> Result<Fence, StoreError> {
    let Some((_, text)) = meta.iter().find(|(key, _)| key == FIRST_FENCE.as_bytes()) else { return Ok(Fence(0)) };
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    let damaged = || StoreError::Damaged { table: "meta", cause: format!("{FIRST_FENCE} is not a number") };
    number.map(Fence).ok_or_else(damaged)
}

fn snapshot([mut sweeps, marks, outlines, progress, data, meta]: [Pairs; 6]) -> Result<Snapshot, StoreError> {
    let marks: Hash = marks.into_iter().collect();
    let sweeps = || {
        sweeps.sort_unstable();
        sweeps.iter().map(|(id, record)| load::sweep(record, marks.get(id).map(Vec::as_slice))).collect()
    };
    let outlines = || by_stage("outlines", &outlines, outline::decode);
    let standings = || by_stage("progress", &progress, |standing| decode("progress", standing));
    let data = || {
        let row = |(key, data): &(Vec<u8>, Vec<u8>)| Ok((Fingerprint(hash("data", key)?), decode("data", data)?));
        data.iter().map(row).collect()
    };
    Ok(Snapshot { first_fence: first_fence(&meta)?, ..load::snapshot(sweeps, data, outlines, [standings])? })
}

/// Returns the decoded rows of a table that has a row for each stage, in order.
fn by_stage<T>(
    table: &'static str,
    rows: &Pairs,
    decode: impl Fn(&[u8]) -> Result<T, StoreError>,
) -> Result<Vec<(StageId, T)>, StoreError> {
    let stage = |(key, value): &(Vec<u8>, Vec<u8>)| Ok((StageId(hash(table, key)?), decode(value)?));
    let mut rows = rows.iter().map(stage).collect::<Result<Vec<_>, StoreError>>()?;
    rows.sort_unstable_by_key(|(id, _)| *id);
    Ok(rows)
}

/// Parses a key that is a hash.
fn hash(table: &'static str, key: &[u8]) -> Result<ContentHash, StoreError> {
    let damaged = |_| StoreError::Damaged { table, cause: format!("a key has {} bytes and is no hash", key.len()) };
    Ok(ContentHash::from_bytes(key.try_into().map_err(damaged)?))
}
