//! Measures a coordinator from outside: the real program, stub workers over gRPC, both stores. The timings are for
//! tables and never for a test.

mod error;
mod latency;
mod measure;
mod report;
mod scale;
mod stall;
mod stub;
mod sweeps;
mod system;
mod table;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::Parser;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use crate::error::{BenchError, within};
use crate::measure::{Bench, Measure};
use crate::report::Report;
use crate::scale::Scale;
use crate::system::{AppendFsync, Programs, Store};

/// Longest time of one measurement on one store.
const LIMIT: Duration = Duration::from_secs(1_800);

/// Measures a coordinator and prints tables: what it hands out, takes and shows in a second, beside a raw loop that
/// writes and syncs.
#[derive(Debug, Parser)]
#[command(name = "pretext-bench")]
struct Args {
    /// The coordinator program [default: next to this program]
    #[arg(long, value_name = "FILE")]
    coordinator: Option<PathBuf>,
    /// The home of the job state; may be given several times [default: both]
    #[arg(long, value_enum)]
    store: Vec<Store>,
    /// What to measure; may be given several times [default: everything]
    #[arg(long, value_enum)]
    measure: Vec<Measure>,
    /// The folder for temporary state: its disk is measured too [default: the system's]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// When the Redis server writes to its disk
    #[arg(long, value_enum, default_value_t = AppendFsync::Always)]
    appendfsync: AppendFsync,
    /// Bytes of a record of the raw loop: about those of a grant or of a result
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    record_bytes: u32,
    /// Only show that the bench works, with tiny sizes
    #[arg(long, conflicts_with = "large")]
    quick: bool,
    /// Also hand out the stages of 100,000 cells
    #[arg(long)]
    large: bool,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    raise_limit();
    let mut report = Report::default();
    let interrupted = tokio::select! {
        ended = run(&args, &mut report) => {
            if let Err(error) = ended {
                report.failed(error.to_string());
            }
            false
        }
        // All processes ended with the future that has them.
        () = stopped() => true,
    };
    if args.json {
        println!("{}", report.json());
    } else {
        println!("{}", report.markdown());
    }
    match (interrupted, report.has_failed()) {
        (true, _) => ExitCode::from(130),
        (false, true) => ExitCode::FAILURE,
        (false, false) => ExitCode::SUCCESS,
    }
}

/// Waits for Ctrl-C or SIGTERM.
async fn stopped() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

/// Allows as many files as possible: each worker of a fleet has a connection. The coordinator inherits this.
fn raise_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // With fewer files a measurement says that it cannot connect.
    let _ = setrlimit(Resource::Nofile, limit);
}

async fn run(args: &Args, report: &mut Report) -> Result<(), BenchError> {
    let coordinator = match &args.coordinator {
        Some(path) => std::path::absolute(path).map_err(BenchError::file(path))?,
        None => beside_this_program()?,
    };
    let folder = args.folder.clone().unwrap_or_else(std::env::temp_dir);
    let folder = std::path::absolute(&folder).map_err(BenchError::file(&folder))?;
    facts(args, &coordinator, &folder, report)?;
    let programs = Programs { coordinator, folder, sync: args.appendfsync };
    let scale = match (args.quick, args.large) {
        (true, _) => Scale::quick(),
        (false, true) => Scale::large(),
        (false, false) => Scale::usual(),
    };
    for store in chosen(&args.store, &[Store::Embedded, Store::Redis]) {
        if store == Store::Redis && !system::is_installed() {
            report.skipped("Redis: there is no program `redis-server` (`tests/setup.sh test` installs it)".to_owned());
            continue;
        }
        let record = args.record_bytes as usize;
        let bench = Bench { programs: programs.clone(), store, scale: scale.clone(), record };
        for measure in chosen(&args.measure, <Measure as clap::ValueEnum>::value_variants()) {
            eprintln!("{}, {} store", measure.name(), store.name());
            if let Err(error) = within("the measurement", LIMIT, measure.run(&bench, report)).await {
                report.failed(format!("{}, {} store: {error}", measure.name(), store.name()));
            }
        }
    }
    Ok(())
}

/// Returns what was asked for, or everything.
fn chosen<T: Copy>(asked: &[T], all: &[T]) -> Vec<T> {
    if asked.is_empty() { all.to_vec() } else { asked.to_vec() }
}

fn beside_this_program() -> Result<PathBuf, BenchError> {
    let this = std::env::current_exe().map_err(BenchError::file(Path::new("this program")))?;
    Ok(this.with_file_name("coordinator"))
}

/// Adds what was measured, and where.
fn facts(args: &Args, coordinator: &Path, folder: &Path, report: &mut Report) -> Result<(), BenchError> {
    let version = Command::new(coordinator).arg("--version").output().map_err(BenchError::file(coordinator))?;
    report.fact("program", String::from_utf8_lossy(&version.stdout).trim().to_owned());
    // `make` sets it to the revision of the checkout.
    if let Some(revision) = std::env::var("PRETEXT_REVISION").ok().filter(|revision| !revision.is_empty()) {
        report.fact("revision", revision);
    }
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    report.fact("cores, for the coordinator, its store and the bench together", cores.to_string());
    report.fact("`appendfsync` of Redis", args.appendfsync.setting().to_owned());
    if system::is_in_memory(folder) {
        report.skipped(format!("the disk: {} is in memory, where a sync costs nothing", folder.display()));
    }
    Ok(())
}
