//! What travels and what is due.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use pretext_engine::{Checkpoint, Directive, Grant, Millis};
use pretext_shared::ids::{AttemptId, SweepId};
use pretext_shared::outcome::{Failure, StageResult};
use pretext_shared::point::Point;

/// One life of a machine's daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Life {
    pub(super) machine: usize,
    pub(super) boot: u64,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Worker(Life),
    /// With the number of the call.
    Client(u64),
}

/// What is asked. Those by an attempt carry the request that it was granted to, which the coordinator does not see:
/// the simulation checks with it that nobody writes under another's grant.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Register,
    Lease { device: String, request: String },
    Heartbeat(Vec<(AttemptId, u64)>),
    Points { attempt: AttemptId, request: String, sequence: u64, points: Vec<Point> },
    Checkpoint { attempt: AttemptId, request: String, checkpoint: Checkpoint, batches: u64 },
    Complete { attempt: AttemptId, request: String, result: Box<StageResult>, batches: u64 },
    Fail { attempt: AttemptId, request: String, failure: Failure },
    Release { attempt: AttemptId, request: String },
    Submit(usize),
    Cancel(SweepId),
    Retry(SweepId),
}

/// What is answered.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// Done, and durable.
    Done,
    /// A stage, or none for now.
    Granted(Option<Box<Grant>>),
    /// What to do with each attempt; whether the worker must register again.
    Directives(Vec<(AttemptId, Directive)>, bool),
    /// Something must come first.
    Early,
    /// Never: the store does not know the attempt.
    Forgotten,
    /// Never: the attempt is over.
    Over(String),
}

/// A request on its way.
#[derive(Debug, Clone)]
pub(super) struct Envelope {
    pub(super) origin: Origin,
    pub(super) op: Op,
}

/// What is due.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// A request reaches the coordinator.
    Arrive(Envelope),
    /// The core thread takes what waits.
    Turn,
    /// Time passes for a coordinator that nobody asks.
    Tick,
    /// A coordinator starts.
    Start,
    /// An answer reaches whoever asked.
    Reply(Origin, Op, Answer),
    /// A heartbeat is due.
    Beat(Life),
    /// A free slot asks for work.
    Ask(Life, usize),
    /// A trainer takes a step.
    Step(Life, AttemptId),
    /// The sender of an attempt looks for what to send.
    Push(Life, AttemptId),
    /// A daemon starts.
    Boot(usize),
    /// The client does what it wants next.
    Act,
    /// The client repeats what was not answered.
    Insist(u64),
    /// Something goes wrong.
    Mischief,
    /// Nothing goes wrong any more.
    Calm,
    /// Somebody looks whether all is done.
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
        // The heap gives the largest first: earlier is larger.
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

/// Events in the order of their time; of one time in the order in which they were planned.
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
