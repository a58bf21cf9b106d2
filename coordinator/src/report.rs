//! `coordinator report`, and the report at the end of `coordinator run`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::Args;
use pretext_client::Client;
use pretext_report::{Folder, Rendered};
use pretext_shared::ids::ArtifactId;
use pretext_shared::outcome::ArtifactKind;
use pretext_shared::sweep::{CellState, SweepView};
use pretext_shared::text::counted;
use serde::Serialize;

use super::console::{Console, Show};
use super::error::CliError;
use super::status::Counts;
use crate::remote::{SweepArgs, connect};
use crate::values::lossy;
use crate::verdict::Verdict;

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    #[command(flatten)]
    pub(super) sweep: SweepArgs,
    /// The folder for the report [default: pretext-report/SWEEP]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
}

/// A written report.
#[derive(Debug, Serialize)]
struct Published {
    sweep: String,
    cells: Counts,
    /// Path of `report.html`.
    #[serde(serialize_with = "lossy")]
    report: PathBuf,
    /// The content of `results.json`.
    results: serde_json::Value,
    #[serde(skip)]
    tables: String,
}

impl Show for Published {
    fn text(&self) -> String {
        format!("{}\nreport: {}\n", self.tables, self.report.display())
    }
}

/// A report in memory, and its destination.
pub(super) struct Made {
    /// The files.
    pub(super) folder: Folder,
    /// Number of cells in each state.
    pub(super) cells: Counts,
    sweep: String,
    destination: PathBuf,
    tables: String,
}

/// Makes the report of `sweep` from what the coordinator has.
pub(super) async fn make(client: &Client, sweep: &str, out: Option<&Path>) -> Result<Made, CliError> {
    let view = client.sweep_with_points(sweep).await?;
    let mut stored = BTreeMap::new();
    for id in attachments(&view) {
        if let Some(content) = client.fetch(id).await? {
            stored.insert(id, content);
        }
    }
    let Rendered { folder, terminal } = pretext_report::render(&view, &|id| stored.get(id).cloned());
    Ok(Made {
        folder,
        cells: counts(&view),
        sweep: view.id.to_string(),
        destination: destination(&view, out),
        tables: terminal,
    })
}

/// Writes the files of a report.
pub(super) fn write(made: &Made, console: &Console) -> Result<(), CliError> {
    pretext_report::write(&made.folder, &made.destination).map(drop).map_err(|error| {
        // The tables exist already: if the files cannot be written, print at least the tables.
        console.terminal.say(&made.tables);
        error.into()
    })
}

/// Makes the report of `sweep`, writes it to `out` and prints the tables.
pub(super) async fn publish(
    client: &Client,
    sweep: &str,
    out: Option<&Path>,
    console: &Console,
) -> Result<Counts, CliError> {
    let made = make(client, sweep, out).await?;
    write(&made, console)?;
    let results = client.decode(made.folder.get("results.json").unwrap_or_default())?;
    let report = made.destination.join("report.html");
    console.show(&Published { sweep: made.sweep, cells: made.cells, report, results, tables: made.tables })?;
    Ok(made.cells)
}

fn destination(view: &SweepView, out: Option<&Path>) -> PathBuf {
    match out {
        Some(out) => out.to_owned(),
        None => Path::new("pretext-report").join(view.id.as_str()),
    }
}

/// The artifacts that a report shows.
fn attachments(view: &SweepView) -> BTreeSet<ArtifactId> {
    let shown = |kind: &ArtifactKind| matches!(kind, ArtifactKind::Predictions | ArtifactKind::Split);
    let results = view.stages.keys().filter_map(|id| view.result(*id));
    results.flat_map(|result| &result.artifacts).filter(|(kind, _)| shown(kind)).map(|(_, id)| *id).collect()
}

fn counts(view: &SweepView) -> Counts {
    let mut counts = Counts::default();
    for cell in &view.cells {
        *match view.state(cell) {
            CellState::Pending => &mut counts.pending,
            CellState::Running => &mut counts.running,
            CellState::Succeeded => &mut counts.succeeded,
            CellState::Failed => &mut counts.failed,
            CellState::Cancelled => &mut counts.cancelled,
        } += 1;
    }
    counts
}

/// Writes the report of a sweep from the results so far.
pub(super) async fn report(args: ReportArgs, console: &Console) -> Result<Verdict, CliError> {
    let client = connect(&args.sweep.remote).await?;
    let cells = publish(&client, &args.sweep.sweep, args.out.as_deref(), console).await?;
    if !cells.is_final() {
        console.terminal.say(&format!("not finished yet: {}", counted(cells.pending + cells.running, "cell")));
    }
    Ok(Verdict::Good)
}
