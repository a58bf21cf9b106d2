//! Points in many streams: as many as possible, and at a fixed rate.

use std::collections::VecDeque;
use std::time::Duration;

use pretext_proto::v1 as pb;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;

use super::Bench;
use crate::error::{BenchError, within};
use crate::latency::Latency;
use crate::report::{Form, Report};
use crate::stub::Stub;
use crate::sweeps::{Person, Sweep};
use crate::system::{System, own_cpu};
use crate::table::Cell;

const POINTS: Form = Form {
    name: "points",
    columns: &[
        "store",
        "streams",
        "points a batch",
        "offered points/s",
        "points/s",
        "acknowledge p50, ms",
        "acknowledge p99, ms",
        "cores of the coordinator",
        "of which the core thread",
        "cores of the bench",
        "peak RSS, MiB",
    ],
};

/// Streams of a worker.
const SLOTS: u32 = 8;
/// Batches of a stream that are not acknowledged, if it sends as much as possible.
const WINDOW: usize = 4;
/// Longest time until a batch is acknowledged.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the streams send.
#[derive(Debug, Clone, Copy)]
struct Load {
    /// Points of a batch.
    batch: u32,
    /// Points per second of all streams; `None` for as many as possible.
    rate: Option<f64>,
}

const LOADS: [Load; 3] =
    [Load { batch: 1_000, rate: None }, Load { batch: 100, rate: None }, Load { batch: 100, rate: Some(100_000.0) }];

/// Fills the table.
pub(super) async fn run(bench: &Bench, report: &mut Report) -> Result<(), BenchError> {
    for load in LOADS {
        let streams = bench.scale.streams;
        eprintln!("points: {streams} streams, {load:?}");
        let system = bench.start().await?;
        let held = hold(&system, streams).await?;
        let (before, own) = (system.usage()?, own_cpu()?);
        let begun = Instant::now();
        let mut tasks = JoinSet::new();
        for ((stub, attempt), place) in held.into_iter().zip(0_u32..) {
            let share = f64::from(place) / f64::from(streams);
            let interval = load.rate.map(|rate| Duration::from_secs_f64(f64::from(load.batch * streams) / rate));
            let pace = interval.map(|interval| (begun + interval.mul_f64(share), interval));
            tasks.spawn(send(stub, attempt, load.batch, pace, begun + bench.scale.points));
        }
        let (mut latency, mut batches) = (Latency::default(), 0);
        while let Some(ended) = tasks.join_next().await {
            let (timely, took) = ended.map_err(|error| BenchError::Answer(error.to_string()))??;
            batches += timely;
            latency.merge(took);
        }
        let (after, took) = (system.usage()?, begun.elapsed().as_secs_f64());
        let cpu = after.cpu.since(before.cpu);
        let cores = |cpu: Duration| Cell::Number(cpu.as_secs_f64() / took, 2);
        let points = f64::from(load.batch) * batches as f64;
        report.row(
            POINTS,
            vec![
                Cell::text(bench.store.name()),
                Cell::Count(streams.into()),
                Cell::Count(load.batch.into()),
                load.rate.map_or(Cell::text("as many as possible"), |rate| Cell::Number(rate, 0)),
                Cell::Number(points / bench.scale.points.as_secs_f64(), 0),
                Cell::millis(latency.quantile(0.5)),
                Cell::millis(latency.quantile(0.99)),
                cores(cpu.all),
                cores(cpu.core),
                cores(own_cpu()?.saturating_sub(own)),
                Cell::mebibytes(after.peak),
            ],
        );
    }
    Ok(())
}

/// Returns `streams` held attempts, each with its worker.
async fn hold(system: &System, streams: u32) -> Result<Vec<(Stub, pb::Attempt)>, BenchError> {
    // Every cell begins with a stage of its own or shares it with one other cell.
    let sweep = Sweep::of(u64::from(streams) * 2);
    Person::connect(&system.server.url).await?.submit(sweep).await?;
    let mut held = Vec::new();
    for worker in 0..streams.div_ceil(SLOTS) {
        let mut stub = Stub::register(&system.server.url, format!("stub-{worker}"), SLOTS).await?;
        for _ in 0..SLOTS {
            let attempt = stub.lease(Duration::from_secs(5)).await?;
            let attempt = attempt.ok_or_else(|| BenchError::Answer("no stage was ready for a stream".to_owned()))?;
            held.push((stub.clone(), attempt));
        }
    }
    Ok(held)
}

/// Sends batches until `deadline`: at a pace (first time, interval), or always [`WINDOW`] at a time. Returns the number
/// of batches that were acknowledged before the deadline, and the time of each from its due time to its acknowledgement.
async fn send(
    mut stub: Stub,
    attempt: pb::Attempt,
    batch: u32,
    pace: Option<(Instant, Duration)>,
    deadline: Instant,
) -> Result<(u64, Latency), BenchError> {
    // A paced stream does not wait for its turn: what it is late with would not be measured.
    let (sender, receiver) = mpsc::channel(4096);
    let mut acks = stub.points(ReceiverStream::new(receiver)).await?;
    let mut source = Source { attempt, batch, next: 0 };
    let mut sent = VecDeque::new();
    let (mut due, interval) = pace.unwrap_or((deadline, Duration::ZERO));
    if pace.is_none() {
        for _ in 0..WINDOW {
            sent.push_back(Instant::now());
            source.send(&sender)?;
        }
    }
    let (mut latency, mut timely) = (Latency::default(), 0);
    while due < deadline || !sent.is_empty() {
        let ack = tokio::select! {
            ack = within("an acknowledgement", PATIENCE, async { acks.message().await.map_err(BenchError::refused("points")) }) => ack?,
            () = tokio::time::sleep_until(due), if due < deadline => {
                sent.push_back(due);
                source.send(&sender)?;
                due += interval;
                continue;
            }
        };
        let ack = ack.ok_or_else(|| BenchError::Answer("a stream of points has ended".to_owned()))?;
        if !ack.refused.is_empty() {
            return Err(BenchError::Answer(format!("points were refused: {}", ack.refused)));
        }
        let now = Instant::now();
        latency.add(now - sent.pop_front().unwrap_or(now));
        if now < deadline {
            timely += 1;
            if pace.is_none() {
                sent.push_back(now);
                source.send(&sender)?;
            }
        }
    }
    Ok((timely, latency))
}

/// The batches of an attempt.
struct Source {
    attempt: pb::Attempt,
    batch: u32,
    next: u64,
}

impl Source {
    fn send(&mut self, sender: &mpsc::Sender<pb::PointBatch>) -> Result<(), BenchError> {
        let sequence = self.next;
        self.next += 1;
        let point = |place: u32| {
            let step = sequence * u64::from(self.batch) + u64::from(place) + 1;
            let (part, metric) = ("train".to_owned(), "step-loss".to_owned());
            pb::Point { part, metric, epoch: 1, step, value: 1.0 / step as f64 }
        };
        let points = (0..self.batch).map(point).collect();
        let message = pb::PointBatch { attempt: Some(self.attempt.clone()), sequence, points };
        sender.try_send(message).map_err(|error| BenchError::Answer(format!("a stream of points: {error}")))
    }
}
