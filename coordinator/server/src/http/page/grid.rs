//! The grid of a sweep: one table per learning-rate policy, with label fractions as rows and methods as columns. Each
//! field has the mean accuracy so far, and its cells with their states.

use pretext_html::{Html, html};
use pretext_report::Tables;
use pretext_report::notation;
use pretext_report::numbers::{Entry, PolicyTable, Run};
use pretext_shared::stage::StageKind;
use pretext_shared::sweep::{Cell, CellState, StageStatus, SweepView};

use super::{shape, words};

/// Returns all tables.
pub(super) fn grids(view: &SweepView, tables: &Tables) -> Html {
    tables.policies.iter().map(|table| grid(view, table)).collect()
}

fn grid(view: &SweepView, table: &PolicyTable) -> Html {
    let headings: Html =
        table.methods.iter().map(|method| html!("<th scope=\"col\">{}</th>", method.title())).collect();
    let rows: Html = table
        .rows
        .iter()
        .map(|row| {
            let fields: Html = row.entries.iter().map(|entry| field(view, entry)).collect();
            html!("<tr><th scope=\"row\">{}</th>{}</tr>\n", row.fraction.percent(), fields)
        })
        .collect();
    html!(
        "<h2>Policy <em>{lr}</em></h2>\n<div class=\"scroll\"><table class=\"grid\">\n<caption class=\"sr\">Test accuracy by \
         label fraction and method, learning-rate policy {lr}</caption>\n<thead><tr><th scope=\"col\">Labels</th>{headings}\
         </tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n",
        lr = table.lr,
        headings = headings,
        rows = rows
    )
}

fn field(view: &SweepView, entry: &Entry) -> Html {
    if entry.runs.is_empty() {
        return html!("<td class=\"none\" title=\"not in the sweep\">{}</td>", notation::ABSENT);
    }
    let mean = entry.accuracy.map(|accuracy| {
        let spread = accuracy.std.map(|std| html!(" <small>± {}</small>", notation::percent(std)));
        html!("<div class=\"accuracy\">{}{}<small> %</small></div>", notation::percent(accuracy.mean), spread)
    });
    let runs: Html = entry.runs.iter().map(|run| one(view, run, entry.runs.len())).collect();
    html!("<td>{}<ul class=\"cells\">{}</ul></td>", mean, runs)
}

/// Returns one cell: a link to its page.
fn one(view: &SweepView, run: &Run, of: usize) -> Html {
    let Some(cell) = view.cells.get(run.cell) else { return html!("") };
    let seed = if of > 1 { format!("seed {}", run.key.seed) } else { String::new() };
    let (done, total) = steps(view, cell);
    let (says, bar) = match (run.state, &run.test, run.failure) {
        (CellState::Running, ..) => {
            let words = running(view, cell, done, total);
            let bar = shape::progress(done, total, &words);
            (words, Some(bar))
        }
        // The accuracy of a single cell is shown above it already.
        (CellState::Succeeded, Some(_), _) if of == 1 => (String::new(), None),
        (CellState::Succeeded, Some(score), _) => (format!("{} %", notation::percent(score.accuracy)), None),
        (CellState::Failed, _, Some(code)) => (code.as_str().to_owned(), None),
        (state, ..) if of == 1 => (state.as_str().to_owned(), None),
        (state, ..) => (state.as_str().to_owned(), None),
    };
    html!(
        "<li><a class=\"cell {state}\" href=\"{path}\">{shape}<span>{words}</span></a>{bar}</li>",
        state = run.state.as_str(),
        path = path(view, cell),
        shape = shape::of(run.state),
        words = [seed, says].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" · "),
        bar = bar
    )
}

/// Returns the path of a cell's page.
pub(super) fn path(view: &SweepView, cell: &Cell) -> String {
    format!("/sweeps/{}/cells/{}", view.id, cell.key)
}

/// Returns the finished steps of a cell's stages, and all of their steps.
pub(super) fn steps(view: &SweepView, cell: &Cell) -> (u64, u64) {
    let stages = cell.stages().filter_map(|id| view.stages.get(&id));
    stages.fold((0, 0), |(done, total), stage| {
        let steps = stage.cost.steps;
        let taken = match &stage.status {
            StageStatus::Succeeded(_) => steps,
            StageStatus::Running { step, .. } => (*step).min(steps),
            StageStatus::Pending | StageStatus::Failed(_) | StageStatus::Cancelled => 0,
        };
        (done + taken, total + steps)
    })
}

/// Returns what a running cell is doing, and its progress.
fn running(view: &SweepView, cell: &Cell, done: u64, total: u64) -> String {
    let stages = cell.stages().filter_map(|id| view.stages.get(&id));
    let mut running = stages.filter(|stage| matches!(stage.status, StageStatus::Running { .. }));
    match running.next().map(|stage| stage.stage.spec.kind()) {
        Some(StageKind::Test) | None => "test".to_owned(),
        Some(kind) => format!("{} {}", kind.as_str(), words::percent(done, total)),
    }
}
