//! Messages and due events of the simulation.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use pretext_engine::{Checkpoint, Directive, Grant, Millis};
use pretext_shared::ids::{AttemptId, SweepId, WorkerId};
use pretext_shared::outcome::{Failure, StageResult};
use pretext_shared::point::Point;

/// One process of a machine's daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Life {
    pub(super) machine: usize,
    pub(super) boot: u64,
}

/// The sender of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Worker(Life),
    /// The client, with the number of the call.
    Client(u64),
}

/// A request. Requests of an attempt carry the request id of their grant, which the coordinator does not see. The
/// simulation uses it to check that no attempt writes under another attempt's grant.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Register,
    Lease {
        device: String,
        request: String,
    },
    Heartbeat(Vec<(AttemptId, u64)>),
    Points {
        attempt: AttemptId,
        request: String,
        sequence: u64,
        points: Vec<Point>,
    },
    Checkpoint {
        attempt: AttemptId,
        request: String,
        checkpoint: Checkpoint,
        batches: u64,
    },
    Complete {
        attempt: AttemptId,
        request: String,
        result: Box<StageResult>,
        batches: u64,
    },
    Fail {
        attempt: AttemptId,
        request: String,
        failure: Failure,
    },
    Release {
        attempt: AttemptId,
        request: String,
    },
    Submit(usize),
    Cancel(SweepId),
    Retry(SweepId),
    Delete(SweepId),
    /// Deletes some stages that no sweep needs.
    Clear,
    /// Pushes the data that only some machines have.
    Push,
    /// Removes them.
    Remove,
}

impl Op {
    /// Returns the attempt of a request that writes for one.
    pub(super) fn attempt(&self) -> Option<AttemptId> {
        match self {
            Op::Points { attempt, .. }
            | Op::Checkpoint { attempt, .. }
            | Op::Complete { attempt, .. }
            | Op::Fail { attempt, .. }
            | Op::Release { attempt, .. } => Some(*attempt),
            _ => None,
        }
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// The request is done, and durable.
    Done,
    /// A stage, or none at present.
    Granted(Option<Box<Grant>>),
    /// What to do with each attempt; whether the worker must register again.
    Directives(Vec<(AttemptId, Directive)>, bool),
    /// Another request must come first.
    Early,
    /// Final refusal: the store does not know the attempt.
    Forgotten,
    /// Final refusal: the attempt is superseded.
    Over(String),
}

/// A request in transit.
#[derive(Debug, Clone)]
pub(super) struct Envelope {
    pub(super) origin: Origin,
    pub(super) op: Op,
}

/// A due event.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// A request reaches the coordinator.
    Arrive(Envelope),
    /// The core thread takes the waiting requests.
    Turn,
    /// Time passes for a coordinator without requests.
    Tick,
    /// A coordinator starts.
    Start,
    /// An answer reaches its receiver.
    Reply(Origin, Op, Answer),
    /// A heartbeat is due.
    Beat(Life),
    /// A free slot asks for work.
    Ask(Life, usize),
    /// A trainer takes a step.
    Step(Life, AttemptId),
    /// The sender of an attempt looks for data to send.
    Push(Life, AttemptId),
    /// A daemon starts.
    Boot(usize),
    /// The client does its next action.
    Act,
    /// The client repeats a call without an answer.
    Insist(u64),
    /// A fault of a machine.
    Mischief,
    /// Faults end.
    Calm,
    /// A check whether all is done.
    Look,
}

#[derive(Debug)]
struct Due {
    at: Millis,
    order: u64,
    event: Event,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        // The heap returns the largest first: earlier is larger.
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

/// Events in the order of their time; events of one time in the order in which they were planned.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    heap: BinaryHeap<Due>,
    order: u64,
}

impl Agenda {
    pub(super) fn plan(&mut self, at: Millis, event: Event) {
        self.order += 1;
        self.heap.push(Due { at, order: self.order, event });
    }

    pub(super) fn next(&mut self) -> Option<(Millis, Event)> {
        self.heap.pop().map(|due| (due.at, due.event))
    }
}

/// The one device of every machine.
pub(super) const DEVICE: &str = "cpu";

/// Returns the name and boot id of a worker.
pub(super) fn worker(life: Life) -> WorkerId {
    let boot = ((life.machine as u128) << 64) | u128::from(life.boot);
    WorkerId { name: format!("m{}", life.machine), boot: uuid::Uuid::from_u128(boot) }
}

/// Returns the life of a worker with this name and boot id.
pub(super) fn life(worker: &WorkerId) -> Life {
    let boot = worker.boot.as_u128();
    Life { machine: (boot >> 64) as usize, boot: boot as u64 }
}
