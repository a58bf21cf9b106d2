//! `coordinator run`: runs one sweep on this machine, with a real coordinator and a real worker.

mod arguments;
mod daemon;
mod ready;
mod room;

pub(super) use arguments::RunArgs;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use pretext_artifacts::ArtifactOptions;
use pretext_client::Client;
use pretext_engine::Limits;
use pretext_engine::submission::SubmissionError;
use pretext_proto::v1 as pb;
use pretext_server::listen::{Listen, WebOptions, WebWire};
use pretext_server::serve::Coordinator;
use pretext_server::start::Options;
use pretext_shared::dataset::{Note, Source, SweepFacts};
use pretext_shared::device::NumericClass;
use pretext_shared::plan;
use pretext_shared::stage::Extent;
use pretext_shared::text;
use tokio::time::sleep;

use self::daemon::{Launch, Supervisor};
use super::console::{Console, Show};
use super::error::CliError;
use super::progress::span;
use super::report::publish;
use super::serve::{offer_link, say_when_full, store_lost};
use super::signals::Signals;
use super::status::Counts;
use super::submit::Submitted;
use super::sweep_file::SweepFile;
use super::watch::{Events, Go, follow};
use super::worker_program::WorkerProgram;
use crate::build;
use crate::look::{look, trainers};
use crate::remote::connect_here;
use crate::verdict::Verdict;

/// Time between two checks whether the worker has registered.
const ASK: Duration = Duration::from_millis(100);
/// Longest time that the command waits for the program of `--on-final`.
const TOLD_WITHIN: Duration = Duration::from_secs(60);
/// After this time a message says what the command waits for.
const SLOW: Duration = Duration::from_secs(10);

/// Runs a sweep until it is finished or interrupted, and prints its report.
pub(super) async fn run(args: RunArgs, console: &Console) -> Result<Verdict, CliError> {
    let file = SweepFile::read(&args.file.file)?;
    let out = args.out.clone();
    here(args, file, console, async |client, sweep| {
        let cells = publish(client, sweep, out.as_deref(), console).await?;
        if cells.verdict() == Verdict::SomeFailed {
            let without = text::counted(cells.failed + cells.cancelled, "cell");
            console.terminal.say(&format!("{without} without a result; run failed stages again with --retry-failed"));
        }
        Ok(cells.verdict())
    })
    .await
}

/// Runs the sweep of `file` on this machine until it is finished or interrupted. After that, calls `finish` with a
/// client and the sweep's id, while the coordinator still answers.
pub(super) async fn here<T>(
    args: RunArgs,
    file: SweepFile,
    console: &Console,
    finish: impl AsyncFnOnce(&Client, &str) -> Result<T, CliError>,
) -> Result<T, CliError> {
    ready::folders(&args)?;
    let own = ready::loopback()?;
    let mut signals = Signals::catch()?;
    let web = args.web.map(|listen| WebOptions { listen, names: Vec::new(), wire: WebWire::Plain });
    let listen = Listen { web, ..Listen::plaintext(SocketAddr::new(own, 0)) };
    let state_dir = args.state_dir.clone();
    let folder = state_dir.clone();
    let artifacts = ArtifactOptions::in_folder(state_dir.join("artifacts"));
    let (limits, build, on_final) = (Limits::default(), Some(build::this()), args.on_final.clone());
    let options = Options { listen, state_dir, artifacts, limits, build, on_final };
    let mut coordinator = Coordinator::start(options).await?;
    offer_link(&coordinator, console)?;
    let url = format!("http://{}", coordinator.address());
    let full = coordinator.full();

    let mut run = Run { args, file, url, console, worker: None };
    let outcome = tokio::select! {
        outcome = Box::pin(run.complete(finish)) => outcome,
        reason = coordinator.broken() => Err(store_lost(reason)),
        never = say_when_full(full, console) => match never {},
        never = room::say_when_little(&folder, console) => match never {},
        () = signals.next() => Err(CliError::Interrupted {
            message: "interrupted: finished work is kept, run the same command again to resume".to_owned(),
        }),
    };
    if outcome.is_ok() {
        tokio::select! {
            () = coordinator.all_told() => {}
            () = sleep(TOLD_WITHIN) => console.terminal.say("warning: the program of --on-final has not ended with 0 yet; it runs again with the same command"),
            () = signals.next() => {}
        }
    }
    if matches!(outcome, Err(CliError::Interrupted { .. })) {
        console.terminal.say("stopping; press Ctrl-C again to stop at once");
    }
    let stopping = async {
        if let Some(worker) = &mut run.worker {
            worker.stop().await;
        }
        coordinator.stop().await;
    };
    let killed = tokio::select! {
        () = stopping => false,
        () = signals.next() => true,
    };
    if killed {
        run.worker.iter().for_each(Supervisor::kill);
        let message = "killed; run the same command again to resume from the last checkpoints".to_owned();
        return Err(CliError::Interrupted { message });
    }
    outcome
}

struct Run<'a> {
    args: RunArgs,
    file: SweepFile,
    url: String,
    console: &'a Console,
    /// `Some` once the worker has started; the owner of this struct stops it.
    worker: Option<Supervisor>,
}

impl Run<'_> {
    async fn complete<T>(
        &mut self,
        finish: impl AsyncFnOnce(&Client, &str) -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        let client = connect_here(&self.url).await?;
        let sweep = match self.finished(&client).await? {
            Some(sweep) => sweep,
            None => self.train(&client).await?,
        };
        finish(&client, &sweep).await
    }

    /// Starts a worker, submits the sweep, and follows it until it is final.
    async fn train(&mut self, client: &Client) -> Result<String, CliError> {
        let Run { args, file, url, console, worker } = self;
        let hashes = args.state_dir.join("worker/hashes");
        // If the folder cannot be made, nothing is kept, and the worker says why.
        let _ = hashes.parent().map(std::fs::create_dir_all);
        let looked = look(file, &args.data_root, Some(&hashes)).await?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        if let Some(fitting) = trainers(&looked, cores, args.workers, &args.device).await? {
            console.terminal.say(&format!("the memory of this machine is enough for --workers {fitting}"));
            args.workers = Some(fitting);
        }
        let launch = Launch::new(WorkerProgram::find()?, args, &file.sweep, url);
        let worker = worker.insert(Supervisor::start(launch, &console.terminal)?);
        tokio::select! {
            registered = registered(client, console) => registered?,
            error = worker.ends_early() => return Err(error),
        }
        let reply = client.submit(&file.text, args.file.extent()).await.map_err(|error| file.refused(error))?;
        console.terminal.say(&Submitted::new(&reply, args.file.extent()).text());
        if args.retry_failed {
            client.retry(&reply.sweep).await?;
        }
        let events = Events::new(client.clone(), reply.sweep.clone(), &console.terminal);
        tokio::select! {
            followed = follow(events, &console.terminal, |_| Ok(Go::On)) => followed.map(|_| reply.sweep),
            error = worker.keep_alive() => Err(error),
        }
    }

    /// Returns the sweep of this file if it was submitted before and is finished. Its tables then need no worker.
    async fn finished(&self, client: &Client) -> Result<Option<String>, CliError> {
        let sweep = &self.file.sweep;
        let extent = self.args.file.extent();
        let known: Vec<pb::SweepSummary> = client.list().await?;
        let namesake = |known: &&pb::SweepSummary| {
            known.sweep.rsplit_once('-').is_some_and(|(name, _)| name == sweep.name)
                && known.smoke == (extent == Extent::Smoke)
        };
        let known: Vec<&pb::SweepSummary> = known.iter().filter(namesake).collect();
        let mut found = Vec::new();
        for source in sweep.sources() {
            found.push(match source {
                Source::Procedural(procedural) => procedural.facts(),
                _ if known.is_empty() => return Ok(None),
                // The worker that announces the data reports problems with them.
                source => match WorkerProgram::find()?.facts(source, &self.args.data_root).await {
                    Ok(facts) => facts,
                    Err(_) => return Ok(None),
                },
            });
        }
        let Some((dataset, others)) = found.split_first() else { return Ok(None) };
        let facts = SweepFacts { dataset, pretext: others.first() };
        let classes = match sweep.numeric {
            Some(class) => vec![class],
            // The order is the same as in a submission that looks for an existing sweep.
            None => vec![NumericClass::Cpu, NumericClass::Gpu],
        };
        for class in classes {
            let plan = plan::expand(sweep, facts, class, extent).map_err(|errors| {
                self.file.not_planned(SubmissionError::Plan(errors.placed(sweep, &self.file.text)))
            })?;
            if let Some(summary) = known.iter().find(|known| known.sweep == plan.sweep.as_str()) {
                let cells = Counts::from(summary.cells);
                let left = !cells.is_final() || (self.args.retry_failed && cells.verdict() == Verdict::SomeFailed);
                return Ok((!left).then(|| summary.sweep.clone()));
            }
        }
        Ok(None)
    }
}

/// Waits until a worker has registered: only the worker that was just started knows this coordinator.
async fn registered(client: &Client, console: &Console) -> Result<(), CliError> {
    let start = Instant::now();
    let mut told = Duration::ZERO;
    loop {
        if let Some(worker) = client.workers().await?.iter().find(|worker| worker.connected) {
            let datasets = worker.datasets.iter().flat_map(|data| data.notes.iter().map(move |note| (&data.key, note)));
            for (key, note) in datasets {
                console.terminal.say(&format!("{key}: {}", text::line(&Note::decoded(note).to_string())));
            }
            return Ok(());
        }
        if start.elapsed() >= told + SLOW {
            told = start.elapsed();
            console.terminal.say(&format!("waiting for the worker, which examines devices and data ({})", span(told)));
        }
        sleep(ASK).await;
    }
}
