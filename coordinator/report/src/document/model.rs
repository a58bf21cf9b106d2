//! The parts of a document.

use pretext_shared::dataset::DatasetFacts;
use pretext_shared::device::NumericClass;
use pretext_shared::ids::StageId;
use pretext_shared::outcome::{Failure, Score};
use pretext_shared::stage::{Extent, StageKind};
use pretext_shared::sweep::{CellKey, CellState};
use pretext_shared::text;

use super::table::Table;
use crate::charts::svg::Chart;
use crate::numbers::evaluation::Evaluation;
use crate::statements::Statement;

/// A report.
#[derive(Debug, Clone, PartialEq)]
pub struct Document<'a> {
    /// The sweep at a glance.
    pub overview: Overview<'a>,
    /// Facts that a reader must know before the first number.
    pub warnings: Vec<Statement<'a>>,
    /// The sections, in reading order.
    pub sections: Vec<Section<'a>>,
}

/// A sweep at a glance.
#[derive(Debug, Clone, PartialEq)]
pub struct Overview<'a> {
    /// Name, as in the sweep file.
    pub name: &'a str,
    /// Id.
    pub id: &'a str,
    /// Number of cells.
    pub cells: usize,
    /// Number of cells in each state that has any, final states first.
    pub states: Vec<(CellState, usize)>,
    /// The data set.
    pub dataset: &'a DatasetFacts,
    /// Number of test images.
    pub test_images: u64,
    /// Version of Pretext.
    pub version: &'a str,
    /// Numeric class of all stages.
    pub class: NumericClass,
    /// Whether this is a rehearsal.
    pub extent: Extent,
}

/// A section.
#[derive(Debug, Clone, PartialEq)]
pub struct Section<'a> {
    /// Its subject.
    pub topic: Topic<'a>,
    /// Its content.
    pub blocks: Vec<Block<'a>>,
}

/// The subject of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic<'a> {
    /// One learning-rate policy, by name.
    Policy(&'a str),
    /// Inputs and notes that hold for all tables.
    Method,
    /// Failed cells.
    Failures,
    /// Every cell.
    Cells,
    /// The origin of the numbers.
    Provenance,
}

/// A piece of a section.
#[derive(Debug, Clone, PartialEq)]
pub enum Block<'a> {
    /// The statement that a reader needs first.
    Lead(Statement<'a>),
    /// A list of statements.
    Statements(Vec<Statement<'a>>),
    /// A chart, with the statements that belong beside it.
    Illustrated {
        /// The chart.
        chart: Chart,
        /// The statements.
        statements: Vec<Statement<'a>>,
    },
    /// A table.
    Table(Table<'a>),
    /// Names with values.
    Facts(Vec<Fact>),
    /// The name of a group of cells.
    Heading(String),
    /// A cell with its stages and curves.
    Cell(Box<CellDetails<'a>>),
    /// Additional material. A format that cannot fold text leaves it out.
    Folded {
        /// The text that stays visible.
        summary: String,
        /// The material.
        content: Folded<'a>,
    },
}

/// Additional material.
#[derive(Debug, Clone, PartialEq)]
pub enum Folded<'a> {
    /// A table.
    Table(Table<'a>),
    /// Lines of a file.
    Lines(Vec<&'a str>),
    /// Names.
    Names(&'a [String]),
}

/// A name with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// The name.
    pub name: &'static str,
    /// The value.
    pub value: String,
}

/// A cell in full.
#[derive(Debug, Clone, PartialEq)]
pub struct CellDetails<'a> {
    /// Position in the plan.
    pub index: usize,
    /// Key.
    pub key: &'a CellKey,
    /// State.
    pub state: CellState,
    /// Score on the test images, if the cell succeeded.
    pub score: Option<Score>,
    /// The failure, if the cell failed.
    pub failure: Option<Evidence<'a>>,
    /// Its stages.
    pub stages: Table<'a>,
    /// Its test predictions, if they are stored.
    pub evaluation: Option<&'a Evaluation>,
    /// Names of the classes.
    pub classes: &'a [String],
    /// Its curves.
    pub charts: Vec<Chart>,
}

/// A failure with the stage that failed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence<'a> {
    /// The stage.
    pub stage: StageId,
    /// Its kind, if the stage is known.
    pub kind: Option<StageKind>,
    /// The failure.
    pub failure: &'a Failure,
}

impl Overview<'_> {
    /// Returns the cells by state: `14 succeeded, 1 failed, 1 pending`.
    pub fn counts(&self) -> String {
        let counts = self.states.iter().map(|(state, count)| format!("{count} {}", state.as_str()));
        counts.collect::<Vec<_>>().join(", ")
    }
}

impl Topic<'_> {
    /// Returns the heading of the section.
    pub fn heading(self) -> String {
        match self {
            Topic::Policy(lr) => format!("Learning-rate policy {lr}"),
            Topic::Method => "Data and method".to_owned(),
            Topic::Failures => "Failed cells".to_owned(),
            Topic::Cells => "Every cell".to_owned(),
            Topic::Provenance => "Provenance".to_owned(),
        }
    }

    /// Returns the name of the section in links.
    pub fn anchor(self) -> String {
        match self {
            Topic::Policy(lr) => format!("policy-{}", text::file_name(lr)),
            Topic::Method => "method".to_owned(),
            Topic::Failures => "failures".to_owned(),
            Topic::Cells => "cells".to_owned(),
            Topic::Provenance => "provenance".to_owned(),
        }
    }
}
