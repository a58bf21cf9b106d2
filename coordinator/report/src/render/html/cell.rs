//! One cell of the page: a line that opens to its failure, stages, test predictions and curves.

use pretext_html::{Html, html};
use pretext_shared::outcome::Score;
use pretext_shared::sweep::CellState;

use super::confusion;
use super::piece::{anchor, pre};
use super::table::table;
use crate::document::{CellDetails, Evidence};
use crate::notation::{loss, percent};

/// Returns the cell, closed unless it failed.
pub(super) fn details(cell: &CellDetails<'_>) -> Html {
    let open = if cell.state == CellState::Failed { html!(" open") } else { html!("") };
    let pretext = if cell.stages.rows.len() > 2 {
        html!("")
    } else {
        html!("<p class=\"small\">No pretext stage: the encoder starts from its initial weights.</p>\n")
    };
    html!(
        "<details class=\"cell\" id=\"{anchor}\"{open}>\n<summary><span class=\"chip {state}\">{state}</span><span \
         class=\"name\">{name}</span>{score}</summary>\n<div class=\"body\">\n{failure}{stages}{pretext}{evaluation}\
         <div class=\"charts\">\n{charts}</div>\n</div>\n</details>\n",
        anchor = anchor(cell.index),
        open = open,
        state = cell.state.as_str(),
        name = format!("{} · {} · seed {}", cell.key.method.title(), cell.key.fraction.percent(), cell.key.seed),
        score = score(cell.score),
        failure = cell.failure.as_ref().map(failure),
        stages = table(&cell.stages),
        pretext = pretext,
        evaluation = cell.evaluation.map(|evaluation| confusion::table(evaluation, cell.classes)),
        charts = cell.charts.iter().map(|chart| chart.inline()).collect::<Html>(),
    )
}

fn score(score: Option<Score>) -> Html {
    match score {
        Some(score) => {
            html!("<span class=\"result\"><b>{} %</b> · loss {}</span>", percent(score.accuracy), loss(score.loss))
        }
        None => html!("<span class=\"result none\">no result</span>"),
    }
}

fn failure(evidence: &Evidence<'_>) -> Html {
    let Evidence { stage, kind, failure } = evidence;
    let log = match failure.log.is_empty() {
        true => html!("<p class=\"small\">The trainer wrote nothing.</p>\n"),
        false => html!(
            "<p class=\"small\">The last lines that the trainer wrote:</p>\n{}",
            pre(failure.log.iter().map(String::as_str))
        ),
    };
    html!(
        "<div class=\"evidence\"><p><b>{code}</b> in the {kind} stage <code>{stage}</code>: {message}</p>\n{log}</div>\n",
        code = failure.code.as_str(),
        kind = kind.map(|kind| kind.as_str()),
        stage = stage.short(),
        message = failure.message,
        log = log
    )
}
