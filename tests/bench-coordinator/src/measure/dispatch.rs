//! Stages that stubs lease and complete, beside the raw loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::{Bench, raw};
use crate::error::BenchError;
use crate::latency::Latency;
use crate::report::{Form, Report};
use crate::scale::{Load, Shape};
use crate::stub::Stub;
use crate::sweeps::{Person, Sweep};
use crate::system::System;
use crate::table::Cell;

const RAW: Form =
    Form { name: "raw loop", columns: &["store", "records a sync", "bytes a record", "records/s", "syncs/s"] };

const DISPATCH: Form = Form {
    name: "dispatch",
    columns: &[
        "store",
        "cells",
        "stages",
        "sweeps",
        "in flight",
        "completed",
        "stages/s",
        "lease p50, ms",
        "lease p99, ms",
        "complete p99, ms",
        "CPU a stage, ms",
        "core CPU a stage, ms",
        "raw loop, stages/s",
        "ratio to the raw loop",
        "ratio to a raw loop of single records",
    ],
};

/// Durable answers for each stage: its grant and its result.
const ANSWERS: f64 = 2.0;
/// Time that a slot waits on the coordinator.
const WAIT: Duration = Duration::from_secs(1);
/// Sweeps of [`Shape::Twenty`].
const SWEEPS: u64 = 20;

/// Fills the tables.
pub(super) async fn run(bench: &Bench, report: &mut Report) -> Result<(), BenchError> {
    let folder = bench.programs.scratch()?;
    let yardstick = async |group| raw::run(folder.path(), group, bench.record, bench.scale.raw).await;
    let store = || Cell::text(bench.store.name());
    for group in [1, 64, 256] {
        let records = yardstick(group).await?;
        let (syncs, bytes) = (Cell::Number(records / f64::from(group), 0), Cell::Count(bench.record as u64));
        report.row(RAW, vec![store(), Cell::Count(group.into()), bytes, Cell::Number(records, 0), syncs]);
    }
    for load in &bench.scale.dispatch {
        eprintln!("dispatch: {} cells, {} in flight, {:?}", load.cells, load.in_flight(), load.shape);
        // A disk that others use changes within minutes, so each load has its own yardsticks around it.
        let before = (yardstick(1).await?, yardstick(load.in_flight()).await?);
        let done = work(bench, *load).await?;
        let after = (yardstick(1).await?, yardstick(load.in_flight()).await?);
        let (single, raw) = (before.0.midpoint(after.0) / ANSWERS, before.1.midpoint(after.1) / ANSWERS);
        let rate = done.completed as f64 / done.took.as_secs_f64();
        let each = |cpu: Duration| Cell::ratio(cpu.as_secs_f64() * 1e3, done.completed as f64, 3);
        report.row(
            DISPATCH,
            vec![
                store(),
                Cell::Count(load.cells),
                Cell::Count(done.stages),
                Cell::text(shown(load.shape)),
                Cell::Count(load.in_flight().into()),
                Cell::Count(done.completed),
                Cell::Number(rate, if rate < 100.0 { 1 } else { 0 }),
                Cell::millis(done.leases.quantile(0.5)),
                Cell::millis(done.leases.quantile(0.99)),
                Cell::millis(done.completions.quantile(0.99)),
                each(done.cpu.all),
                each(done.cpu.core),
                Cell::Number(raw, 0),
                Cell::ratio(rate, raw, 3),
                Cell::ratio(rate, single, 2),
            ],
        );
    }
    Ok(())
}

fn shown(shape: Shape) -> String {
    match shape {
        Shape::One => "1".to_owned(),
        Shape::Narrow(most) => format!("1, `max_parallel: {most}`"),
        Shape::Twenty(most) => format!("{SWEEPS}, half cancelled, `max_parallel: {most}`"),
    }
}

/// What became of a load.
struct Done {
    stages: u64,
    completed: u64,
    took: Duration,
    leases: Latency,
    completions: Latency,
    cpu: crate::system::Cpu,
}

/// What the slots share.
struct Shared {
    /// Stages that will be completed if there is time.
    stages: u64,
    completed: AtomicU64,
    over: Notify,
    deadline: Instant,
}

async fn work(bench: &Bench, load: Load) -> Result<Done, BenchError> {
    let mut system = bench.start().await?;
    let (stages, runnable) = submit(&system, load).await?;
    let mut stubs = Vec::new();
    for worker in 0..load.workers {
        stubs.push(Stub::register(&system.server.url, format!("stub-{worker}"), load.slots).await?);
    }
    let before = system.usage()?;
    let begun = Instant::now();
    let shared = Arc::new(Shared {
        stages: runnable,
        completed: AtomicU64::new(0),
        over: Notify::new(),
        deadline: begun + bench.scale.dispatch_limit,
    });
    let mut slots = JoinSet::new();
    for stub in &stubs {
        for _ in 0..load.slots {
            slots.spawn(slot(stub.clone(), shared.clone()));
        }
    }
    let (mut leases, mut completions) = (Latency::default(), Latency::default());
    let mut last = begun;
    while let Some(ended) = slots.join_next().await {
        let slot = match ended.map_err(|error| BenchError::Answer(error.to_string()))? {
            Ok(slot) => slot,
            // The reason is the coordinator's end, if it has ended.
            Err(error) => return Err(system.server.lives().err().unwrap_or(error)),
        };
        leases.merge(slot.leases);
        completions.merge(slot.completions);
        last = last.max(slot.last.unwrap_or(begun));
    }
    let cpu = system.usage()?.cpu.since(before.cpu);
    let completed = shared.completed.load(Ordering::Relaxed);
    let took = if completed >= runnable { last - begun } else { bench.scale.dispatch_limit };
    Ok(Done { stages, completed, took, leases, completions, cpu })
}

/// Submits the sweeps of a load. Returns the number of their stages, and of those that can run.
async fn submit(system: &System, load: Load) -> Result<(u64, u64), BenchError> {
    let mut person = Person::connect(&system.server.url).await?;
    let all = Sweep::of(load.cells);
    match load.shape {
        Shape::One | Shape::Narrow(_) => {
            let max_parallel = match load.shape {
                Shape::Narrow(most) => Some(most),
                _ => None,
            };
            let stages = u64::from(person.submit(Sweep { max_parallel, ..all }).await?.stages);
            Ok((stages, stages))
        }
        Shape::Twenty(most) => {
            let (mut stages, mut runnable) = (0, 0);
            let mut first_seed = 0;
            for number in 0..SWEEPS {
                let sweep = Sweep { first_seed, max_parallel: Some(most), ..Sweep::of(load.cells / SWEEPS) };
                first_seed += sweep.seeds();
                let reply = person.submit(sweep).await?;
                stages += u64::from(reply.stages);
                if number % 2 == 0 {
                    runnable += u64::from(reply.stages);
                } else {
                    person.cancel(reply.sweep).await?;
                }
            }
            Ok((stages, runnable))
        }
    }
}

/// What one slot has measured.
#[derive(Default)]
struct Slot {
    leases: Latency,
    completions: Latency,
    /// The time of its last completion.
    last: Option<Instant>,
}

/// Leases and completes stages until all are completed, or the time is over.
async fn slot(mut stub: Stub, shared: Arc<Shared>) -> Result<Slot, BenchError> {
    let mut slot = Slot::default();
    let deadline = tokio::time::Instant::from_std(shared.deadline);
    while Instant::now() < shared.deadline {
        let over = shared.over.notified();
        if shared.completed.load(Ordering::Relaxed) >= shared.stages {
            break;
        }
        let begun = Instant::now();
        let granted = tokio::select! {
            granted = stub.lease(WAIT) => granted?,
            () = over => break,
            () = tokio::time::sleep_until(deadline) => break,
        };
        let Some(attempt) = granted else { continue };
        slot.leases.add(begun.elapsed());
        let begun = Instant::now();
        tokio::select! {
            completed = stub.complete(attempt) => completed?,
            () = tokio::time::sleep_until(deadline) => break,
        }
        slot.completions.add(begun.elapsed());
        slot.last = Some(Instant::now());
        if shared.completed.fetch_add(1, Ordering::Relaxed) + 1 >= shared.stages {
            shared.over.notify_waiters();
        }
    }
    Ok(slot)
}
