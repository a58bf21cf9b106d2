//! `cells.parquet`: every cell, as in `results.json`.

use ::parquet::data_type::ByteArray;
use pretext_shared::ids::StageId;
use pretext_shared::outcome::StageResult;
use pretext_shared::stage::TrainSpec;
use pretext_shared::sweep::{Cell, SweepView};

use super::column::{Column, fixed, shared, table};
use crate::files::results::{CellRecord, Results, StageRecord};

/// A cell with its record.
type Row<'a> = (&'a Cell, &'a CellRecord);

/// Returns the file: a row for each cell of `view`, whose results are `results`, in the order of the plan.
pub fn cells(view: &SweepView, results: &Results) -> Vec<u8> {
    let sweep = shared(view.id.as_str());
    let text = |text: &str| Some(shared(text));
    let mut columns: Vec<Column<'_, Row<'_>>> = vec![
        Column::text("sweep", move |_| Some(sweep.clone())),
        Column::text("cell", move |(_, record)| text(&record.id)),
        Column::text("method", |(_, record)| Some(fixed(record.method.as_str()))),
        Column::number("fraction", |(_, record)| Some(record.fraction.value())),
        Column::text("policy", move |(_, record)| text(&record.lr)),
        Column::seed("seed", |(_, record)| Some(record.seed)),
        Column::seed("split_seed", |(_, record)| record.split_seed),
        Column::text("state", |(_, record)| Some(fixed(record.state.as_str()))),
        Column::text("failure", |(_, record)| Some(fixed(record.error.as_ref()?.code.as_str()))),
        Column::number("test_accuracy", |(_, record)| Some(record.test?.accuracy)),
        Column::number("test_loss", |(_, record)| Some(record.test?.loss)),
        Column::count("test_images", |(_, record)| Some(record.test?.seen)),
        Column::number("nll", |(_, record)| Some(record.evaluation?.nll)),
        Column::number("ece15", |(_, record)| Some(record.evaluation?.ece15)),
        Column::number("brier", |(_, record)| Some(record.evaluation?.brier)),
        Column::number("balanced_accuracy", |(_, record)| Some(record.evaluation?.balanced_accuracy)),
        Column::number("macro_f1", |(_, record)| Some(record.evaluation?.macro_f1)),
        Column::text("mode", |(_, record)| Some(fixed(record.downstream.mode.as_str()))),
        Column::text("test_stage", |(cell, _)| hash(cell.test)),
        Column::text("predictions", |(_, record)| Some(shared(&record.predictions.as_ref()?.artifact.to_string()))),
    ];
    columns.extend(training(view, "pretext", |(cell, record)| Some((cell.pretext?, record.pretext.as_ref()?))));
    columns.extend(training(view, "downstream", |(cell, record)| {
        Some((cell.downstream, &record.downstream.training))
    }));
    table("cells", &view.id, &columns, view.cells.iter().zip(&results.cells))
}

/// Returns the columns of one training stage of a cell, whose names begin with `kind`.
fn training<'a>(
    view: &'a SweepView,
    kind: &'static str,
    of: for<'r> fn(&Row<'r>) -> Option<(StageId, &'r StageRecord)>,
) -> Vec<Column<'a, Row<'a>>> {
    let name = |what: &str| format!("{kind}_{what}");
    let train = move |row: &Row<'_>| -> Option<&'a TrainSpec> { view.stages.get(&of(row)?.0)?.stage.spec.train() };
    let result = move |row: &Row<'_>| -> Option<&'a StageResult> { view.result(of(row)?.0) };
    vec![
        Column::text(name("stage"), move |row| hash(of(row)?.0)),
        Column::text(name("state"), move |row| Some(fixed(of(row)?.1.state))),
        Column::number(name("lr"), move |row| Some(train(row)?.lr.base())),
        Column::count(name("batch"), move |row| Some(train(row)?.batch.into())),
        Column::count(name("train_images"), move |row| Some(of(row)?.1.train_images)),
        Column::count(name("validation_images"), move |row| Some(of(row)?.1.validation_images)),
        Column::count(name("planned_steps"), move |row| Some(of(row)?.1.planned_steps)),
        Column::count(name("planned_images"), move |row| Some(of(row)?.1.planned_images)),
        Column::count(name("steps"), move |row| of(row)?.1.steps),
        Column::count(name("images"), move |row| of(row)?.1.images),
        Column::count(name("selected_epoch"), move |row| of(row)?.1.selected_epoch.map(u64::from)),
        Column::number(name("validation_accuracy"), move |row| Some(of(row)?.1.validation?.accuracy)),
        Column::number(name("validation_loss"), move |row| Some(of(row)?.1.validation?.loss)),
        Column::text(name("model"), move |row| Some(shared(&of(row)?.1.model?.to_string()))),
        Column::text(name("device"), move |row| Some(shared(&result(row)?.device))),
        Column::number(name("seconds"), move |row| Some(result(row)?.seconds)),
    ]
}

fn hash(stage: StageId) -> Option<ByteArray> {
    Some(shared(&stage.to_string()))
}
