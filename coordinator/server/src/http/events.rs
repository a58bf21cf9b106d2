//! Streams of server-sent events that keep pages up to date: each event has the parts of the page that changed. A page
//! says by its mark what it shows (`have=MARK`), also when it reconnects, and gets what changed since. If the server does
//! not know the mark any more, it sends all parts, and the page skips those that it has.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use pretext_html::html;
use serde_json::json;
use tokio_stream::wrappers::ReceiverStream;

use super::Site;
use super::page::{self, CellPath};
use super::pages::{PACE, PageError, Topic};
use super::reply::notice;
use super::secret::Secret;
use super::stream_session::StreamSession;
use super::visitor::Visitor;

/// Time after which a silent stream sends a sign of life.
const ALIVE: Duration = Duration::from_secs(15);
/// Time after which a browser reconnects by itself; the page's script waits longer each time.
const RETRY: Duration = Duration::from_secs(5);

/// `GET /events`.
pub(super) async fn sweeps(
    site: State<Arc<Site>>,
    who: Extension<Visitor>,
    secret: Extension<Secret>,
    uri: Uri,
) -> Response {
    stream(site, who, secret, uri, Ok(Topic::Sweeps)).await
}

/// `GET /events/workers`.
pub(super) async fn workers(
    site: State<Arc<Site>>,
    who: Extension<Visitor>,
    secret: Extension<Secret>,
    uri: Uri,
) -> Response {
    stream(site, who, secret, uri, Ok(Topic::Workers)).await
}

/// `GET /events/sweeps/SWEEP`.
pub(super) async fn sweep(
    site: State<Arc<Site>>,
    who: Extension<Visitor>,
    secret: Extension<Secret>,
    uri: Uri,
    Path(sweep): Path<String>,
) -> Response {
    stream(site, who, secret, uri, page::sweep_topic(&sweep)).await
}

/// `GET /events/sweeps/SWEEP/cells`.
pub(super) async fn cells(
    site: State<Arc<Site>>,
    who: Extension<Visitor>,
    secret: Extension<Secret>,
    uri: Uri,
    Path(sweep): Path<String>,
) -> Response {
    stream(site, who, secret, uri, page::cells_topic(&sweep, 0)).await
}

/// `GET /events/sweeps/SWEEP/compare`.
pub(super) async fn compare(
    site: State<Arc<Site>>,
    who: Extension<Visitor>,
    secret: Extension<Secret>,
    uri: Uri,
    Path(sweep): Path<String>,
) -> Response {
    stream(site, who, secret, uri, page::compare_topic(&sweep)).await
}

/// `GET /events/sweeps/SWEEP/cells/METHOD/FRACTION/LR/SEED`.
pub(super) async fn cell(
    site: State<Arc<Site>>,
    who: Extension<Visitor>,
    secret: Extension<Secret>,
    uri: Uri,
    Path(cell): Path<CellPath>,
) -> Response {
    stream(site, who, secret, uri, page::cell_topic(&cell)).await
}

async fn stream(
    State(site): State<Arc<Site>>,
    Extension(visitor): Extension<Visitor>,
    Extension(secret): Extension<Secret>,
    uri: Uri,
    topic: Result<Topic, PageError>,
) -> Response {
    let first = match topic {
        Ok(topic) => site.pages.get(&topic).await.map(|page| (topic, page)),
        Err(error) => Err(error),
    };
    let (topic, page) = match first {
        Ok(first) => first,
        Err(error) => return error.into_response(),
    };
    let have = page::value(&uri, "have").unwrap_or_default();
    let mut seen = match page.mark() == have {
        true => Some(page),
        false => site.pages.recent(&topic, &have).await,
    };
    let Ok(place) = site.streams.clone().try_acquire_owned() else {
        let wait = html!("<p>This page is not updated. Close other pages, or reload this one.</p>");
        return notice(StatusCode::SERVICE_UNAVAILABLE, "Too many pages are open", wait);
    };
    let mut session = StreamSession::begin(&site.sessions, secret);
    let (events, stream) = tokio::sync::mpsc::channel::<Result<Event, Infallible>>(2);
    tokio::spawn(async move {
        let _place = place;
        loop {
            if !session.is_valid().await {
                return;
            }
            // An error may be temporary: the page keeps what it shows.
            if let Ok(page) = site.pages.get(&topic).await {
                let parts = page.news(seen.as_deref(), visitor.right);
                let changed: Vec<_> = parts
                    .iter()
                    .map(|part| json!({ "id": part.id, "mark": part.mark, "html": part.html.as_str() }))
                    .collect();
                if !changed.is_empty() {
                    let data = json!({ "mark": page.mark(), "parts": changed }).to_string();
                    if events.send(Ok(Event::default().retry(RETRY).data(data))).await.is_err() {
                        return;
                    }
                }
                seen = Some(page);
            }
            tokio::select! {
                () = events.closed() => return,
                () = tokio::time::sleep(PACE) => {}
            }
        }
    });
    Sse::new(ReceiverStream::new(stream)).keep_alive(KeepAlive::new().interval(ALIVE)).into_response()
}
