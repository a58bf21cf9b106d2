//! Hostile input for every reader of data from outside. Every input must be accepted or refused with a reason, without
//! a panic and within the target's memory limit.
//!
//! ```text
//! fuzz run sweep --inputs 100000          # changed seeds of the corpus; sweep, requests, checkpoint, pictures, records,
//!                                         # sources
//! fuzz run sweep --seconds 600 --seed 1
//! fuzz run sweep --from 81234 --inputs 1  # one input again
//! fuzz cases                              # the named bombs
//! ```
//!
//! Every input is a function of target, seed and number. A stable compiler is enough: inputs are not guided by
//! coverage. The corpora therefore are whole, valid inputs that reach every reader.

mod cases;
mod checkpoint;
mod guard;
mod memory;
mod mutate;
mod pictures;
mod records;
mod requests;
mod sources;
mod sweep;
mod target;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand, ValueEnum};
use peak_alloc::PeakAlloc;

use guard::Guard;
use mutate::Mutator;
use target::{Fate, Target};

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// Feed hostile input to the readers of data from outside.
#[derive(Parser)]
#[command(name = "fuzz")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Feed changed inputs of a target's corpus.
    Run {
        /// Target that reads the inputs.
        #[arg(value_enum)]
        target: Kind,
        /// Number of inputs.
        #[arg(long, default_value_t = u64::MAX)]
        inputs: u64,
        /// Time to run, in seconds.
        #[arg(long, default_value_t = 3600)]
        seconds: u64,
        /// Seed of the changes.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// Number of the first input.
        #[arg(long, default_value_t = 0)]
        from: u64,
    },
    /// Feed the named cases, each alone.
    Cases,
}

/// A target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// The sweep file and its plan.
    Sweep,
    /// Every request of every service, as bytes from the wire.
    Requests,
    /// Checkpoint and model files.
    Checkpoint,
    /// Picture files of every format.
    Pictures,
    /// The binary files of CIFAR and of the MNIST family.
    Records,
    /// Lists, archives of arrays, tables and shards.
    Sources,
}

impl Kind {
    fn target(self) -> Box<dyn Target> {
        match self {
            Kind::Sweep => Box::new(sweep::Sweeps),
            Kind::Requests => Box::new(requests::Requests::new()),
            Kind::Checkpoint => Box::new(checkpoint::Files::new()),
            Kind::Pictures => Box::new(pictures::Pictures),
            Kind::Records => Box::new(records::Records::new()),
            Kind::Sources => Box::new(sources::Sources::new()),
        }
    }
}

fn main() -> ExitCode {
    let guard = Guard::new(&ALLOCATED);
    let violations = match Cli::parse().command {
        Command::Run { target, inputs, seconds, seed, from } => {
            run(&guard, target, from..from.saturating_add(inputs), Duration::from_secs(seconds), seed)
        }
        Command::Cases => cases::run(&guard),
    };
    violations.iter().for_each(|violation| eprintln!("violation: {violation}"));
    if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Number of violations after which a run stops.
const ENOUGH: usize = 10;

fn run(guard: &Guard, kind: Kind, numbers: std::ops::Range<u64>, time: Duration, seed: u64) -> Vec<String> {
    let begin = Instant::now();
    let mut target = kind.target();
    let mut mutator = Mutator::new(target.corpus(), target.words());
    let (mut fed, mut taken, mut most, mut violations) = (0u64, 0u64, 0, Vec::new());
    for number in numbers {
        if begin.elapsed() > time || violations.len() >= ENOUGH {
            break;
        }
        if fed > 0 && fed % target.life() == 0 {
            target = kind.target();
            mutator = Mutator::new(target.corpus(), target.words());
        }
        let input = mutator.input(seed, number);
        let bound = target.bound();
        let seen = guard.feed(target.as_mut(), &input, bound);
        most = most.max(seen.memory);
        taken += u64::from(seen.fate == Ok(Fate::Taken));
        if let Err(what) = seen.fate {
            violations.push(format!("{kind:?} --seed {seed} --from {number}: {what}"));
        }
        fed += 1;
    }
    let (seconds, most) = (begin.elapsed().as_secs_f64(), most.div_ceil(1 << 20));
    println!(
        "| target | inputs | seed | taken | violations | most memory | bound | minutes |\n|---|---|---|---|---|---|---|---|"
    );
    println!(
        "| {} | {fed} | {seed} | {taken} | {} | {most} MiB | {} MiB | {:.1} |",
        target.name(),
        violations.len(),
        target.bound() >> 20,
        seconds / 60.0
    );
    violations
}
