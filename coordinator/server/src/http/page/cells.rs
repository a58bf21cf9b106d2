//! The list of all cells of a sweep. Scripts show, filter and colour all of them; without scripts there are pages.

use pretext_engine::CellNews;
use pretext_html::{Html, html};
use pretext_report::notation;
use pretext_shared::sweep::Cell;
use pretext_shared::text;

use super::super::roster::Roster;
use super::layout::Tab;
use super::{Added, Page, Part, shape};

const STYLES: &[&str] = &["compare/compare.css", "cells/cells.css"];
const SCRIPTS: &[&str] = &["cells/main.js"];
/// Cells on a page for readers without scripts.
const PLAIN: usize = 200;

/// Returns the page, with the plain cells from `offset` on.
pub(in crate::http) fn of_cells(roster: &Roster, offset: usize) -> Page {
    let head = html!(
        "<p class=\"path\"><a href=\"/\">Sweeps</a> / <a href=\"/sweeps/{id}\">{id}</a></p>\n<h1>Cells</h1>\n\
         <p class=\"lead\">{cells} · <a href=\"/sweeps/{id}/compare\">compare their curves</a></p>",
        id = roster.sweep.as_str(),
        cells = text::counted(roster.cells.len(), "cell"),
    );
    let added = Added { styles: STYLES, scripts: SCRIPTS, body: body(roster, offset) };
    Page { title: format!("Cells of {}", roster.sweep), tab: Tab::Sweeps, parts: vec![Part::new("head", head)], added }
}

fn body(roster: &Roster, offset: usize) -> Html {
    let rows: Html = roster.iter().skip(offset).take(PLAIN).map(|pair| row(roster, pair)).collect();
    let page = |offset: usize, words: &str| {
        html!("<a href=\"/sweeps/{}/cells?offset={}\">{}</a>", roster.sweep.as_str(), offset, words)
    };
    let back = (offset > 0).then(|| page(offset.saturating_sub(PLAIN), "previous cells"));
    let on = (offset + PLAIN < roster.cells.len()).then(|| page(offset + PLAIN, "next cells"));
    html!(
        "<div id=\"cells\" data-sweep=\"{id}\">\n<div class=\"scroll\"><table class=\"plain wide\"><thead><tr>\
         <th scope=\"col\">Cell</th><th scope=\"col\">State</th><th scope=\"col\" class=\"number\">Test accuracy</th></tr>\
         </thead><tbody>\n{rows}</tbody></table></div>\n<p class=\"pages\">{back}{on}</p></div>\n",
        id = roster.sweep.as_str(),
        rows = rows,
        back = back,
        on = on,
    )
}

fn row(roster: &Roster, (cell, news): (&Cell, &CellNews)) -> Html {
    let score = match (news.test, news.failure) {
        (Some(score), _) => format!("{} %", notation::percent(score.accuracy)),
        (None, Some(code)) => code.as_str().to_owned(),
        (None, None) => notation::ABSENT.to_owned(),
    };
    html!(
        "<tr><td><a href=\"/sweeps/{id}/cells/{key}\">{key}</a></td><td>{state}</td><td class=\"number\">{score}</td></tr>\n",
        id = roster.sweep.as_str(),
        key = cell.key.to_string(),
        state = shape::named(news.state),
        score = score,
    )
}
