//! The running stages of a sweep: worker, step, loss; and curves so far.

use pretext_engine::{RunningStage, SweepStatus};
use pretext_html::{Html, html};
use pretext_report::{charts, notation};
use pretext_shared::sweep::{Cell, SweepView};
use pretext_shared::text;

use super::{grid, shape, words};

/// Most stages whose curves are shown.
const MOST_CURVES: usize = 3;

/// Most stages that are listed.
const MOST_ROWS: usize = 20;

/// Returns the table; empty if no stage is running.
pub(super) fn stages(view: &SweepView, status: &SweepStatus) -> Html {
    if status.running.is_empty() {
        return html!("");
    }
    let rows: Html = status.running.iter().take(MOST_ROWS).map(|running| row(view, running)).collect();
    let more = status.running.len().saturating_sub(MOST_ROWS);
    let more = (more > 0).then(|| html!("<p class=\"small\">and {}</p>\n", text::counted(more, "more stage")));
    html!(
        "<h2>Running now</h2>\n<div class=\"scroll\"><table class=\"plain wide\"><thead><tr><th>Stage</th><th>Cell</th><th>Worker</th>\
         <th>Steps</th><th class=\"number\">Loss</th></tr></thead><tbody>\n{rows}</tbody></table></div>\n{more}",
        rows = rows,
        more = more,
    )
}

/// Returns the cell that a running stage is named after.
fn cell_of<'a>(view: &'a SweepView, running: &RunningStage) -> Option<&'a Cell> {
    view.cells.iter().find(|cell| cell.key.to_string() == running.cell)
}

fn row(view: &SweepView, running: &RunningStage) -> Html {
    let points = view.stages.get(&running.attempt.stage).map_or(&[][..], |stage| &stage.points);
    let loss = words::newest_loss(points).map_or_else(|| notation::ABSENT.to_owned(), notation::loss);
    let cell = match cell_of(view, running) {
        Some(cell) => html!("<a href=\"{}\">{}</a>", grid::path(view, cell), running.cell),
        None => html!("{}", running.cell),
    };
    let others = match running.cells {
        0 | 1 => html!(""),
        n => html!(" <span class=\"small\">and {}</span>", text::counted(n - 1, "more cell")),
    };
    let steps = match running.total {
        0 => html!("<span class=\"small\">testing</span>"),
        total => {
            let words = format!("{} of {}", text::grouped(running.step), text::grouped(total));
            html!("{}<span class=\"steps\">{}</span>", shape::progress(running.step, total, &words), words)
        }
    };
    html!(
        "<tr><td>{kind} <code>{stage}</code></td><td>{cell}{others}</td><td>{worker} <span class=\"small\">{device}</span></td>\
         <td>{steps}</td><td class=\"number\">{loss}</td></tr>\n",
        kind = running.kind,
        stage = running.attempt.stage.short(),
        cell = cell,
        others = others,
        worker = running.worker,
        device = running.device,
        steps = steps,
        loss = loss
    )
}

/// Returns the curves of the first stages; empty if they have no values yet.
pub(super) fn curves(view: &SweepView, status: &SweepStatus) -> Html {
    let with_points = status
        .running
        .iter()
        .filter(|running| view.stages.get(&running.attempt.stage).is_some_and(|stage| !stage.points.is_empty()));
    let charts: Html = with_points
        .take(MOST_CURVES)
        .filter_map(|running| Some((running.attempt.stage, cell_of(view, running)?)))
        .flat_map(|(stage, cell)| {
            charts::of_cell(view, cell).into_iter().filter(move |curve| curve.stage == stage && curve.has_values())
        })
        .map(|curve| html!("<figure>{}</figure>\n", curve.chart.inline()))
        .collect();
    if charts.is_empty() { charts } else { html!("<div class=\"charts\">\n{}</div>\n", charts) }
}
