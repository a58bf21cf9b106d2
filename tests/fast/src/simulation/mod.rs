//! Deterministic simulation of coordinator, workers, network and store around the real engine: one thread, no clock, no
//! IO. One seed decides the cluster, the sweeps, the user's requests and every fault. After a while the faults stop,
//! and then every sweep must end well. The store checks every transition, and a ledger keeps everything that was
//! acknowledged.

mod apply;
mod claims;
mod client;
mod compare;
mod coordinator;
mod event;
mod faults;
mod health;
mod ledger;
mod machine;
pub mod model;
mod oracle;
mod scan;
mod store;
mod workload;
mod world;

pub use store::Violation;
pub use workload::Workload;

use world::World;

/// Whether events are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trace {
    /// Every request, answer and fault.
    On,
    /// Nothing.
    Off,
}

/// Counts of a seed's run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Events of all kinds.
    pub events: u64,
    /// Requests sent.
    pub messages: u64,
    /// Commits that changed something.
    pub commits: u64,
    /// Grants.
    pub grants: u64,
    /// Number of coordinator crashes.
    pub crashes: u64,
    /// Number of stages that were quarantined because of their workers.
    pub quarantines: u64,
    /// Number of times that a device was drained.
    pub drains: u64,
    /// Number of stages that were deleted.
    pub deletions: u64,
    /// Number of times that the store was set back.
    pub rollbacks: u64,
    /// Number of acknowledgements that were compared at the end.
    pub acknowledged: u64,
}

impl Stats {
    /// Adds another seed's counts.
    pub fn add(&mut self, other: &Stats) {
        self.events += other.events;
        self.messages += other.messages;
        self.commits += other.commits;
        self.grants += other.grants;
        self.crashes += other.crashes;
        self.quarantines += other.quarantines;
        self.drains += other.drains;
        self.deletions += other.deletions;
        self.rollbacks += other.rollbacks;
        self.acknowledged += other.acknowledged;
    }
}

/// A seed that broke a promise.
#[derive(Debug, Clone)]
pub struct Broken {
    /// The violation.
    pub violation: Violation,
    /// The events, line by line; empty without a trace.
    pub trace: Vec<String>,
}

/// Runs the world of a seed.
///
/// # Errors
/// The first broken promise.
pub fn run(seed: u64, workload: &Workload, trace: Trace) -> Result<Stats, Box<Broken>> {
    let mut world = World::new(seed, workload, trace);
    let ended = world.run();
    world.stats.acknowledged = world.known.ledger.size() as u64;
    match ended {
        Ok(()) => Ok(world.stats),
        Err(violation) => Err(Box::new(Broken { violation, trace: std::mem::take(&mut world.notes) })),
    }
}
