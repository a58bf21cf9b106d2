//! The long campaigns: real processes with hundreds of faults. Each compares at the end what was acknowledged with what
//! is exported, and prints one row. The exit code says whether there was a violation.
//!
//! ```text
//! campaign coordinator-kills --runs 1000
//! campaign coordinator-kills --store redis --runs 300
//! campaign redis-kills --runs 100
//! campaign worker-kills --runs 300
//! campaign zombies --runs 200
//! campaign stops --runs 50
//! campaign jobs --runs 100
//! campaign away --seconds 120
//! campaign restart --cells 100000
//! campaign rehearsal --rounds 5
//! campaign stop-large --runs 5
//! campaign stop-large --runs 3 --image-size 224
//! campaign resumes --runs 20
//! ```

mod away;
mod kills;
mod large;
mod rehearsal;
mod restart;
mod resume;
mod row;
mod stub;
mod system;
mod workers;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use row::Row;
use system::{Home, Victim};
use workers::Fault;

/// Run a campaign of faults against real processes.
#[derive(Parser)]
#[command(name = "campaign")]
struct Cli {
    #[command(subcommand)]
    campaign: Campaign,
    /// Seed that decides when faults strike, and which process.
    #[arg(long, global = true, default_value_t = 0)]
    seed: u64,
}

#[derive(Subcommand)]
enum Campaign {
    /// `kill -9` of the coordinator under a load of workers that keep a ledger.
    CoordinatorKills {
        /// Number of kills.
        #[arg(long)]
        runs: u64,
        /// Home of the coordinator's state.
        #[arg(long, value_enum, default_value = "embedded")]
        store: Home,
    },
    /// `kill -9` of the Redis server with the coordinator's state, under the same load.
    RedisKills {
        /// Number of kills.
        #[arg(long)]
        runs: u64,
    },
    /// `kill -9` of worker daemons in the middle of a stage.
    WorkerKills {
        /// Number of kills.
        #[arg(long)]
        runs: u64,
    },
    /// SIGSTOP of worker daemons past their leases, then SIGCONT.
    Zombies {
        /// Number of pauses.
        #[arg(long)]
        runs: u64,
    },
    /// SIGTERM to worker daemons in the middle of a stage.
    Stops {
        /// Number of stops.
        #[arg(long)]
        runs: u64,
    },
    /// SIGTERM to worker daemons and to their trainers, as a scheduler ends a job.
    Jobs {
        /// Number of stops.
        #[arg(long)]
        runs: u64,
    },
    /// `kill -9` of trainers in the middle of a stage, of each method.
    Resumes {
        /// Number of kills for each method.
        #[arg(long)]
        runs: u64,
    },
    /// Time from the start of a coordinator with a large sweep to its first answer.
    Restart {
        /// Number of cells of the sweep.
        #[arg(long)]
        cells: u64,
        /// Number of restarts after SIGTERM, and of restarts after `kill -9`.
        #[arg(long, default_value_t = 5)]
        runs: u64,
        /// Home of the coordinator's state.
        #[arg(long, value_enum, default_value = "embedded")]
        store: Home,
    },
    /// Stop the coordinator for a while under load.
    Away {
        /// Length of the outage, in seconds.
        #[arg(long)]
        seconds: u64,
    },
    /// Rolling restart of a cluster with TLS, Redis, a leader, a standby and three workers.
    Rehearsal {
        /// Number of rounds of restarts.
        #[arg(long)]
        rounds: u64,
    },
    /// SIGTERM to a worker daemon in the middle of a stage with a large checkpoint.
    StopLarge {
        /// Number of stops.
        #[arg(long)]
        runs: u64,
        #[command(flatten)]
        load: large::Load,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let row = match cli.campaign {
        Campaign::CoordinatorKills { runs, store } => kills::run(Victim::Coordinator, store, runs, cli.seed),
        Campaign::RedisKills { runs } => kills::run(Victim::Redis, Home::Redis, runs, cli.seed),
        Campaign::WorkerKills { runs } => workers::run(Fault::Kill, runs, cli.seed),
        Campaign::Zombies { runs } => workers::run(Fault::Pause, runs, cli.seed),
        Campaign::Stops { runs } => workers::run(Fault::Stop, runs, cli.seed),
        Campaign::Jobs { runs } => workers::run(Fault::Job, runs, cli.seed),
        Campaign::Restart { cells, runs, store } => restart::run(store, cells, runs),
        Campaign::Resumes { runs } => resume::run(runs, cli.seed),
        Campaign::Away { seconds } => away::run(seconds),
        Campaign::Rehearsal { rounds } => rehearsal::run(rounds),
        Campaign::StopLarge { runs, load } => large::run(&load, runs),
    };
    println!("{}\n{row}", Row::HEAD);
    for violation in &row.violations {
        eprintln!("violation: {violation}");
    }
    if row.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
