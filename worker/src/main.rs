//! The `worker` program: the daemon, and the commands beside it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::LazyLock;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use pretext_shared::dataset::GroupPattern;
use pretext_shared::quantity;
use pretext_trainer::device::Backend;

mod daemon;
mod export;
mod inspect;
mod refused;
mod shell;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EXIT_CODES: &str = "\
Exit codes:
  0    stopped on request; with --until-idle: no stage is left for this worker
  2    bad input: an argument, a name, a URL
  3    the coordinator refuses this worker, or there is no certificate and no valid token
  4    the environment: the state directory, the spool, the data cache
  130  a second Ctrl-C; with --until-idle: stopped on request

Environment:
  PRETEXT_COORDINATOR  the coordinator's URL, or several URLs with commas; --coordinator takes precedence
  PRETEXT_TOKEN_FILE   the file with the join token; --token-file takes precedence
  PRETEXT_LOG          the log filter, for example `info` or `pretext_daemon=debug`";

/// Trains stages that a coordinator grants.
#[derive(Parser)]
#[command(name = "worker", version = VERSION.as_str(), args_conflicts_with_subcommands = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    daemon: DaemonArgs,
}

#[derive(Subcommand)]
enum Command {
    /// List the devices of this machine; `*` marks the device that `--device auto` takes.
    Devices {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List the data sets below a folder, as the daemon announces them.
    Inspect {
        /// The data root.
        dir: PathBuf,
        /// Data set to list (KIND:PATH, or KIND:PATH?groups=PATTERN); may be given several times [default: all].
        #[arg(long, value_name = "DATASET")]
        dataset: Vec<String>,
        /// Decode every picture, and report all that cannot be read, is ignored or is there twice.
        #[arg(long)]
        deep: bool,
        /// With --deep: only data sets of at most this many pictures.
        #[arg(long, hide = true, value_name = "N", requires = "deep")]
        most: Option<u64>,
        /// File that keeps hashes between calls.
        #[arg(long, hide = true, value_name = "FILE", conflicts_with = "files")]
        cache: Option<PathBuf>,
        /// Treat the folder as one data set, and list its files with their hashes too.
        #[arg(long, conflicts_with = "dataset")]
        files: bool,
        /// With --files: pattern that finds the group in an image's name, as `dataset.groups` in a sweep file.
        #[arg(long, value_name = "PATTERN", requires = "files")]
        groups: Option<GroupPattern>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write the encoder of a trained model as a safetensors file that PyTorch loads.
    Export {
        /// Model file, or the artifact id that a report's results.json gives as `model` of a stage.
        model: String,
        /// File to write.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// State directory of the coordinator, which has the artifact.
        #[arg(long, value_name = "DIR", default_value = ".pretext")]
        state_dir: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the script with which a shell completes the arguments of this program.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write man pages, one for each command.
    Man {
        /// Folder for the pages; it is created if it is missing.
        dir: PathBuf,
    },
    /// Show what a coordinator refused as invalid and this worker keeps; hand it in again, or drop it.
    ///
    /// The daemon may run meanwhile.
    Refused {
        #[command(subcommand)]
        command: refused::RefusedCommand,
    },
    /// Train stages in this process; the daemon starts one for each slot.
    #[command(hide = true)]
    Trainer {
        #[arg(long)]
        device: String,
        #[arg(long)]
        threads: usize,
        #[arg(long, value_delimiter = ',')]
        cores: Vec<usize>,
    },
}

#[derive(Args)]
struct DaemonArgs {
    /// URL of the coordinator. Several URLs (separated by commas, or given several times) are tried in turn.
    #[arg(
        long,
        env = "PRETEXT_COORDINATOR",
        value_name = "URL",
        default_value = "http://127.0.0.1:7878",
        value_delimiter = ','
    )]
    coordinator: Vec<String>,
    /// File with the join token, for a coordinator with TLS. A worker that has a certificate does not need it.
    #[arg(long, env = "PRETEXT_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Devices to offer, with commas: auto, cpu, vulkan, cuda, rocm or metal; vulkan:1 is the second Vulkan device.
    #[arg(long, default_value = "auto", value_delimiter = ',')]
    device: Vec<String>,
    /// Stages at a time on each device [default: 1 on a GPU; on the CPU, the number of cores divided by --threads].
    #[arg(long, value_name = "N")]
    slots: Option<u32>,
    /// CPU threads of each trainer.
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// Folder that `dataset.path` is relative to.
    #[arg(long, value_name = "DIR", default_value = "data")]
    data_root: PathBuf,
    /// Data set to announce (KIND:PATH, or KIND:PATH?groups=PATTERN); may be given several times [default: all below
    /// the data root].
    #[arg(long)]
    dataset: Vec<String>,
    /// Announce no data sets.
    #[arg(long, hide = true)]
    no_datasets: bool,
    /// Stop when standard input ends, which means that the process that started this worker is gone.
    #[arg(long, hide = true)]
    exit_with_stdin: bool,
    /// Name of this worker [default: the host's name].
    #[arg(long)]
    name: Option<String>,
    /// Folder for the certificate, the spool, checkpoints and models.
    #[arg(long, value_name = "DIR", default_value = ".pretext-worker")]
    state_dir: PathBuf,
    /// Folder for pushed data sets that this worker fetches [default: data in the state directory].
    #[arg(long, value_name = "DIR")]
    data_cache: Option<PathBuf>,
    /// Size limit of all fetched data sets, for example 500M or 10G. With 0 the worker fetches none.
    #[arg(long, value_name = "SIZE", default_value = "10G", value_parser = quantity::size)]
    data_cache_limit: u64,
    /// Size limit of the points that the coordinator has not acknowledged, at least 1M. At the limit, trainers wait.
    #[arg(long, value_name = "SIZE", default_value = "256M", value_parser = spool_size)]
    spool_limit: u64,
    /// Exit with 0 after TIME [60s if none is given] without a stage that this worker can run. A worker that is told to
    /// stop before that exits with 130.
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "60s",
        value_parser = idle_time)]
    until_idle: Option<Duration>,
    /// Format of log lines.
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = ["text", "json"])]
    log_format: String,
}

/// Parses the size limit of the spool.
fn spool_size(text: &str) -> Result<u64, String> {
    let size = quantity::size(text).map_err(|error| error.to_string())?;
    let allowed = 1 << 20..=1 << 40;
    allowed.contains(&size).then_some(size).ok_or_else(|| "give a size from 1M to 1T, with its unit".to_owned())
}

/// Parses the time after which an idle worker exits.
fn idle_time(text: &str) -> Result<Duration, String> {
    let time = quantity::time(text).map_err(|error| error.to_string())?;
    let allowed = Duration::from_secs(1)..=Duration::from_secs(86_400);
    allowed.contains(&time).then_some(time).ok_or_else(|| "give a time between a second and a day".to_owned())
}

/// The version with the backends of this build: `0.1.0 (cpu, vulkan)`. `make demo` reads it.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let compiled = Backend::ALL.into_iter().filter(|backend| backend.is_compiled()).map(Backend::as_str);
    let backends: Vec<&str> = std::iter::once("cpu").chain(compiled).collect();
    format!("{} ({})", env!("CARGO_PKG_VERSION"), backends.join(", "))
});

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Some(Command::Trainer { device, threads, cores }) => {
            let cores = (!cores.is_empty()).then_some(cores);
            daemon::start_logging("text");
            pretext_trainer::serve::serve(&device, threads, cores).into()
        }
        Some(Command::Devices { json }) => inspect::devices(json),
        Some(Command::Inspect { dir, files: true, groups, deep, most, json, .. }) => {
            inspect::files(&dir, groups, inspect::depth(deep, most), json)
        }
        Some(Command::Inspect { dir, dataset, cache, deep, most, json, .. }) => {
            inspect::inspect(&dir, &dataset, cache.as_deref(), inspect::depth(deep, most), json)
        }
        Some(Command::Refused { command }) => refused::run(command),
        Some(Command::Export { model, out, state_dir, json }) => export::export(&model, &state_dir, &out, json),
        Some(Command::Completions { shell }) => shell::completions(shell),
        Some(Command::Man { dir }) => shell::man(&dir),
        None => daemon::run(cli.daemon),
    }
}
