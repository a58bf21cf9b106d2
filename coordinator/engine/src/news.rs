//! News: the cells of a sweep that changed since a reader last asked. A reader of a sweep of ten thousand cells gets the
//! few that changed, and the answer costs the engine little.

use std::collections::BTreeMap;

use pretext_shared::ids::{StageId, SweepId};
use pretext_shared::outcome::{FailureCode, Score};
use pretext_shared::stage::StageKind;
use pretext_shared::sweep::{Cell, CellState, Cost, StageStatus};

use super::view::status;
use super::{Engine, Millis, Refusal, Standing, State, SweepMark};

/// The place of a reader in the history of a sweep's cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision {
    /// The time at which the engine was restored. Counts of another engine mean nothing to this one.
    restored: Millis,
    count: u64,
}

/// The cells of a sweep that changed, and where the reader is after it has read them.
#[derive(Debug, Clone, PartialEq)]
pub struct News {
    /// Ask for what comes after it.
    pub revision: Revision,
    /// The changed cells, in the order of the plan.
    pub cells: Vec<CellNews>,
}

/// A cell that changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CellNews {
    /// Position of the cell in the plan.
    pub place: u32,
    /// Its state.
    pub state: CellState,
    /// Its score on the test images, if it succeeded.
    pub test: Option<Score>,
    /// Why it failed, if it did.
    pub failure: Option<FailureCode>,
}

/// A stage in brief, without its plan and its points.
#[derive(Debug, Clone, PartialEq)]
pub struct StageBrief {
    /// The stage.
    pub stage: StageId,
    /// Its kind.
    pub kind: StageKind,
    /// Its cost.
    pub cost: Cost,
    /// Its state.
    pub status: StageStatus,
}

impl Engine {
    /// Returns the cells of a sweep that changed after `since`, or all cells if that is `None` or of another engine.
    ///
    /// # Errors
    ///
    /// A sweep that is unknown.
    pub fn news(&self, sweep: &SweepId, since: Option<Revision>) -> Result<News, Refusal> {
        let entry = self.table.sweeps().get(sweep).ok_or_else(|| Refusal::UnknownSweep(sweep.to_string()))?;
        let since = since.filter(|since| since.restored == self.restored).map_or(0, |since| since.count);
        let changed = entry.changed_cells(since);
        let cells = changed.filter_map(|(place, state)| {
            let cell = entry.record.cells.get(place as usize)?;
            Some(CellNews { place, state, test: self.score(cell, state), failure: self.failure(cell) })
        });
        Ok(News { cells: cells.collect(), revision: Revision { restored: self.restored, count: entry.revision() } })
    }

    fn score(&self, cell: &Cell, state: CellState) -> Option<Score> {
        let test = (state == CellState::Succeeded).then(|| self.progress(cell.test))??;
        match &test.state {
            State::Succeeded(result) => Some(result.score),
            State::Waiting(_) | State::Leased(_) | State::Failed(_) | State::Cancelled => None,
        }
    }

    fn failure(&self, cell: &Cell) -> Option<FailureCode> {
        cell.stages().find_map(|id| match &self.progress(id)?.state {
            State::Failed(failure) => Some(failure.code),
            State::Waiting(_) | State::Leased(_) | State::Succeeded(_) | State::Cancelled => None,
        })
    }

    /// Returns the cells of a sweep, in the order of the plan. They never change.
    ///
    /// # Errors
    ///
    /// A sweep that is unknown.
    pub fn cells(&self, sweep: &SweepId) -> Result<Vec<Cell>, Refusal> {
        let entry = self.table.sweeps().get(sweep).ok_or_else(|| Refusal::UnknownSweep(sweep.to_string()))?;
        Ok(entry.record.cells.clone())
    }

    /// Returns the sweep without cells and stages: a reader adds those that it needs.
    ///
    /// # Errors
    ///
    /// A sweep that is unknown.
    pub fn bare_standing(&self, sweep: &SweepId) -> Result<Standing, Refusal> {
        let entry = self.table.sweeps().get(sweep).ok_or_else(|| Refusal::UnknownSweep(sweep.to_string()))?;
        Ok(Standing {
            id: sweep.clone(),
            name: entry.record.name.clone(),
            provenance: entry.record.provenance.clone(),
            cells: Vec::new(),
            stages: BTreeMap::new(),
            cancelled: match &entry.mark {
                SweepMark::Active => None,
                SweepMark::Cancelled(ended) => Some(ended.clone()),
            },
        })
    }

    /// Returns these stages in brief; unknown ones are left out.
    pub fn stages_in_brief(&self, stages: &[StageId]) -> Vec<StageBrief> {
        let brief = |id: &StageId| {
            let stage = self.table.stages().get(id)?;
            let status = status(&stage.progress, stage.step);
            Some(StageBrief { stage: *id, kind: stage.outline.kind, cost: stage.outline.cost, status })
        };
        stages.iter().filter_map(brief).collect()
    }
}

#[cfg(test)]
mod tests {
    use pretext_shared::ids::WorkerId;

    use super::*;
    use crate::fixtures::{SWEEP, engine_with, lease, result, submission};
    use crate::{Limits, Snapshot};

    fn places(news: &News) -> Vec<(u32, CellState)> {
        news.cells.iter().map(|cell| (cell.place, cell.state)).collect()
    }

    #[test]
    fn a_reader_gets_each_change_once_and_everything_after_a_restart() {
        use CellState::{Cancelled, Pending, Running, Succeeded};
        let mut engine = engine_with(&[("a", 1)]);
        engine.submit(submission(SWEEP, 1));
        let sweep = engine.list(0)[0].id.clone();
        let first = engine.news(&sweep, None).expect("a sweep");
        assert_eq!(places(&first), [(0, Pending), (1, Pending)]);
        assert_eq!(engine.news(&sweep, Some(first.revision)).expect("a sweep").cells, []);

        // Supervised training has two stages; the rotation cell stands still meanwhile.
        let grants = (0..5).map_while(|request| {
            let grant = lease(&mut engine, "a", &request.to_string(), 0)?;
            let news = engine.news(&sweep, Some(first.revision)).expect("a sweep");
            assert!(news.cells.iter().any(|cell| cell.state == Running), "{news:?}");
            engine.complete(grant.attempt, result(), 0).expect("the holder completes");
            Some(grant)
        });
        assert_eq!(grants.count(), 5);
        let last = engine.news(&sweep, Some(first.revision)).expect("a sweep");
        assert_eq!(places(&last), [(0, Succeeded), (1, Succeeded)]);
        assert!(last.cells.iter().all(|cell| cell.test == Some(result().score)), "{last:?}");
        assert_eq!(engine.news(&sweep, Some(last.revision)).expect("a sweep").cells, []);

        // A mark is a change of all cells, and another engine's numbers mean nothing to this one.
        engine.cancel(&sweep).expect("a sweep");
        assert_eq!(places(&engine.news(&sweep, Some(last.revision)).expect("a sweep")).len(), 2);
        let mut other = Engine::restore(Limits::default(), Snapshot::default(), 7);
        other.register(WorkerId { name: "a".to_owned(), boot: uuid::Uuid::nil() }, crate::fixtures::offer(0), 7);
        other.submit(submission(SWEEP, 1));
        let again = other.news(&sweep, Some(last.revision)).expect("the same file, the same id");
        assert_eq!(places(&again), [(0, Pending), (1, Pending)]);
        other.cancel(&sweep).expect("a sweep");
        assert_eq!(
            places(&other.news(&sweep, Some(again.revision)).expect("a sweep")),
            [(0, Cancelled), (1, Cancelled)]
        );
    }
}
