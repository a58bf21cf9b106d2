//! Explores all states of the model: `explore [ATTEMPTS CRASHES DEATHS LATE FAILURES [MOST-STATES]]`.

use std::process::ExitCode;
use std::time::Instant;

use pretext_fast::simulation::Workload;
use pretext_fast::simulation::model::{Bounds, explore};

fn main() -> ExitCode {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let mut bounds = Bounds::default();
    if let [attempts, crashes, deaths, late, failures, rest @ ..] = numbers.as_slice() {
        let small = |number: &u64| u8::try_from(*number).unwrap_or(u8::MAX);
        bounds = Bounds {
            attempts: *attempts,
            crashes: small(crashes),
            deaths: small(deaths),
            late: small(late),
            failures: small(failures),
            most: rest.first().copied().unwrap_or(u64::MAX),
        };
    }
    let start = Instant::now();
    let explored = explore(&Workload::new(), &bounds);
    println!("{bounds:?}: {:.1} s", start.elapsed().as_secs_f64());
    match explored {
        Ok(explored) => {
            println!("{} states, {} transitions, no violation", explored.states, explored.transitions);
            ExitCode::SUCCESS
        }
        Err(violation) => {
            println!("{} violated: {}", violation.invariant, violation.seen);
            ExitCode::from(1)
        }
    }
}
