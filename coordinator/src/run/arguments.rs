//! The arguments of `coordinator run`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::sweep_file::FileArgs;
use crate::values::{WEB, loopback};

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,
    /// The folder for the report [default: pretext-report/SWEEP]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Number of stages that run at a time on each device [default: fitted to the machine]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) workers: Option<u32>,
    /// The folder for job state and artifacts
    #[arg(long, value_name = "DIR", default_value = ".pretext")]
    pub(crate) state_dir: PathBuf,
    /// The folder that `dataset.path` is relative to
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) data_root: PathBuf,
    /// Devices to train on, with commas: auto, cpu, vulkan, cuda, rocm or metal; vulkan:1 is the second Vulkan device
    #[arg(long, default_value = "auto")]
    pub(crate) device: String,
    /// Run failed stages again; for a cancelled sweep, also the cancelled stages
    #[arg(long)]
    pub(crate) retry_failed: bool,
    /// Run this program once the sweep has finished. It gets the facts as JSON on its standard input
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) on_final: Option<PathBuf>,
    /// Serve the web page while the sweep runs, at this address [127.0.0.1:7880 if none is given]
    #[arg(long, value_name = "IP:PORT", value_parser = loopback, num_args = 0..=1, default_missing_value = WEB)]
    pub(crate) web: Option<SocketAddr>,
}
