//! The page of all sweeps, newest first.

use pretext_engine::{SweepStatus, WorkerView};
use pretext_html::{Html, html};
use pretext_shared::stage::Extent;
use pretext_shared::text;

use super::layout::Tab;
use super::{Added, Page, Part, shape, words};

/// Returns the page.
pub(in crate::http) fn of_sweeps(sweeps: &[SweepStatus], workers: &[WorkerView], now_ms: u64) -> Page {
    let parts = vec![Part::new("head", head(sweeps, workers)), Part::new("sweeps", list(sweeps, now_ms))];
    Page { title: "Sweeps".to_owned(), tab: Tab::Sweeps, parts, added: Added::default() }
}

fn head(sweeps: &[SweepStatus], workers: &[WorkerView]) -> Html {
    let open = sweeps.iter().filter(|sweep| !sweep.cells.is_final()).count();
    let running: usize = sweeps.iter().map(|sweep| sweep.running.len()).sum();
    let connected = workers.iter().filter(|worker| worker.connected).count();
    html!(
        "<h1>Sweeps</h1>\n<p class=\"lead\">{open} of {all} open · {running} running on <a href=\"/workers\">{workers}</a></p>",
        open = open,
        all = sweeps.len(),
        running = text::counted(running, "stage"),
        workers = text::counted(connected, "worker"),
    )
}

fn list(sweeps: &[SweepStatus], now_ms: u64) -> Html {
    if sweeps.is_empty() {
        return html!(
            "<div class=\"empty\"><p>No sweep has been submitted yet.</p>\n<pre>coordinator submit sweep.yaml</pre></div>"
        );
    }
    html!("<ul class=\"cards\">\n{}</ul>", sweeps.iter().map(|sweep| card(sweep, now_ms)).collect::<Html>())
}

fn card(sweep: &SweepStatus, now_ms: u64) -> Html {
    let counts = words::by_state(&sweep.cells);
    let cells: usize = counts.iter().map(|(_, count)| count).sum();
    let (done, total) = sweep.images;
    let note = if sweep.mark.is_cancelled() {
        "cancelled".to_owned()
    } else if sweep.cells.is_final() {
        "done".to_owned()
    } else {
        words::percent(done, total)
    };
    html!(
        "<li class=\"card\"><div class=\"row\"><h2><a href=\"/sweeps/{id}\">{id}</a>{smoke}</h2><span class=\"big\">{note}\
         </span></div>\n{bar}\n<div class=\"row\">{counts}<span class=\"small\">{cells} · submitted {ago}</span></div>\
         {obstacles}</li>\n",
        id = sweep.id.as_str(),
        smoke = smoke(sweep.extent),
        note = note,
        bar = shape::bar(&counts),
        counts = shape::counts(&counts),
        cells = text::counted(cells, "cell"),
        ago = words::ago(sweep.submitted_ms, now_ms),
        obstacles = obstacles(sweep),
    )
}

/// Returns a badge for rehearsals.
pub(super) fn smoke(extent: Extent) -> Html {
    match extent {
        Extent::Smoke => html!(" <span class=\"badge\">rehearsal</span>"),
        Extent::Whole => html!(""),
    }
}

/// Returns why stages that could run are not running.
pub(super) fn obstacles(sweep: &SweepStatus) -> Html {
    let line = |text: &String| html!("<p class=\"warning\">Cannot run: {}</p>\n", text);
    sweep.obstacles.iter().map(line).collect()
}
