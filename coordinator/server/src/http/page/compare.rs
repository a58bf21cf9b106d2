//! The page that lays the curves of cells over each other. The server answers which method wins; scripts draw.

use pretext_engine::SweepStatus;
use pretext_html::{Html, html};

use super::super::answer::Answer;
use super::layout::Tab;
use super::{Added, Page, Part, shape, words};

const STYLES: &[&str] = &["vendor/uPlot-1.6.32.min.css", "compare/compare.css"];
const SCRIPTS: &[&str] = &["vendor/uPlot-1.6.32.iife.min.js", "compare/main.js"];

/// Returns the page.
pub(in crate::http) fn of_compare(status: &SweepStatus, answers: &[Answer]) -> Page {
    let parts = vec![Part::new("head", head(status)), Part::new("answers", said(answers))];
    let added = Added { styles: STYLES, scripts: SCRIPTS, body: body(status) };
    Page { title: format!("Compare {}", status.id), tab: Tab::Sweeps, parts, added }
}

fn head(status: &SweepStatus) -> Html {
    let counts = words::by_state(&status.cells);
    let (done, total) = status.images;
    html!(
        "<p class=\"path\"><a href=\"/\">Sweeps</a> / <a href=\"/sweeps/{id}\">{id}</a></p>\n<div class=\"row\">\
         <h1>Which method wins with few labels?</h1><p><span class=\"big\">{far}</span> <span class=\"small\">of the \
         images</span></p></div>\n<div class=\"row\">{counts}</div>",
        id = status.id.as_str(),
        far = words::percent(done, total),
        counts = shape::counts(&counts),
    )
}

/// Returns the answers, one paragraph for each policy.
pub(super) fn said(answers: &[Answer]) -> Html {
    answers.iter().map(|answer| html!("<p class=\"answer\">{}</p>\n", answer.text)).collect()
}

/// Returns the place that the script fills, and what a reader without scripts can do.
fn body(status: &SweepStatus) -> Html {
    html!(
        "<noscript><p class=\"warning\">Curves over each other need scripts, which are switched off. Without scripts you \
         can read <a href=\"/sweeps/{id}\">the tables and the figure</a>, \
         <a href=\"/sweeps/{id}/report\">the report</a> and \
         <a href=\"/sweeps/{id}/report/points.csv\">all points as CSV</a>.</p></noscript>\n\
         <div id=\"compare\" data-sweep=\"{id}\" hidden></div>\n",
        id = status.id.as_str()
    )
}
