//! Cells in full: failures in one table, and each cell with its stages and curves.

use pretext_shared::ids::StageId;
use pretext_shared::stage::StageKind;
use pretext_shared::sweep::{Cell, CellState, StageStatus, SweepView};
use pretext_shared::text;

use super::model::{Block, CellDetails, Evidence, Section, Topic};
use super::table::{Field, Role, Table};
use crate::charts;
use crate::notation::{ABSENT, duration, score};
use crate::numbers::{Evaluations, Tables};

/// Returns the section of failed cells, if there are any.
pub(super) fn failures(view: &SweepView) -> Option<Section<'_>> {
    let mut failures = Table::new(Role::Failures, ["Cell", "Stage", "Code", "Message"]);
    for (index, cell) in view.cells.iter().enumerate() {
        let Some(Evidence { stage, kind, failure }) = evidence(view, cell) else { continue };
        failures.row([
            Field::Cell { index, id: cell.id(&view.id) },
            Field::Stage { kind, id: stage },
            Field::Failure(failure.code),
            Field::Text(text::shorten(&failure.message, 500)),
        ]);
    }
    (!failures.rows.is_empty()).then(|| Section { topic: Topic::Failures, blocks: vec![Block::Table(failures)] })
}

fn evidence<'a>(view: &'a SweepView, cell: &Cell) -> Option<Evidence<'a>> {
    let (stage, failure) = view.failure(cell)?;
    Some(Evidence { stage, kind: view.stages.get(&stage).map(|view| view.stage.spec.kind()), failure })
}

/// Returns the section of all cells, by policy.
pub(super) fn cells<'a>(view: &'a SweepView, tables: &Tables, evaluations: &'a Evaluations) -> Section<'a> {
    let mut blocks = Vec::new();
    for table in &tables.policies {
        blocks.push(Block::Heading(format!("Policy {}", table.lr)));
        let own = view.cells.iter().enumerate().filter(|(_, cell)| cell.key.lr == table.lr);
        blocks.extend(own.map(|(index, cell)| Block::Cell(Box::new(details(view, index, cell, evaluations)))));
    }
    Section { topic: Topic::Cells, blocks }
}

fn details<'a>(view: &'a SweepView, index: usize, cell: &'a Cell, evaluations: &'a Evaluations) -> CellDetails<'a> {
    let state = view.state(cell);
    CellDetails {
        index,
        key: &cell.key,
        state,
        score: view.result(cell.test).filter(|_| state == CellState::Succeeded).map(|result| result.score),
        failure: evidence(view, cell),
        stages: stages(view, cell),
        evaluation: evaluations.get(view, cell),
        classes: &view.provenance.dataset.classes,
        charts: charts::of_cell(view, cell).into_iter().map(|curve| curve.chart).collect(),
    }
}

fn stages<'a>(view: &SweepView, cell: &Cell) -> Table<'a> {
    let headings = [
        "Stage",
        "State",
        "Images train + val",
        "Steps",
        "Images seen",
        "Selected epoch",
        "Loss / accuracy there",
        "Ran on",
    ];
    let mut stages = Table::new(Role::Stages, headings);
    for id in cell.stages() {
        if let Some((kind, columns)) = stage_columns(view, id) {
            let stage = Field::Stage { kind: Some(kind), id };
            stages.row(std::iter::once(stage).chain(columns.map(Field::Text)));
        }
    }
    stages
}

fn stage_columns(view: &SweepView, id: StageId) -> Option<(StageKind, [String; 7])> {
    let stage = view.stages.get(&id)?;
    let none = || ABSENT.to_owned();
    let (cost, kind) = (stage.cost, stage.stage.spec.kind());
    let state = match &stage.status {
        StageStatus::Pending => "pending".to_owned(),
        StageStatus::Running { worker, step } => {
            format!("running on {worker}, step {} of {}", text::grouped(*step), text::grouped(cost.steps))
        }
        StageStatus::Succeeded(_) => "succeeded".to_owned(),
        StageStatus::Failed(failure) => format!("failed ({})", failure.code.as_str()),
        StageStatus::Cancelled => "cancelled".to_owned(),
    };
    let images = match kind {
        StageKind::Test => format!("{} test", text::grouped(cost.train_images)),
        StageKind::Pretext | StageKind::Downstream => {
            format!("{} + {}", text::grouped(cost.train_images), text::grouped(cost.validation_images))
        }
    };
    let [steps, seen, epoch] = match (view.result(id), kind) {
        (Some(result), StageKind::Test) => [none(), text::grouped(result.score.seen), none()],
        (None, StageKind::Test) => [none(), none(), none()],
        (Some(result), _) => {
            [text::grouped(result.steps), text::grouped(result.images), result.selected_epoch.to_string()]
        }
        (None, _) => [
            format!("{} planned", text::grouped(cost.steps)),
            format!("{} planned", text::grouped(cost.images_seen)),
            none(),
        ],
    };
    let [reached, device] = view.result(id).map_or_else(
        || [none(), none()],
        |result| [score(result.score), format!("{}, {}", result.device, duration(result.seconds))],
    );
    Some((kind, [state, images, steps, seen, epoch, reached, device]))
}
