//! What can be written on the command line.

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
  0    all cells succeeded, or the question was answered
  1    some cell failed or was cancelled (run, watch, submit --watch); the numbers do not agree (reproduce)
  2    bad input: a sweep file, an argument, a name
  3    no coordinator could be reached
  4    the environment: a port in use, a full disk, a store in use, a missing program
  130  interrupted; the same command goes on where it stopped

Environment:
  PRETEXT_COORDINATOR  the coordinator's URL, or several, where --coordinator is not given
  PRETEXT_CREDENTIALS  the folder of the certificate, where --credentials is not given
  PRETEXT_STORE        the address of the store of `serve`, where --store is not given
  PRETEXT_ARTIFACTS    the home of the artifacts of `serve`, where --artifacts is not given
  PRETEXT_LOG          what is logged to stderr, for example `info` or `coordinator=debug`";

/// Runs label-efficiency studies: takes a sweep file, spreads it over workers, prints the table.
#[derive(Debug, Parser)]
#[command(name = "coordinator", version, after_help = EXIT_CODES)]
pub(super) struct Cli {
    /// Print JSON instead of text on stdout
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// How log lines on stderr look
    #[arg(long, global = true, value_enum, default_value = "text", value_name = "FORMAT")]
    pub(super) log_format: LogFormat,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// For people.
    Text,
    /// An object per line.
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a sweep on this machine, with a coordinator and a worker of its own
    Run(RunArgs),
    /// Serve: take sweeps and hand stages to workers
    Serve(ServeArgs),
    /// Hand a sweep to a coordinator that serves
    Submit(SubmitArgs),
    /// Show what a sweep file would do: cells, stages, what is shared, steps and images
    Plan(PlanArgs),
    /// List sweeps, or show the cells of one
    Status(StatusArgs),
    /// Follow a sweep until it is final
    Watch(SweepArgs),
    /// Say why a cell is not running, or what happened to it
    Explain(ExplainArgs),
    /// Cancel a sweep; stages that another sweep needs go on
    Cancel(SweepArgs),
    /// Run the failed stages of a sweep again, and the cancelled ones of a cancelled sweep
    Retry(RetryArgs),
    /// Write the report of a sweep, as far as it is, and print its tables
    Report(ReportArgs),
    /// Run the sweep of a results.json again and say whether the numbers agree
    Reproduce(ReproduceArgs),
    /// Check what a sweep was promised from the store and its grant log: nothing lost, nothing doubled
    Verify(VerifyArgs),
    /// Copy the store into one file, while it is in use
    Backup(BackupArgs),
    /// Make a state directory of a backup
    Restore(RestoreArgs),
    /// Remove artifacts that nothing refers to any more
    Gc(GcArgs),
    /// List workers: devices, slots, data sets, what they run
    Workers(WorkersArgs),
    /// Push data sets for workers to fetch, list them, remove them
    Data(DataArgs),
    /// Make a link that lets one browser into the web page, once
    Login(LoginArgs),
    /// Make the certificate authority with which `serve --tls` knows its workers and users
    InitCa(InitCaArgs),
    /// Make, list and revoke join tokens
    Token(TokenArgs),
    /// Make a certificate for a program that cannot join by itself (a scraper, an autoscaler)
    Certify(CertifyArgs),
    /// Exchange a join token for the certificate that the other commands use
    Join(JoinArgs),
}

impl Command {
    /// What is logged unless `PRETEXT_LOG` says otherwise.
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
    /// Two steps of every stage instead of all, to find mistakes before time is spent
    #[arg(long)]
    pub(super) smoke: bool,
}

impl FileArgs {
    /// `--smoke` in the words of the plan.
    pub(super) fn extent(&self) -> Extent {
        if self.smoke { Extent::Smoke } else { Extent::Whole }
    }
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) file: FileArgs,
    /// Where the report goes [default: pretext-report/SWEEP]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Stages that run at a time on each device [default: fitted to the machine]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(super) workers: Option<u32>,
    /// Where state and artifacts are kept
    #[arg(long, value_name = "DIR", default_value = ".pretext")]
    pub(super) state_dir: PathBuf,
    /// The folder that `dataset.path` is relative to
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(super) data_root: PathBuf,
    /// Devices to train on: auto, cpu, vulkan or vulkan:N, cuda or cuda:N, …; several with commas
    #[arg(long, default_value = "auto")]
    pub(super) device: String,
    /// Run failed stages again, and the cancelled ones of a cancelled sweep
    #[arg(long)]
    pub(super) retry_failed: bool,
    /// Serve the web page here while the sweep runs
    #[arg(long, value_name = "IP:PORT", value_parser = loopback, num_args = 0..=1, default_missing_value = WEB)]
    pub(super) web: Option<SocketAddr>,
}

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Where to listen; port 0 lets the system choose
    #[arg(long, value_name = "IP:PORT", default_value = DEFAULT_ADDRESS, value_parser = address)]
    pub(super) listen: SocketAddr,
    /// Where state is kept, and artifacts and identities; with --store the two alone, in a folder that all coordinators
    /// share
    #[arg(long, value_name = "DIR", default_value = ".pretext")]
    pub(super) state_dir: PathBuf,
    /// Keep artifacts elsewhere: in a folder, or in S3-compatible storage as s3://BUCKET/PREFIX; the usual AWS_* variables
    /// say where the server is and who asks [default: artifacts in the state folder]
    #[arg(long, env = "PRETEXT_ARTIFACTS", value_name = "DIR|URL")]
    pub(super) artifacts: Option<String>,
    /// Largest artifact that is taken, in bytes; 512MiB or 16GiB are understood too
    #[arg(long, value_name = "BYTES", default_value = "16GiB", value_parser = bytes)]
    pub(super) artifact_limit: u64,
    /// Take no artifact that would bring all together above this [default: as much as the home holds]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(super) artifact_quota: Option<u64>,
    #[command(flatten)]
    pub(super) exposure: ExposureArgs,
    /// Keep job state on a Redis server (7.0 or newer) instead: `redis://[USER:PASSWORD@]HOST:PORT`, rediss:// for TLS,
    /// redis+sentinel://HOST:PORT,…/SERVICE. A second coordinator on the same store stands by
    #[arg(long, env = "PRETEXT_STORE", hide_env_values = true, value_name = "URL")]
    pub(super) store: Option<String>,
    /// A file with the password of the store's user, instead of one in the URL; read again at every connection
    #[arg(long, value_name = "FILE", requires = "store")]
    pub(super) store_password_file: Option<PathBuf>,
    /// Acknowledge nothing that fewer replicas than these have received
    #[arg(long, value_name = "N", requires = "store", default_value_t = 0)]
    pub(super) store_replicas: u32,
    /// How long a store that fails is tried again before the coordinator ends
    #[arg(long, value_name = "S", requires = "store", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(super) store_patience: u64,
    /// How long the lead among coordinators lasts without a sign of life
    #[arg(long, value_name = "MS", hide = true, value_parser = clap::value_parser!(u64).range(100..=3_600_000))]
    pub(super) lead_ms: Option<u64>,
    /// How long a lease lasts without a sign of life
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
    count.ok_or_else(|| "write a number of bytes, such as 1048576, 512MiB or 16GiB".to_owned())
}

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("write an IP address and a port, for example {DEFAULT_ADDRESS} or [::1]:0"))
}

/// An address that only this machine reaches.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address = address(text)?;
    let is_ours = address.ip().is_loopback();
    is_ours.then_some(address).ok_or_else(|| "`run` is for this machine alone: an address of loopback".to_owned())
}

#[derive(Debug, Args)]
pub(super) struct SubmitArgs {
    #[command(flatten)]
    pub(super) file: FileArgs,
    /// Follow the sweep until it is final
    #[arg(long)]
    pub(super) watch: bool,
    #[command(flatten)]
    pub(super) remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    pub(super) file: FileArgs,
    /// The folder that `dataset.path` is relative to, where no coordinator is named
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(super) data_root: PathBuf,
    /// Show the chain of stages of each cell too
    #[arg(long)]
    pub(super) cells: bool,
    /// Plan for what the workers of this coordinator announce; without it, for this machine
    #[command(flatten)]
    pub(super) remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// The sweep's id, or an unambiguous beginning of it; without it all sweeps are listed
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
    /// Failed stages only: refuse to take back a cancellation
    #[arg(long)]
    pub(super) failed: bool,
}

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    #[command(flatten)]
    pub(super) sweep: SweepArgs,
    /// Where the report goes [default: pretext-report/SWEEP]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct ReproduceArgs {
    /// The results.json of a report folder
    #[arg(value_name = "RESULTS")]
    pub(super) results: PathBuf,
    /// Where the new state is kept; it begins empty [default: pretext-reproduce/SWEEP]
    #[arg(long, value_name = "DIR")]
    pub(super) state_dir: Option<PathBuf>,
    /// Where the new report goes [default: report in the state folder]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Stages that run at a time on each device [default: fitted to the machine]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(super) workers: Option<u32>,
    /// The folder that `dataset.path` is relative to
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(super) data_root: PathBuf,
    /// Devices to train on, as for `run` [default: those of the record's class]
    #[arg(long)]
    pub(super) device: Option<String>,
    /// How far test accuracies may be off, in points, where numbers cannot be exact [default: by the number of test images]
    #[arg(long, value_name = "POINTS", value_parser = points)]
    pub(super) band: Option<f64>,
}

fn points(text: &str) -> Result<f64, String> {
    let points: f64 = text.parse().map_err(|_| "write a number of percentage points, for example 1.5".to_owned())?;
    if (0.0..=100.0).contains(&points) { Ok(points) } else { Err("percentage points are between 0 and 100".to_owned()) }
}

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// The sweep's id, or an unambiguous beginning of it
    #[arg(value_name = "SWEEP")]
    pub(super) sweep: String,
    /// Check the store of this state directory, which no coordinator serves
    #[arg(long, value_name = "DIR")]
    pub(super) state_dir: Option<PathBuf>,
    /// Where its artifacts are, as for `serve` [default: artifacts in the state folder]
    #[arg(long, value_name = "DIR|URL", requires = "state_dir")]
    pub(super) artifacts: Option<String>,
    #[command(flatten)]
    pub(super) remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct GcArgs {
    /// Remove nothing, say what would be removed
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Artifacts that were put there within this time stay: whoever uploaded them may be about to refer to them
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration)]
    pub(super) grace: Duration,
    #[command(flatten)]
    pub(super) remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// Where the copy goes
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Copy the store of this state directory, which no coordinator serves
    #[arg(long, value_name = "DIR")]
    pub(super) state_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(super) remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// What `coordinator backup` wrote
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
    /// What the browser may do: submit (cancel and retry too) or read [default: as much as you may]
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
