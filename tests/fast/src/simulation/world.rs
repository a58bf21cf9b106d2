//! The world of one seed: machines, a network, a coordinator, a user, and faults.

use std::collections::BTreeSet;

use fastrand::Rng;
use pretext_engine::{Denied, Engine, Limits, Millis};
use pretext_shared::ids::{ArtifactId, StageId};
use pretext_shared::outcome::FailureCode;

use super::claims::Claims;
use super::client::Client;
use super::coordinator::{Backup, Process};
use super::event::{Agenda, Answer, Envelope, Event, Op, Origin, worker};
use super::faults::{Faults, Mischief};
use super::machine::Machine;
use super::oracle::Known;
use super::store::{Store, Violation};
use super::workload::Workload;
use super::{Stats, Trace};

/// After this time every machine of a world without other faults has registered.
const REGISTERED: Millis = 10_000;

/// See the module.
pub(super) struct World<'a> {
    pub(super) rng: Rng,
    pub(super) now: Millis,
    pub(super) agenda: Agenda,
    pub(super) faults: Faults,
    pub(super) is_calm: bool,
    pub(super) limits: Limits,
    pub(super) workload: &'a Workload,
    /// The sweeps of this seed.
    pub(super) chosen: Vec<usize>,
    pub(super) machines: Vec<Machine>,
    /// Number of slots of each machine.
    pub(super) slots: usize,
    /// Stages that kill every machine that runs them.
    pub(super) poisoned: BTreeSet<StageId>,
    pub(super) client: Client,
    pub(super) process: Process,
    pub(super) store: Store,
    pub(super) artifacts: BTreeSet<ArtifactId>,
    pub(super) backup: Option<Backup>,
    pub(super) was_rolled_back: bool,
    /// Whether sick machines are the only fault: no stage may fail then.
    pub(super) is_only_sick: bool,
    pub(super) known: Known,
    pub(super) claims: Claims,
    pub(super) stats: Stats,
    trace: Trace,
    /// The last events, to print with a violation.
    pub(super) notes: Vec<String>,
}

impl<'a> World<'a> {
    pub(super) fn new(seed: u64, workload: &'a Workload, trace: Trace) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut chosen: Vec<usize> = (0..workload.submissions.len()).collect();
        rng.shuffle(&mut chosen);
        chosen.truncate(rng.usize(1..=3));
        let faults = Faults::draw(&mut rng);
        let slots = rng.usize(1..=2);
        let is_only_sick = rng.u32(0..8) == 0;
        let faults = if is_only_sick { Faults::only_sick() } else { faults };
        if is_only_sick {
            // Every machine can run the others.
            chosen.retain(|index| workload.submissions[*index].sweep.priority == 0);
            if chosen.is_empty() {
                chosen.push(0);
            }
        }
        let fewest = if is_only_sick { 2 } else { 1 };
        let machines = (0..rng.usize(fewest..=3)).map(|_| Machine::new(slots)).collect();
        let stages = chosen.iter().flat_map(|index| &workload.submissions[*index].stages);
        let stages: BTreeSet<StageId> = stages.map(|(id, _)| *id).collect();
        let poisoned = stages.into_iter().filter(|_| rng.u32(0..1_000) < faults.poison).collect();
        let mut world = Self {
            rng,
            now: 0,
            agenda: Agenda::default(),
            faults,
            is_calm: false,
            limits: Limits::default(),
            workload,
            client: Client { open: chosen.clone(), ..Client::default() },
            chosen,
            machines,
            slots,
            poisoned,
            process: Process::default(),
            store: Store::default(),
            artifacts: BTreeSet::new(),
            backup: None,
            was_rolled_back: false,
            is_only_sick,
            known: Known::default(),
            claims: Claims::new(seed),
            stats: Stats::default(),
            trace,
            notes: Vec::new(),
        };
        world.agenda.plan(0, Event::Start);
        for machine in 0..world.machines.len() {
            world.later(1, 5_000, Event::Boot(machine));
        }
        world.later(1, 2_000, Event::Act);
        world.later(1_000, 10_000, Event::Mischief);
        world.later(5_000, 5_001, Event::Look);
        let chaos = world.rng.u64(30_000..180_000);
        world.agenda.plan(chaos, Event::Calm);
        world
    }

    /// Runs the world to its end.
    pub(super) fn run(&mut self) -> Result<(), Violation> {
        while let Some((at, event)) = self.agenda.next() {
            self.now = at;
            self.stats.events += 1;
            match event {
                Event::Arrive(envelope) => self.arrive(envelope),
                Event::Turn => self.turn()?,
                Event::Tick => self.tick()?,
                Event::Start => self.start()?,
                Event::Act => self.act(),
                Event::Insist(call) => self.insist(call),
                Event::Mischief => self.mischief(),
                Event::Calm => self.calm(),
                Event::Boot(machine) => self.boot(machine),
                Event::Look => {
                    if self.look()? {
                        return self.all_is_well();
                    }
                }
                Event::Reply(Origin::Client(call), ..) => self.client_answered(call),
                Event::Reply(Origin::Worker(life), op, answer) => {
                    let event = Event::Reply(Origin::Worker(life), op.clone(), answer.clone());
                    if !self.sleeps(life.machine, event) {
                        self.answered(life, op, answer);
                    }
                }
                Event::Beat(life) => {
                    if !self.sleeps(life.machine, event) {
                        self.beat(life);
                    }
                }
                Event::Ask(life, slot) => {
                    if !self.sleeps(life.machine, event) {
                        self.ask(life, slot);
                    }
                }
                Event::Step(life, attempt) => {
                    if !self.sleeps(life.machine, event) {
                        self.step(life, attempt);
                    }
                }
                Event::Push(life, attempt) => {
                    if !self.sleeps(life.machine, event) {
                        self.push(life, attempt);
                    }
                }
            }
        }
        Ok(())
    }

    /// Delays the events of a paused machine.
    fn sleeps(&mut self, machine: usize, event: Event) -> bool {
        let until = self.machines[machine].paused_until;
        if until <= self.now {
            return false;
        }
        self.agenda.plan(until, event);
        true
    }

    pub(super) fn chance(&mut self, in_a_thousand: u32) -> bool {
        in_a_thousand > 0 && self.rng.u32(0..1_000) < in_a_thousand
    }

    /// Plans an event after `from` to `to` milliseconds (`to` excluded).
    pub(super) fn later(&mut self, from: Millis, to: Millis, event: Event) {
        let delay = self.rng.u64(from..to);
        self.agenda.plan(self.now + delay, event);
    }

    pub(super) fn note(&mut self, line: impl FnOnce() -> String) {
        if self.trace == Trace::On {
            self.notes.push(format!("{:>9.3} s  {}", self.now as f64 / 1_000.0, line()));
        }
    }

    fn is_cut(&self, origin: Origin) -> bool {
        matches!(origin, Origin::Worker(life) if self.machines[life.machine].cut_until > self.now)
    }

    fn delay(&mut self) -> Millis {
        if self.chance(self.faults.straggle) { self.rng.u64(500..60_000) } else { self.rng.u64(1..30) }
    }

    /// Sends a request, which may be lost, late, or arrive twice.
    pub(super) fn send(&mut self, origin: Origin, op: Op) {
        self.stats.messages += 1;
        if self.is_cut(origin) {
            return;
        }
        self.note(|| format!("{} asks {}", name(origin), brief(&op)));
        let copies = if self.chance(self.faults.duplicate) { 2 } else { 1 };
        for _ in 0..copies {
            if !self.chance(self.faults.drop) {
                let delay = self.delay();
                let envelope = Envelope { origin, op: op.clone() };
                self.agenda.plan(self.now + delay, Event::Arrive(envelope));
            }
        }
    }

    /// Applies a request, unless its sender may not speak for the attempt in it. Heartbeats hold only attempts with a
    /// proof.
    pub(super) fn admit(
        &mut self,
        engine: &mut Engine,
        origin: Origin,
        op: &Op,
        now: Millis,
        discards: &mut Vec<ArtifactId>,
    ) -> Result<Answer, Violation> {
        if let (Origin::Worker(life), Some(attempt)) = (origin, op.attempt()) {
            match engine.vouch(&worker(life).name, attempt, self.claims.evidence(attempt, life)) {
                Ok(()) => {}
                Err(Denied::Foreign) => return Ok(Answer::Over("the lease is another worker's".to_owned())),
                Err(Denied::Refused(refusal)) => return Ok(Answer::Over(refusal.to_string())),
            }
        }
        self.apply(engine, origin, op, now, discards)
    }

    /// Sends an answer, which may be lost or late.
    pub(super) fn reply(&mut self, origin: Origin, op: Op, answer: Answer) {
        self.claims.note(origin, &answer);
        if self.is_cut(origin) || self.chance(self.faults.drop) {
            self.note(|| format!("the answer to {} of {} is lost", brief(&op), name(origin)));
            return;
        }
        if !matches!(answer, Answer::Granted(None) | Answer::Directives(..)) {
            self.note(|| format!("{} hears {}", name(origin), outcome(&op, &answer)));
        }
        let delay = self.delay();
        self.agenda.plan(self.now + delay, Event::Reply(origin, op, answer));
    }

    fn mischief(&mut self) {
        if self.is_calm || self.faults.mischief.is_empty() {
            return;
        }
        self.later(2_000, 20_000, Event::Mischief);
        let kind = self.faults.mischief[self.rng.usize(0..self.faults.mischief.len())];
        let machine = self.rng.usize(0..self.machines.len());
        let long = self.rng.u64(5_000..60_000);
        match kind {
            Mischief::KillWorker => self.kill(machine),
            Mischief::StopWorker => self.stop(machine),
            Mischief::PauseWorker => {
                self.note(|| format!("m{machine} is paused for {long} ms"));
                self.machines[machine].paused_until = self.now + long;
            }
            Mischief::CutWorker => {
                self.note(|| format!("m{machine} is cut off for {long} ms"));
                self.machines[machine].cut_until = self.now + long;
            }
            Mischief::SickenWorker => self.sicken(machine),
            Mischief::HealWorker => {
                self.note(|| format!("m{machine} is well"));
                self.machines[machine].sickness = None;
            }
            Mischief::CrashCoordinator => self.crash("killed"),
            Mischief::PauseCoordinator => {
                self.note(|| format!("the coordinator is paused for {long} ms"));
                self.process.paused_until = self.now + long;
            }
            Mischief::JumpClock => {
                self.note(|| format!("the clock jumps by {long} ms"));
                self.process.jump += long;
            }
            Mischief::JumpWallClock => self.process.wall = self.rng.u64(0..7_200_000),
            Mischief::Backup => self.back_up(),
            Mischief::RollBack => self.roll_back(),
        }
    }

    /// Makes a machine fail every stage that it runs from now on. In a world of sick machines alone, one stays well.
    fn sicken(&mut self, machine: usize) {
        let are_well = self.machines.iter().filter(|machine| machine.sickness.is_none()).count();
        let is_needed = self.is_only_sick && (are_well <= 1 || self.now < REGISTERED);
        if is_needed || self.machines[machine].sickness.is_some() {
            return;
        }
        use FailureCode::{Crashed, DataCopy, Device, Storage};
        let code = [Crashed, DataCopy, Device, Storage][self.rng.usize(0..4)];
        self.note(|| format!("m{machine} is sick: {}", code.as_str()));
        self.machines[machine].sickness = Some(code);
    }

    /// Stops all faults; from here on everything must end well.
    fn calm(&mut self) {
        self.note(|| "calm".to_owned());
        self.is_calm = true;
        self.faults = Faults::none();
        self.process.paused_until = self.process.paused_until.min(self.now);
        for machine in 0..self.machines.len() {
            self.machines[machine].paused_until = 0;
            self.machines[machine].cut_until = 0;
            self.machines[machine].sickness = None;
            self.later(1, 100, Event::Boot(machine));
        }
        self.later(1, 2, Event::Start);
        self.calm_client();
    }
}

fn name(origin: Origin) -> String {
    match origin {
        Origin::Worker(life) => format!("m{}", life.machine),
        Origin::Client(_) => "client".to_owned(),
    }
}

fn brief(op: &Op) -> String {
    match op {
        Op::Register => "register".to_owned(),
        Op::Lease { request, .. } => format!("lease {request}"),
        Op::Heartbeat(held) => {
            let held: Vec<String> = held.iter().map(|(attempt, step)| format!("{attempt} step {step}")).collect();
            format!("heartbeat [{}]", held.join(", "))
        }
        Op::Points { attempt, sequence, points, .. } => format!("points {attempt} #{sequence} ({})", points.len()),
        Op::Checkpoint { attempt, checkpoint, .. } => format!("checkpoint {attempt} step {}", checkpoint.step),
        Op::Complete { attempt, .. } => format!("complete {attempt}"),
        Op::Fail { attempt, failure, .. } => format!("fail {attempt} ({})", failure.code.as_str()),
        Op::Release { attempt, .. } => format!("release {attempt}"),
        Op::Submit(index) => format!("submit {index}"),
        Op::Cancel(sweep) => format!("cancel {sweep}"),
        Op::Retry(sweep) => format!("retry {sweep}"),
        Op::Delete(sweep) => format!("delete {sweep}"),
        Op::Clear => "clear".to_owned(),
        Op::Push => "push".to_owned(),
        Op::Remove => "remove".to_owned(),
    }
}

fn outcome(op: &Op, answer: &Answer) -> String {
    let answer = match answer {
        Answer::Done => "done".to_owned(),
        Answer::Granted(grant) => grant.as_ref().map_or_else(|| "none".to_owned(), |grant| grant.attempt.to_string()),
        Answer::Directives(..) => "directives".to_owned(),
        Answer::Early => "something must come first".to_owned(),
        Answer::Forgotten => "the store has forgotten it".to_owned(),
        Answer::Over(reason) => reason.clone(),
    };
    format!("{}: {answer}", brief(op))
}
