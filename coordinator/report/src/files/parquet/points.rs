//! `points.parquet`: every point of every cell.

use std::collections::BTreeSet;

use ::parquet::data_type::ByteArray;
use pretext_shared::point::Point;
use pretext_shared::sweep::{Cell, StageView, SweepView};

use super::column::{Column, fixed, shared, table};

/// A stage of a cell.
struct Place<'a> {
    cell: &'a Cell,
    id: ByteArray,
    policy: ByteArray,
    stage: &'a StageView,
    stage_id: ByteArray,
    is_first: bool,
}

/// Returns the file: a row for each cell and each point of its stages, in the order of the plan and of the points. A
/// stage that several cells share is repeated for each of them; `first_of_stage` is true in the first.
pub fn points(view: &SweepView) -> Vec<u8> {
    let sweep = shared(view.id.as_str());
    let columns: Vec<Column<'_, (&Place<'_>, &Point)>> = vec![
        Column::text("sweep", |_| Some(sweep.clone())),
        Column::text("cell", |(place, _)| Some(place.id.clone())),
        Column::text("method", |(place, _)| Some(fixed(place.cell.key.method.as_str()))),
        Column::number("fraction", |(place, _)| Some(place.cell.key.fraction.value())),
        Column::text("policy", |(place, _)| Some(place.policy.clone())),
        Column::seed("seed", |(place, _)| Some(place.cell.key.seed)),
        Column::text("stage", |(place, _)| Some(place.stage_id.clone())),
        Column::text("kind", |(place, _)| Some(fixed(place.stage.stage.spec.kind().as_str()))),
        Column::flag("first_of_stage", |(place, _)| Some(place.is_first)),
        Column::number("lr", |(place, _)| place.stage.stage.spec.train().map(|train| train.lr.base())),
        Column::text("split", |(_, point)| Some(fixed(point.part.as_str()))),
        Column::text("metric", |(_, point)| Some(fixed(point.metric.as_str()))),
        Column::count("epoch", |(_, point)| Some(point.epoch.into())),
        Column::count("step", |(_, point)| Some(point.step)),
        Column::number("value", |(_, point)| Some(point.value)),
    ];
    let places = places(view);
    let rows = places.iter().flat_map(|place| place.stage.points.iter().map(move |point| (place, point)));
    table("points", &view.id, &columns, rows)
}

fn places(view: &SweepView) -> Vec<Place<'_>> {
    let (mut places, mut seen) = (Vec::new(), BTreeSet::new());
    for cell in &view.cells {
        let (id, policy) = (shared(&cell.id(&view.id)), shared(&cell.key.lr));
        for stage_id in cell.stages() {
            let Some(stage) = view.stages.get(&stage_id) else { continue };
            let is_first = seen.insert(stage_id);
            let (id, policy, stage_id) = (id.clone(), policy.clone(), shared(&stage_id.to_string()));
            places.push(Place { cell, id, policy, stage, stage_id, is_first });
        }
    }
    places
}
