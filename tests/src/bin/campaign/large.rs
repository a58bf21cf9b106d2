//! The campaign `stop-large`: SIGTERM, as a pod gets it, to a worker in the middle of a stage with a large checkpoint.
//! Within a pod's grace period one of two things must happen. Either the coordinator has a checkpoint of the last step
//! and the lease is given back, or the newest valid checkpoint is kept. In both cases the next worker resumes from that
//! checkpoint.

use std::path::Path;
use std::time::{Duration, Instant};

use pretext_tests::processes::{grants, read, saved};
use pretext_tests::{Daemon, Scratch, Server, until};
use rustix::process::Signal;

use super::row::Row;

/// Longest time to stop, with room for a machine that does other work too.
const STOPPED_WITHIN: Duration = Duration::from_secs(12);
/// Number of steps with checkpoints before the worker is told to stop.
const DEPTH: u64 = 1;

/// The training load.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Load {
    /// Encoder; `resnet50` with Adam has a checkpoint of 0.3 GB.
    #[arg(long, default_value = "resnet50", value_parser = ["small-cnn", "resnet18", "resnet50"])]
    encoder: String,
    /// Image size in pixels. At 224, a step of ResNet-50 on a CPU core takes longer than a trainer's time to stop.
    #[arg(long, default_value_t = 32)]
    image_size: u32,
    /// Images in a step.
    #[arg(long, default_value_t = 16)]
    batch: u32,
}

impl Load {
    fn sweep(&self) -> String {
        let Self { encoder, image_size, batch } = self;
        format!(
            "name: large
numeric: cpu
dataset: {{kind: procedural, train_per_class: 400, test_per_class: 10, seed: 0, image_size: {image_size}}}
encoder: {{kind: {encoder}}}
methods: [supervised]
fractions: [100%]
lr: {{fixed: {{kind: constant, base: 0.001}}}}
seeds: [0]
downstream: {{mode: fine-tune, epochs: 100, batch: {batch}, optimizer: adam}}
checkpoint: {{every: 1s, keep: 2}}
"
        )
    }
}

pub(crate) fn run(load: &Load, runs: u64) -> Row {
    let begin = Instant::now();
    let (mut stops, mut cut, mut violations, mut bytes) = (Vec::new(), 0, Vec::new(), 0);
    let folder = Scratch::new();
    // With this lease, only the worker itself gives a stage back.
    let server = Server::start(&folder, &["--lease-ms", "3600000"]);
    let mut worker = start(&folder, &server);
    server.registered(&folder, 1);
    server.submit(&folder, &load.sweep());
    let mut before = 0;
    for run in 0..runs {
        let (stage, step) = until("there is a checkpoint past the one that it began with", || {
            saved(&folder, NAME).into_iter().find(|(_, step)| *step >= before + DEPTH)
        });
        bytes = bytes.max(size(&folder.path(NAME).join("stages").join(&stage)));
        let told = Instant::now();
        worker.process.signal(Signal::TERM);
        let code = worker.process.ended();
        let took = told.elapsed();
        if code != 0 || took > STOPPED_WITHIN {
            violations.push(format!("stop {run} took {took:?} and ended with {code}"));
        }
        stops.push(took.as_secs_f64());
        let log = read(&folder.path(&format!("{NAME}.log")));
        cut += u64::from(log.matches("its newest checkpoint is kept").count() as u64 > cut);
        worker = start(&folder, &server);
        until("the stage is granted again", || (grants(&folder, &stage) as u64 == run + 2).then_some(()));
        let resumed = until("it says where it goes on", || resumed(&folder, run as usize));
        // The next worker must resume at least from the checkpoint that was on the disk at the stop.
        if resumed < step {
            violations.push(format!("stop {run}: checkpoint {step} was there, but {resumed} was resumed"));
        }
        before = resumed;
    }
    let seconds: Vec<String> = stops.iter().map(|seconds| format!("{seconds:.1}")).collect();
    let Load { encoder, image_size, batch } = load;
    Row {
        campaign: format!(
            "{encoder}, {image_size} px, batches of {batch}, Adam: checkpoint of {} MB",
            bytes / 1_000_000
        ),
        faults: "SIGTERM to a worker daemon in mid-stage".to_owned(),
        runs,
        seed: 0,
        violations,
        measured: vec![
            format!("stops took {} s", seconds.join(", ")),
            format!("{} wrote a checkpoint, {cut} left the newest one standing", runs - cut),
        ],
        took: begin.elapsed(),
    }
}

const NAME: &str = "large";

fn start(folder: &Scratch, server: &Server) -> Daemon {
    Daemon::start(folder, &server.url, NAME, &["--slots", "1", "--no-datasets"])
}

/// Returns the bytes of the largest checkpoint of a stage.
fn size(stage: &Path) -> u64 {
    let files = std::fs::read_dir(stage).into_iter().flatten().flatten();
    let checkpoints = files.filter(|file| file.file_name().to_string_lossy().starts_with("checkpoint-"));
    checkpoints.filter_map(|file| Some(file.metadata().ok()?.len())).max().unwrap_or(0)
}

/// Returns the step from which the worker resumed after stop `run`; 0 for a start from the beginning.
fn resumed(folder: &Scratch, run: usize) -> Option<u64> {
    let log = read(&folder.path(&format!("{NAME}.log")));
    let begins = log.lines().filter(|line| line.contains("stage begins")).nth(run + 1)?;
    let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok();
    Some(begins.split("resume_step=").nth(1).and_then(digits).unwrap_or(0))
}
