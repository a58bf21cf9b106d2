//! `coordinator watch`, and the following of sweeps for other commands.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use pretext_client::Client;
use pretext_proto::v1 as pb;
use pretext_server::on_final::{self, Event};
use pretext_shared::ids::SweepId;
use pretext_shared::text;
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tonic::Streaming;

use super::console::{Console, Format, Show, Terminal};
use super::error::CliError;
use super::progress::{ProgressBars, TICK};
use super::signals::Signals;
use super::status::Counts;
use crate::remote::{SweepArgs, connect};
use crate::verdict::Verdict;

/// Time limit for a coordinator that was reachable to come back: it may be restarting.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time between two attempts to reach it again.
const AGAIN: Duration = Duration::from_secs(1);

/// The progress of a sweep, over restarts of the coordinator.
pub(super) struct Events {
    client: Client,
    sweep: String,
    terminal: Terminal,
    stream: Option<Streaming<pb::WatchEvent>>,
    state: Stream,
}

enum Stream {
    /// No event has come yet.
    New,
    /// The last attempt succeeded.
    Connected,
    /// The coordinator went away at this time.
    LostAt(Instant),
}

impl Events {
    /// Returns the events of `sweep` from now on.
    pub(super) fn new(client: Client, sweep: String, terminal: &Terminal) -> Self {
        Self { client, sweep, terminal: terminal.clone(), stream: None, state: Stream::New }
    }

    /// Returns the next event. The future may be dropped and called again at any point.
    async fn next(&mut self) -> Result<pb::WatchEvent, CliError> {
        loop {
            match self.try_next().await {
                Ok(event) => {
                    self.state = Stream::Connected;
                    return Ok(event);
                }
                Err(error @ CliError::Unreachable { .. }) => {
                    self.stream = None;
                    self.wait(error).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn try_next(&mut self) -> Result<pb::WatchEvent, CliError> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => self.stream.insert(self.client.watch(&self.sweep).await?),
        };
        let gone = || CliError::Unreachable { url: self.client.url().to_owned(), cause: "it stopped".to_owned() };
        self.client.next(stream).await?.ok_or_else(gone)
    }

    async fn wait(&mut self, error: CliError) -> Result<(), CliError> {
        match self.state {
            Stream::New => return Err(error),
            Stream::Connected => {
                self.terminal.say(&format!("{error}; retrying for {} s", PATIENCE.as_secs()));
                self.state = Stream::LostAt(Instant::now());
            }
            Stream::LostAt(since) if since.elapsed() > PATIENCE => return Err(error),
            Stream::LostAt(_) => {}
        }
        sleep(AGAIN).await;
        // If no coordinator leads yet, the next attempt reports it.
        let _ = self.client.look_again().await;
        Ok(())
    }
}

/// The state of a sweep at one moment, for scripts: one line per event.
#[derive(Debug, Serialize)]
pub(super) struct EventLine {
    sweep: String,
    cells: Counts,
    running: Vec<RunningLine>,
    steps_done: u64,
    steps_total: u64,
    images_done: u64,
    images_total: u64,
    left: Option<TimeLeftLine>,
    obstacles: Vec<String>,
    r#final: bool,
}

/// The time that the sweep still needs.
#[derive(Debug, Serialize)]
struct TimeLeftLine {
    known_ms: u64,
    unknown_stages: u32,
}

#[derive(Debug, Serialize)]
struct RunningLine {
    stage: String,
    kind: String,
    cell: String,
    cells: u32,
    worker: String,
    device: String,
    step: u64,
    total: u64,
}

impl From<pb::WatchEvent> for EventLine {
    fn from(event: pb::WatchEvent) -> Self {
        Self {
            sweep: event.sweep,
            cells: event.cells.into(),
            running: event.running.into_iter().map(RunningLine::from).collect(),
            steps_done: event.steps_done,
            steps_total: event.steps_total,
            images_done: event.images_done,
            images_total: event.images_total,
            left: event.left.map(|pb::TimeLeft { known_ms, unknown_stages }| TimeLeftLine { known_ms, unknown_stages }),
            obstacles: event.obstacles,
            r#final: event.r#final,
        }
    }
}

impl From<pb::RunningStage> for RunningLine {
    fn from(stage: pb::RunningStage) -> Self {
        let pb::RunningStage { stage, kind, cell, cells, worker, device, step, total } = stage;
        Self { stage, kind, cell, cells, worker, device, step, total }
    }
}

impl Show for EventLine {
    fn text(&self) -> String {
        let Counts { succeeded, failed, cancelled, .. } = self.cells;
        let total = self.cells.total();
        let sweep = text::line(&self.sweep);
        let cells = text::counted(total, "cell");
        format!("{sweep}: {succeeded} of {cells} succeeded, {failed} failed, {cancelled} cancelled")
    }
}

/// Shows progress until the sweep is final, and calls `each` with every event. Stops early if `each` asks for it.
pub(super) async fn follow(
    mut events: Events,
    terminal: &Terminal,
    mut each: impl FnMut(&pb::WatchEvent) -> Result<Go, CliError>,
) -> Result<Counts, CliError> {
    let mut progress = ProgressBars::new(terminal);
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            event = events.next() => {
                let event = event?;
                let (cells, go, over) = (Counts::from(event.cells), each(&event)?, event.r#final);
                progress.update(event, Instant::now());
                if over || go == Go::Stop {
                    return Ok(cells);
                }
            }
            _ = ticks.tick() => progress.tick(Instant::now()),
        }
    }
}

/// Whether to continue following.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Go {
    /// Continue.
    On,
    /// Stop.
    Stop,
}

/// Follows a submitted sweep until it is final.
pub(super) async fn follow_to_the_end(client: Client, sweep: String, console: &Console) -> Result<Verdict, CliError> {
    let mut signals = Signals::catch()?;
    let events = Events::new(client, sweep.clone(), &console.terminal);
    let each = |event: &pb::WatchEvent| {
        if console.format() == Format::Json || event.r#final {
            console.show(&EventLine::from(event.clone()))?;
        }
        Ok(if console.is_closed() { Go::Stop } else { Go::On })
    };
    let cells = tokio::select! {
        cells = follow(events, &console.terminal, each) => cells?,
        () = signals.next() => {
            let message = format!("no longer watching; {sweep} continues (stop it with `coordinator cancel {sweep}`)");
            return Err(CliError::Interrupted { message });
        }
    };
    if !cells.is_final() {
        return Ok(Verdict::Good);
    }
    if cells.verdict() == Verdict::SomeFailed {
        console.terminal.say(&format!(
            "see what happened with `coordinator status {sweep}`, run it again with `coordinator retry {sweep}`"
        ));
    }
    console.terminal.say(&format!("write the report with `coordinator report {sweep}`"));
    Ok(cells.verdict())
}

#[derive(Debug, Args)]
pub(super) struct WatchArgs {
    #[command(flatten)]
    pub(super) sweep: SweepArgs,
    /// Run this program once the sweep has finished. It gets the facts as JSON on its standard input
    #[arg(long, value_name = "PROGRAM")]
    pub(super) on_final: Option<PathBuf>,
}

/// Follows a sweep.
pub(super) async fn watch(args: WatchArgs, console: &Console) -> Result<Verdict, CliError> {
    let WatchArgs { sweep: SweepArgs { sweep, remote }, on_final } = args;
    let client = connect(&remote).await?;
    let Some(program) = on_final else { return follow_to_the_end(client, sweep, console).await };
    let verdict = follow_to_the_end(client.clone(), sweep.clone(), console).await?;
    let all = client.list().await?;
    let over = all.iter().find(|summary| summary.sweep.starts_with(&sweep) && Counts::from(summary.cells).is_final());
    if let Some(summary) = over {
        let told = on_final::run(&program, &event(summary)?).await;
        told.map_err(|error| CliError::environment(format!("--on-final {}: {error}", program.display())))?;
    }
    Ok(verdict)
}

/// Returns what a program is told of a sweep that has finished.
fn event(summary: &pb::SweepSummary) -> Result<Event, CliError> {
    let Counts { succeeded, failed, cancelled, .. } = Counts::from(summary.cells);
    let [succeeded, failed, cancelled] = [succeeded, failed, cancelled].map(|count| count as usize);
    let sweep: SweepId = summary.sweep.parse().map_err(|error| CliError::environment(format!("{error}")))?;
    let name = summary.sweep.rsplit_once('-').map_or(summary.sweep.as_str(), |(name, _)| name);
    Ok(Event {
        event: format!("{sweep}@{succeeded}-{failed}-{cancelled}"),
        name: name.to_owned(),
        outcome: on_final::outcome(summary.cancelled || cancelled > 0, failed),
        sweep,
        succeeded,
        failed,
        cancelled,
        smoke: summary.smoke,
        submitted_ms: summary.submitted_ms,
    })
}
