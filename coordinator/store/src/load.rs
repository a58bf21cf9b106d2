//! Builds a snapshot from the rows of a store. A restart waits for the decoding, so sweeps, outlines and progress are
//! decoded in parallel.

use std::collections::BTreeMap;
use std::thread;

use pretext_engine::{Outline, Progress, PushedData, Snapshot, SweepMark, SweepRecord};
use pretext_shared::ids::{Fence, Fingerprint, StageId};

use super::StoreError;
use super::row::decode;

type Read<T> = Result<Vec<T>, StoreError>;

/// Combines what each function reads: outlines and progress, ordered by stage. The progress comes in as many parts as
/// there are functions for it. The caller adds the fence at which new stages begin.
///
/// # Errors
///
/// Errors of the functions, and a stage without progress.
pub(super) fn snapshot<const PARTS: usize>(
    sweeps: impl FnOnce() -> Read<(SweepRecord, SweepMark)> + Send,
    data: impl FnOnce() -> Read<(Fingerprint, Option<PushedData>)>,
    outlines: impl FnOnce() -> Read<(StageId, Box<Outline>)> + Send,
    standings: [impl FnOnce() -> Read<(StageId, Box<Progress>)> + Send; PARTS],
) -> Result<Snapshot, StoreError> {
    let (sweeps, outlines, standings) = thread::scope(|scope| {
        let standings = standings.map(|part| scope.spawn(part));
        let sweeps = scope.spawn(sweeps);
        let outlines = outlines();
        (joined("sweeps", sweeps), outlines, standings.map(|part| joined("progress", part)))
    });
    let standings: Vec<_> = standings.into_iter().collect::<Result<_, _>>()?;
    let mut standings = standings.into_iter().flatten().peekable();
    let stages = outlines?.into_iter().map(|(id, outline)| {
        // Progress without an outline belongs to no stage of a sweep: nothing needs it.
        while standings.next_if(|(other, _)| *other < id).is_some() {}
        match standings.next_if(|(other, _)| *other == id) {
            Some((_, progress)) => Ok((id, (outline, progress))),
            None => Err(StoreError::Damaged { table: "progress", cause: "a stage has no progress".to_owned() }),
        }
    });
    // The row of a removed data set is empty.
    let data = data()?.into_iter().filter_map(|(id, data)| Some((id, data?))).collect();
    let stages = stages.collect::<Result<BTreeMap<_, _>, _>>()?;
    Ok(Snapshot { data, stages, sweeps: sweeps?, first_fence: Fence(0) })
}

fn joined<T>(table: &'static str, thread: thread::ScopedJoinHandle<'_, Read<T>>) -> Read<T> {
    let panicked = || StoreError::Damaged { table, cause: "it could not be decoded".to_owned() };
    thread.join().unwrap_or_else(|_| Err(panicked()))
}

/// Returns a sweep from its rows.
pub(super) fn sweep(record: &[u8], mark: Option<&[u8]>) -> Result<(SweepRecord, SweepMark), StoreError> {
    let mark = match mark {
        Some(mark) => decode("sweep-marks", mark)?,
        None => SweepMark::Active,
    };
    Ok((decode("sweeps", record)?, mark))
}
