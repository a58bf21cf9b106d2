//! The trainer process: runs one stage after the other on one device, on orders of the daemon that started it.
//!
//! Orders come as lines of JSON on standard input, and reports go as lines of JSON to standard output. The log goes to
//! standard error. The trainer holds no lease and never uses the network. When its input ends, its daemon is gone, and
//! the trainer exits at once, even in the middle of a step: nothing would receive its results.
//!
//! Exit codes: see [`Exit`].

mod datasets;
mod pool;
mod stop;

use std::io::{self, BufRead, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, sync_channel};

use pretext_shared::outcome::Failure;
use pretext_shared::trainer::{Order, Report, Run};

use crate::device::{Compute, DeviceName};
use crate::panics::{self, classify};
use crate::train::{End, Events, run_stage};

use datasets::Datasets;
use stop::Stop;

/// Why a trainer process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The input ended.
    InputEnded,
    /// An order cannot be parsed: the daemon is another version.
    BadOrder,
    /// The device cannot be opened, or threads cannot be started.
    Environment,
    /// A stage failed with an error; the process is not reused.
    StageFailed,
    /// A stage panicked; the device may be unusable until the process is gone.
    Panicked,
}

impl Exit {
    /// Returns the process's exit code.
    pub fn code(self) -> u8 {
        match self {
            Exit::InputEnded => 0,
            Exit::BadOrder => 2,
            Exit::Environment => 4,
            Exit::StageFailed => 10,
            Exit::Panicked => 11,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

/// Runs the trainer process: opens `device` (a name as on the command line) and serves orders until the input ends or a
/// stage fails. Computes on `threads` threads (0: one per core), pinned to `cores` if they are given.
pub fn serve(device: &str, threads: usize, cores: Option<Vec<usize>>) -> Exit {
    panics::log_panics();
    if let Err(error) = pool::build(threads, cores.as_deref()) {
        tracing::error!(%error, "the trainer cannot start its threads");
        return Exit::Environment;
    }
    let compute = match device.parse::<DeviceName>().and_then(|name| Compute::open(&name)) {
        Ok(compute) => compute,
        Err(error) => {
            tracing::error!(%error, "the trainer cannot open its device");
            return Exit::Environment;
        }
    };
    let stop = Stop::default();
    // A scheduler that ends a job signals every process of it: the trainer stops as if its daemon had asked.
    if let Err(error) = stop.on_signals() {
        tracing::error!(%error, "the trainer cannot handle signals");
        return Exit::Environment;
    }
    let orders = listen(stop.clone());
    let trainer = Trainer { compute, output: Mutex::new(io::stdout()), stop };
    trainer.report(Report::Ready);
    trainer.work(orders)
}

/// Reads orders on a thread of its own. In the middle of a stage, a stop order arrives at once, and the end of input
/// ends the process.
fn listen(stop: Stop) -> Receiver<Box<Run>> {
    let (send, receive) = sync_channel(1);
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            match serde_json::from_str(&line) {
                Ok(Order::Run(run)) => {
                    // Reset here and not where the stage starts: a stop that follows must not be lost.
                    stop.reset();
                    if send.send(run).is_err() {
                        break;
                    }
                }
                Ok(Order::Stop) => stop.request(),
                Err(error) => {
                    tracing::error!(%error, "an order cannot be parsed: daemon and trainer have different versions; restart the worker");
                    exit(Exit::BadOrder);
                }
            }
        }
        exit(Exit::InputEnded);
    });
    receive
}

fn exit(exit: Exit) -> ! {
    std::process::exit(i32::from(exit.code()))
}

/// A trainer that writes its reports to `W`.
struct Trainer<W> {
    compute: Compute,
    output: Mutex<W>,
    stop: Stop,
}

impl<W: Write + Send> Trainer<W> {
    /// Runs stages as they come, until one fails.
    fn work(&self, orders: Receiver<Box<Run>>) -> Exit {
        let mut datasets = Datasets::default();
        for run in orders {
            let caught = panics::caught(|| self.in_pool(|| self.run(&run, &mut datasets)));
            let (failure, exit) = match caught {
                Ok(Ok(())) if self.stop.is_final() => return Exit::InputEnded,
                Ok(Ok(())) => continue,
                Ok(Err(failure)) => (failure, Exit::StageFailed),
                Err(message) => {
                    let failure = Failure { code: classify(&message), message, log: Vec::new() };
                    (failure, Exit::Panicked)
                }
            };
            tracing::error!(code = failure.code.as_str(), message = failure.message, "stage failed");
            self.report(Report::Failed(failure));
            return exit;
        }
        Exit::InputEnded
    }

    /// Runs `work` where the device needs it. On the CPU, that is a thread of the pool: each operation is then split
    /// without waking another thread first. On a GPU, it is this thread, which owns the stream and its memory.
    fn in_pool<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        if self.compute.reads_are_free() { rayon::scope(|_| work()) } else { work() }
    }

    fn run(&self, run: &Run, datasets: &mut Datasets) -> Result<(), Failure> {
        let result = datasets.get(run).map_err(Into::into).and_then(|data| run_stage(run, &self.compute, &data, self));
        match result {
            Ok(End::Finished(finished)) => self.report(Report::Finished(Box::new(finished))),
            Ok(End::Stopped { step }) => self.report(Report::Stopped { step }),
            Err(error) => return Err(error.into_failure()),
        }
        Ok(())
    }
}

impl<W: Write + Send> Events for Trainer<W> {
    fn report(&self, report: Report) {
        let mut line = serde_json::to_vec(&report).expect("reports hold finite numbers and string keys only");
        line.push(b'\n');
        let mut output = self.output.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Err(error) = output.write_all(&line).and_then(|()| output.flush()) {
            // The daemon is gone.
            tracing::warn!(%error, "reports are no longer read");
            exit(Exit::InputEnded);
        }
    }

    fn stop_requested(&self) -> bool {
        self.stop.is_requested()
    }
}

#[cfg(test)]
mod tests {
    use pretext_shared::outcome::FailureCode;
    use pretext_shared::stage::{Budget, DownstreamMode, TrainSpec};

    use super::*;
    use crate::train::small::{ADAM, SIMCLR, Small, train};

    fn work(runs: Vec<Run>) -> (Exit, Vec<Report>) {
        let (send, receive) = sync_channel(runs.len());
        runs.into_iter().for_each(|run| send.send(Box::new(run)).expect("there is room"));
        drop(send);
        let trainer = Trainer { compute: Compute::cpu(), output: Mutex::new(Vec::new()), stop: Stop::default() };
        let exit = trainer.work(receive);
        let output = trainer.output.into_inner().expect("no report panicked");
        let lines = String::from_utf8(output).expect("JSON is text");
        (exit, lines.lines().map(|line| serde_json::from_str(line).expect("a report per line")).collect())
    }

    #[test]
    fn stages_run_one_after_the_other_until_one_fails() {
        let short = || TrainSpec { budget: Budget::Steps(1), ..train(ADAM) };
        let (first, second) =
            (Small::downstream(DownstreamMode::FineTune, None, short()), Small::pretext(SIMCLR, short()));
        let unfit = Small::pretext(SIMCLR, TrainSpec { batch: 1000, ..short() });
        let (exit, reports) = work([&first, &second, &unfit, &first].map(|stage| stage.run.clone()).to_vec());
        assert_eq!(exit, Exit::StageFailed);
        assert_eq!(reports.iter().filter(|report| matches!(report, Report::Finished(_))).count(), 2);
        let Some(Report::Failed(failure)) = reports.last() else { panic!("the last report is the failure") };
        assert_eq!(failure.code, FailureCode::Invalid);
        assert!(failure.message.contains("batches of 1000"), "{}", failure.message);
    }

    #[test]
    fn panics_are_failures_with_their_words() {
        let message = panics::caught(|| panic!("Unable to allocate: out of memory")).expect_err("it panicked");
        assert_eq!(classify(&message), FailureCode::OutOfMemory);
        assert!(message.contains("Unable to allocate"), "{message}");
        assert_eq!(classify("wgpu error: Device lost"), FailureCode::Device);
        assert_eq!(classify("index out of bounds: the len is 3"), FailureCode::Crashed);
        assert_eq!(panics::caught(|| 5), Ok(5));
    }
}
