//! Adds a sweep piece by piece, so that a large one does not keep other requests waiting.
//!
//! [`Submission::in_pieces`] cuts a planned sweep outside the engine. [`Engine::begin`] opens a draft that nobody sees
//! and that gets no slots. [`Engine::add`] adds the stages of one piece. [`Engine::publish`] makes the draft a sweep; its
//! one change is the sweep's record. A draft lives in memory only. If the coordinator stops before a draft is published,
//! its stages stay in the store without a sweep: nobody runs them. The next start deletes them.

use std::collections::HashMap;

use pretext_shared::ids::{StageId, SweepId};

use super::table::by_stage;
use super::{Change, Engine, Outline, Progress, StageRecord, State, SweepRecord};

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

/// A planned sweep in pieces.
#[derive(Debug)]
pub struct Pieces {
    /// Opens the draft.
    pub draft: Draft,
    /// The stages, in the order in which stores keep them.
    pub pieces: Vec<Piece>,
    /// The sweep's record, for [`Engine::publish`].
    pub record: Box<SweepRecord>,
}

/// A sweep whose stages come later.
#[derive(Debug)]
pub struct Draft {
    record: SweepRecord,
    /// Its distinct stages, sorted.
    stages: Vec<StageId>,
    /// Steps and images of all its stages.
    steps: u64,
    images: u64,
}

/// Some stages of a draft.
#[derive(Debug)]
pub struct Piece {
    sweep: SweepId,
    stages: Vec<DraftStage>,
}

#[derive(Debug)]
struct DraftStage {
    id: StageId,
    record: StageRecord,
    /// The lowest replicate of the cells that share the stage.
    replicate: u32,
    /// The cells that share the stage, by position.
    cells: Box<[u32]>,
}

/// The outcome of [`Engine::begin`].
#[derive(Debug)]
pub enum Begun {
    /// The draft is open.
    Draft,
    /// Another submission of the same sweep is under way. This one can begin again when that one has ended.
    Underway(Box<Draft>),
    /// The sweep was submitted before.
    Existed(Submitted),
}

impl Draft {
    /// Returns the number of its stages.
    pub fn stages(&self) -> usize {
        self.stages.len()
    }
}

impl Submission {
    /// Cuts the sweep into pieces of at most `most` stages.
    pub fn in_pieces(self, most: usize) -> Pieces {
        let Submission { sweep, stages } = self;
        let mut records: HashMap<StageId, StageRecord> = stages.into_iter().collect();
        let of_cells = by_stage(&sweep);
        let (mut steps, mut images) = (0, 0);
        let mut pieces: Vec<Piece> = Vec::new();
        let ids = of_cells.iter().map(|(id, ..)| *id).collect();
        for (id, replicate, cells) in of_cells {
            let Some(record) = records.remove(&id) else { continue };
            steps += record.cost.steps;
            images += record.cost.images_seen;
            let stage = DraftStage { id, record, replicate, cells };
            match pieces.last_mut() {
                Some(piece) if piece.stages.len() < most => piece.stages.push(stage),
                _ => pieces.push(Piece { sweep: sweep.id.clone(), stages: vec![stage] }),
            }
        }
        let record = Box::new(sweep.clone());
        Pieces { draft: Draft { record: sweep, stages: ids, steps, images }, pieces, record }
    }
}

impl Engine {
    /// Adds a sweep in one step. It shares the stages that exist already, from this sweep or another.
    pub fn submit(&mut self, submission: Submission) -> Submitted {
        let Pieces { draft, pieces, record } = submission.in_pieces(usize::MAX);
        // Another submission of the same sweep plans again when it finds its draft gone.
        self.withdraw(&record.id);
        if let Begun::Existed(submitted) = self.begin(draft) {
            return submitted;
        }
        pieces.into_iter().for_each(|piece| self.add(piece));
        self.publish(record).expect("its draft was opened above")
    }

    /// Opens the draft of a sweep, unless the sweep is known.
    pub fn begin(&mut self, draft: Draft) -> Begun {
        let id = &draft.record.id;
        if let Some(known) = self.table.sweeps().get(id) {
            let cached = self.finished_stages(id);
            return Begun::Existed(Submitted { existed: true, cancelled: known.mark.is_cancelled(), cached });
        }
        if self.table.is_draft(id) {
            return Begun::Underway(Box::new(draft));
        }
        let Draft { record, stages, steps, images } = draft;
        self.table.begin(record, stages, (steps, images));
        Begun::Draft
    }

    /// Adds stages to their draft. A piece whose draft is not open any more changes nothing.
    pub fn add(&mut self, piece: Piece) {
        if !self.table.is_draft(&piece.sweep) {
            return;
        }
        for DraftStage { id, record, replicate, cells } in piece.stages {
            self.add_stage(id, record);
            self.table.need(&piece.sweep, id, replicate, cells);
        }
    }

    /// Makes a draft a sweep, whose stages get slots from now on. `record` is the draft's. Returns nothing if the draft
    /// is not open: the engine was restored since it began.
    pub fn publish(&mut self, record: Box<SweepRecord>) -> Option<Submitted> {
        let id = record.id.clone();
        if !self.table.is_draft(&id) {
            return None;
        }
        self.table.publish(&id);
        self.changes.push(Change::AddSweep(record));
        Some(Submitted { existed: false, cancelled: false, cached: self.finished_stages(&id) })
    }

    /// Gives a draft up. Stages that no sweep needs are cancelled, until a submission needs them again.
    pub fn withdraw(&mut self, sweep: &SweepId) {
        for id in self.table.withdraw(sweep) {
            let is_left =
                |entry: &super::StageEntry| matches!(entry.progress.state, State::Waiting(_)) && !entry.is_needed();
            if self.table.stages().get(&id).is_some_and(is_left) {
                self.transition(id, 0, |progress| progress.state = State::Cancelled);
            }
        }
    }

    fn add_stage(&mut self, id: StageId, record: StageRecord) {
        match self.table.stages().get(&id).map(|entry| &entry.progress.state) {
            None => {
                let outline = Box::new(Outline::from(&record));
                let progress = Box::new(Progress::beginning_at(self.newborn_fence));
                self.changes.push(Change::AddStage(id, Box::new(record)));
                self.changes.push(Change::SetProgress(id, progress.clone()));
                self.table.add_stage(id, outline, progress);
            }
            Some(State::Cancelled) => self.reset(id),
            Some(_) => {}
        }
    }

    /// Returns how many stages of a sweep have a result.
    fn finished_stages(&self, sweep: &SweepId) -> usize {
        self.table.index().queues.of(sweep).map_or(0, |queue| queue.finished)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{SWEEP, engine_with, lease, persist, result, submission};
    use crate::{Limits, Snapshot};

    const ROTATION: &str = "methods: [rotation]";

    fn rotation() -> Submission {
        submission(&SWEEP.replace("methods: [supervised, rotation]", ROTATION), 1)
    }

    #[test]
    fn pieces_lead_to_the_same_state_as_one_submission() {
        for most in 1..=6 {
            let (mut whole, mut pieced) = (engine_with(&[("a", 1)]), engine_with(&[("a", 1)]));
            let (mut one, mut other) = (Snapshot::default(), Snapshot::default());
            whole.submit(submission(SWEEP, 1));
            let Pieces { draft, pieces, record } = submission(SWEEP, 1).in_pieces(most);
            let id = record.id.clone();
            assert_eq!(pieces.len(), 5usize.div_ceil(most));
            assert!(matches!(pieced.begin(draft), Begun::Draft));
            for piece in pieces {
                pieced.add(piece);
                assert!(lease(&mut pieced, "a", "early", 1).is_none(), "a draft gets no slots");
                assert!(pieced.find_sweep(id.as_str()).is_err() && pieced.list(1).is_empty(), "nobody sees it");
                persist(&mut other, pieced.take_changes());
            }
            pieced.publish(record).expect("the draft is open");
            persist(&mut other, pieced.take_changes());
            persist(&mut one, whole.take_changes());
            assert_eq!(one, other);
            assert_eq!(whole.standing(&id), pieced.standing(&id));
            for step in 0..8 {
                let request = step.to_string();
                let (a, b) = (lease(&mut whole, "a", &request, step), lease(&mut pieced, "a", &request, step));
                assert_eq!(a.as_ref().map(|grant| grant.attempt), b.as_ref().map(|grant| grant.attempt));
                for (engine, grant) in [(&mut whole, a), (&mut pieced, b)] {
                    if let Some(grant) = grant {
                        engine.complete(grant.attempt, result(), 0).expect("it holds the stage");
                    }
                }
                assert_eq!(whole.status(&id, step), pieced.status(&id, step));
            }
        }
    }

    #[test]
    fn stages_of_others_that_change_meanwhile_count_in_a_draft() {
        let mut engine = engine_with(&[("a", 1)]);
        engine.submit(rotation());
        let Pieces { draft, pieces, record } = submission(SWEEP, 1).in_pieces(1);
        let id = record.id.clone();
        engine.begin(draft);
        // Every stage of the other sweep succeeds while the draft grows, before or after the draft knows it.
        let mut pieces = pieces.into_iter();
        let mut now = 0;
        loop {
            let grant = lease(&mut engine, "a", &format!("r{now}"), now);
            if let Some(grant) = &grant {
                engine.complete(grant.attempt, result(), 0).expect("it holds the stage");
            }
            now += 1;
            match (pieces.next(), grant) {
                (Some(piece), _) => engine.add(piece),
                (None, Some(_)) => {}
                (None, None) => break,
            }
        }
        assert_eq!(engine.publish(record).map(|submitted| submitted.cached), Some(3));
        let counts = engine.cell_counts(&id).expect("published");
        assert_eq!((counts.succeeded, counts.pending), (1, 1));
    }

    #[test]
    fn a_draft_that_is_given_up_leaves_nothing_to_run() {
        let mut engine = engine_with(&[("a", 1)]);
        engine.submit(rotation());
        let Pieces { draft, pieces, record } = submission(SWEEP, 1).in_pieces(2);
        assert!(matches!(engine.begin(draft), Begun::Draft));
        let again = submission(SWEEP, 1).in_pieces(2);
        assert!(matches!(engine.begin(again.draft), Begun::Underway(_)));
        pieces.into_iter().for_each(|piece| engine.add(piece));
        engine.withdraw(&record.id);
        let mut granted = 0;
        while let Some(grant) = lease(&mut engine, "a", &format!("r{granted}"), 1) {
            engine.complete(grant.attempt, result(), 0).expect("it holds the stage");
            granted += 1;
        }
        assert_eq!(granted, 3, "the other sweep's stages");
        // Late pieces change nothing, and the sweep can be submitted again.
        again.pieces.into_iter().for_each(|piece| engine.add(piece));
        engine.take_changes();
        assert!(!engine.submit(submission(SWEEP, 1)).existed);
        assert!(lease(&mut engine, "a", "more", 1).is_some());
    }

    #[test]
    fn a_draft_is_gone_after_a_restart_and_its_stages_are_used_again() {
        let mut engine = engine_with(&[("a", 1)]);
        let mut snapshot = Snapshot::default();
        let Pieces { draft, pieces, .. } = submission(SWEEP, 1).in_pieces(2);
        engine.begin(draft);
        pieces.into_iter().take(2).for_each(|piece| engine.add(piece));
        persist(&mut snapshot, engine.take_changes());
        assert_eq!((snapshot.stages.len(), snapshot.sweeps.len()), (4, 0));
        let mut engine = Engine::restore(Limits::default(), snapshot, 0);
        assert_eq!(engine.backlog(0), engine_with(&[]).backlog(0), "nobody needs them");
        assert!(!engine.submit(submission(SWEEP, 1)).existed);
        let added = engine.take_changes().iter().filter(|change| matches!(change, Change::AddStage(..))).count();
        assert_eq!(added, 1);
    }
}
