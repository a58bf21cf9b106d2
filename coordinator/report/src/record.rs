//! The part of a `results.json` that is read again, to compare it with another.

use std::collections::BTreeSet;

use pretext_shared::dataset::DatasetFacts;
use pretext_shared::device::NumericClass;
use pretext_shared::ids::{ArtifactId, StageId, SweepId};
use pretext_shared::outcome::Score;
use pretext_shared::split::Fraction;
use pretext_shared::stage::{Extent, Method};
use pretext_shared::sweep::{Build, CellKey, CellState};
use serde::Deserialize;

use super::files::results::SCHEMA;

/// See the module.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Record {
    schema: u32,
    /// Which sweep.
    pub sweep: RecordedSweep,
    /// The origin of its numbers.
    pub provenance: RecordedProvenance,
    pub(crate) cells: Vec<RecordedCell>,
}

/// Which sweep.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RecordedSweep {
    /// Id.
    pub id: SweepId,
}

/// The origin of the numbers of a record.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RecordedProvenance {
    /// The sweep file.
    pub spec: String,
    /// The data.
    pub dataset: DatasetFacts,
    /// The separate data set for pretext training, if any.
    #[serde(default)]
    pub pretext_dataset: Option<DatasetFacts>,
    pub(crate) version: String,
    /// Numeric class of all stages.
    pub class: NumericClass,
    /// Whether it is a rehearsal.
    pub extent: Extent,
    #[serde(default)]
    pub(crate) build: Option<Build>,
    #[serde(default)]
    pub(crate) devices: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct RecordedCell {
    pub(crate) method: Method,
    pub(crate) fraction: Fraction,
    pub(crate) lr: String,
    pub(crate) seed: u64,
    #[serde(default)]
    pub(crate) split_seed: Option<u64>,
    pub(crate) state: CellState,
    pub(crate) test: Option<Score>,
    pub(crate) pretext: Option<RecordedStage>,
    pub(crate) downstream: RecordedStage,
    pub(crate) predictions: Option<RecordedPredictions>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct RecordedStage {
    pub(crate) stage: StageId,
    pub(crate) steps: Option<u64>,
    pub(crate) images: Option<u64>,
    pub(crate) selected_epoch: Option<u32>,
    pub(crate) validation: Option<Score>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct RecordedPredictions {
    artifact: ArtifactId,
}

/// A file that is no record.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Not JSON, or not of that form.
    #[error("it is not a results.json of a report: {0}")]
    Form(#[from] serde_json::Error),
    /// Of another version.
    #[error("its schema is {found}, and this program reads {SCHEMA}")]
    Schema {
        /// What it says.
        found: u32,
    },
    /// Nothing to compare.
    #[error("no cell of it has a result: there is nothing to compare")]
    Empty,
}

impl Record {
    /// Reads the content of a `results.json`.
    pub fn parse(content: &[u8]) -> Result<Self, Unreadable> {
        let record: Self = serde_json::from_slice(content)?;
        if record.schema != SCHEMA {
            return Err(Unreadable::Schema { found: record.schema });
        }
        if record.cells.iter().all(|cell| cell.test.is_none()) {
            return Err(Unreadable::Empty);
        }
        Ok(record)
    }
}

impl RecordedCell {
    pub(crate) fn key(&self) -> CellKey {
        CellKey { method: self.method, fraction: self.fraction, lr: self.lr.clone(), seed: self.seed }
    }
}
