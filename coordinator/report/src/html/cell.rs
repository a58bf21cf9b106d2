//! One cell of the report page: a line that opens to its stages, curves and, if it failed, evidence.

use pretext_shared::ids::StageId;
use pretext_shared::stage::StageKind;
use pretext_shared::sweep::{Cell, CellState, StageStatus, SweepView};
use pretext_shared::text::{self, html as escaped};

use super::confusion;
use crate::evaluation::Evaluation;
use crate::{curves, wording};

/// Where links to the cell go.
pub(super) fn anchor(index: usize) -> String {
    format!("cell-{index}")
}

/// The cell, closed unless it failed.
pub(super) fn details(view: &SweepView, index: usize, cell: &Cell, evaluation: Option<&Evaluation>) -> String {
    let state = view.state(cell);
    let key = &cell.key;
    let open = if state == CellState::Failed { " open" } else { "" };
    let test = view.result(cell.test).filter(|_| state == CellState::Succeeded).map(|result| result.score);
    let test = test.map_or_else(
        || "<span class=\"result none\">no result</span>".to_owned(),
        |score| {
            format!(
                "<span class=\"result\"><b>{} %</b> · loss {}</span>",
                wording::percent(score.accuracy),
                wording::loss(score.loss)
            )
        },
    );
    let charts: String = curves::of_cell(view, cell).into_iter().map(|curve| curve.chart.inline()).collect();
    format!(
        "<details class=\"cell\" id=\"{anchor}\"{open}>\n<summary><span class=\"chip {state}\">{state}</span><span \
         class=\"name\">{method} · {fraction} · seed {seed}</span>{test}</summary>\n<div class=\"body\">\n{failure}{stages}\
         {evaluation}<div class=\"charts\">\n{charts}</div>\n</div>\n</details>\n",
        anchor = anchor(index),
        state = state.as_str(),
        method = escaped(key.method.title()),
        fraction = key.fraction.percent(),
        seed = key.seed,
        failure = failure(view, cell),
        stages = stages(view, cell),
        evaluation = evaluation.map_or_else(String::new, |one| confusion::table(one, &view.provenance.dataset.classes)),
    )
}

fn failure(view: &SweepView, cell: &Cell) -> String {
    let Some((stage, failure)) = view.failure(cell) else { return String::new() };
    let kind = view.stages.get(&stage).map_or("", |view| view.stage.spec.kind().as_str());
    let log = match failure.log.is_empty() {
        true => "<p class=\"small\">The trainer wrote nothing.</p>\n".to_owned(),
        false => format!(
            "<p class=\"small\">The last lines that the trainer wrote:</p>\n<pre>{}</pre>\n",
            text::html_lines(failure.log.iter().map(String::as_str))
        ),
    };
    format!(
        "<div class=\"evidence\"><p><b>{code}</b> in the {kind} stage <code>{short}</code>: {message}</p>\n{log}</div>\n",
        code = failure.code.as_str(),
        short = stage.short(),
        message = escaped(&failure.message),
    )
}

const STAGE_HEADINGS: [&str; 8] = [
    "Stage",
    "State",
    "Images train + val",
    "Steps",
    "Images seen",
    "Selected epoch",
    "Loss / accuracy there",
    "Ran on",
];

fn stages(view: &SweepView, cell: &Cell) -> String {
    let headings: String = STAGE_HEADINGS.map(|heading| format!("<th>{heading}</th>")).concat();
    let rows: String = cell.stages().map(|id| stage_row(view, id)).collect();
    let note = if cell.pretext.is_none() {
        "<p class=\"small\">No pretext stage: the encoder starts from random weights.</p>\n"
    } else {
        ""
    };
    format!(
        "<div class=\"scroll\"><table class=\"plain\">\n<thead><tr>{headings}</tr></thead>\n<tbody>\n{rows}</tbody></table>\
         </div>\n{note}"
    )
}

fn stage_row(view: &SweepView, id: StageId) -> String {
    let Some(stage) = view.stages.get(&id) else { return String::new() };
    let none = || wording::NO_CELL.to_owned();
    let cost = stage.cost;
    let kind = stage.stage.spec.kind();
    let is_test = kind == StageKind::Test;
    let state = match &stage.status {
        StageStatus::Pending => "pending".to_owned(),
        StageStatus::Running { worker, step } => {
            format!("running on {}, step {} of {}", escaped(worker), text::grouped(*step), text::grouped(cost.steps))
        }
        StageStatus::Succeeded(_) => "succeeded".to_owned(),
        StageStatus::Failed(failure) => format!("failed ({})", failure.code.as_str()),
        StageStatus::Cancelled => "cancelled".to_owned(),
    };
    let images = if is_test {
        format!("{} test", text::grouped(cost.train_images))
    } else {
        format!("{} + {}", text::grouped(cost.train_images), text::grouped(cost.validation_images))
    };
    let [steps, seen, epoch, score, device] = match view.result(id) {
        Some(result) => [
            if is_test { none() } else { text::grouped(result.steps) },
            if is_test { text::grouped(result.score.seen) } else { text::grouped(result.images) },
            if is_test { none() } else { result.selected_epoch.to_string() },
            format!("{} / {} %", wording::loss(result.score.loss), wording::percent(result.score.accuracy)),
            format!("{}, {}", escaped(&result.device), duration(result.seconds)),
        ],
        None if is_test => [none(), none(), none(), none(), none()],
        None => [
            format!("{} planned", text::grouped(cost.steps)),
            format!("{} planned", text::grouped(cost.images_seen)),
            none(),
            none(),
            none(),
        ],
    };
    format!(
        "<tr><td>{kind} <code title=\"{id}\">{short}</code></td><td>{state}</td><td>{images}</td><td>{steps}</td><td>{seen}\
         </td><td>{epoch}</td><td>{score}</td><td>{device}</td></tr>\n",
        kind = kind.as_str(),
        short = id.short(),
    )
}

/// Seconds as people read them: `8.3 s`, `12 min`, `3.5 h`.
fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.1} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}
