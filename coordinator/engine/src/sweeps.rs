//! Sweeps: find, cancel, retry.

use pretext_shared::ids::{StageId, SweepId};

use super::{Change, Engine, Refusal, StageEntry, State, SweepMark, Waiting};

/// The outcome of a cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancelled {
    /// Cells that will have no result.
    pub cells: usize,
    /// Stages that stop or will not start.
    pub stages: usize,
}

/// The outcome of a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retried {
    /// Stages that will run again.
    pub stages: usize,
}

impl Engine {
    /// Lets a stage run again with fresh budgets. Its fence stays, because fences only rise.
    pub(super) fn reset(&mut self, id: StageId) {
        self.transition(id, 0, |progress| {
            progress.state = State::Waiting(Waiting::Open);
            (progress.lost, progress.failed, progress.out_of_memory) = (0, 0, 0);
            progress.failed_at.clear();
        });
    }

    /// Returns the ids of all submitted sweeps.
    pub fn sweep_ids(&self) -> impl Iterator<Item = &SweepId> {
        self.table.sweeps().keys()
    }

    /// Returns those of `stages` that have a result.
    pub fn cached(&self, stages: impl IntoIterator<Item = StageId>) -> Vec<StageId> {
        let done = |id: &StageId| {
            let entry = self.table.stages().get(id);
            entry.is_some_and(|entry| matches!(entry.progress.state, State::Succeeded(_)))
        };
        stages.into_iter().filter(done).collect()
    }

    /// Returns the sweep that `text` names: by its id, or by an unambiguous beginning of it.
    pub fn find_sweep(&self, text: &str) -> Result<SweepId, Refusal> {
        let fits: Vec<&SweepId> =
            self.table.sweeps().keys().filter(|id| !text.is_empty() && id.as_str().starts_with(text)).collect();
        match fits.as_slice() {
            [] => Err(Refusal::UnknownSweep(text.to_owned())),
            [one] => Ok((*one).clone()),
            many => match many.iter().find(|id| id.as_str() == text) {
                Some(exact) => Ok((**exact).clone()),
                None => {
                    let candidates = many.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(", ");
                    Err(Refusal::AmbiguousSweep { text: text.to_owned(), candidates })
                }
            },
        }
    }

    /// Cancels a sweep: stages that no other sweep needs stop. Existing results are kept.
    pub fn cancel(&mut self, sweep: &SweepId) -> Result<Cancelled, Refusal> {
        let entry = self.table.sweeps().get(sweep).ok_or_else(|| Refusal::UnknownSweep(sweep.to_string()))?;
        let stages = entry.stages.clone();
        if entry.mark == SweepMark::Active {
            let ended = (0..).zip(&entry.record.cells).filter(|(_, cell)| self.progress_of(cell).is_final());
            let mark = SweepMark::Cancelled(ended.map(|(place, _)| place).collect());
            self.mark(sweep, mark);
        }
        let mut stopped = 0;
        for id in stages {
            let is_open = |entry: &StageEntry| matches!(entry.progress.state, State::Waiting(_) | State::Leased(_));
            if self.table.stages().get(&id).is_some_and(|entry| is_open(entry) && !entry.is_needed()) {
                self.transition(id, 0, |progress| progress.state = State::Cancelled);
                stopped += 1;
            }
        }
        let cells = self.cell_counts(sweep).map_or(0, |counts| counts.cancelled);
        Ok(Cancelled { cells, stages: stopped })
    }

    fn mark(&mut self, sweep: &SweepId, mark: SweepMark) {
        self.table.mark(sweep, mark.clone());
        self.changes.push(Change::MarkSweep(sweep.clone(), mark));
    }

    /// Lets the failed stages of a sweep run again, for every sweep that needs them. A cancelled sweep becomes active
    /// again, and its cancelled stages run too.
    pub fn retry(&mut self, sweep: &SweepId) -> Result<Retried, Refusal> {
        let entry = self.table.sweeps().get(sweep).ok_or_else(|| Refusal::UnknownSweep(sweep.to_string()))?;
        let stages = entry.stages.clone();
        if entry.mark.is_cancelled() {
            self.mark(sweep, SweepMark::Active);
        }
        let mut again = 0;
        for id in stages {
            let is_over = |entry: &StageEntry| matches!(entry.progress.state, State::Failed(_) | State::Cancelled);
            if self.table.stages().get(&id).is_some_and(is_over) {
                self.reset(id);
                again += 1;
            }
        }
        Ok(Retried { stages: again })
    }
}
