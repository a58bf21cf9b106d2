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

/// A column; a row is a cell.
type Of<'a> = Column<'a, Row<'a>>;

/// Returns the file: a row for each cell of `view`, whose results are `results`, in the order of the plan.
pub fn cells(view: &SweepView, results: &Results) -> Vec<u8> {
    let sweep = shared(view.id.as_str());
    let text = |text: &str| Some(shared(text));
    let mut columns = vec![
        Of::text("sweep", move |_| Some(sweep.clone())),
        Of::text("cell", move |(_, record)| text(&record.id)),
        Of::text("method", |(_, record)| Some(fixed(record.method.as_str()))),
        Of::number("fraction", |(_, record)| Some(record.fraction.value())),
        Of::text("policy", move |(_, record)| text(&record.lr)),
        Of::seed("seed", |(_, record)| Some(record.seed)),
        Of::seed("split_seed", |(_, record)| record.split_seed),
        Of::text("state", |(_, record)| Some(fixed(record.state.as_str()))),
        Of::text("failure", |(_, record)| Some(fixed(record.error.as_ref()?.code.as_str()))),
        Of::number("test_accuracy", |(_, record)| Some(record.test?.accuracy)),
        Of::number("test_loss", |(_, record)| Some(record.test?.loss)),
        Of::count("test_images", |(_, record)| Some(record.test?.seen)),
        Of::number("nll", |(_, record)| Some(record.evaluation?.nll)),
        Of::number("ece15", |(_, record)| Some(record.evaluation?.ece15)),
        Of::number("brier", |(_, record)| Some(record.evaluation?.brier)),
        Of::number("balanced_accuracy", |(_, record)| Some(record.evaluation?.balanced_accuracy)),
        Of::number("macro_f1", |(_, record)| Some(record.evaluation?.macro_f1)),
        Of::text("mode", |(_, record)| Some(fixed(record.downstream.mode.as_str()))),
        Of::text("test_stage", |(cell, _)| hash(cell.test)),
        Of::text("predictions", |(_, record)| Some(shared(&record.predictions.as_ref()?.artifact.to_string()))),
    ];
    columns.extend(training(view, "pretext", |(cell, record)| Some((cell.pretext?, record.pretext.as_ref()?))));
    columns.extend(training(view, "downstream", |(cell, record)| Some((cell.downstream, &record.downstream.training))));
    table("cells", &view.id, &columns, view.cells.iter().zip(&results.cells))
}

/// Returns the columns of one training stage of a cell, whose names begin with `kind`.
fn training<'a>(
    view: &'a SweepView,
    kind: &'static str,
    of: for<'r> fn(&Row<'r>) -> Option<(StageId, &'r StageRecord)>,
) -> Vec<Of<'a>> {
    let name = |what: &str| format!("{kind}_{what}");
    let train = move |row: &Row<'_>| -> Option<&'a TrainSpec> { view.stages.get(&of(row)?.0)?.stage.spec.train() };
    let result = move |row: &Row<'_>| -> Option<&'a StageResult> { view.result(of(row)?.0) };
    vec![
        Of::text(name("stage"), move |row| hash(of(row)?.0)),
        Of::text(name("state"), move |row| Some(fixed(of(row)?.1.state))),
        Of::number(name("lr"), move |row| Some(train(row)?.lr.base())),
        Of::count(name("batch"), move |row| Some(train(row)?.batch.into())),
        Of::count(name("train_images"), move |row| Some(of(row)?.1.train_images)),
        Of::count(name("validation_images"), move |row| Some(of(row)?.1.validation_images)),
        Of::count(name("planned_steps"), move |row| Some(of(row)?.1.planned_steps)),
        Of::count(name("planned_images"), move |row| Some(of(row)?.1.planned_images)),
        Of::count(name("steps"), move |row| of(row)?.1.steps),
        Of::count(name("images"), move |row| of(row)?.1.images),
        Of::count(name("selected_epoch"), move |row| of(row)?.1.selected_epoch.map(u64::from)),
        Of::number(name("validation_accuracy"), move |row| Some(of(row)?.1.validation?.accuracy)),
        Of::number(name("validation_loss"), move |row| Some(of(row)?.1.validation?.loss)),
        Of::text(name("model"), move |row| Some(shared(&of(row)?.1.model?.to_string()))),
        Of::text(name("device"), move |row| Some(shared(&result(row)?.device))),
        Of::number(name("seconds"), move |row| Some(result(row)?.seconds)),
    ]
}

fn hash(stage: StageId) -> Option<ByteArray> {
    Some(shared(&stage.to_string()))
}
