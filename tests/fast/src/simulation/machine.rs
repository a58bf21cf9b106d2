//! A machine with a simulated worker that behaves as the real one: it spools before it sends, and sends until it is
//! answered. It keeps its lease alive, resumes from the newest checkpoint, and hands over what an earlier process left
//! on its disk.

use std::collections::BTreeMap;

use pretext_engine::{Announcement, Checkpoint, Grant, Millis, Offer};
use pretext_shared::device::{DeviceFacts, NumericClass};
use pretext_shared::ids::{ArtifactId, AttemptId, ContentHash, StageId};
use pretext_shared::outcome::{ArtifactKind, Failure, FailureCode, Score, StageResult};
use pretext_shared::point::{Metric, Part, Point};

use super::event::{Answer, DEVICE, Event, Life, Op, Origin};
use super::workload::{data, steps, value};
use super::world::World;

/// The state of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Slot {
    /// Asks for work, repeatedly with the same request id.
    Asking(String),
    /// Works on an attempt, or hands over its end.
    Busy(AttemptId),
}

/// How an attempt ended on its machine.
#[derive(Debug, Clone)]
pub(super) enum Ending {
    Finished(Box<StageResult>),
    Failed(Failure),
    Released,
}

/// The records of an attempt on the disk.
#[derive(Debug, Clone)]
pub(super) struct Left {
    /// The request of its grant.
    request: String,
    batches: Vec<Vec<Point>>,
    acknowledged: u64,
    /// A saved checkpoint that is not registered: its step, and the batches that must be durable first.
    checkpoint: Option<(u64, u64)>,
    ending: Option<Ending>,
    /// Time of the sender's next look; older plans are void.
    push_at: Millis,
}

/// A trainer at work.
#[derive(Debug, Clone)]
struct Training {
    step: u64,
    total: u64,
    slot: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) boot: u64,
    pub(super) is_up: bool,
    pub(super) paused_until: Millis,
    pub(super) cut_until: Millis,
    /// The failure of every stage that it runs, if it is sick.
    pub(super) sickness: Option<FailureCode>,
    slots: Vec<Slot>,
    trainings: BTreeMap<AttemptId, Training>,
    /// State that survives the daemon.
    left: BTreeMap<AttemptId, Left>,
    checkpoints: BTreeMap<StageId, u64>,
    requests: u64,
}

impl Machine {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            boot: 0,
            is_up: false,
            paused_until: 0,
            cut_until: 0,
            sickness: None,
            slots: vec![Slot::Asking(String::new()); slots],
            trainings: BTreeMap::new(),
            left: BTreeMap::new(),
            checkpoints: BTreeMap::new(),
            requests: 0,
        }
    }

    /// Returns the offer of the machine with this number. The first one has the data of every sweep, the second one can
    /// fetch what was pushed.
    pub(super) fn offer(&self, index: usize) -> Offer {
        let device = DeviceFacts {
            name: DEVICE.to_owned(),
            description: String::new(),
            class: NumericClass::Cpu,
            slots: self.slots.len() as u32,
        };
        let announced = Announcement { key: data().key, facts: Ok(data()) };
        let datasets = if index == 0 { vec![announced] } else { Vec::new() };
        let data_cache = if index == 1 { 1_000 } else { 0 };
        Offer { devices: vec![device], datasets, version: String::new(), data_cache }
    }

    fn request(&mut self, machine: usize) -> String {
        self.requests += 1;
        format!("m{machine}r{}", self.requests)
    }
}

/// Returns the checkpoint of a stage at a step. Its content is a function of both, as in training.
fn checkpoint(stage: StageId, step: u64) -> Checkpoint {
    let mut bytes = *stage.0.as_bytes();
    bytes[30] ^= 0xa5;
    bytes[31] = step as u8;
    Checkpoint { artifact: ArtifactId(ContentHash::from_bytes(bytes)), step }
}

/// Returns the result of a stage, a function of the stage.
pub(super) fn result(stage: StageId) -> StageResult {
    let model = ArtifactId(ContentHash::from_bytes(*stage.0.as_bytes()));
    StageResult {
        selected_epoch: 1,
        score: Score { loss: value(stage, steps(stage)), accuracy: 0.5, seen: 2 },
        steps: steps(stage),
        images: 8,
        artifacts: BTreeMap::from([(ArtifactKind::Model, model)]),
        device: DEVICE.to_owned(),
        seconds: 1.0,
    }
}

/// Returns the points that a step makes.
pub(super) fn points(stage: StageId, step: u64) -> Vec<Point> {
    let point = |metric| Point { part: Part::Train, metric, epoch: 1, step, value: value(stage, step) };
    let mut made = vec![point(Metric::StepLoss)];
    if step.is_multiple_of(2) {
        made.push(point(Metric::Accuracy));
    }
    made
}

impl World<'_> {
    fn life(&self, machine: usize) -> Life {
        Life { machine, boot: self.machines[machine].boot }
    }

    fn lives(&self, life: Life) -> bool {
        let machine = &self.machines[life.machine];
        machine.is_up && machine.boot == life.boot
    }

    /// Starts a daemon, which finds what an earlier process left.
    pub(super) fn boot(&mut self, index: usize) {
        let machine = &mut self.machines[index];
        if machine.is_up {
            return;
        }
        machine.boot += 1;
        machine.is_up = true;
        machine.trainings.clear();
        let slots = machine.slots.len();
        for slot in 0..slots {
            let request = machine.request(index);
            machine.slots[slot] = Slot::Asking(request);
        }
        let life = self.life(index);
        self.note(|| format!("m{index} starts, boot {}", life.boot));
        for attempt in self.machines[index].left.keys().copied().collect::<Vec<_>>() {
            // An attempt that had not ended: its records are handed over, or dropped with its folder.
            let drop = self.rng.bool();
            let Some(left) = self.machines[index].left.get_mut(&attempt) else { continue };
            if left.ending.is_none() && drop {
                self.machines[index].left.remove(&attempt);
                continue;
            }
            left.ending.get_or_insert(Ending::Released);
            self.push_soon(life, attempt, 10);
        }
        self.send(Origin::Worker(life), Op::Register);
        self.later(5, 50, Event::Beat(life));
        for slot in 0..slots {
            self.later(20, 200, Event::Ask(life, slot));
        }
    }

    /// Kills the daemon with its trainers. The disk stays.
    pub(super) fn kill(&mut self, index: usize) {
        let machine = &mut self.machines[index];
        if machine.is_up {
            machine.is_up = false;
            machine.paused_until = 0;
            self.note(|| format!("m{index} dies"));
            let rest = if self.is_calm { 100 } else { self.rng.u64(100..60_000) };
            self.later(rest, rest + 1, Event::Boot(index));
        }
    }

    /// Tells the daemon to stop: every attempt is given back after its points.
    pub(super) fn stop(&mut self, index: usize) {
        let life = self.life(index);
        let running: Vec<AttemptId> = self.machines[index].trainings.keys().copied().collect();
        self.note(|| format!("m{index} is told to stop"));
        for attempt in running {
            self.machines[index].trainings.remove(&attempt);
            if let Some(left) = self.machines[index].left.get_mut(&attempt) {
                left.ending.get_or_insert(Ending::Released);
            }
            self.push_soon(life, attempt, 1);
        }
    }

    pub(super) fn beat(&mut self, life: Life) {
        if !self.lives(life) {
            return;
        }
        let machine = &self.machines[life.machine];
        let held = machine
            .slots
            .iter()
            .filter_map(|slot| match slot {
                Slot::Busy(attempt) => Some((*attempt, machine.trainings.get(attempt).map_or(0, |t| t.step))),
                Slot::Asking(_) => None,
            })
            .collect();
        self.send(Origin::Worker(life), Op::Heartbeat(held));
        let pace = self.limits.lease_ms / 5;
        self.later(pace, pace + 1, Event::Beat(life));
    }

    pub(super) fn ask(&mut self, life: Life, slot: usize) {
        if !self.lives(life) {
            return;
        }
        if let Slot::Asking(request) = &self.machines[life.machine].slots[slot] {
            let op = Op::Lease { device: DEVICE.to_owned(), request: request.clone() };
            self.send(Origin::Worker(life), op);
            self.later(800, 3_000, Event::Ask(life, slot));
        }
    }

    fn free(&mut self, life: Life, slot: usize) {
        let request = self.machines[life.machine].request(life.machine);
        self.machines[life.machine].slots[slot] = Slot::Asking(request);
        self.later(1, 50, Event::Ask(life, slot));
    }

    fn forget(&mut self, life: Life, attempt: AttemptId) {
        let machine = &mut self.machines[life.machine];
        machine.left.remove(&attempt);
        machine.trainings.remove(&attempt);
        let slot = machine.slots.iter().position(|slot| *slot == Slot::Busy(attempt));
        if let Some(slot) = slot {
            self.free(life, slot);
        }
    }

    fn granted(&mut self, life: Life, request: &str, grant: Grant) {
        let attempt = grant.attempt;
        let stage = attempt.stage;
        let asking = Slot::Asking(request.to_owned());
        let Some(slot) = self.machines[life.machine].slots.iter().position(|slot| *slot == asking) else { return };
        let machine = &mut self.machines[life.machine];
        machine.slots[slot] = Slot::Busy(attempt);
        // A checkpoint that cannot be fetched costs time only.
        let fetched = grant.resume_from.as_ref().filter(|checkpoint| self.artifacts.contains(&checkpoint.artifact));
        let registered = fetched.map_or(0, |checkpoint| checkpoint.step);
        let start = registered.max(machine.checkpoints.get(&stage).copied().unwrap_or(0));
        // A checkpoint carries the points up to its step; the attempt sends them again.
        let again: Vec<Point> = (1..=start).flat_map(|step| points(stage, step)).collect();
        let left = Left {
            request: request.to_owned(),
            batches: if again.is_empty() { Vec::new() } else { vec![again] },
            acknowledged: 0,
            checkpoint: None,
            ending: None,
            push_at: 0,
        };
        machine.left.insert(attempt, left);
        machine.trainings.insert(attempt, Training { step: start, total: steps(stage), slot });
        self.note(|| format!("m{} runs {attempt} from step {start}", life.machine));
        self.push_soon(life, attempt, 1);
        self.later(200, 4_000, Event::Step(life, attempt));
    }

    pub(super) fn step(&mut self, life: Life, attempt: AttemptId) {
        if !self.lives(life) {
            return;
        }
        let stage = attempt.stage;
        let Some(training) = self.machines[life.machine].trainings.get(&attempt).cloned() else { return };
        debug_assert_eq!(self.machines[life.machine].slots[training.slot], Slot::Busy(attempt));
        let last = training.step >= training.total;
        if !last && self.poisoned.contains(&stage) && self.rng.u32(0..3) > 0 {
            self.note(|| format!("{attempt} kills m{}", life.machine));
            self.kill(life.machine);
            return;
        }
        let failure = if last { None } else { self.draw_failure(life.machine) };
        let save = self.rng.u32(0..3) == 0;
        let pace = self.rng.u64(200..4_000);
        let machine = &mut self.machines[life.machine];
        let Some(left) = machine.left.get_mut(&attempt) else { return };
        if let Some(failure) = failure {
            machine.trainings.remove(&attempt);
            left.ending = Some(Ending::Failed(failure));
            self.push_soon(life, attempt, 1);
            return;
        }
        if last {
            machine.trainings.remove(&attempt);
            left.ending = Some(Ending::Finished(Box::new(result(stage))));
            self.push_soon(life, attempt, 1);
            return;
        }
        let step = training.step + 1;
        left.batches.push(points(stage, step));
        if save {
            let saved = machine.checkpoints.entry(stage).or_default();
            *saved = (*saved).max(step);
            left.checkpoint = Some((step, left.batches.len() as u64));
        }
        if let Some(training) = machine.trainings.get_mut(&attempt) {
            training.step = step;
        }
        self.push_soon(life, attempt, 1);
        self.later(pace, pace + 1, Event::Step(life, attempt));
    }

    fn draw_failure(&mut self, machine: usize) -> Option<Failure> {
        let code = if let Some(code) = self.machines[machine].sickness {
            code
        } else if self.chance(self.faults.crashed) {
            FailureCode::Crashed
        } else if self.chance(self.faults.memory) {
            FailureCode::OutOfMemory
        } else if self.chance(self.faults.diverged) {
            FailureCode::Diverged
        } else {
            return None;
        };
        Some(Failure { code, message: format!("at {}", self.now), log: Vec::new() })
    }

    fn push_soon(&mut self, life: Life, attempt: AttemptId, delay: Millis) {
        let at = self.now + delay;
        if let Some(left) = self.machines[life.machine].left.get_mut(&attempt) {
            left.push_at = at;
            self.agenda.plan(at, Event::Push(life, attempt));
        }
    }

    /// Sends the next data of an attempt: its points in order, then its checkpoint, then its end.
    pub(super) fn push(&mut self, life: Life, attempt: AttemptId) {
        if !self.lives(life) {
            return;
        }
        let Some(left) = self.machines[life.machine].left.get(&attempt) else { return };
        if left.push_at > self.now {
            return;
        }
        let request = left.request.clone();
        let op = if let Some(points) = left.batches.get(left.acknowledged as usize) {
            Op::Points { attempt, request, sequence: left.acknowledged, points: points.clone() }
        } else if let Some((step, batches)) = left.checkpoint {
            Op::Checkpoint { attempt, request, checkpoint: checkpoint(attempt.stage, step), batches }
        } else {
            let batches = left.batches.len() as u64;
            match &left.ending {
                Some(Ending::Finished(result)) => Op::Complete { attempt, request, result: result.clone(), batches },
                Some(Ending::Failed(failure)) => Op::Fail { attempt, request, failure: failure.clone() },
                Some(Ending::Released) => Op::Release { attempt, request },
                None => return,
            }
        };
        self.send(Origin::Worker(life), op);
        let again = self.rng.u64(500..2_500);
        self.push_soon(life, attempt, again);
    }

    /// Delivers an answer to a daemon.
    pub(super) fn answered(&mut self, life: Life, op: Op, answer: Answer) {
        if !self.lives(life) {
            return;
        }
        use pretext_engine::Directive;
        match (op, answer) {
            (Op::Heartbeat(_), Answer::Directives(directives, again)) => {
                for (attempt, directive) in directives {
                    if directive != Directive::Continue {
                        self.forget(life, attempt);
                    }
                }
                if again {
                    self.send(Origin::Worker(life), Op::Register);
                }
            }
            (Op::Lease { request, .. }, Answer::Granted(Some(grant))) => self.granted(life, &request, *grant),
            (Op::Points { attempt, sequence, .. }, Answer::Done) => {
                if let Some(left) = self.machines[life.machine].left.get_mut(&attempt)
                    && sequence == left.acknowledged
                {
                    left.acknowledged += 1;
                    self.push_soon(life, attempt, 1);
                }
            }
            (Op::Checkpoint { attempt, checkpoint, .. }, Answer::Done) => {
                if let Some(left) = self.machines[life.machine].left.get_mut(&attempt)
                    && left.checkpoint.is_some_and(|(step, _)| step == checkpoint.step)
                {
                    left.checkpoint = None;
                    self.push_soon(life, attempt, 1);
                }
            }
            (
                Op::Points { attempt, .. } | Op::Checkpoint { attempt, .. } | Op::Complete { attempt, .. }
                | Op::Fail { attempt, .. } | Op::Release { attempt, .. },
                Answer::Over(_) | Answer::Forgotten,
            )
            | (Op::Complete { attempt, .. } | Op::Fail { attempt, .. } | Op::Release { attempt, .. }, Answer::Done)
            // The coordinator no longer has points that it acknowledged: the attempt cannot continue.
            | (
                Op::Points { attempt, .. } | Op::Checkpoint { attempt, .. } | Op::Complete { attempt, .. },
                Answer::Early,
            ) => self.forget(life, attempt),
            _ => {}
        }
    }
}
