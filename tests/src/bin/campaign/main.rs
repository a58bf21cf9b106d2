//! The long campaigns: real processes, faults by the hundred, and a comparison at the end of what was acknowledged
//! with what is exported. Each prints one row; the exit code says whether something was violated.
//!
//! ```text
//! campaign coordinator-kills --runs 1000
//! campaign worker-kills --runs 300
//! campaign zombies --runs 200
//! campaign stops --runs 50
//! campaign away --seconds 120
//! campaign resumes --runs 20
//! ```

mod away;
mod coordinators;
mod resume;
mod row;
mod stub;
mod workers;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use row::Row;
use workers::Fault;

/// Faults by the hundred.
#[derive(Parser)]
#[command(name = "campaign")]
struct Cli {
    #[command(subcommand)]
    campaign: Campaign,
    /// Decides when faults strike, and whom.
    #[arg(long, global = true, default_value_t = 0)]
    seed: u64,
}

#[derive(Subcommand)]
enum Campaign {
    /// `kill -9` of the coordinator under a load of workers that keep a ledger.
    CoordinatorKills {
        /// Kills.
        #[arg(long)]
        runs: u64,
    },
    /// `kill -9` of worker daemons in the middle of a stage.
    WorkerKills {
        /// Kills.
        #[arg(long)]
        runs: u64,
    },
    /// SIGSTOP of worker daemons past their leases, then SIGCONT.
    Zombies {
        /// Pauses.
        #[arg(long)]
        runs: u64,
    },
    /// SIGTERM to worker daemons in the middle of a stage.
    Stops {
        /// Stops.
        #[arg(long)]
        runs: u64,
    },
    /// `kill -9` of trainers in the middle of a stage, of each method.
    Resumes {
        /// Kills of each method.
        #[arg(long)]
        runs: u64,
    },
    /// The coordinator is away for a while under load.
    Away {
        /// For how long.
        #[arg(long)]
        seconds: u64,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let row = match cli.campaign {
        Campaign::CoordinatorKills { runs } => coordinators::run(runs, cli.seed),
        Campaign::WorkerKills { runs } => workers::run(Fault::Kill, runs, cli.seed),
        Campaign::Zombies { runs } => workers::run(Fault::Pause, runs, cli.seed),
        Campaign::Stops { runs } => workers::run(Fault::Stop, runs, cli.seed),
        Campaign::Resumes { runs } => resume::run(runs, cli.seed),
        Campaign::Away { seconds } => away::run(seconds),
    };
    println!("{}\n{row}", Row::HEAD);
    for violation in &row.violations {
        eprintln!("violation: {violation}");
    }
    if row.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
