//! `coordinator status`: lists all sweeps, or shows the cells of one.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use pretext_proto::v1 as pb;
use pretext_report::notation;
use pretext_shared::outcome::{FailureCode, Score};
use pretext_shared::stage::Extent;
use pretext_shared::sweep::{Cell, CellState, StageStatus, SweepView};
use pretext_shared::text::counted;
use serde::Serialize;

use super::columns::{Align, Columns};
use super::console::{Console, Show};
use super::error::CliError;
use super::progress::span;
use crate::remote::{Remote, connect};
use crate::verdict::Verdict;

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// The sweep's id, or an unambiguous beginning of it; without it, all sweeps are listed
    #[arg(value_name = "SWEEP")]
    pub(super) sweep: Option<String>,
    #[command(flatten)]
    pub(super) remote: Remote,
}

/// All sweeps.
#[derive(Debug, Serialize)]
pub(super) struct Sweeps {
    sweeps: Vec<SweepLine>,
}

impl Sweeps {
    /// Converts the coordinator's answer.
    pub(super) fn new(summaries: Vec<pb::SweepSummary>, now: Duration) -> Self {
        Self { sweeps: summaries.into_iter().map(|summary| SweepLine::new(summary, now)).collect() }
    }
}

/// A line about a sweep.
#[derive(Debug, Serialize)]
struct SweepLine {
    sweep: String,
    cells: Counts,
    submitted_ms: u64,
    cancelled: bool,
    smoke: bool,
    #[serde(skip)]
    age: Duration,
}

/// Number of cells in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    pub(super) pending: u32,
    pub(super) running: u32,
    pub(super) succeeded: u32,
    pub(super) failed: u32,
    pub(super) cancelled: u32,
}

impl Counts {
    /// Returns the number of all cells.
    pub(super) fn total(self) -> u64 {
        let counts = [self.pending, self.running, self.succeeded, self.failed, self.cancelled];
        counts.into_iter().map(u64::from).sum()
    }

    /// Returns whether no cell will change any more.
    pub(super) fn is_final(self) -> bool {
        self.pending == 0 && self.running == 0
    }

    /// Returns the verdict that determines the exit code.
    pub(super) fn verdict(self) -> Verdict {
        if self.failed == 0 && self.cancelled == 0 { Verdict::Good } else { Verdict::SomeFailed }
    }
}

impl From<pb::CellCounts> for Counts {
    fn from(counts: pb::CellCounts) -> Self {
        let pb::CellCounts { pending, running, succeeded, failed, cancelled } = counts;
        Self { pending, running, succeeded, failed, cancelled }
    }
}

impl From<Option<pb::CellCounts>> for Counts {
    fn from(counts: Option<pb::CellCounts>) -> Self {
        counts.unwrap_or_default().into()
    }
}

impl SweepLine {
    fn new(summary: pb::SweepSummary, now: Duration) -> Self {
        Self {
            cells: summary.cells.into(),
            age: now.saturating_sub(Duration::from_millis(summary.submitted_ms)),
            sweep: summary.sweep,
            submitted_ms: summary.submitted_ms,
            cancelled: summary.cancelled,
            smoke: summary.smoke,
        }
    }

    fn state(&self) -> &'static str {
        match self.cells {
            _ if self.cancelled => "cancelled",
            cells if !cells.is_final() => "active",
            cells if cells.failed > 0 => "failed",
            cells if cells.cancelled > 0 => "cancelled",
            _ => "done",
        }
    }
}

impl Show for Sweeps {
    fn text(&self) -> String {
        if self.sweeps.is_empty() {
            return "no sweep has been submitted".to_owned();
        }
        let words = |heading| (heading, Align::Left);
        let numbers =
            ["cells", "done", "running", "pending", "failed", "cancelled"].map(|heading| (heading, Align::Right));
        let mut columns =
            Columns::new(&[&[words("sweep"), words("state")], &numbers[..], &[words("submitted")]].concat());
        for line in &self.sweeps {
            let Counts { pending, running, succeeded, failed, cancelled } = line.cells;
            let counts = [succeeded, running, pending, failed, cancelled].map(u64::from);
            let smoke = if line.smoke { ", rehearsal" } else { "" };
            let first = [line.sweep.clone(), format!("{}{smoke}", line.state())];
            let last = format!("{} ago", span(line.age));
            let counts = [line.cells.total()].into_iter().chain(counts).map(|n| n.to_string());
            columns.row(first.into_iter().chain(counts).chain([last]));
        }
        columns.render()
    }
}

/// A sweep with its cells.
#[derive(Debug, Serialize)]
struct SweepStatus {
    sweep: String,
    name: String,
    cancelled: bool,
    smoke: bool,
    states: BTreeMap<CellState, usize>,
    cells: Vec<CellLine>,
}

/// A cell.
#[derive(Debug, Serialize)]
struct CellLine {
    id: String,
    #[serde(skip)]
    key: String,
    state: CellState,
    error: Option<Error>,
    test: Option<Score>,
    /// The stage that is running.
    running: Option<Running>,
}

#[derive(Debug, Serialize)]
struct Error {
    stage: String,
    code: FailureCode,
    message: String,
}

#[derive(Debug, Serialize)]
struct Running {
    stage: String,
    kind: &'static str,
    worker: String,
    step: u64,
    steps: u64,
}

impl SweepStatus {
    fn of(view: &SweepView) -> Self {
        let cells: Vec<CellLine> = view.cells.iter().map(|cell| CellLine::of(view, cell)).collect();
        let mut states = BTreeMap::new();
        for cell in &cells {
            *states.entry(cell.state).or_insert(0) += 1;
        }
        Self {
            sweep: view.id.to_string(),
            name: view.name.clone(),
            cancelled: view.is_cancelled(),
            smoke: view.provenance.extent == Extent::Smoke,
            states,
            cells,
        }
    }
}

impl CellLine {
    fn of(view: &SweepView, cell: &Cell) -> Self {
        let error = view.failure(cell).map(|(stage, failure)| Error {
            stage: stage.to_string(),
            code: failure.code,
            message: failure.message.clone(),
        });
        let running = cell.stages().find_map(|id| {
            let stage = view.stages.get(&id)?;
            let StageStatus::Running { worker, step } = &stage.status else { return None };
            let kind = stage.stage.spec.kind().as_str();
            Some(Running { stage: id.to_string(), kind, worker: worker.clone(), step: *step, steps: stage.cost.steps })
        });
        Self {
            id: cell.id(&view.id),
            key: cell.key.to_string(),
            state: view.state(cell),
            error,
            test: view.result(cell.test).map(|result| result.score),
            running,
        }
    }

    fn detail(&self) -> String {
        if let Some(error) = &self.error {
            return format!("{}: {}", error.code.as_str(), error.message);
        }
        if let Some(Running { kind, worker, step, steps, .. }) = &self.running {
            return format!("{kind}, step {step} of {steps} on {worker}");
        }
        self.test.map(notation::score).unwrap_or_default()
    }
}

impl Show for SweepStatus {
    fn text(&self) -> String {
        let states: Vec<String> = self.states.iter().map(|(state, n)| format!("{n} {}", state.as_str())).collect();
        let smoke = if self.smoke { " · rehearsal of two steps a stage" } else { "" };
        let mut columns = Columns::new(&[
            ("cell", Align::Left),
            ("state", Align::Left),
            ("test loss / accuracy, or why not", Align::Left),
        ]);
        for cell in &self.cells {
            columns.row([cell.key.clone(), cell.state.as_str().to_owned(), cell.detail()]);
        }
        let cells = counted(self.cells.len(), "cell");
        format!("{} · {cells}: {}{smoke}\n\n{}", self.sweep, states.join(", "), columns.render())
    }
}

/// Lists sweeps, or shows one.
pub(super) async fn status(args: StatusArgs, console: &Console) -> Result<Verdict, CliError> {
    let client = connect(&args.remote).await?;
    match &args.sweep {
        Some(sweep) => console.show(&SweepStatus::of(&client.sweep(sweep).await?))?,
        None => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            console.show(&Sweeps::new(client.list().await?, now))?;
        }
    }
    Ok(Verdict::Good)
}
