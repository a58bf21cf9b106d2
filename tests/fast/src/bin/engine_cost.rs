//! Measures the engine's CPU time for each stage: `engine_cost [LARGEST]`. Sixty-four slots lease stages, send points
//! and complete them through the public interface; nothing is stored. Each case has so many stages in several sweeps.
//! LARGEST is the largest number of stages (1,000,000).

use std::collections::{BTreeMap, VecDeque};
use std::process::ExitCode;
use std::time::Duration;

use pretext_engine::submission::{self, Announced};
use pretext_engine::{Engine, Limits, Millis, Offer, Snapshot};
use pretext_shared::device::{DeviceFacts, NumericClass};
use pretext_shared::ids::{AttemptId, SweepId, WorkerId};
use pretext_shared::outcome::{Score, StageResult};
use pretext_shared::point::{Metric, Part, Point};
use pretext_shared::stage::Extent;
use rustix::time::{ClockId, clock_gettime};

/// Workers, each with so many slots.
const WORKERS: u32 = 8;
/// Slots of a worker.
const SLOTS: u32 = 8;
/// Most stages that a case completes.
const MOST: usize = 20_000;
/// Longest time that a case completes stages.
const LONGEST: Duration = Duration::from_secs(5);
/// Device of every worker.
const DEVICE: &str = "cpu";
/// A device for which there is no stage.
const IDLE: &str = "gpu";
/// Stages of a replicate: one pretext stage, two downstream stages, two tests.
const STAGES_PER_SEED: usize = 5;

/// A row of the table.
struct Case {
    name: &'static str,
    stages: usize,
    sweeps: usize,
    max_parallel: Option<u32>,
    /// Sweeps that are cancelled before the measurement.
    cancelled: usize,
}

/// The measurements of a case.
struct Cost {
    completed: usize,
    per_stage: Duration,
    /// A request of a slot for which there is no stage.
    idle: Duration,
    /// The backlog, as metrics and autoscalers read it.
    backlog: Duration,
    /// The state of one sweep in brief.
    status: Duration,
}

fn main() -> ExitCode {
    let largest = match std::env::args().nth(1).map(|word| word.parse()) {
        None => 1_000_000,
        Some(Ok(largest)) => largest,
        Some(Err(error)) => {
            eprintln!("error: LARGEST is a number of stages: {error}");
            return ExitCode::from(2);
        }
    };
    let plain = |stages, sweeps| Case { name: "", stages, sweeps, max_parallel: None, cancelled: 0 };
    let cases = [
        plain(1_000, 4),
        plain(10_000, 4),
        plain(100_000, 4),
        plain(1_000_000, 4),
        Case { name: "max_parallel: 8", max_parallel: Some(8), ..plain(10_000, 4) },
        Case { name: "max_parallel: 8", max_parallel: Some(8), ..plain(100_000, 4) },
        Case { name: "20 sweeps", ..plain(100_000, 20) },
        Case { name: "half of 20 sweeps cancelled", cancelled: 10, ..plain(100_000, 20) },
    ];
    println!("| case | stages | sweeps | completed | engine a stage | idle request | backlog | status |");
    println!("|---|---|---|---|---|---|---|---|");
    for case in cases.iter().filter(|case| case.stages <= largest) {
        let cost = measure(case);
        println!(
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            case.name,
            case.stages,
            case.sweeps,
            cost.completed,
            shown(cost.per_stage),
            shown(cost.idle),
            shown(cost.backlog),
            shown(cost.status)
        );
    }
    ExitCode::SUCCESS
}

fn shown(time: Duration) -> String {
    format!("{:.4} ms", time.as_secs_f64() * 1_000.0)
}

fn worker(index: u32) -> WorkerId {
    WorkerId { name: format!("w{index}"), boot: uuid::Uuid::from_u128(u128::from(index) + 1) }
}

/// Submits the sweeps of a case. Returns the engine with the ids of its sweeps.
fn prepare(case: &Case) -> (Engine, Vec<SweepId>) {
    let mut engine = Engine::restore(Limits::default(), Snapshot::default(), 0);
    for index in 0..WORKERS {
        let device =
            |name: &str, class| DeviceFacts { name: name.to_owned(), description: String::new(), class, slots: SLOTS };
        let devices = vec![device(DEVICE, NumericClass::Cpu), device(IDLE, NumericClass::Gpu)];
        let offer = Offer { devices, datasets: Vec::new(), version: String::new(), data_cache: 0 };
        engine.register(worker(index), offer, 0);
    }
    let seeds = case.stages / case.sweeps / STAGES_PER_SEED;
    let mut ids = Vec::new();
    for sweep in 0..case.sweeps {
        let text = sweep_file(sweep * seeds..(sweep + 1) * seeds, case.max_parallel);
        let planned = submission::plan(&text, Extent::Whole, &Announced::new(), NumericClass::Cpu);
        let submission = planned.expect("the sweep of this file is good").submission(text, sweep as u64, None);
        ids.push(submission.sweep.id.clone());
        engine.submit(submission);
        engine.take_changes();
    }
    for id in &ids[..case.cancelled] {
        engine.cancel(id).expect("it was submitted");
    }
    engine.take_changes();
    (engine, ids)
}

fn sweep_file(seeds: std::ops::Range<usize>, max_parallel: Option<u32>) -> String {
    let seeds = seeds.map(|seed| seed.to_string()).collect::<Vec<_>>().join(", ");
    let limit = max_parallel.map_or(String::new(), |most| format!("max_parallel: {most}\n"));
    format!(
        "name: cost
dataset: {{kind: procedural, train_per_class: 40, test_per_class: 10, seed: 0, image_size: 16}}
encoder: {{kind: small-cnn, width: 4, blocks: 2}}
methods: [rotation]
fractions: [50%, 100%]
lr: {{fixed: {{kind: constant, base: 0.01}}}}
seeds: [{seeds}]
pretext: {{data: all, epochs: 1, batch: 8}}
downstream: {{epochs: 1, batch: 8}}
{limit}"
    )
}

fn measure(case: &Case) -> Cost {
    let (mut engine, ids) = prepare(case);
    let mut requests = 0u64;
    let mut now: Millis = 1;
    let mut ask = |engine: &mut Engine, slot: u32, now: Millis| {
        requests += 1;
        let request = format!("r{requests}");
        let granted = engine.lease(&worker(slot % WORKERS), DEVICE, &request, now, 0).expect("a known worker");
        granted.map(|grant| (slot, grant.attempt))
    };
    let mut held: VecDeque<(u32, AttemptId)> =
        (0..WORKERS * SLOTS).filter_map(|slot| ask(&mut engine, slot, now)).collect();
    let begin = cpu_time();
    let mut completed = 0;
    while completed < MOST.min(case.stages / 2)
        && (cpu_time() - begin) < LONGEST
        && let Some((slot, attempt)) = held.pop_front()
    {
        now += 1;
        engine.tick(now);
        engine.points(attempt, 0, points(), now).expect("the holder sends points");
        engine.complete(attempt, result(), 1).expect("the holder completes");
        completed += 1;
        held.extend(ask(&mut engine, slot, now));
        engine.take_changes();
    }
    let per_stage = (cpu_time() - begin) / completed.max(1) as u32;
    Cost {
        completed,
        per_stage,
        idle: mean(|| engine.lease(&worker(0), IDLE, "idle", now, 0)),
        backlog: mean(|| engine.backlog(now)),
        status: mean(|| engine.status(&ids[0], now)),
    }
}

/// Returns the CPU time of this thread: other programs on the machine do not count.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Returns the mean time of a call.
fn mean<T>(mut call: impl FnMut() -> T) -> Duration {
    let begin = cpu_time();
    let mut calls = 0;
    while calls < 1_000 && (cpu_time() - begin) < Duration::from_secs(1) {
        std::hint::black_box(call());
        calls += 1;
    }
    (cpu_time() - begin) / calls
}

fn points() -> Vec<Point> {
    vec![Point { part: Part::Train, metric: Metric::Loss, epoch: 1, step: 1, value: 1.0 }]
}

fn result() -> StageResult {
    StageResult {
        selected_epoch: 1,
        score: Score { loss: 1.0, accuracy: 0.5, seen: 2 },
        steps: 1,
        images: 8,
        artifacts: BTreeMap::new(),
        device: DEVICE.to_owned(),
        seconds: 0.1,
    }
}
