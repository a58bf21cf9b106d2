//! `curves/`: every chart of a report as a file of its own.

use pretext_shared::sweep::SweepView;

use super::folder::{Folder, cell_stem};
use crate::charts;
use crate::numbers::Tables;

/// Adds every cell's curves and one label-efficiency chart per policy.
pub fn add(view: &SweepView, tables: &Tables, folder: &mut Folder) {
    for cell in &view.cells {
        for curve in charts::of_cell(view, cell) {
            let (kind, metric) = (curve.kind.as_str(), curve.metric.as_str());
            let path = format!("curves/{}_{kind}-{metric}.svg", cell_stem(&cell.key));
            folder.add(&path, curve.chart.file());
        }
    }
    for table in &tables.policies {
        let chart = charts::label_efficiency(table, tables);
        folder.add(&format!("curves/label-efficiency_{}.svg", table.lr), chart.file());
    }
}
