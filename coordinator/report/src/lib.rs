//! The report: what a sweep found, as files that people read and scripts parse.
//!
//! A report is a pure function of a [`SweepView`] and of the small artifacts (predictions, sample
//! lists) that its stages left behind. [`render`] makes the whole folder in memory; [`write`](mod@write)
//! is the one file that touches a disk. Every number that stands in more than one place is computed
//! once, in [`aggregate`], and worded once, in [`wording`]. Nothing in `results.json`, `report.md` and
//! `points.csv` depends on who computed it or when, so two runs of the same sweep can be compared
//! byte for byte.

pub mod aggregate;
pub mod agreement;
pub mod attachments;
pub mod budgets;
pub mod compare;
pub mod curves;
pub mod downstream;
pub mod evaluation;
pub mod folder;
pub mod html;
pub mod inputs;
pub mod markdown;
pub mod points;
pub mod results;
pub mod scale;
pub mod shortcut;
pub mod stats;
pub mod svg;
pub mod tables;
pub mod verdicts;
pub mod wording;
pub mod write;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;

use pretext_shared::ids::ArtifactId;
use pretext_shared::sweep::SweepView;

pub use aggregate::Tables;
pub use evaluation::Evaluations;
pub use folder::Folder;
pub use results::Results;
pub use write::{WriteError, write};

/// Looks up the content of an artifact; `None` where it is not (or no longer) stored.
pub type Artifacts<'a> = dyn Fn(&ArtifactId) -> Option<Vec<u8>> + 'a;

/// A report, in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The report folder.
    pub folder: Folder,
    /// The result tables as plain text for a terminal: aligned, without colour.
    pub terminal: String,
}

/// Makes the whole report of `view`.
pub fn render(view: &SweepView, artifacts: &Artifacts<'_>) -> Rendered {
    let evaluations = Evaluations::read(view, artifacts);
    let tables = Tables::of(view, &evaluations);
    let mut folder = Folder::default();
    let predictions = attachments::add_predictions(view, artifacts, &mut folder);
    attachments::add_splits(view, artifacts, &mut folder);
    curves::add_files(view, &tables, &mut folder);
    let results = Results::of(view, &tables, &evaluations, &predictions);
    folder.add("results.json", results.to_json());
    folder.add("report.md", markdown::render(view, &tables));
    folder.add("report.html", html::render(view, &tables, &evaluations));
    folder.add("points.csv", points::csv(view));
    folder.add("confusion.csv", evaluation::files::confusion(view, &evaluations));
    folder.add("classes.csv", evaluation::files::classes(view, &evaluations));
    Rendered { folder, terminal: tables::render(view, &tables) }
}
