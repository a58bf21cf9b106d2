//! The worker of `coordinator run`: a separate process, watched and restarted when it dies.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use pretext_shared::dataset::Source;
use pretext_shared::spec::Sweep;
use pretext_shared::text;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::{Child, ChildStdin};
use tokio::time::timeout;

use super::arguments::RunArgs;
use crate::console::Terminal;
use crate::error::CliError;
use crate::worker_program::WorkerProgram;

/// Time limit for a worker to write its checkpoints and give its leases back.
const GOODBYE: Duration = Duration::from_secs(15);
/// Number of times that a dying worker is restarted.
const RESTARTS: u32 = 3;
/// A worker that lived this long did not die because of its command line.
const LONG_LIFE: Duration = Duration::from_secs(600);
/// Number of log lines that are shown of a dead worker.
const TAIL_LINES: usize = 20;
/// Bytes at the end of the log that are read for these lines.
const TAIL_BYTES: u64 = 32 << 10;

/// How to start the worker, each time.
#[derive(Debug)]
pub(super) struct Launch {
    program: WorkerProgram,
    arguments: Vec<OsString>,
    log: PathBuf,
}

impl Launch {
    /// Returns the launch of a worker for the data of one sweep; it reports to the coordinator at `url`.
    pub(super) fn new(program: WorkerProgram, args: &RunArgs, sweep: &Sweep, url: &str) -> Self {
        let log = args.state_dir.join("worker.log");
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let limit = sweep.max_parallel.map_or(usize::MAX, |limit| limit as usize);
        let threads = threads(cores, args.workers, sweep.cells().count().min(limit));
        Self { program, arguments: arguments(args, sweep.sources(), threads, url), log }
    }

    fn start(&self) -> Result<Daemon, CliError> {
        let failed = |what: &str, path: &Path, error: &io::Error| {
            CliError::environment(format!("cannot {what} {}: {error}", path.display()))
        };
        let log_failed = |error: io::Error| failed("write", &self.log, &error);
        let log = OpenOptions::new().create(true).append(true).open(&self.log).map_err(log_failed)?;
        let begin = log.metadata().map_err(log_failed)?.len();
        let mut command = self.program.command();
        command
            .args(&self.arguments)
            // Nothing is written to this pipe: it closes when this process ends in any way, and the worker then stops.
            .stdin(Stdio::piped())
            .stdout(log.try_clone().map_err(log_failed)?)
            .stderr(log)
            // A process group of its own: Ctrl-C reaches only this process, which then stops the worker in order.
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| failed("start", self.program.path(), &error))?;
        // Waiting for a child closes its stdin if the child still owns the pipe.
        let lifeline = child.stdin.take();
        Ok(Daemon { child, _lifeline: lifeline, log: self.log.clone(), begin, born: Instant::now() })
    }
}

/// Returns the number of CPU threads of each trainer. Many trainers of one thread do more together than fewer trainers
/// of several (measured in docs/benchmarks.md), so a trainer gets more threads only if there are fewer trainers than
/// cores. The numbers do not depend on it.
fn threads(cores: usize, trainers: Option<u32>, cells: usize) -> usize {
    let trainers = trainers.map_or(cores, |trainers| trainers as usize).min(cells).max(1);
    (cores / trainers).max(1)
}

fn arguments<'a>(
    args: &RunArgs,
    sources: impl Iterator<Item = &'a Source>,
    threads: usize,
    url: &str,
) -> Vec<OsString> {
    let mut list: Vec<OsString> =
        ["--coordinator", url, "--device", &args.device, "--name", "local"].map(OsString::from).into();
    if let Some(slots) = args.workers {
        list.extend(["--slots".into(), slots.to_string().into()]);
    }
    if threads > 1 {
        list.extend(["--threads".into(), threads.to_string().into()]);
    }
    list.extend(["--data-root".into(), args.data_root.clone().into()]);
    let keys: Vec<String> =
        sources.filter(|source| !matches!(source, Source::Procedural(_))).map(Source::key).collect();
    if keys.is_empty() {
        list.push("--no-datasets".into());
    }
    list.extend(keys.into_iter().flat_map(|key| ["--dataset".into(), key.into()]));
    list.extend(["--state-dir".into(), args.state_dir.join("worker").into()]);
    list.push("--exit-with-stdin".into());
    list
}

#[derive(Debug)]
struct Daemon {
    child: Child,
    /// The worker's stdin.
    _lifeline: Option<ChildStdin>,
    log: PathBuf,
    /// Offset in the log at which the worker's part begins.
    begin: u64,
    born: Instant,
}

impl Daemon {
    async fn ended(&mut self) -> Result<ExitStatus, CliError> {
        let waited = self.child.wait().await;
        waited.map_err(|error| CliError::environment(format!("cannot wait for the worker: {error}")))
    }

    fn pid(&self) -> Option<Pid> {
        self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
    }

    /// Asks the worker to stop, and waits until it has ended.
    async fn stop(&mut self) {
        if let Some(pid) = self.pid() {
            // The worker may have ended by itself a moment ago.
            let _ = kill_process(pid, Signal::TERM);
        }
        if timeout(GOODBYE, self.child.wait()).await.is_err() {
            tracing::warn!("the worker did not stop within {} s and is killed", GOODBYE.as_secs());
            self.kill();
            let _ = self.child.wait().await;
        }
    }

    /// Kills the worker and its trainers.
    fn kill(&self) {
        if let Some(pid) = self.pid() {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }

    /// Returns the last lines that the worker wrote.
    fn last_lines(&self) -> String {
        // If the log cannot be read, there is nothing to show.
        let lines = tail(&self.log, self.begin).unwrap_or_default();
        lines.iter().map(|line| format!("  | {line}\n")).collect()
    }
}

fn tail(log: &Path, begin: u64) -> io::Result<Vec<String>> {
    let length = fs::metadata(log)?.len();
    let mut file = File::open(log)?;
    file.seek(SeekFrom::Start(begin.max(length.saturating_sub(TAIL_BYTES))))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let content = String::from_utf8_lossy(&bytes);
    let lines: Vec<String> = content.lines().map(text::line).collect();
    Ok(lines[lines.len().saturating_sub(TAIL_LINES)..].to_vec())
}

/// Keeps the worker running over restarts.
pub(super) struct Supervisor {
    launch: Launch,
    daemon: Daemon,
    terminal: Terminal,
}

impl Supervisor {
    /// Starts the worker.
    pub(super) fn start(launch: Launch, terminal: &Terminal) -> Result<Self, CliError> {
        let daemon = launch.start()?;
        Ok(Self { launch, daemon, terminal: terminal.clone() })
    }

    /// Waits for the worker to end, which is an error before it has registered with the coordinator.
    pub(super) async fn ends_early(&mut self) -> CliError {
        let status = match self.daemon.ended().await {
            Ok(status) => status,
            Err(error) => return error,
        };
        let message =
            format!("the worker ended before it was ready ({status}); it wrote:\n{}", self.daemon.last_lines());
        match status.code() {
            // Exit code 2: the bad input came from the command line of this program.
            Some(2) => CliError::input(message),
            _ => CliError::environment(message),
        }
    }

    /// Restarts the worker whenever it dies. Returns when restarts do not help.
    pub(super) async fn keep_alive(&mut self) -> CliError {
        let mut restarts = 0;
        loop {
            let status = match self.daemon.ended().await {
                Ok(status) => status,
                Err(error) => return error,
            };
            let lines = self.daemon.last_lines();
            restarts = if self.daemon.born.elapsed() > LONG_LIFE { 1 } else { restarts + 1 };
            if restarts > RESTARTS {
                return CliError::Environment {
                    message: format!("the worker died {restarts} times ({status}); it wrote:\n{lines}"),
                    help: Some("finished work is kept: run the same command again to resume".to_owned()),
                };
            }
            self.terminal.say(&format!("the worker died ({status}) and is restarted; it wrote:\n{}", lines.trim_end()));
            self.daemon = match self.launch.start() {
                Ok(daemon) => daemon,
                Err(error) => return error,
            };
        }
    }

    /// Asks the worker to stop, and waits until it has.
    pub(super) async fn stop(&mut self) {
        self.daemon.stop().await;
    }

    /// Kills the worker.
    pub(super) fn kill(&self) {
        self.daemon.kill();
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: RunArgs,
    }

    fn started_with(arguments_of_run: &[&str], source: &Source) -> String {
        let line = Line::try_parse_from(["run", "s.yaml"].iter().chain(arguments_of_run)).expect("good arguments");
        let list = arguments(&line.args, std::iter::once(source), 1, "http://127.0.0.1:1");
        list.iter().map(|argument| argument.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_worker_is_told_only_what_it_needs() {
        let drawn =
            Source::Procedural(pretext_shared::dataset::Procedural { train_per_class: 2, test_per_class: 1, seed: 0 });
        assert_eq!(
            started_with(&[], &drawn),
            "--coordinator http://127.0.0.1:1 --device auto --name local --data-root . --no-datasets \
             --state-dir .pretext/worker --exit-with-stdin"
        );
        let cifar = Source::Cifar10 { path: "c".to_owned() };
        assert_eq!(
            started_with(&["--workers", "3", "--device", "cpu", "--data-root", "d", "--state-dir", "s"], &cifar),
            "--coordinator http://127.0.0.1:1 --device cpu --name local --slots 3 --data-root d --dataset cifar10:c \
             --state-dir s/worker --exit-with-stdin"
        );
    }

    #[test]
    fn a_trainer_has_more_threads_only_where_cores_would_be_idle() {
        // (cores, --workers, cells)
        let cases =
            [((2, None, 16), 1), ((2, None, 1), 2), ((8, None, 3), 2), ((8, Some(2), 100), 4), ((2, Some(4), 9), 1)];
        for ((cores, trainers, cells), expected) in cases {
            assert_eq!(threads(cores, trainers, cells), expected, "{cores} cores, {trainers:?}, {cells} cells");
        }
    }

    #[test]
    fn only_the_last_lines_of_this_life_are_shown() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let log = folder.path().join("worker.log");
        let lines = |from: u32| (from..100).map(|n| format!("line {n}\n")).collect::<String>();
        fs::write(&log, format!("former life\n{}", lines(0))).expect("writable");
        let shown = tail(&log, 0).expect("readable");
        assert_eq!((shown.len(), shown[0].as_str(), shown[19].as_str()), (20, "line 80", "line 99"));
        fs::write(&log, format!("former life\n{}", lines(98))).expect("writable");
        assert_eq!(tail(&log, 12).expect("readable"), ["line 98", "line 99"]);
    }
}
