//! The report: the findings of a sweep, as files that people read and scripts parse.
//!
//! A report is a pure function of a [`SweepView`] and of the small artifacts (predictions, sample lists) that its stages
//! left behind. It is made in one direction:
//!
//! 1. [`numbers`] computes every number once.
//! 2. [`statements`] says what the numbers mean, as typed values that are worded once.
//! 3. [`document`] puts statements, tables and [`charts`] into sections.
//! 4. [`mod@render`] has one renderer per format; each walks the document once and computes nothing.
//!
//! [`agreement`] and [`against`] compare the results of two sweeps, from what a [`record`] keeps of them.
//!
//! [`files`] has the files for scripts, which are made from the numbers alone. [`render`](fn@render) makes the whole
//! folder in memory; [`write`](fn@write) is the only code that touches a disk. Nothing in `results.json`, `report.md` and
//! `points.csv` depends on the time or the machine, so two runs of one sweep can be compared byte for byte.

pub mod against;
pub mod agreement;
pub mod charts;
pub mod document;
pub mod files;
pub mod notation;
pub mod numbers;
pub mod record;
pub mod render;
pub mod statements;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;

use pretext_shared::sweep::SweepView;

pub use document::Document;
pub use files::folder::Folder;
pub use files::results::Results;
pub use files::write::{WriteError, write};
pub use numbers::{Artifacts, Evaluations, Tables};

use files::{attachments, curves, evaluation, events, parquet, points};

/// A part of a report that not every reader needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extra {
    /// `cells.parquet` and `points.parquet`.
    Parquet,
    /// `tensorboard/`.
    TensorBoard,
}

/// A report, in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The report folder.
    pub folder: Folder,
    /// The result tables as plain text for a terminal: aligned, without colour.
    pub terminal: String,
}

/// Makes the report of `view`, with the parts `extras`.
pub fn render(view: &SweepView, artifacts: &Artifacts<'_>, extras: &[Extra]) -> Rendered {
    let evaluations = Evaluations::read(view, artifacts);
    let tables = Tables::of(view, &evaluations);
    let document = Document::of(view, &tables, &evaluations);
    let mut folder = Folder::default();
    let predictions = attachments::add_predictions(view, artifacts, &mut folder);
    attachments::add_splits(view, artifacts, &mut folder);
    curves::add(view, &tables, &mut folder);
    let results = Results::of(view, &tables, &evaluations, &predictions);
    folder.add("results.json", results.to_json());
    folder.add("report.md", render::markdown::render(&document));
    folder.add("report.tex", render::latex::render(&document));
    folder.add("report.html", render::html::render(&document));
    folder.add("points.csv", points::csv(view));
    folder.add("confusion.csv", evaluation::confusion(view, &evaluations));
    folder.add("classes.csv", evaluation::classes(view, &evaluations));
    for extra in extras {
        match extra {
            Extra::Parquet => {
                folder.add("cells.parquet", parquet::cells(view, &results));
                folder.add("points.parquet", parquet::points(view));
            }
            Extra::TensorBoard => events::add(view, &mut folder),
        }
    }
    Rendered { folder, terminal: render::terminal::render(&document) }
}
