//! A trainer process as the daemon sees it: sends orders, receives reports, and keeps the last lines of its log.

use std::collections::VecDeque;
use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pretext_shared::trainer::{Order, Report};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

use super::oom::OomKills;
use super::slot::SlotPlan;

const SIGHUP: i32 = rustix::process::Signal::HUP.as_raw();
const SIGINT: i32 = rustix::process::Signal::INT.as_raw();
const SIGTERM: i32 = rustix::process::Signal::TERM.as_raw();
const SIGABRT: i32 = rustix::process::Signal::ABORT.as_raw();
const SIGKILL: i32 = rustix::process::Signal::KILL.as_raw();

/// Number of log lines that are kept, and of characters in each.
const LOG_LINES: usize = 100;
const LOG_WIDTH: usize = 500;
/// What Rust's standard library writes before it stops a process that gets no more memory.
const ALLOCATION_FAILED: &str = "memory allocation of";
/// Number of lines at the end of a log among which it is looked for: a backtrace may follow.
const LAST_WORDS: usize = 30;
/// Longest time for a process to end.
const GRACE: Duration = Duration::from_secs(2);

/// A running trainer.
pub(super) struct Trainer {
    child: Child,
    orders: ChildStdin,
    reports: Lines<BufReader<ChildStdout>>,
    log: Arc<Mutex<VecDeque<String>>>,
    /// Reads the log until the process ends.
    reader: JoinHandle<()>,
    /// Whether the kernel has killed a process of this machine's work since the trainer started.
    memory: OomKills,
}

/// A signal that a trainer does not send to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// A request to stop, which came before the trainer could handle it.
    Stop(i32),
    /// SIGKILL.
    Kill,
    /// SIGKILL by the kernel, because memory ran out.
    OutOfMemory,
    /// The trainer stopped itself, because it got no more memory.
    NoMemory,
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Signal::Stop(number) => write!(f, "{number}"),
            Signal::Kill => f.write_str("9"),
            Signal::OutOfMemory => f.write_str("9 (out of memory)"),
            Signal::NoMemory => f.write_str("6 (no more memory)"),
        }
    }
}

/// Why a trainer can no longer be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum TrainerError {
    /// The process did not start.
    #[error("cannot start a trainer process: {0}")]
    Start(std::io::Error),
    /// The process ended.
    #[error("the trainer process ended: {0}")]
    Ended(String),
    /// A signal from outside ended the process: somebody stops this machine's work, or its memory ran out.
    #[error("signal {0} ended the trainer process")]
    Killed(Signal),
    /// The process wrote something that is not a report.
    #[error("the trainer process wrote something that is not a report: {0}")]
    Garbled(String),
}

impl Trainer {
    /// Starts a trainer for the slot: the same program, in a process group of its own. A Ctrl-C at the terminal
    /// therefore reaches only the daemon, which then asks the trainer to stop.
    pub(super) fn start(plan: &SlotPlan) -> Result<Self, TrainerError> {
        let program = std::env::current_exe().map_err(TrainerError::Start)?;
        let mut command = Command::new(program);
        command.args(["trainer", "--device", &plan.device, "--threads", &plan.threads.to_string()]);
        if !plan.cores.is_empty() {
            let cores: Vec<String> = plan.cores.iter().map(usize::to_string).collect();
            command.args(["--cores", &cores.join(",")]);
        }
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env("RAYON_NUM_THREADS", plan.threads.to_string())
            // A step allocates what the step before freed. Pages that stay mapped need not be cleared again.
            .env("MIMALLOC_PURGE_DELAY", "-1")
            .kill_on_drop(true);
        command.process_group(0);
        let mut child = command.spawn().map_err(TrainerError::Start)?;
        let missing = || TrainerError::Start(std::io::Error::other("its pipes are missing"));
        let orders = child.stdin.take().ok_or_else(missing)?;
        let reports = BufReader::new(child.stdout.take().ok_or_else(missing)?).lines();
        let log = Arc::new(Mutex::new(VecDeque::new()));
        let reader = keep_log(child.stderr.take().ok_or_else(missing)?, log.clone(), plan.device.clone());
        Ok(Self { child, orders, reports, log, reader: tokio::spawn(reader), memory: OomKills::now() })
    }

    /// Sends an order.
    pub(super) async fn order(&mut self, order: &Order) -> Result<(), TrainerError> {
        let mut line = serde_json::to_vec(order).map_err(|error| TrainerError::Garbled(error.to_string()))?;
        line.push(b'\n');
        match self.orders.write_all(&line).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.ended().await),
        }
    }

    /// Returns the next report. Cancel-safe.
    pub(super) async fn report(&mut self) -> Result<Report, TrainerError> {
        match self.reports.next_line().await {
            Ok(Some(line)) => serde_json::from_str(&line).map_err(|error| {
                TrainerError::Garbled(format!("{error}: {}", line.chars().take(LOG_WIDTH).collect::<String>()))
            }),
            Ok(None) | Err(_) => Err(self.ended().await),
        }
    }

    async fn ended(&mut self) -> TrainerError {
        let status = match tokio::time::timeout(GRACE, self.child.wait()).await {
            Ok(Ok(status)) => status,
            Ok(Err(error)) => return TrainerError::Ended(error.to_string()),
            Err(_) => return TrainerError::Ended("it closed its output but still runs".to_owned()),
        };
        match status.signal() {
            Some(number @ (SIGHUP | SIGINT | SIGTERM)) => TrainerError::Killed(Signal::Stop(number)),
            Some(SIGKILL) if self.memory.has_risen() => TrainerError::Killed(Signal::OutOfMemory),
            Some(SIGKILL) => TrainerError::Killed(Signal::Kill),
            Some(SIGABRT) if self.wanted_memory().await => TrainerError::Killed(Signal::NoMemory),
            _ => TrainerError::Ended(status.to_string()),
        }
    }

    /// Returns whether the last words of the process are those of an allocation that failed.
    async fn wanted_memory(&mut self) -> bool {
        self.read_log().await;
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter().rev().take(LAST_WORDS).any(|line| line.contains(ALLOCATION_FAILED))
    }

    /// Waits until the log of an ended process has been read: its pipe closes with the process.
    async fn read_log(&mut self) {
        // A task that has ended must not be awaited twice.
        if !self.reader.is_finished() {
            let _ = tokio::time::timeout(GRACE, &mut self.reader).await;
        }
    }

    /// Clears the log, before another stage begins.
    pub(super) fn clear_log(&self) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Waits for the process to end, or kills it, and returns the last lines that it wrote.
    pub(super) async fn last_lines(mut self) -> Vec<String> {
        if tokio::time::timeout(GRACE, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
        self.read_log().await;
        self.log.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

async fn keep_log(stderr: impl AsyncRead + Unpin, log: Arc<Mutex<VecDeque<String>>>, device: String) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let line: String = line.chars().take(LOG_WIDTH).collect();
        tracing::debug!(target: "trainer", %device, "{line}");
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.len() == LOG_LINES {
            log.pop_front();
        }
        log.push_back(line);
    }
}
