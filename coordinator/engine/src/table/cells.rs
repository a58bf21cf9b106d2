//! The states of a sweep's cells, and the number of cells in each.

use std::collections::{BTreeMap, HashMap};

use pretext_shared::ids::StageId;
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
    /// Counts all cells. Each has changed with the change number `revision`.
    pub(super) fn new(
        record: &SweepRecord,
        mark: &SweepMark,
        stages: &BTreeMap<StageId, StageEntry>,
        revision: u64,
    ) -> Self {
        let is_stopped = match mark {
            SweepMark::Active => Vec::new(),
            SweepMark::Cancelled(ended) => {
                let mut is_stopped = vec![true; record.cells.len()];
                for place in ended {
                    if let Some(is_stopped) = is_stopped.get_mut(*place as usize) {
                        *is_stopped = false;
                    }
                }
                is_stopped
            }
        };
        let count = record.cells.len();
        let mut cells = Self {
            states: Vec::with_capacity(count),
            is_stopped,
            counts: CellCounts::default(),
            revision,
            changed: vec![revision; count],
        };
        for (place, cell) in record.cells.iter().enumerate() {
            let state = cells.state(place, cell, stages);
            cells.states.push(state);
            *cells.counts.of(state) += 1;
        }
        cells
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
    let (mut is_tested, mut is_cancelled, mut is_running) = (false, false, false);
    // Each stage is looked up once: a start does this for all cells.
    for id in cell.stages() {
        match stages.get(&id).map(|entry| &entry.progress.state) {
            Some(State::Failed(_)) => return CellState::Failed,
            Some(State::Succeeded(_)) => is_tested |= id == cell.test,
            Some(State::Cancelled) => is_cancelled = true,
            Some(State::Leased(_)) => is_running = true,
            Some(State::Waiting(_)) | None => {}
        }
    }
    match (is_tested, is_cancelled, is_running) {
        (true, ..) => CellState::Succeeded,
        (_, true, _) => CellState::Cancelled,
        (_, _, true) => CellState::Running,
        _ => CellState::Pending,
    }
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
    let of = |(place, cell): (u32, &Cell)| cell.stages().map(move |stage| (stage, place)).collect::<Vec<_>>();
    let mut pairs: Vec<(StageId, u32)> = (0..).zip(&record.cells).flat_map(of).collect();
    pairs.sort_unstable();
    pairs.dedup();
    let stages = pairs.chunk_by(|a, b| a.0 == b.0);
    let entry = |pairs: &[(StageId, u32)]| {
        let first = pairs.iter().map(|(_, place)| replicate(*place)).min()?;
        Some((pairs.first()?.0, first, pairs.iter().map(|(_, place)| *place).collect()))
    };
    stages.filter_map(entry).collect()
}
