//! A report as sections of statements, tables and figures. Each renderer walks it once.

mod cell;
mod model;
mod policy;
mod provenance;
mod table;

use pretext_shared::sweep::{CellState, SweepView};

pub use model::{Block, CellDetails, Document, Evidence, Fact, Folded, Overview, Section, Topic};
pub use table::{Emphasis, Field, Role, Standing, Table, TableRow};

use super::numbers::{Evaluations, Tables};
use super::statements;

impl<'a> Document<'a> {
    /// Returns the report of `view`, whose tables are `tables` and whose test predictions are `evaluations`.
    pub fn of(view: &'a SweepView, tables: &'a Tables, evaluations: &'a Evaluations) -> Self {
        let mut sections: Vec<Section<'a>> =
            tables.policies.iter().map(|table| policy::section(table, tables)).collect();
        sections
            .push(Section { topic: Topic::Method, blocks: vec![Block::Statements(statements::of_all_tables(tables))] });
        sections.extend(cell::failures(view));
        sections.push(cell::cells(view, tables, evaluations));
        sections.push(provenance::section(view, tables));
        Self { overview: overview(view, tables), warnings: statements::warnings(view, tables), sections }
    }
}

fn overview<'a>(view: &'a SweepView, tables: &Tables) -> Overview<'a> {
    let order = [CellState::Succeeded, CellState::Failed, CellState::Cancelled, CellState::Running, CellState::Pending];
    Overview {
        name: &view.name,
        id: view.id.as_str(),
        cells: view.cells.len(),
        states: order.into_iter().filter_map(|state| Some((state, *tables.states.get(&state)?))).collect(),
        dataset: &view.provenance.dataset,
        test_images: tables.test_set.images,
        version: &view.provenance.version,
        class: view.provenance.class,
        extent: view.provenance.extent,
    }
}
