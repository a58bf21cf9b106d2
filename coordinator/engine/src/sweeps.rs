//! Sweeps: submit, cancel, retry.

use pretext_shared::ids::{StageId, SweepId};

use super::{Change, Engine, Outline, Refusal, StageEntry, StageRecord, State, SweepMark, SweepRecord, Waiting};

/// A planned sweep with its stages.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// The sweep.
    pub sweep: SweepRecord,
    /// Every stage of every cell.
    pub stages: Vec<(StageId, StageRecord)>,
}

/// The outcome of a submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Submitted {
    /// Whether the sweep existed before.
    pub existed: bool,
    /// Whether it was cancelled before; it stays cancelled until a retry.
    pub cancelled: bool,
    /// Stages of the sweep that already have a result.
    pub cached: usize,
}

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
    /// Adds a sweep. It shares the stages that exist already, from this sweep or another.
    pub fn submit(&mut self, submission: Submission) -> Submitted {
        let Submission { sweep, stages } = submission;
        let ids: Vec<StageId> = stages.iter().map(|(id, _)| *id).collect();
        let known = self.table.sweeps().get(&sweep.id);
        let (existed, cancelled) = (known.is_some(), known.is_some_and(|known| known.mark.is_cancelled()));
        if !existed {
            for (id, record) in stages {
                self.add_stage(id, record);
            }
            self.changes.push(Change::AddSweep(Box::new(sweep.clone())));
            self.table.add_sweep(sweep);
        }
        Submitted { existed, cancelled, cached: self.cached(ids).len() }
    }

    fn add_stage(&mut self, id: StageId, record: StageRecord) {
        match self.table.stages().get(&id).map(|entry| &entry.progress.state) {
            None => {
                let outline = Box::new(Outline::from(&record));
                self.changes.push(Change::AddStage(id, Box::new(record)));
                self.changes.push(Change::SetProgress(id, Box::default()));
                self.table.add_stage(id, outline);
            }
            Some(State::Cancelled) => self.reset(id),
            Some(_) => {}
        }
    }

    /// Lets a stage run again with fresh budgets. Its fence stays, because fences only rise.
    fn reset(&mut self, id: StageId) {
        self.transition(id, 0, |progress| {
            progress.state = State::Waiting(Waiting::Open);
            (progress.lost, progress.failed, progress.out_of_memory) = (0, 0, 0);
            progress.failed_at.clear();
        });
    }

    /// Returns whether the sweep was submitted.
    pub fn has_sweep(&self, sweep: &SweepId) -> bool {
        self.table.sweeps().contains_key(sweep)
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
