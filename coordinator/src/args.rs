//! The arguments of the command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use pretext_shared::stage::Extent;

use super::data::DataArgs;
use super::exposure::{ExposureArgs, WEB};
use super::identity::{CertifyArgs, InitCaArgs, JoinArgs, TokenArgs, duration};
use super::remote::{DEFAULT_ADDRESS, Remote};

const EXIT_CODES: &str = "\
Exit codes:
  0    all cells succeeded, or the command did what was asked
  1    some cell failed or was cancelled (run, watch, submit --watch); the numbers do not agree (reproduce)
  2    bad input: a sweep file, an argument, a name
  3    no coordinator could be reached
  4    the environment: a port in use, a full disk, a store in use, a missing program
  130  interrupted; the same command resumes

Environment:
  PRETEXT_COORDINATOR  the coordinator's URL; several with commas; --coordinator takes precedence
  PRETEXT_CREDENTIALS  the folder of the certificate; --credentials takes precedence
  PRETEXT_STORE        the address of the store of `serve`; --store takes precedence
  PRETEXT_ARTIFACTS    where `serve` keeps artifacts; --artifacts takes precedence
  PRETEXT_LOG          the log filter, for example `info` or `coordinator=debug`";

/// Runs label-efficiency studies: takes a sweep file, distributes it over workers, prints the table.
#[derive(Debug, Parser)]
#[command(name = "coordinator", version, after_help = EXIT_CODES)]
pub(super) struct Cli {
    /// Print JSON instead of text to stdout
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Format of the log lines on stderr
    #[arg(long, global = true, value_enum, default_value = "text", value_name = "FORMAT")]
    pub(super) log_format: LogFormat,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Format of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// Readable text.
    Text,
    /// One JSON object per line.
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a sweep on this machine, with its own coordinator and worker
    Run(RunArgs),
    /// Start a coordinator server, which takes sweeps and gives stages to workers
    Serve(ServeArgs),
    /// Submit a sweep to a coordinator server
    Submit(SubmitArgs),
    /// Show what a sweep file would run: cells, stages, shared work, steps and images
    Plan(PlanArgs),
    /// List sweeps, or show the cells of one
    Status(StatusArgs),
    /// Follow a sweep until all of its cells are final
    Watch(SweepArgs),
    /// Explain why a cell is not running, or what happened to it
    Explain(ExplainArgs),
    /// Cancel a sweep; stages that another sweep needs continue
    Cancel(SweepArgs),
    /// Run the failed stages of a sweep again; for a cancelled sweep, also the cancelled stages
    Retry(RetryArgs),
    /// Write the report of a sweep from the results so far, and print its tables
    Report(ReportArgs),
    /// Run the sweep of a results.json again and compare the numbers
    Reproduce(ReproduceArgs),
    /// Check a sweep against the store and the grant log: no result lost, none counted twice
    Verify(VerifyArgs),
    /// Copy the store into one file, also while it is in use
    Backup(BackupArgs),
    /// Create a state directory from a backup
    Restore(RestoreArgs),
    /// Remove artifacts that no sweep or data set needs any more
    Gc(GcArgs),
    /// List workers: devices, slots, data sets, running stages
    Workers(WorkersArgs),
    /// Push data sets for workers to fetch, list them, or remove them
    Data(DataArgs),
    /// Create a link that signs one browser in to the web page, once
    Login(LoginArgs),
    /// Create the certificate authority that `serve --tls` needs
    InitCa(InitCaArgs),
    /// Create, list and revoke join tokens
    Token(TokenArgs),
    /// Create a certificate for a program that cannot join by itself (a scraper, an autoscaler)
    Certify(CertifyArgs),
    /// Exchange a join token for the certificate that the other commands use
    Join(JoinArgs),
}

impl Command {
    /// Returns the default log filter, which `PRETEXT_LOG` overrides.
    pub(super) fn default_log(&self) -> &'static str {
        match self {
            Command::Serve(_) => "info",
            _ => "warn",
        }
    }
}

/// A sweep file and how much of it to run.
#[derive(Debug, Args)]
pub(super) struct FileArgs {
    /// The sweep file; `-` reads it from stdin
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Run two steps of every stage instead of all, to find mistakes early
    #[arg(long)]
    pub(super) smoke: bool,
}

impl FileArgs {
    /// Returns `--smoke` as the plan's type.
    pub(super) fn extent(&self) -> Extent {
        if self.smoke { Extent::Smoke } else { Extent::Whole }
    }
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) file: FileArgs,
    /// The folder for the report [default: pretext-report/SWEEP]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Number of stages that run at a time on each device [default: fitted to the machine]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(super) workers: Option<u32>,
    /// The folder for state and artifacts
    #[arg(long, value_name = "DIR", default_value = ".pretext")]
    pub(super) state_dir: PathBuf,
    /// The folder that `dataset.path` is relative to
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(super) data_root: PathBuf,
    /// Devices to train on: auto, cpu, vulkan or vulkan:N, cuda or cuda:N, …; several with commas
    #[arg(long, default_value = "auto")]
    pub(super) device: String,
    /// Run failed stages again; for a cancelled sweep, also the cancelled stages
    #[arg(long)]
    pub(super) retry_failed: bool,
    /// Serve the web page at this address while the sweep runs
    #[arg(long, value_name = "IP:PORT", value_parser = loopback, num_args = 0..=1, default_missing_value = WEB)]
    pub(super) web: Option<SocketAddr>,
}

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// The address to listen on; with port 0 the system chooses a free port
    #[arg(long, value_name = "IP:PORT", default_value = DEFAULT_ADDRESS, value_parser = address)]
    pub(super) listen: SocketAddr,
    /// The folder for job state, artifacts and identities. With --store it holds artifacts and identities only, and all
    /// coordinators must share it
    #[arg(long, value_name = "DIR", default_value = ".pretext")]
    pub(super) state_dir: PathBuf,
    /// Keep artifacts in this folder instead, or in S3-compatible storage as s3://BUCKET/PREFIX. The usual AWS_*
    /// variables name the server and the credentials [default: artifacts in the state folder]
    #[arg(long, env = "PRETEXT_ARTIFACTS", value_name = "DIR|URL")]
    pub(super) artifacts: Option<String>,
    /// Size of the largest accepted artifact, in bytes or as 512MiB or 16GiB
    #[arg(long, value_name = "BYTES", default_value = "16GiB", value_parser = bytes)]
    pub(super) artifact_limit: u64,
    /// Refuse artifacts that would raise the total size above this [default: limited by the storage only]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(super) artifact_quota: Option<u64>,
    #[command(flatten)]
    pub(super) exposure: ExposureArgs,
    /// Keep job state on a Redis server (7.0 or newer) instead: `redis://[USER:PASSWORD@]HOST:PORT`, rediss:// for TLS,
    /// redis+sentinel://HOST:PORT,…/SERVICE. A second coordinator on the same store is a standby
    #[arg(long, env = "PRETEXT_STORE", hide_env_values = true, value_name = "URL")]
    pub(super) store: Option<String>,
    /// A file with the password of the store's user, instead of a password in the URL; read again for every connection
    #[arg(long, value_name = "FILE", requires = "store")]
    pub(super) store_password_file: Option<PathBuf>,
    /// Acknowledge only what at least N replicas have received
    #[arg(long, value_name = "N", requires = "store", default_value_t = 0)]
    pub(super) store_replicas: u32,
    /// How long, in seconds, to retry a failing store before the coordinator exits
    #[arg(long, value_name = "S", requires = "store", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(super) store_patience: u64,
    /// How long the lead lasts without a sign of life from the leader
    #[arg(long, value_name = "MS", hide = true, value_parser = clap::value_parser!(u64).range(100..=3_600_000))]
    pub(super) lead_ms: Option<u64>,
    /// How long a lease lasts without a sign of life from the worker
    #[arg(long, value_name = "MS", hide = true, value_parser = clap::value_parser!(u64).range(50..=3_600_000))]
    pub(super) lease_ms: Option<u64>,
}

/// Reads `1048576`, `512MiB` or `16GiB`.
fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let scale = match &text[digits.len()..] {
        "" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        "TiB" => Some(1 << 40),
        _ => None,
    };
    let count = digits.parse::<u64>().ok().zip(scale).and_then(|(count, scale): (u64, u64)| count.checked_mul(scale));
    count.ok_or_else(|| "give a number of bytes, such as 1048576, 512MiB or 16GiB".to_owned())
}

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("give an IP address and a port, for example {DEFAULT_ADDRESS} or [::1]:0"))
}

/// Parses an address that only this machine can reach.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address = address(text)?;
    let is_ours = address.ip().is_loopback();
    is_ours.then_some(address).ok_or_else(|| "`run` serves this machine only: give a loopback address".to_owned())
}

#[derive(Debug, Args)]
pub(super) struct SubmitArgs {
    #[command(flatten)]
    pub(super) file: FileArgs,
    /// Follow the sweep until all of its cells are final
    #[arg(long)]
    pub(super) watch: bool,
    #[command(flatten)]
    pub(super) remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    pub(super) file: FileArgs,
    /// The folder that `dataset.path` is relative to; used if no coordinator is named
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(super) data_root: PathBuf,
    /// Also show the chain of stages of each cell
    #[arg(long)]
    pub(super) cells: bool,
    /// Plan for the devices and data that this coordinator's workers announce; without it, plan for this machine
    #[command(flatten)]
    pub(super) remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// The sweep's id, or an unambiguous beginning of it; without it, all sweeps are listed
    #[arg(value_name = "SWEEP")]
    pub(super) sweep: Option<String>,
    #[command(flatten)]
    pub(super) remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct SweepArgs {
    /// The sweep's id, or an unambiguous beginning of it
    #[arg(value_name = "SWEEP")]
    pub(super) sweep: String,
    #[command(flatten)]
    pub(super) remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The cell: SWEEP/METHOD/FRACTION/LR/SEED
    #[arg(value_name = "CELL")]
    pub(super) cell: String,
    #[command(flatten)]
    pub(super) remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct RetryArgs {
    #[command(flatten)]
    pub(super) sweep: SweepArgs,
    /// Run only failed stages again; refuse a cancelled sweep
    #[arg(long)]
    pub(super) failed: bool,
}

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    #[command(flatten)]
    pub(super) sweep: SweepArgs,
    /// The folder for the report [default: pretext-report/SWEEP]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct ReproduceArgs {
    /// The results.json of a report folder
    #[arg(value_name = "RESULTS")]
    pub(super) results: PathBuf,
    /// The folder for the new state; must be empty at first [default: pretext-reproduce/SWEEP]
    #[arg(long, value_name = "DIR")]
    pub(super) state_dir: Option<PathBuf>,
    /// The folder for the new report [default: report in the state folder]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Number of stages that run at a time on each device [default: fitted to the machine]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(super) workers: Option<u32>,
    /// The folder that `dataset.path` is relative to
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(super) data_root: PathBuf,
    /// Devices to train on, as for `run` [default: devices of the record's class]
    #[arg(long)]
    pub(super) device: Option<String>,
    /// Allowed difference of test accuracies in percentage points, if exact numbers are not possible [default: derived
    /// from the number of test images]
    #[arg(long, value_name = "POINTS", value_parser = points)]
    pub(super) band: Option<f64>,
}

fn points(text: &str) -> Result<f64, String> {
    let points: f64 = text.parse().map_err(|_| "give a number of percentage points, for example 1.5".to_owned())?;
    if (0.0..=100.0).contains(&points) { Ok(points) } else { Err("give percentage points from 0 to 100".to_owned()) }
}

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// The sweep's id, or an unambiguous beginning of it
    #[arg(value_name = "SWEEP")]
    pub(super) sweep: String,
    /// Check the store in this state directory; no coordinator may be using it
    #[arg(long, value_name = "DIR")]
    pub(super) state_dir: Option<PathBuf>,
    /// The folder or URL of the artifacts, as for `serve` [default: artifacts in the state folder]
    #[arg(long, value_name = "DIR|URL", requires = "state_dir")]
    pub(super) artifacts: Option<String>,
    #[command(flatten)]
    pub(super) remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct GcArgs {
    /// Remove nothing; show what would be removed
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Keep artifacts that were stored within this time: an upload in progress may still need them
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration)]
    pub(super) grace: Duration,
    #[command(flatten)]
    pub(super) remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// The file to write the copy to
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Copy the store in this state directory; no coordinator may be using it
    #[arg(long, value_name = "DIR")]
    pub(super) state_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(super) remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// A file that `coordinator backup` wrote
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// The new state directory
    #[arg(long, value_name = "DIR")]
    pub(super) state_dir: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct WorkersArgs {
    #[command(flatten)]
    pub(super) remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct LoginArgs {
    /// Rights of the browser: submit (it can also cancel and retry) or read [default: your own rights]
    #[arg(long, value_parser = ["submit", "read"])]
    pub(super) role: Option<String>,
    #[command(flatten)]
    pub(super) remote: Remote,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn json_stands_anywhere_and_an_empty_url_names_nothing() {
        let cli =
            Cli::try_parse_from(["coordinator", "status", "--json", "--coordinator", ""]).expect("good arguments");
        let Command::Status(args) = cli.command else { panic!("not status") };
        assert!(cli.json);
        assert_eq!((args.remote.named(), args.remote.urls()), (None, vec!["http://127.0.0.1:7878".to_owned()]));
    }
}
