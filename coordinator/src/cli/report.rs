//! `coordinator report`, and the report at the end of `coordinator run`: the same code for both.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use pretext_shared::ids::ArtifactId;
use pretext_shared::outcome::ArtifactKind;
use pretext_shared::sweep::{CellState, SweepView};
use serde::Serialize;

use super::Verdict;
use super::args::ReportArgs;
use super::client::Client;
use super::console::{Console, Show};
use super::error::CliError;
use super::progress::cells as count;
use super::status::Counts;
use crate::report;

/// A report that was written.
#[derive(Debug, Serialize)]
struct Published {
    sweep: String,
    cells: Counts,
    /// Path of `report.html`.
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

/// Makes the report of `sweep` from what the coordinator has, writes it to `out` and prints the tables.
pub(super) async fn publish(
    client: &Client,
    sweep: &str,
    out: Option<&Path>,
    console: &Console,
) -> Result<Counts, CliError> {
    let view = client.sweep_with_points(sweep).await?;
    let mut stored = BTreeMap::new();
    for id in attachments(&view) {
        if let Some(content) = client.fetch(id).await? {
            stored.insert(id, content);
        }
    }
    let folder = report::render(&view, &|id| stored.get(id).cloned());
    let results = folder.get("results.json").unwrap_or_default();
    let published = Published {
        sweep: view.id.to_string(),
        cells: counts(&view),
        report: place(&view, out).join("report.html"),
        results: client.decode(results)?,
        tables: report::terminal(&view),
    };
    match report::write(&folder, &place(&view, out)) {
        Ok(_) => console.show(&published)?,
        Err(error) => {
            // The numbers are there: a full disk does not keep them from who waits for them.
            console.terminal.say(&published.tables);
            return Err(error.into());
        }
    }
    Ok(published.cells)
}

fn place(view: &SweepView, out: Option<&Path>) -> PathBuf {
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

/// Writes the report of a sweep as far as it is.
pub(super) async fn report(args: ReportArgs, console: &Console) -> Result<Verdict, CliError> {
    let client = Client::connect(&args.sweep.remote).await?;
    let cells = publish(&client, &args.sweep.sweep, args.out.as_deref(), console).await?;
    if !cells.is_final() {
        console.terminal.say(&format!("not done yet: {}", count(cells.pending + cells.running)));
    }
    Ok(Verdict::Good)
}
