//! Pieces of large commits: rows packed into one value each. Numbers are big-endian. A row begins with its table (1
//! byte, with a bit for a row or a table that is removed) and its stage (32 bytes, if the table belongs to one stage).
//! Then length (4 bytes) and bytes of the key follow, and the same for the value.

use pretext_shared::ids::{ContentHash, StageId};

use super::super::StoreError;
use super::super::row::{Effect, Guard, Row, Rows, Table};

/// Commits above these limits are sent in pieces, so that no script blocks the server for long.
const MAX_ROWS: usize = 4096;
const MAX_BYTES: usize = 8 << 20;

/// A bit in the byte of the table: the row is removed.
const REMOVE: u8 = 0x40;
/// The same: all rows of the table are removed.
const CLEAR: u8 = 0x80;

/// Rows with the guards of their stages.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub(super) rows: Vec<Row>,
    pub(super) guards: Vec<Guard>,
}

/// Splits a commit into pieces of bounded size: one piece, unless it is large.
pub(super) fn split(all: Rows) -> Vec<Piece> {
    let mut pieces = vec![Piece::default()];
    let mut bytes = 0;
    for row in all.rows {
        let full = pieces.last().is_none_or(|piece| piece.rows.len() >= MAX_ROWS || bytes + row.size() > MAX_BYTES);
        if full && bytes > 0 {
            pieces.push(Piece::default());
            bytes = 0;
        }
        bytes += row.size();
        if let Some(piece) = pieces.last_mut() {
            piece.rows.push(row);
        }
    }
    // No other coordinator writes between the pieces, so a guard may be in any of them.
    for (place, guards) in all.guards.chunks(MAX_ROWS).enumerate() {
        match pieces.get_mut(place) {
            Some(piece) => piece.guards = guards.to_vec(),
            None => pieces.push(Piece { rows: Vec::new(), guards: guards.to_vec() }),
        }
    }
    pieces
}

/// Packs the rows into one value.
pub(super) fn pack(rows: &[Row]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(rows.iter().map(|row| row.size() + 41).sum());
    for row in rows {
        let (tag, stage) = match row.table {
            Table::Sweeps => (0, None),
            Table::Marks => (1, None),
            Table::Stages => (2, None),
            Table::Progress => (3, None),
            Table::Fences => (6, None),
            Table::Outlines => (7, None),
            Table::Data => (8, None),
            Table::Points(stage) => (4, Some(stage)),
            Table::Grants(stage) => (5, Some(stage)),
            Table::Meta => (9, None),
        };
        let (mark, value) = match &row.effect {
            Effect::Set(value) => (0, value.as_slice()),
            Effect::Remove => (REMOVE, [].as_slice()),
            Effect::Clear => (CLEAR, [].as_slice()),
        };
        bytes.push(tag | mark);
        if let Some(stage) = stage {
            bytes.extend(stage.0.as_bytes());
        }
        for part in [&row.key, value] {
            bytes.extend((part.len() as u32).to_be_bytes());
            bytes.extend(part);
        }
    }
    bytes
}

/// Unpacks the rows that [`pack`] packed.
pub(super) fn unpack(bytes: &[u8]) -> Result<Vec<Row>, StoreError> {
    let mut rest = bytes;
    let mut rows = Vec::new();
    while let Some(tag) = take(&mut rest, 1) {
        let row = (|| {
            let (tag, mark) = (tag[0] & !(REMOVE | CLEAR), tag[0] & (REMOVE | CLEAR));
            let table = match tag {
                0 => Table::Sweeps,
                1 => Table::Marks,
                2 => Table::Stages,
                3 => Table::Progress,
                4 => Table::Points(stage(take(&mut rest, 32)?)?),
                5 => Table::Grants(stage(take(&mut rest, 32)?)?),
                6 => Table::Fences,
                7 => Table::Outlines,
                8 => Table::Data,
                9 => Table::Meta,
                _ => return None,
            };
            let mut part = || {
                let length = take(&mut rest, 4)?.try_into().ok().map(u32::from_be_bytes)?;
                take(&mut rest, length as usize).map(<[u8]>::to_vec)
            };
            let (key, value) = (part()?, part()?);
            let effect = match mark {
                0 => Effect::Set(value),
                REMOVE => Effect::Remove,
                CLEAR => Effect::Clear,
                _ => return None,
            };
            Some(Row { table, key, effect })
        })();
        let damaged = || StoreError::Damaged { table: "redo", cause: "a piece ends early".to_owned() };
        rows.push(row.ok_or_else(damaged)?);
    }
    Ok(rows)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (part, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(part)
}

fn stage(bytes: &[u8]) -> Option<StageId> {
    Some(StageId(ContentHash::from_bytes(bytes.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretext_shared::ids::Fence;

    #[test]
    fn pieces_are_bounded_whole_and_come_back() {
        let stage = |n: u32| StageId(ContentHash::of(&n.to_be_bytes()));
        let row = |n: u32, effect| Row { table: Table::Points(stage(n)), key: n.to_be_bytes().into(), effect };
        let set = |n: u32, size| row(n, Effect::Set(vec![7; size]));
        let others = [set(0, MAX_BYTES + 1), set(1, 9), row(2, Effect::Remove), row(3, Effect::Clear)];
        let rows: Vec<Row> = (0..10_000).map(|n| set(n, 5)).chain(others).collect();
        let guard = |n| Guard { stage: stage(n), lowest: Fence(0), highest: Fence(1) };
        let guards: Vec<Guard> = (0..30_000).map(guard).collect();
        let pieces = split(Rows { rows: rows.clone(), guards: guards.clone() });
        assert!(pieces.iter().all(|piece| piece.rows.len() <= MAX_ROWS && piece.guards.len() <= MAX_ROWS));
        assert_eq!(pieces.iter().flat_map(|piece| piece.guards.clone()).collect::<Vec<_>>(), guards);
        let packed: Vec<u8> = pieces.iter().flat_map(|piece| pack(&piece.rows)).collect();
        assert_eq!(unpack(&packed).expect("whole"), rows);
        assert!(unpack(&packed[..packed.len() - 1]).is_err());
        assert_eq!(split(Rows { rows: rows[..9].to_vec(), guards: vec![guard(1)] }).len(), 1);
    }
}
