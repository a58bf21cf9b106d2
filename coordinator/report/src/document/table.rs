//! Tables of a document.

use pretext_shared::ids::StageId;
use pretext_shared::outcome::FailureCode;
use pretext_shared::stage::StageKind;

use crate::numbers::Entry;

/// A table.
#[derive(Debug, Clone, PartialEq)]
pub struct Table<'a> {
    /// Its role in the report.
    pub role: Role,
    /// One heading per column.
    pub headings: Vec<String>,
    /// The rows.
    pub rows: Vec<TableRow<'a>>,
}

/// The role of a table. Formats choose by it what they show and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Test scores: fractions × methods.
    Scores,
    /// Measures of the test predictions.
    Measures,
    /// Methods against each other.
    Comparisons,
    /// Methods over all fractions.
    OverFractions,
    /// Effort of every training stage.
    Budgets,
    /// Failed cells.
    Failures,
    /// Stages of a cell.
    Stages,
    /// Images of each class.
    Classes,
}

/// A row of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableRow<'a> {
    /// One field per column.
    pub fields: Vec<Field<'a>>,
    /// How far the row stands out.
    pub emphasis: Emphasis,
}

/// How far a row stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emphasis {
    /// Like the others.
    Plain,
    /// Highlighted: a significant difference.
    Strong,
}

/// The verdict on the difference between an entry and the supervised entry of its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its accuracy is significantly higher.
    Above,
    /// Its accuracy is significantly lower.
    Below,
    /// The difference is not significant, or could not be tested.
    Untold,
}

/// A field of a table.
#[derive(Debug, Clone, PartialEq)]
pub enum Field<'a> {
    /// Plain text.
    Text(String),
    /// An entry of a policy's table.
    Entry {
        /// The entry.
        entry: &'a Entry,
        /// Accuracy of a classifier that always answers the largest class, in 0–1.
        majority: Option<f64>,
        /// Its difference to the supervised entry of its row.
        standing: Standing,
    },
    /// A cell, by position in the plan and id.
    Cell {
        /// Position.
        index: usize,
        /// `SWEEP/METHOD/FRACTION/LR/SEED`.
        id: String,
    },
    /// A stage.
    Stage {
        /// Its kind, if the stage is known.
        kind: Option<StageKind>,
        /// Its id.
        id: StageId,
    },
    /// A class of failure.
    Failure(FailureCode),
}

impl Role {
    /// Returns the title of tables with this role; `None` if the text around them names them.
    pub fn title(self) -> Option<&'static str> {
        match self {
            Role::Scores => Some("Test loss / accuracy"),
            Role::Measures => Some("Measures on the test images"),
            Role::Comparisons => Some("Differences in test accuracy"),
            Role::OverFractions => Some("Means over fractions"),
            Role::Budgets => Some("Budgets"),
            Role::Failures | Role::Stages | Role::Classes => None,
        }
    }
}

impl<'a> Table<'a> {
    /// Returns a table of plain text without rows.
    pub(super) fn new(role: Role, headings: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { role, headings: headings.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, fields: impl IntoIterator<Item = impl Into<Field<'a>>>) {
        let fields = fields.into_iter().map(Into::into).collect();
        self.rows.push(TableRow { fields, emphasis: Emphasis::Plain });
    }
}

impl From<String> for Field<'_> {
    fn from(text: String) -> Self {
        Field::Text(text)
    }
}
