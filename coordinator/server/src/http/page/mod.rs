//! The pages. Each is a pure function of the engine's views. A page consists of parts, which are sent separately when
//! they change.

mod cell;
mod compare;
mod grid;
pub(super) mod layout;
mod running;
mod shape;
mod sweep;
mod sweeps;
mod words;
mod workers;

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use pretext_html::{Html, html};
use pretext_shared::ids::ContentHash;

pub(super) use self::cell::of_cell;
pub(super) use self::compare::of_compare;
pub(super) use self::sweep::of_sweep;
pub(super) use self::sweeps::of_sweeps;
pub(super) use self::workers::of_workers;

use self::layout::Tab;
use super::Site;
use super::pages::{PageError, Topic};
use super::reply::{document, notice};
use super::visitor::{Right, Visitor};

/// A page.
pub(super) struct Page {
    title: String,
    tab: Tab,
    parts: Vec<Part>,
    added: Added,
}

/// What a page has besides its parts: content that scripts fill, with these scripts and their styles.
#[derive(Default)]
struct Added {
    /// Style sheets, as names of assets.
    styles: &'static [&'static str],
    /// Scripts, as names of assets.
    scripts: &'static [&'static str],
    /// Markup after the parts. It is never replaced.
    body: Html,
}

/// A part of a page that is replaced as a whole.
pub(super) struct Part {
    /// Id of the HTML element.
    pub(super) id: &'static str,
    /// A mark that differs if the content differs.
    pub(super) mark: String,
    /// The content.
    pub(super) html: Html,
    least: Right,
}

impl Part {
    /// Returns a part that every visitor sees.
    fn new(id: &'static str, html: Html) -> Self {
        Self { id, mark: ContentHash::of(html.as_str().as_bytes()).short(), html, least: Right::Read }
    }

    /// Returns a part that only visitors with the right to make changes see.
    fn controls(id: &'static str, html: Html) -> Self {
        Self { least: Right::Submit, ..Self::new(id, html) }
    }
}

impl Page {
    /// Returns the parts that a visitor with this right sees.
    pub(super) fn parts(&self, right: Right) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(move |part| part.least <= right)
    }
}

/// The five components of a cell's path.
pub(super) type CellPath = (String, String, String, String, String);

/// Returns the topic of a sweep's page.
pub(super) fn sweep_topic(sweep: &str) -> Result<Topic, PageError> {
    sweep.parse().map(Topic::Sweep).map_err(|_| PageError::Unknown)
}

/// Returns the topic of a sweep's comparison.
pub(super) fn compare_topic(sweep: &str) -> Result<Topic, PageError> {
    sweep.parse().map(Topic::Compare).map_err(|_| PageError::Unknown)
}

/// Returns the topic of a cell's page.
pub(super) fn cell_topic((sweep, method, fraction, lr, seed): &CellPath) -> Result<Topic, PageError> {
    let sweep = sweep.parse().map_err(|_| PageError::Unknown)?;
    Ok(Topic::Cell(sweep, format!("{method}/{fraction}/{lr}/{seed}")))
}

/// Returns the answer for a page that does not exist.
pub(super) fn missing() -> Response {
    notice(StatusCode::NOT_FOUND, "There is no such page", html!("<p><a href=\"/\">All sweeps</a></p>"))
}

async fn show(site: &Site, visitor: &Visitor, topic: Result<Topic, PageError>) -> Response {
    let made = async {
        let topic = topic?;
        Ok::<_, PageError>((site.pages.get(&topic).await?, topic))
    };
    match made.await {
        Ok((page, topic)) => document(StatusCode::OK, layout::page(&page, &topic, visitor)),
        Err(error) => error.into_response(),
    }
}

/// `GET /`.
pub(super) async fn sweeps(State(site): State<Arc<Site>>, Extension(visitor): Extension<Visitor>) -> Response {
    show(&site, &visitor, Ok(Topic::Sweeps)).await
}

/// `GET /workers`.
pub(super) async fn workers(State(site): State<Arc<Site>>, Extension(visitor): Extension<Visitor>) -> Response {
    show(&site, &visitor, Ok(Topic::Workers)).await
}

/// `GET /sweeps/SWEEP`.
pub(super) async fn sweep(
    State(site): State<Arc<Site>>,
    Extension(visitor): Extension<Visitor>,
    Path(sweep): Path<String>,
) -> Response {
    show(&site, &visitor, sweep_topic(&sweep)).await
}

/// `GET /sweeps/SWEEP/compare`.
pub(super) async fn compare(
    State(site): State<Arc<Site>>,
    Extension(visitor): Extension<Visitor>,
    Path(sweep): Path<String>,
) -> Response {
    show(&site, &visitor, compare_topic(&sweep)).await
}

/// `GET /sweeps/SWEEP/cells/METHOD/FRACTION/LR/SEED`.
pub(super) async fn cell(
    State(site): State<Arc<Site>>,
    Extension(visitor): Extension<Visitor>,
    Path(cell): Path<CellPath>,
) -> Response {
    show(&site, &visitor, cell_topic(&cell)).await
}
