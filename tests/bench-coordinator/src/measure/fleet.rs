//! A fleet that waits: what it costs the coordinator, and how fast it gets its first leases.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Bench;
use crate::error::BenchError;
use crate::report::{Form, Report};
use crate::stub::Stub;
use crate::sweeps::{Person, Sweep};
use crate::system::System;
use crate::table::Cell;

const FLEET: Form = Form {
    name: "idle fleet",
    columns: &[
        "store",
        "workers",
        "cells that wait for other devices",
        "RSS, MiB",
        "CPU, % of a core",
        "of which the core thread, %",
        "longest heartbeat, ms",
        "submission, s",
        "leases",
        "all leases after the submission was sent, s",
    ],
};

/// Time that a slot waits on the coordinator, as a daemon's.
const POLL: Duration = Duration::from_secs(20);
/// Time for the fleet to come to rest.
const SETTLE: Duration = Duration::from_secs(2);
/// Longest time until the fleet has its first leases.
const PATIENCE: Duration = Duration::from_secs(60);

/// Fills the table.
pub(super) async fn run(bench: &Bench, report: &mut Report) -> Result<(), BenchError> {
    for waiting in &bench.scale.waiting {
        eprintln!("fleet: {} workers, {waiting} cells wait", bench.scale.fleet);
        row(bench, *waiting, report).await?;
    }
    Ok(())
}

async fn row(bench: &Bench, waiting: u64, report: &mut Report) -> Result<(), BenchError> {
    let system = bench.start().await?;
    let mut person = Person::connect(&system.server.url).await?;
    if waiting > 0 {
        person.submit(Sweep { numeric: "gpu", ..Sweep::of(waiting) }).await?;
    }
    let mut fleet = Fleet::start(&system, bench.scale.fleet).await?;
    tokio::time::sleep(SETTLE.min(bench.scale.idle)).await;
    let (before, begun) = (system.usage()?, Instant::now());
    fleet.beats.clear();
    tokio::time::sleep(bench.scale.idle).await;
    let (after, seconds) = (system.usage()?, begun.elapsed().as_secs_f64());
    let slowest = fleet.beats.longest();
    // With two cells for each worker, there is a ready stage for each.
    let begun = Instant::now();
    person.submit(Sweep::of(u64::from(bench.scale.fleet) * 2)).await?;
    let submitted = begun.elapsed();
    let granted = fleet.granted(begun + PATIENCE).await?;
    let last = granted.iter().max().map(|last| *last - begun);
    let all = last.filter(|_| granted.len() == bench.scale.fleet as usize);
    let cpu = after.cpu.since(before.cpu);
    let percent = |cpu: Duration| Cell::Number(100.0 * cpu.as_secs_f64() / seconds, 1);
    report.row(
        FLEET,
        vec![
            Cell::text(bench.store.name()),
            Cell::Count(bench.scale.fleet.into()),
            Cell::Count(waiting),
            Cell::mebibytes(after.resident),
            percent(cpu.all),
            percent(cpu.core),
            Cell::millis(slowest),
            Cell::seconds(submitted),
            Cell::Count(granted.len() as u64),
            all.map_or(Cell::None, Cell::seconds),
        ],
    );
    Ok(())
}

/// The longest heartbeat since the last [`Beats::clear`], in microseconds.
#[derive(Clone, Default)]
struct Beats(std::sync::Arc<std::sync::atomic::AtomicU64>);

impl Beats {
    fn clear(&self) {
        self.0.store(0, std::sync::atomic::Ordering::Relaxed);
    }

    fn add(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.0.fetch_max(micros, std::sync::atomic::Ordering::Relaxed);
    }

    /// Returns `None` if there was no heartbeat.
    fn longest(&self) -> Option<Duration> {
        let micros = self.0.load(std::sync::atomic::Ordering::Relaxed);
        (micros > 0).then(|| Duration::from_micros(micros))
    }
}

/// Workers of one slot each, which wait for a stage and send heartbeats. They end when this is dropped.
struct Fleet {
    workers: u32,
    tasks: JoinSet<Result<(), BenchError>>,
    /// The time of each first grant.
    grants: mpsc::UnboundedReceiver<Instant>,
    beats: Beats,
}

impl Fleet {
    async fn start(system: &System, workers: u32) -> Result<Self, BenchError> {
        let (sender, grants) = mpsc::unbounded_channel();
        let mut fleet = Self { workers, tasks: JoinSet::new(), grants, beats: Beats::default() };
        for worker in 0..workers {
            let stub = Stub::register(&system.server.url, format!("stub-{worker}"), 1).await?;
            let begin = stub.pace.mul_f64(f64::from(worker) / f64::from(workers));
            fleet.tasks.spawn(beat(stub.clone(), begin, fleet.beats.clone()));
            fleet.tasks.spawn(wait(stub, sender.clone()));
        }
        Ok(fleet)
    }

    /// Returns the times of the first grants, after all workers have one or at the deadline.
    async fn granted(&mut self, deadline: Instant) -> Result<Vec<Instant>, BenchError> {
        let deadline = tokio::time::Instant::from_std(deadline);
        let mut granted = Vec::new();
        while granted.len() < self.workers as usize {
            tokio::select! {
                at = self.grants.recv() => match at {
                    Some(at) => granted.push(at),
                    None => break,
                },
                Some(ended) = self.tasks.join_next() => {
                    ended.map_err(|error| BenchError::Answer(error.to_string()))??;
                }
                () = tokio::time::sleep_until(deadline) => break,
            }
        }
        Ok(granted)
    }
}

/// Asks for a stage until one is granted, and keeps it.
async fn wait(mut stub: Stub, grants: mpsc::UnboundedSender<Instant>) -> Result<(), BenchError> {
    while stub.lease(POLL).await?.is_none() {}
    // Nobody counts any more: the deadline has passed.
    let _ = grants.send(Instant::now());
    Ok(())
}

async fn beat(mut stub: Stub, begin: Duration, beats: Beats) -> Result<(), BenchError> {
    tokio::time::sleep(begin).await;
    loop {
        let begun = Instant::now();
        stub.heartbeat().await?;
        beats.add(begun.elapsed());
        tokio::time::sleep(stub.pace).await;
    }
}
