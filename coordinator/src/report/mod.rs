//! `coordinator report`, and the report at the end of `coordinator run`.

mod bundle;
mod compare;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::Args;
use pretext_client::Client;
use pretext_report::{Extra, Folder, Rendered};
use pretext_shared::ids::ArtifactId;
use pretext_shared::outcome::ArtifactKind;
use pretext_shared::sweep::{CellState, SweepView};
use pretext_shared::text::counted;
use serde::Serialize;

pub(super) use self::source::open_artifacts;
use self::source::{Origin, Source};
use super::console::{Console, Show};
use super::error::CliError;
use super::status::Counts;
use crate::values::lossy;
use crate::verdict::Verdict;

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// The sweep's id, or an unambiguous beginning of it
    #[arg(value_name = "SWEEP", required_unless_present = "compare")]
    sweep: Option<String>,
    /// Compare two sweeps instead, B minus A: each by its id, or by the path of its report folder or results.json
    #[arg(long, value_names = ["A", "B"], num_args = 2, conflicts_with_all = ["sweep", "tensorboard", "bundle"])]
    compare: Option<Vec<String>>,
    /// The folder for the report [default: pretext-report/SWEEP, or pretext-report/B-against-A]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Add event files for TensorBoard, a run for each cell
    #[arg(long)]
    tensorboard: bool,
    /// Write everything into one zip file too, with event files, hashes and a description
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// Put the models into the bundle
    #[arg(long, requires = "bundle")]
    models: bool,
    #[command(flatten)]
    origin: Origin,
}

/// A written report.
#[derive(Debug, Serialize)]
struct Published {
    sweep: String,
    cells: Counts,
    /// Path of `report.html`.
    #[serde(serialize_with = "lossy")]
    report: PathBuf,
    /// Path of the bundle.
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle: Option<String>,
    /// The content of `results.json`.
    results: serde_json::Value,
    #[serde(skip)]
    tables: String,
}

impl Show for Published {
    fn text(&self) -> String {
        let bundle = self.bundle.as_ref().map_or_else(String::new, |bundle| format!("bundle: {bundle}\n"));
        format!("{}\nreport: {}\n{bundle}", self.tables, self.report.display())
    }
}

/// A report in memory, and its destination.
pub(super) struct Made {
    /// The files.
    pub(super) folder: Folder,
    /// Number of cells in each state.
    pub(super) cells: Counts,
    view: SweepView,
    destination: PathBuf,
    tables: String,
}

/// Makes the report of `sweep` from what the coordinator has.
pub(super) async fn make(client: &Client, sweep: &str, out: Option<&Path>) -> Result<Made, CliError> {
    make_from(&Source::Server(Box::new(client.clone())), sweep, out, &[Extra::Parquet]).await
}

async fn make_from(source: &Source, sweep: &str, out: Option<&Path>, extras: &[Extra]) -> Result<Made, CliError> {
    let view = source.sweep(sweep).await?;
    let mut stored = BTreeMap::new();
    for id in attachments(&view) {
        if let Some(content) = source.artifact(id).await? {
            stored.insert(id, content);
        }
    }
    let Rendered { folder, terminal } = pretext_report::render(&view, &|id| stored.get(id).cloned(), extras);
    Ok(Made { folder, cells: counts(&view), destination: destination(&view, out), view, tables: terminal })
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
    show(made, None, console)
}

fn show(made: Made, bundle: Option<&Path>, console: &Console) -> Result<Counts, CliError> {
    let results = serde_json::from_slice(made.folder.get("results.json").unwrap_or_default())
        .map_err(|error| CliError::environment(format!("cannot read the results again: {error}")))?;
    let report = made.destination.join("report.html");
    let bundle = bundle.map(|path| path.display().to_string());
    let sweep = made.view.id.to_string();
    console.show(&Published { sweep, cells: made.cells, report, bundle, results, tables: made.tables })?;
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

/// Writes the report of a sweep from the results so far, or compares two sweeps.
pub(super) async fn report(args: ReportArgs, console: &Console) -> Result<Verdict, CliError> {
    let ReportArgs { sweep, compare, out, tensorboard, bundle, models, origin } = args;
    if let Some([a, b]) = compare.as_deref() {
        return compare::compare([a, b], out.as_deref(), &origin, console).await;
    }
    let Some(sweep) = sweep else { return Err(CliError::input("name a sweep: `coordinator status` lists all")) };
    // Before the work.
    bundle.as_deref().map(bundle::folder).transpose()?;
    let source = Source::open(&origin).await?;
    let extras: &[Extra] =
        if tensorboard || bundle.is_some() { &[Extra::Parquet, Extra::TensorBoard] } else { &[Extra::Parquet] };
    let made = make_from(&source, &sweep, out.as_deref(), extras).await?;
    write(&made, console)?;
    if let Some(file) = &bundle {
        let models = if models { bundle::models(&made.view) } else { BTreeSet::new() };
        bundle::write(&made, &source, models, file).await?;
    }
    let cells = show(made, bundle.as_deref(), console)?;
    if !cells.is_final() {
        console.terminal.say(&format!("not finished yet: {}", counted(cells.pending + cells.running, "cell")));
    }
    Ok(Verdict::Good)
}
