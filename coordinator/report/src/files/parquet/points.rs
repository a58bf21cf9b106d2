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

/// A column; a row is a point of a stage of a cell.
type Of<'a> = Column<'a, (&'a Place<'a>, &'a Point)>;

/// Returns the file: a row for each cell and each point of its stages, in the order of the plan and of the points. A
/// stage that several cells share is repeated for each of them; `first_of_stage` is true in the first.
pub fn points(view: &SweepView) -> Vec<u8> {
    let (places, sweep) = (places(view), shared(view.id.as_str()));
    let columns = vec![
        Of::text("sweep", |_| Some(sweep.clone())),
        Of::text("cell", |(place, _)| Some(place.id.clone())),
        Of::text("method", |(place, _)| Some(fixed(place.cell.key.method.as_str()))),
        Of::number("fraction", |(place, _)| Some(place.cell.key.fraction.value())),
        Of::text("policy", |(place, _)| Some(place.policy.clone())),
        Of::seed("seed", |(place, _)| Some(place.cell.key.seed)),
        Of::text("stage", |(place, _)| Some(place.stage_id.clone())),
        Of::text("kind", |(place, _)| Some(fixed(place.stage.stage.spec.kind().as_str()))),
        Of::flag("first_of_stage", |(place, _)| Some(place.is_first)),
        Of::number("lr", |(place, _)| place.stage.stage.spec.train().map(|train| train.lr.base())),
        Of::text("split", |(_, point)| Some(fixed(point.part.as_str()))),
        Of::text("metric", |(_, point)| Some(fixed(point.metric.as_str()))),
        Of::count("epoch", |(_, point)| Some(point.epoch.into())),
        Of::count("step", |(_, point)| Some(point.step)),
        Of::number("value", |(_, point)| Some(point.value)),
    ];
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

#[cfg(test)]
mod tests {
    use ::parquet::file::reader::{FileReader, SerializedFileReader};
    use ::parquet::record::RowAccessor;
    use bytes::Bytes;

    use super::*;
    use crate::{files, fixture};

    #[test]
    fn each_point_comes_once_for_each_cell_and_once_as_the_first_of_its_stage() {
        let view = fixture::view();
        let reader = SerializedFileReader::new(Bytes::from(points(&view))).expect("a Parquet file");
        let mut once = Vec::new();
        let mut rows = 0;
        for row in reader.get_row_iter(None).expect("rows") {
            let row = row.expect("a row");
            rows += 1;
            let text = |column: usize| row.get_string(column).expect("text").clone();
            let number = |column: usize| row.get_long(column).expect("a count");
            let value = row.get_double(14).expect("a number");
            let line = [text(6), text(7), text(10), text(11), number(12).to_string(), number(13).to_string()];
            if row.get_bool(8).expect("a flag") {
                once.push(format!("{},{value}", line.join(",")));
            }
        }
        let of_cell = |cell: &Cell| cell.stages().map(|id| view.stages[&id].points.len()).sum::<usize>();
        assert_eq!(rows, view.cells.iter().map(of_cell).sum::<usize>());
        let csv = files::points::csv(&view);
        let mut expected: Vec<&str> = csv.lines().skip(1).collect();
        assert!(rows > expected.len(), "cells of the fixture share stages");
        expected.sort_unstable();
        once.sort_unstable();
        assert_eq!(once, expected);
        assert_eq!(points(&view), points(&view), "the same bytes");
    }
}
