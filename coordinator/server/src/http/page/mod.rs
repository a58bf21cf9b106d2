//! The pages. Each is a pure function of the engine's views. A page consists of parts, which are sent separately when
//! they change.

mod cell;
mod cells;
mod compare;
mod grid;
pub(super) mod layout;
mod running;
mod shape;
mod sweep;
mod sweeps;
mod words;
mod workers;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use pretext_html::{Html, html};
use pretext_shared::ids::ContentHash;

pub(super) use self::cell::of_cell;
pub(super) use self::cells::of_cells;
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

/// The content of a page besides its parts: a place that scripts fill, with these scripts and their styles.
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
    pub(super) id: Cow<'static, str>,
    /// A mark that differs if the content differs.
    pub(super) mark: String,
    /// The content.
    pub(super) html: Html,
    /// The part whose content has this one in it, if any.
    inside: Option<&'static str>,
    least: Right,
}

impl Part {
    /// Returns a part that every visitor sees.
    fn new(id: &'static str, html: Html) -> Self {
        Self { id: id.into(), mark: mark(&html), html, inside: None, least: Right::Read }
    }

    /// Returns a part that only visitors with the right to make changes see.
    fn controls(id: &'static str, html: Html) -> Self {
        Self { least: Right::Submit, ..Self::new(id, html) }
    }

    /// Returns a part with others inside. It differs if `frame`, which is all but them, differs.
    fn framed(id: &'static str, html: Html, frame: &Html) -> Self {
        Self { mark: mark(frame), ..Self::new(id, html) }
    }

    /// Returns a part inside of the part `outer`, whose content has an element with this part's attributes.
    fn inside(outer: &'static str, id: String, html: Html) -> Self {
        Self { id: id.into(), mark: mark(&html), html, inside: Some(outer), least: Right::Read }
    }

    /// Returns the attributes by which a page's script finds the part.
    fn attributes(&self) -> Html {
        html!(" id=\"{}\" data-mark=\"{}\"", &*self.id, self.mark)
    }
}

fn mark(html: &Html) -> String {
    ContentHash::of(html.as_str().as_bytes()).short()
}

impl Page {
    /// Returns a mark that differs if a part differs. It is the same after a restart.
    pub(super) fn mark(&self) -> String {
        let marks: Vec<&str> = self.parts.iter().map(|part| part.mark.as_str()).collect();
        ContentHash::of(marks.join(" ").as_bytes()).short()
    }

    /// Returns the parts that a visitor with this right sees, without those inside of others.
    fn outer_parts(&self, right: Right) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(move |part| part.least <= right && part.inside.is_none())
    }

    /// Returns the parts that turn the page `seen` into this one, for a visitor with this right: all of them if it has
    /// seen none.
    pub(super) fn news(&self, seen: Option<&Page>, right: Right) -> Vec<&Part> {
        let old: HashMap<&str, &str> =
            seen.into_iter().flat_map(|page| &page.parts).map(|part| (&*part.id, part.mark.as_str())).collect();
        let differs = |part: &Part| old.get(&*part.id) != Some(&part.mark.as_str());
        let outer: Vec<&Part> = self.outer_parts(right).filter(|part| differs(part)).collect();
        let is_sent = |outer: &[&Part], id: &str| outer.iter().any(|part| part.id == id);
        let inner = self.parts.iter().filter(|part| part.least <= right);
        let inner = inner.filter(|part| part.inside.is_some_and(|around| !is_sent(&outer, around)) && differs(part));
        let inner: Vec<&Part> = inner.collect();
        [outer, inner].concat()
    }
}

/// The five components of a cell's path.
pub(super) type CellPath = (String, String, String, String, String);

/// Returns the topic of a sweep's page.
pub(super) fn sweep_topic(sweep: &str) -> Result<Topic, PageError> {
    sweep.parse().map(Topic::Sweep).map_err(|_| PageError::Unknown)
}

/// Returns the topic of the list of a sweep's cells.
pub(super) fn cells_topic(sweep: &str, offset: usize) -> Result<Topic, PageError> {
    sweep.parse().map(|sweep| Topic::Cells(sweep, offset)).map_err(|_| PageError::Unknown)
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

/// `GET /sweeps/SWEEP/cells`. Scripts read the rest of the query.
pub(super) async fn cells(
    State(site): State<Arc<Site>>,
    Extension(visitor): Extension<Visitor>,
    Path(sweep): Path<String>,
    uri: Uri,
) -> Response {
    let offset = value(&uri, "offset").and_then(|offset| offset.parse().ok()).unwrap_or(0);
    show(&site, &visitor, cells_topic(&sweep, offset)).await
}

/// Returns a value in the query of a page.
pub(super) fn value(uri: &Uri, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    pairs.find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}

/// `GET /sweeps/SWEEP/cells/METHOD/FRACTION/LR/SEED`.
pub(super) async fn cell(
    State(site): State<Arc<Site>>,
    Extension(visitor): Extension<Visitor>,
    Path(cell): Path<CellPath>,
) -> Response {
    show(&site, &visitor, cell_topic(&cell)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(head: &str, field: &str, frame: &str) -> Page {
        let field = Part::inside("grid", "field-0".to_owned(), html!("{}", field));
        let whole = html!("<p>{}</p><td{}>{}</td>", frame, field.attributes(), field.html);
        let parts = vec![
            Part::new("head", html!("{}", head)),
            Part::controls("controls", html!("cancel")),
            Part::framed("grid", whole, &html!("<p>{}</p><td></td>", frame)),
            field,
        ];
        Page { title: String::new(), tab: Tab::Sweeps, parts, added: Added::default() }
    }

    fn ids<'a>(new: &'a Page, old: Option<&Page>, right: Right) -> Vec<&'a str> {
        new.news(old, right).into_iter().map(|part| &*part.id).collect()
    }

    #[test]
    fn only_what_changed_is_sent_and_a_field_without_its_table() {
        let first = page("a", "1", "x");
        assert_eq!(ids(&first, None, Right::Submit), ["head", "controls", "grid"], "fields are in their table");
        assert_eq!(ids(&first, None, Right::Read), ["head", "grid"]);
        let same = page("a", "1", "x");
        assert_eq!((ids(&same, Some(&first), Right::Submit), same.mark()), (vec![], first.mark()));
        let field = page("a", "2", "x");
        assert_eq!(ids(&field, Some(&first), Right::Submit), ["field-0"]);
        assert_ne!(field.mark(), first.mark());
        assert_eq!(ids(&page("b", "1", "x"), Some(&first), Right::Submit), ["head"]);
        let table = page("a", "2", "y");
        assert_eq!(ids(&table, Some(&first), Right::Submit), ["grid"], "the table has its fields");
    }
}
