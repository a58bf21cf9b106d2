//! The grid of a sweep: one table per learning-rate policy, with label fractions as rows and methods as columns. Each
//! field has the mean accuracy so far, and its cells with their states, or their number in each state if they are many.
//! A field that changes is sent alone.

use pretext_html::{Html, html};
use pretext_report::Tables;
use pretext_report::notation;
use pretext_report::numbers::{Entry, PolicyTable, Run};
use pretext_shared::stage::StageKind;
use pretext_shared::sweep::{Cell, CellState, StageStatus, SweepView};
use pretext_shared::text;

use super::{Part, shape, words};

/// Most cells that a field lists one by one.
const MOST_CELLS: usize = 12;

/// Returns all tables as parts.
pub(super) fn grids(view: &SweepView, tables: &Tables) -> Vec<Part> {
    let mut fields = Vec::new();
    let mut place = |table: usize, row: usize, column: usize, content: Html| {
        let part = Part::inside("grid", format!("field-{table}-{row}-{column}"), content);
        let td = html!("<td{}>{}</td>", part.attributes(), part.html);
        fields.push(part);
        td
    };
    let whole: Html = (0..)
        .zip(&tables.policies)
        .map(|(number, table)| {
            grid(view, table, &mut |row, column, entry| place(number, row, column, field(view, entry)))
        })
        .collect();
    // The tables without their fields. If they stay the same, fields can be sent alone.
    let frame: Html =
        tables.policies.iter().map(|table| grid(view, table, &mut |_, _, _| html!("<td></td>"))).collect();
    let mut parts = vec![Part::framed("grid", whole, &frame)];
    parts.append(&mut fields);
    parts
}

/// Returns the table of a policy, whose fields `field` makes from their row, column and entry.
fn grid(view: &SweepView, table: &PolicyTable, field: &mut dyn FnMut(usize, usize, &Entry) -> Html) -> Html {
    let headings: Html =
        table.methods.iter().map(|method| html!("<th scope=\"col\">{}</th>", method.title())).collect();
    let rows: Html = (0..)
        .zip(&table.rows)
        .map(|(place, row)| {
            let fields: Html = (0..).zip(&row.entries).map(|(column, entry)| field(place, column, entry)).collect();
            html!("<tr><th scope=\"row\">{}</th>{}</tr>\n", row.fraction.percent(), fields)
        })
        .collect();
    html!(
        "<h2>Policy <em>{lr}</em> <a class=\"small\" href=\"/sweeps/{id}/cells?lr={lr}\">all its cells</a></h2>\n\
         <div class=\"scroll\"><table class=\"grid\">\n<caption class=\"sr\">Test accuracy by \
         label fraction and method, learning-rate policy {lr}</caption>\n<thead><tr><th scope=\"col\">Labels</th>{headings}\
         </tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n",
        id = view.id.as_str(),
        lr = table.lr,
        headings = headings,
        rows = rows
    )
}

fn field(view: &SweepView, entry: &Entry) -> Html {
    if entry.runs.is_empty() {
        return html!("<span class=\"none\" title=\"not in the sweep\">{}</span>", notation::ABSENT);
    }
    let mean = entry.accuracy.map(|accuracy| {
        let spread = accuracy.std.map(|std| html!(" <small>± {}</small>", notation::percent(std)));
        html!("<div class=\"accuracy\">{}{}<small> %</small></div>", notation::percent(accuracy.mean), spread)
    });
    if entry.runs.len() > MOST_CELLS {
        return html!("{}{}", mean, many(view, entry));
    }
    let runs: Html = entry.runs.iter().map(|run| one(view, run, entry.runs.len())).collect();
    html!("{}<ul class=\"cells\">{}</ul>", mean, runs)
}

/// Returns the number of cells in each state, with a link to the list of these cells.
fn many(view: &SweepView, entry: &Entry) -> Html {
    use CellState::{Cancelled, Failed, Pending, Running, Succeeded};
    let counts = [Succeeded, Failed, Cancelled, Running, Pending]
        .map(|state| (state, entry.runs.iter().filter(|run| run.state == state).count()));
    let Some(first) = entry.runs.first() else { return html!("") };
    html!(
        "{bar}{counts} <a class=\"small\" href=\"/sweeps/{id}/cells?method={method}&amp;fraction={fraction}&amp;lr={lr}\">\
         {cells}</a>",
        bar = shape::bar(&counts),
        counts = shape::counts(&counts),
        id = view.id.as_str(),
        method = first.key.method.as_str(),
        fraction = first.key.fraction.to_string(),
        lr = first.key.lr,
        cells = text::counted(entry.runs.len(), "cell"),
    )
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
