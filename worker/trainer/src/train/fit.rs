//! The training loop, the same for pretext and downstream stages.

use std::time::Instant;

use burn::optim::{GradientsParams, ModuleOptimizer};
use pretext_checkpoint::{Best, Checkpoints, Position, Snapshot, Sums};
use pretext_shared::draw::{Draw, Place, Purpose};
use pretext_shared::ids::StageId;
use pretext_shared::point::{Metric, Part, Point};
use pretext_shared::split::Split;
use pretext_shared::stage::{Extent, LastBatch, TrainSpec};
use pretext_shared::trainer::{CheckpointPolicy, Report};

use super::budget::Steps;
use super::ledger::{Entry, Ledger};
use super::model_file::{apply, record};
use super::monitor::Monitor;
use super::{Reporter, StageError};
use crate::device::Compute;
use crate::methods::{Objective, validation_batches};
use crate::models::Model;
use crate::optim;
use crate::schedule::rate;

/// Training does not recover from a loss above this.
const HOPELESS: f64 = 1e4;
/// Largest number of points per stage for a single step's loss and learning rate.
const STEP_POINTS: u64 = 200;
/// Largest share of the time for writing checkpoints, whatever the cadence.
const CHECKPOINT_SHARE: f64 = 0.1;

/// The data, the objective and the options of a training run.
pub(super) struct Fit<'a, O> {
    pub(super) stage: StageId,
    pub(super) objective: &'a O,
    /// What becomes of a last batch that is not full.
    pub(super) last: LastBatch,
    pub(super) split: &'a Split,
    pub(super) train: &'a TrainSpec,
    pub(super) seed: u64,
    pub(super) extent: Extent,
    pub(super) compute: &'a Compute,
    pub(super) checkpoints: &'a Checkpoints,
    pub(super) policy: CheckpointPolicy,
    pub(super) monitor: Option<Monitor<'a>>,
}

/// How training ended.
pub(super) enum Fitted<M> {
    /// The budget is used up.
    Done(Trained<M>),
    /// The caller asked it to stop; a checkpoint is on the disk, if there was room.
    Stopped { step: u64 },
}

/// The selected model.
pub(super) struct Trained<M> {
    /// The model in evaluation mode, on the plain device.
    pub(super) model: M,
    pub(super) best: Best,
    pub(super) steps: u64,
    pub(super) images: u64,
    pub(super) seconds: f64,
}

/// Identifies a training step when its scores are read.
#[derive(Clone, Copy)]
struct StepTag {
    step: u64,
    epoch: u32,
    rate: f64,
}

/// Returns the order of the training images in `epoch` (from 1).
pub(super) fn epoch_order(split: &Split, seed: u64, epoch: u32) -> Vec<u32> {
    let mut order = split.train.clone();
    Draw::new(Place { seed, purpose: Purpose::Order, epoch, sample: 0, view: 0 }, 0).shuffle(&mut order);
    order
}

/// The loop's state between two steps.
struct State<M> {
    model: M,
    optimizer: ModuleOptimizer,
    position: Position,
    /// The model of `position.best`.
    best: Option<M>,
}

impl<O: Objective> Fit<'_, O> {
    /// Trains `model` (on the training device) from its newest checkpoint, or from the start. Returns the model of
    /// lowest validation loss; of equal ones the earlier.
    pub(super) fn run<M: Model>(&self, model: M, reporter: &mut Reporter<'_>) -> Result<Fitted<M>, StageError> {
        let steps = Steps::new(self.train, self.split.train.len(), self.last, self.extent)?;
        if self.split.validation.is_empty() {
            return Err(StageError::NoValidation);
        }
        let (mut state, points) = self.resume(model)?;
        reporter.send(Report::Started { step: state.position.step, total: steps.taken });
        reporter.resume(points);
        let device = self.compute.training();
        let (begin, batch) = (Instant::now(), self.batch());
        let mut clock = CheckpointClock::new(self.policy);
        let mut ledger = Ledger::new(self.compute.reads_are_free());
        let mut order = Vec::new();
        let mut order_epoch = 0;
        while state.position.step < steps.taken {
            if reporter.stop_requested() {
                self.book(&mut state.position, ledger.settle()?, steps, reporter)?;
                self.checkpoint(&state, reporter)?;
                return Ok(Fitted::Stopped { step: state.position.step });
            }
            let Position { step, epoch, step_in_epoch, .. } = state.position;
            if order_epoch != epoch {
                order = epoch_order(self.split, self.seed, epoch);
                order_epoch = epoch;
            }
            let ids = &order[step_in_epoch as usize * batch..];
            let ids = &ids[..batch.min(ids.len())];
            let rate = rate(&self.train.lr, step, steps.per_epoch, steps.whole);

            let inputs = self.objective.training(ids, epoch);
            let images = inputs.labels.len() as u64;
            let (inputs, labels) = inputs.upload(&device);
            let scores = self.objective.score(state.model.forward(inputs), labels);
            let loss = scores.loss.clone();
            // If reading costs nothing, a diverged loss ends the stage before it changes a weight.
            let read = ledger.note(StepTag { step: step + 1, epoch, rate }, scores)?;
            self.book(&mut state.position, read, steps, reporter)?;
            let gradients = GradientsParams::from_grads(loss.backward(), &state.model);
            state.model = state.optimizer.step(rate, state.model, gradients);

            let position = &mut state.position;
            position.step += 1;
            position.step_in_epoch += 1;
            position.images += images;
            if position.step_in_epoch == steps.per_epoch || position.step == steps.taken {
                self.book(position, ledger.settle()?, steps, reporter)?;
                self.end_epoch(&mut state, rate, reporter)?;
            }
            reporter.tick(state.position.step, state.position.images);
            if state.position.step < steps.taken && clock.is_due() {
                self.book(&mut state.position, ledger.settle()?, steps, reporter)?;
                clock.time(|| self.checkpoint(&state, reporter))?;
            }
        }
        let Position { step, images, best, .. } = state.position;
        reporter.send(Report::Progress { step, images });
        let (best, model) =
            best.zip(state.best).expect("the last step of a budget ends an epoch, which selects a model");
        Ok(Fitted::Done(Trained { model, best, steps: step, images, seconds: begin.elapsed().as_secs_f64() }))
    }

    fn batch(&self) -> usize {
        (self.train.batch as usize).max(1)
    }

    /// Checks and adds the scores of steps that were read.
    fn book(
        &self,
        position: &mut Position,
        read: Vec<Entry<StepTag>>,
        steps: Steps,
        reporter: &mut Reporter<'_>,
    ) -> Result<(), StageError> {
        let every = steps.taken.div_ceil(STEP_POINTS);
        for entry in read {
            let StepTag { step, epoch, rate } = entry.tag;
            if !entry.loss.is_finite() || f64::from(entry.loss) > HOPELESS {
                return Err(StageError::Diverged { loss: entry.loss, step, epoch, rate });
            }
            entry.add_to(&mut position.sums);
            if step % every == 0 {
                reporter.point(Part::Train, Metric::StepLoss, epoch, step, f64::from(entry.loss));
                reporter.point(Part::Train, Metric::LearningRate, epoch, step, rate);
            }
        }
        Ok(())
    }

    /// Ends an epoch: points, validation, selection. An epoch that the budget cuts short ends the same way.
    fn end_epoch<M: Model>(
        &self,
        state: &mut State<M>,
        rate: f64,
        reporter: &mut Reporter<'_>,
    ) -> Result<(), StageError> {
        let Position { step, epoch, .. } = state.position;
        let model = state.model.valid();
        let train = state.position.sums.score();
        let sums = self.validate(&model)?;
        let validation = sums.score();
        if !validation.loss.is_finite() || validation.loss > HOPELESS {
            return Err(StageError::ValidationDiverged { loss: validation.loss, step, epoch, rate });
        }
        for (part, score) in [(Part::Train, train), (Part::Validation, validation)] {
            reporter.point(part, Metric::Loss, epoch, step, score.loss);
            reporter.point(part, Metric::Accuracy, epoch, step, score.accuracy);
        }
        if let Some(monitor) = self.monitor.as_ref().filter(|monitor| monitor.is_due(epoch)) {
            reporter.point(Part::Validation, Metric::KnnAccuracy, epoch, step, monitor.accuracy(&model)?);
        }
        if state.position.best.is_none_or(|best| validation.loss < best.loss) {
            let Sums { correct, seen, .. } = sums;
            state.position.best = Some(Best { epoch, loss: validation.loss, correct, seen });
            state.best = Some(model);
        }
        state.position.sums = Sums::default();
        state.position.epoch += 1;
        state.position.step_in_epoch = 0;
        Ok(())
    }

    /// Returns the scores of the evaluation-mode model on every validation image (on one batch in a smoke run).
    fn validate<M: Model>(&self, model: &M) -> Result<Sums, StageError> {
        let (device, mut ledger, mut sums) =
            (self.compute.plain(), Ledger::new(self.compute.reads_are_free()), Sums::default());
        let batches = validation_batches(&self.split.validation, self.batch(), self.objective.smallest_batch());
        let batches = match self.extent {
            Extent::Whole => &batches[..],
            Extent::Smoke => &batches[..1],
        };
        for ids in batches {
            let (inputs, labels) = self.objective.validation(ids).upload(&device);
            let scores = self.objective.score(model.forward(inputs), labels);
            ledger.note((), scores)?.iter().for_each(|entry| entry.add_to(&mut sums));
        }
        ledger.settle()?.iter().for_each(|entry| entry.add_to(&mut sums));
        Ok(sums)
    }

    /// Returns the state of the newest checkpoint, or of the start, with the points so far.
    fn resume<M: Model>(&self, model: M) -> Result<(State<M>, Vec<Point>), StageError> {
        let Some(snapshot) = self.checkpoints.newest()? else {
            let position = Position {
                stage: self.stage,
                step: 0,
                epoch: 1,
                step_in_epoch: 0,
                images: 0,
                sums: Sums::default(),
                best: None,
            };
            let optimizer = optim::optimizer(&self.train.optimizer, self.train.decay);
            return Ok((State { model, optimizer, position, best: None }, Vec::new()));
        };
        let optimizer = optim::restore(&self.train.optimizer, self.train.decay, snapshot.optimizer)
            .map_err(|source| StageError::Record { what: "optimizer's state", source })?;
        // `valid` makes a module of its own; a clone would share its running statistics with the model.
        let best = snapshot.best.map(|bytes| apply(model.valid(), bytes, "selected model")).transpose()?;
        let model = apply(model, snapshot.model, "model")?;
        Ok((State { model, optimizer, position: snapshot.position, best }, snapshot.points))
    }

    /// Writes a checkpoint. Every score must have been read. Every point up to this step is sent before the checkpoint
    /// is announced.
    fn checkpoint<M: Model>(&self, state: &State<M>, reporter: &mut Reporter<'_>) -> Result<(), StageError> {
        let snapshot = Snapshot {
            position: state.position.clone(),
            model: record(&state.model.valid(), "model")?,
            best: state.best.as_ref().map(|best| record(best, "selected model")).transpose()?,
            optimizer: optim::save(&state.optimizer)
                .map_err(|source| StageError::Record { what: "optimizer's state", source })?,
            points: reporter.points().to_vec(),
        };
        let step = snapshot.position.step;
        match self.checkpoints.save(snapshot) {
            Ok(path) => reporter.send(Report::Checkpoint { path, step }),
            // Without this checkpoint a resume begins earlier, which costs time and changes no result.
            Err(error) if error.is_full() => {
                tracing::error!(%error, step, "the disk is full: training continues without this checkpoint");
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// Decides when the next checkpoint is due.
struct CheckpointClock {
    last: Instant,
    every: f64,
    cost: f64,
}

impl CheckpointClock {
    fn new(policy: CheckpointPolicy) -> Self {
        Self { last: Instant::now(), every: policy.every_seconds, cost: 0.0 }
    }

    fn is_due(&self) -> bool {
        let elapsed = self.last.elapsed().as_secs_f64();
        // A cadence of zero means every step.
        elapsed >= self.every && (self.every <= 0.0 || elapsed >= self.cost / CHECKPOINT_SHARE)
    }

    fn time<T>(&mut self, write: impl FnOnce() -> T) -> T {
        let begin = Instant::now();
        let result = write();
        self.cost = begin.elapsed().as_secs_f64();
        self.last = Instant::now();
        result
    }
}
