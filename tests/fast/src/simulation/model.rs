//! An exhaustive model over the real engine: every state that two workers, two stages, three attempts and one crash of
//! the coordinator can reach. Requests come in any order, and answers may be lost. Leases expire at any moment, and
//! their holders continue. The coordinator may die before and after any commit. Wider bounds add deaths of workers,
//! late requests and failures.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use pretext_engine::{Checkpoint, Directive, Engine, Limits, Millis, Offer, State};
use pretext_shared::device::{DeviceFacts, NumericClass};
use pretext_shared::ids::{ArtifactId, AttemptId, ContentHash, WorkerId};
use pretext_shared::outcome::{Failure, FailureCode, Score, StageResult};

use super::store::{Store, Violation, violation};
use super::workload::{Workload, value};

/// The bounds of the model.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Largest number of grants of a stage.
    pub attempts: u64,
    /// Largest number of deaths of the coordinator.
    pub crashes: u8,
    /// Largest number of deaths of workers.
    pub deaths: u8,
    /// Largest number of requests, or copies of requests, that arrive at any later time or never.
    pub late: u8,
    /// Largest number of attempts that fail.
    pub failures: u8,
    /// Number of states at which the exploration stops.
    pub most: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { attempts: 3, crashes: 1, deaths: 0, late: 0, failures: 0, most: u64::MAX }
    }
}

/// The size of the explored model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Explored {
    /// Distinct states.
    pub states: u64,
    /// Transitions between them.
    pub transitions: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Ask {
    Register,
    Lease(String),
    Beat(AttemptId),
    Points(AttemptId, String),
    Checkpoint(AttemptId, String),
    Complete(AttemptId, String),
    Fail(AttemptId, String),
    Release(AttemptId, String),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Slot {
    Asking,
    /// Working, with the request of the grant and the progress: points, checkpoint, end.
    Working(AttemptId, String, u8),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Worker {
    boot: u8,
    asked: u8,
    deaths: u8,
    is_known: bool,
    slot: Slot,
}

#[derive(Clone)]
struct Node {
    engine: Engine,
    store: Store,
    now: Millis,
    workers: [Worker; 2],
    network: Vec<(usize, u8, Ask)>,
    crashes: u8,
    late: u8,
    failures: u8,
}

const LIMITS: Limits = Limits {
    lease_ms: 1,
    max_lost: 3,
    max_failed: 3,
    max_out_of_memory: 2,
    back_off_ms: 0,
    avoid_ms: 0,
    max_streak: 3,
};

fn id(worker: usize, boot: u8) -> WorkerId {
    WorkerId { name: format!("w{worker}"), boot: uuid::Uuid::from_u128(u128::from(boot) + 1) }
}

fn offer() -> Offer {
    let device = DeviceFacts { name: "cpu".to_owned(), description: String::new(), class: NumericClass::Cpu, slots: 1 };
    Offer { devices: vec![device], datasets: Vec::new(), version: String::new(), data_cache: 0 }
}

fn result(attempt: AttemptId) -> StageResult {
    StageResult {
        selected_epoch: 1,
        score: Score { loss: value(attempt.stage, 1), accuracy: 0.5, seen: 1 },
        steps: 1,
        images: 1,
        artifacts: std::collections::BTreeMap::new(),
        device: "cpu".to_owned(),
        seconds: 1.0,
    }
}

impl Node {
    fn first(workload: &Workload) -> Result<Self, Violation> {
        let mut engine = Engine::restore(LIMITS, pretext_engine::Snapshot::default(), 0);
        engine.submit(workload.two_stages().clone());
        let mut store = Store::default();
        store.commit(engine.take_changes(), &LIMITS)?;
        let worker = || Worker { boot: 0, asked: 0, deaths: 0, is_known: false, slot: Slot::Asking };
        Ok(Self {
            engine,
            store,
            now: 0,
            workers: [worker(), worker()],
            network: Vec::new(),
            crashes: 0,
            late: 0,
            failures: 0,
        })
    }

    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.engine.fingerprint(self.now).hash(&mut hasher);
        (&self.workers, &self.network, self.crashes, self.late, self.failures).hash(&mut hasher);
        hasher.finish()
    }

    fn request(&self, worker: usize) -> String {
        format!("w{worker}b{}r{}", self.workers[worker].boot, self.workers[worker].asked)
    }

    /// Returns what a worker may send now.
    fn may_send(&self, index: usize, bounds: &Bounds) -> Vec<Ask> {
        let worker = &self.workers[index];
        if !worker.is_known {
            return vec![Ask::Register];
        }
        match &worker.slot {
            Slot::Asking => vec![Ask::Lease(self.request(index))],
            Slot::Working(attempt, request, phase) => {
                let (attempt, request) = (*attempt, request.clone());
                let mut may = vec![Ask::Beat(attempt)];
                match phase {
                    0 => may.push(Ask::Points(attempt, request)),
                    1 => {
                        if self.failures < bounds.failures {
                            may.push(Ask::Fail(attempt, request.clone()));
                            may.push(Ask::Release(attempt, request.clone()));
                        }
                        may.push(Ask::Checkpoint(attempt, request));
                    }
                    _ => may.push(Ask::Complete(attempt, request)),
                }
                may
            }
        }
    }

    /// Returns all states that may follow.
    fn next(&self, bounds: &Bounds) -> Result<Vec<Node>, Violation> {
        let mut next = Vec::new();
        for index in 0..2 {
            let boot = self.workers[index].boot;
            for ask in self.may_send(index, bounds) {
                let mut asked = self.clone();
                if matches!(ask, Ask::Fail(..) | Ask::Release(..)) {
                    asked.failures += 1;
                }
                asked.arrives(&(index, boot, ask), bounds, &mut next)?;
            }
            if self.workers.iter().map(|worker| worker.deaths).sum::<u8>() < bounds.deaths {
                let mut node = self.clone();
                let worker = &mut node.workers[index];
                *worker =
                    Worker { boot: boot + 1, deaths: worker.deaths + 1, asked: 0, is_known: false, slot: Slot::Asking };
                next.push(node);
            }
        }
        for place in 0..self.network.len() {
            let mut removed = self.clone();
            let message = removed.network.remove(place);
            next.push(removed.deliver(&message, true)?);
            next.push(removed.deliver(&message, false)?);
        }
        // Time passes for running leases.
        if self.store.snapshot.stages.values().any(|(_, progress)| matches!(progress.state, State::Leased(_))) {
            let mut node = self.clone();
            node.now += 1;
            node.engine.tick(node.now);
            let changes = node.engine.take_changes();
            node.store.commit(changes, &LIMITS)?;
            next.push(node);
        }
        next.retain(|node| {
            node.store.snapshot.stages.values().all(|(_, progress)| progress.fence.count() <= bounds.attempts)
        });
        Ok(next)
    }

    /// Returns the outcomes of a request: it is answered; its answer is lost; it or a copy of it is late; the
    /// coordinator dies before or after the request is durable.
    fn arrives(&self, message: &(usize, u8, Ask), bounds: &Bounds, next: &mut Vec<Node>) -> Result<(), Violation> {
        let answered = self.deliver(message, true)?;
        let unheard = self.deliver(message, false)?;
        if self.late < bounds.late && !self.network.contains(message) {
            for node in [self, &answered] {
                let mut node = node.clone();
                node.late += 1;
                node.network.push(message.clone());
                node.network.sort();
                next.push(node);
            }
        }
        if self.crashes < bounds.crashes {
            for node in [self, &unheard] {
                let mut node = node.clone();
                node.restart();
                next.push(node);
            }
        }
        next.extend([answered, unheard]);
        Ok(())
    }

    fn restart(&mut self) {
        self.crashes += 1;
        self.engine = Engine::restore(LIMITS, self.store.snapshot.clone(), self.now);
        for worker in &mut self.workers {
            worker.is_known = false;
        }
    }

    fn deliver(&self, (index, boot, ask): &(usize, u8, Ask), is_answered: bool) -> Result<Node, Violation> {
        let mut node = self.clone();
        let worker = id(*index, *boot);
        let engine = &mut node.engine;
        let now = node.now;
        let mut granted = None;
        let checkpoint = |attempt: &AttemptId| Checkpoint {
            artifact: ArtifactId(ContentHash::from_bytes(*attempt.stage.0.as_bytes())),
            step: 1,
        };
        // Whether it was accepted, and under which grant.
        let (accepted, under) = match ask {
            Ask::Register => {
                engine.register(worker, offer(), now);
                (true, None)
            }
            Ask::Lease(request) => {
                granted = engine.lease(&worker, "cpu", request, now, 0).ok().flatten();
                (granted.is_some(), None)
            }
            Ask::Beat(attempt) => (engine.heartbeat(&worker, &[(*attempt, 0, 0)], now) == [Directive::Continue], None),
            Ask::Points(attempt, request) => {
                let points = super::machine::points(attempt.stage, 1);
                (engine.points(*attempt, 0, points, now).is_ok(), Some((attempt, request)))
            }
            Ask::Checkpoint(attempt, request) => {
                let accepted = engine.register_checkpoint(*attempt, checkpoint(attempt), 2, 1, now).is_ok();
                (accepted, Some((attempt, request)))
            }
            Ask::Complete(attempt, request) => {
                (engine.complete(*attempt, result(*attempt), 1).is_ok(), Some((attempt, request)))
            }
            Ask::Fail(attempt, request) => {
                let failure = Failure { code: FailureCode::Crashed, message: request.clone(), log: Vec::new() };
                (engine.fail(*attempt, failure, now).is_ok(), Some((attempt, request)))
            }
            Ask::Release(attempt, request) => (engine.release(*attempt).is_ok(), Some((attempt, request))),
        };
        let changes = engine.take_changes();
        node.store.commit(changes, &LIMITS)?;
        node.store.crowded(1)?;
        if let (true, Some((attempt, request))) = (accepted, under) {
            let grant = node.store.grants.get(&attempt.stage).and_then(|grants| grants.get(&attempt.fence));
            if grant.is_none_or(|grant| grant.holder.request != *request) {
                return violation("I3", format!("{attempt} of {request} was accepted"));
            }
            if node.store.progress(attempt.stage).is_none_or(|progress| progress.fence != attempt.fence)
                && !matches!(ask, Ask::Fail(..))
            {
                return violation("I3", format!("{attempt} was accepted and is superseded"));
            }
        }
        let worker = &mut node.workers[*index];
        if !is_answered || worker.boot != *boot {
            return Ok(node);
        }
        let done = |worker: &mut Worker| {
            worker.slot = Slot::Asking;
            worker.asked += 1;
        };
        let expected = node_request(*index, worker);
        match (ask, worker.slot.clone()) {
            (Ask::Register, _) => worker.is_known = true,
            (Ask::Lease(request), Slot::Asking) if *request == expected => {
                if let Some(grant) = granted {
                    worker.slot = Slot::Working(grant.attempt, request.clone(), 0);
                }
            }
            (Ask::Beat(attempt), Slot::Working(held, ..)) if *attempt == held && !accepted => done(worker),
            (
                Ask::Points(attempt, _)
                | Ask::Checkpoint(attempt, _)
                | Ask::Complete(attempt, _)
                | Ask::Fail(attempt, _)
                | Ask::Release(attempt, _),
                Slot::Working(held, request, phase),
            ) if *attempt == held => match (ask, accepted, phase) {
                (Ask::Points(..), true, 0) => worker.slot = Slot::Working(held, request, 1),
                (Ask::Checkpoint(..), true, 1) => worker.slot = Slot::Working(held, request, 2),
                (Ask::Points(..) | Ask::Checkpoint(..), true, _) => {}
                _ => done(worker),
            },
            _ => {}
        }
        Ok(node)
    }

    /// Checks that from here an undisturbed worker completes both stages.
    fn can_end(&self) -> Result<(), Violation> {
        let mut engine = self.engine.clone();
        let rescuer = WorkerId { name: "rescuer".to_owned(), boot: uuid::Uuid::nil() };
        let mut now = self.now;
        engine.register(rescuer.clone(), offer(), now);
        for round in 0..16 {
            now += 1;
            engine.tick(now);
            if let Ok(Some(grant)) = engine.lease(&rescuer, "cpu", &format!("r{round}"), now, 0)
                && engine.complete(grant.attempt, result(grant.attempt), 0).is_err()
            {
                return violation("I8", format!("{} was granted and cannot end", grant.attempt));
            }
        }
        let open = self.store.snapshot.stages.keys().find(|stage| {
            let state = engine.progress(**stage).map(|progress| &progress.state);
            !matches!(state, Some(State::Succeeded(_) | State::Failed(_)))
        });
        let failed = |stage| matches!(engine.progress(stage).map(|p| &p.state), Some(State::Failed(_)));
        match open {
            // A child of a failed stage waits for its parent's retry.
            Some(stage) if !self.store.snapshot.stages.keys().any(|other| failed(*other)) => {
                violation("I8", format!("{} cannot end", stage.short()))
            }
            _ => Ok(()),
        }
    }
}

fn node_request(index: usize, worker: &Worker) -> String {
    format!("w{index}b{}r{}", worker.boot, worker.asked)
}

/// Visits every state that is reachable within `bounds`.
///
/// # Errors
/// The first broken promise.
pub fn explore(workload: &Workload, bounds: &Bounds) -> Result<Explored, Violation> {
    let first = Node::first(workload)?;
    let mut seen = HashSet::from([first.fingerprint()]);
    let mut open = vec![first];
    let mut explored = Explored { states: 1, transitions: 0 };
    while let Some(node) = open.pop() {
        if explored.states >= bounds.most {
            break;
        }
        node.can_end()?;
        for next in node.next(bounds)? {
            explored.transitions += 1;
            if seen.insert(next.fingerprint()) {
                explored.states += 1;
                open.push(next);
            }
        }
    }
    Ok(explored)
}
