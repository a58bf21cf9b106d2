//! Runs seeds of the simulation: `simulate [--from N] [--seeds N] [--keep-going]`. Runs one seed with its trace:
//! `simulate --seed N`.

use std::process::ExitCode;
use std::time::Instant;

use pretext_fast::simulation::{Stats, Trace, Workload, run};

/// Number of seeds between two lines of progress.
const PROGRESS: u64 = 10_000;

struct Arguments {
    from: u64,
    seeds: u64,
    one: bool,
    keep_going: bool,
}

fn arguments() -> Result<Arguments, String> {
    let mut result = Arguments { from: 0, seeds: 10_000, one: false, keep_going: false };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || {
            let text = words.next().ok_or_else(|| format!("{word} needs a number"))?;
            text.parse::<u64>().map_err(|error| format!("{word} {text}: {error}"))
        };
        match word.as_str() {
            "--from" => result.from = number()?,
            "--seeds" => result.seeds = number()?,
            "--seed" => (result.from, result.seeds, result.one) = (number()?, 1, true),
            "--keep-going" => result.keep_going = true,
            other => return Err(format!("`{other}` is not known: --from N, --seeds N, --seed N, --keep-going")),
        }
    }
    Ok(result)
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(sentence) => {
            eprintln!("error: {sentence}");
            return ExitCode::from(2);
        }
    };
    let workload = Workload::new();
    let trace = if arguments.one { Trace::On } else { Trace::Off };
    let (mut total, mut broken) = (Stats::default(), 0u64);
    let start = Instant::now();
    for seed in arguments.from..arguments.from.saturating_add(arguments.seeds) {
        match run(seed, &workload, trace) {
            Ok(stats) => total.add(&stats),
            Err(failure) => {
                broken += 1;
                failure.trace.iter().for_each(|line| println!("{line}"));
                println!("seed {seed}: {} violated: {}", failure.violation.invariant, failure.violation.seen);
                if !arguments.keep_going {
                    println!("replay: cargo run --release -p pretext-fast --bin simulate -- --seed {seed}");
                    return ExitCode::from(1);
                }
            }
        }
        let done = seed - arguments.from + 1;
        if done.is_multiple_of(PROGRESS) {
            let rate = done as f64 / start.elapsed().as_secs_f64();
            eprintln!("{done} seeds, {broken} violations, {rate:.0} seeds/s");
        }
    }
    println!(
        "{} seeds, {broken} violations, {:.0} s: {} events, {} requests, {} commits, {} grants, {} coordinator deaths, \
         {} quarantines, {} devices drained, {} stages deleted, {} stores set back, {} acknowledgements compared",
        arguments.seeds,
        start.elapsed().as_secs_f64(),
        total.events,
        total.messages,
        total.commits,
        total.grants,
        total.crashes,
        total.quarantines,
        total.drains,
        total.deletions,
        total.rollbacks,
        total.acknowledged,
    );
    ExitCode::from(u8::from(broken > 0))
}
