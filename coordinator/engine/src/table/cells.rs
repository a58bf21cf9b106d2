//! The states of a sweep's cells, and the number of cells in each.

use std::collections::{BTreeMap, HashMap};

use pretext_shared::ids::StageId;
use pretext_shared::stage::StageKind;
use pretext_shared::sweep::{Cell, CellState};

use crate::facts::{CellCounts, StageEntry};
use crate::{State, SweepMark, SweepRecord};

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Cells {
    /// By position.
    states: Vec<CellState>,
    /// The cells whose state is final because the sweep was cancelled, by position; empty for an active sweep.
    is_stopped: Vec<bool>,
    counts: CellCounts,
    /// Number of changes so far, at least 1.
    revision: u64,
    /// The number of each cell's last change, by position.
    changed: Vec<u64>,
}

impl Cells {
    /// Counts all cells from what their stages say. Each has changed with the change number `revision`.
    pub(super) fn new(mut states: Vec<CellState>, mark: &SweepMark, revision: u64) -> Self {
        let is_stopped = match mark {
            SweepMark::Active => Vec::new(),
            SweepMark::Cancelled(ended) => {
                let mut is_stopped = vec![true; states.len()];
                for place in ended {
                    if let Some(is_stopped) = is_stopped.get_mut(*place as usize) {
                        *is_stopped = false;
                    }
                }
                is_stopped
            }
        };
        let mut counts = CellCounts::default();
        let stopped = is_stopped.iter().copied().chain(std::iter::repeat(false));
        for (state, is_stopped) in states.iter_mut().zip(stopped) {
            if is_stopped {
                *state = CellState::Cancelled;
            }
            *counts.of(*state) += 1;
        }
        let changed = vec![revision; states.len()];
        Self { states, is_stopped, counts, revision, changed }
    }

    /// Counts so many cells as pending.
    pub(super) fn pending(cells: usize) -> Self {
        let counts = CellCounts { pending: cells, ..CellCounts::default() };
        Self {
            states: vec![CellState::Pending; cells],
            is_stopped: Vec::new(),
            counts,
            revision: 1,
            changed: vec![1; cells],
        }
    }

    /// Returns whether the cell at `place` is pending.
    pub(super) fn is_pending(&self, place: u32) -> bool {
        self.states.get(place as usize) == Some(&CellState::Pending)
    }

    /// Counts the cell at `place` again.
    pub(super) fn count(&mut self, place: u32, record: &SweepRecord, stages: &BTreeMap<StageId, StageEntry>) {
        let place = place as usize;
        let Some(cell) = record.cells.get(place) else { return };
        let new = self.state(place, cell, stages);
        if let Some(state) = self.states.get_mut(place) {
            *self.counts.of(*state) -= 1;
            *self.counts.of(new) += 1;
            *state = new;
        }
        // The same state may have another reason: a stage was granted that is not the first of its cell.
        self.revision += 1;
        if let Some(changed) = self.changed.get_mut(place) {
            *changed = self.revision;
        }
    }

    /// Returns the state of a cell. In a cancelled sweep it is cancelled, unless it was final before.
    fn state(&self, place: usize, cell: &Cell, stages: &BTreeMap<StageId, StageEntry>) -> CellState {
        match self.is_stopped.get(place) {
            Some(true) => CellState::Cancelled,
            Some(false) | None => state(cell, stages),
        }
    }

    pub(super) fn counts(&self) -> CellCounts {
        self.counts
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// Returns the cells that changed after the change number `since`, by position, with their states.
    pub(super) fn changed(&self, since: u64) -> impl Iterator<Item = (u32, CellState)> {
        let cells = (0..).zip(self.changed.iter().zip(&self.states));
        cells.filter(move |(_, (changed, _))| **changed > since).map(|(place, (_, state))| (place, *state))
    }
}

impl CellCounts {
    fn of(&mut self, state: CellState) -> &mut usize {
        match state {
            CellState::Pending => &mut self.pending,
            CellState::Running => &mut self.running,
            CellState::Succeeded => &mut self.succeeded,
            CellState::Failed => &mut self.failed,
            CellState::Cancelled => &mut self.cancelled,
        }
    }
}

/// Returns the state of a cell from its stages, even if they run for another sweep.
pub(crate) fn state(cell: &Cell, stages: &BTreeMap<StageId, StageEntry>) -> CellState {
    cell.stages().filter_map(|id| stages.get(&id)).map(through).fold(CellState::Pending, stronger)
}

/// Returns what a stage alone says of the state of its cells.
pub(super) fn through(entry: &StageEntry) -> CellState {
    match &entry.progress.state {
        State::Failed(_) => CellState::Failed,
        State::Succeeded(_) if entry.outline.kind == StageKind::Test => CellState::Succeeded,
        State::Cancelled => CellState::Cancelled,
        State::Leased(_) => CellState::Running,
        State::Succeeded(_) | State::Waiting(_) => CellState::Pending,
    }
}

/// Returns the one of two states that a cell with stages in both has.
pub(super) fn stronger(a: CellState, b: CellState) -> CellState {
    let strength = |state| match state {
        CellState::Pending => 0,
        CellState::Running => 1,
        CellState::Cancelled => 2,
        CellState::Succeeded => 3,
        CellState::Failed => 4,
    };
    if strength(b) > strength(a) { b } else { a }
}

/// Returns the distinct stages of a sweep, sorted, each with its lowest replicate and the positions of its cells.
pub(crate) fn by_stage(record: &SweepRecord) -> Vec<(StageId, u32, Box<[u32]>)> {
    let mut replicates: HashMap<u64, u32> = HashMap::new();
    for cell in &record.cells {
        let next = replicates.len() as u32;
        replicates.entry(cell.key.seed).or_insert(next);
    }
    let replicate = |place: u32| {
        let seed = record.cells.get(place as usize).map(|cell| cell.key.seed);
        seed.and_then(|seed| replicates.get(&seed).copied()).unwrap_or_default()
    };
    let mut pairs: Vec<(StageId, u32)> = Vec::with_capacity(3 * record.cells.len());
    for (place, cell) in (0..).zip(&record.cells) {
        pairs.extend(cell.stages().map(|stage| (stage, place)));
    }
    pairs.sort_unstable();
    pairs.dedup();
    let stages = pairs.chunk_by(|a, b| a.0 == b.0);
    let entry = |pairs: &[(StageId, u32)]| {
        let first = pairs.iter().map(|(_, place)| replicate(*place)).min()?;
        Some((pairs.first()?.0, first, pairs.iter().map(|(_, place)| *place).collect()))
    };
    stages.filter_map(entry).collect()
}
