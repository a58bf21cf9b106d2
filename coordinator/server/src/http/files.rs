//! The report of a sweep, generated on request. Its files are looked up by name in a folder in memory: no path of a
//! request ever reaches a disk.

use std::cell::Cell;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use pretext_html::html;
use pretext_report::Folder;
use pretext_shared::ids::{ArtifactId, SweepId};
use pretext_store::view;

use super::pages::PageError;
use super::reply::notice;
use super::{Site, page};

/// Reports contain their style; they run no scripts, load nothing, and have no origin.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'; sandbox";

/// `GET /sweeps/SWEEP/report`.
pub(super) async fn report(state: State<Arc<Site>>, Path(sweep): Path<String>) -> Response {
    send(state, sweep, "report.html".to_owned()).await
}

/// `GET /sweeps/SWEEP/report/FILE`.
pub(super) async fn file(state: State<Arc<Site>>, Path((sweep, file)): Path<(String, String)>) -> Response {
    send(state, sweep, file).await
}

async fn send(State(site): State<Arc<Site>>, sweep: String, name: String) -> Response {
    let Ok(_permit) = site.reports.clone().try_acquire_owned() else {
        return notice(
            StatusCode::TOO_MANY_REQUESTS,
            "Other reports are being made",
            html!("<p>Try again in a moment.</p>"),
        );
    };
    let folder = match make(&site, &sweep).await {
        Ok(folder) => folder,
        Err(error) => return error.into_response(),
    };
    let Some(content) = folder.get(&name) else { return page::missing() };
    let kind = match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("json") => "application/json",
        Some("csv") => "text/csv; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    };
    let headers = [(header::CONTENT_TYPE, kind), (header::CONTENT_SECURITY_POLICY, POLICY)];
    (headers.map(|(name, value)| (name, HeaderValue::from_static(value))), content.to_vec()).into_response()
}

async fn make(site: &Site, sweep: &str) -> Result<Folder, PageError> {
    let id: SweepId = sweep.parse().map_err(|_| PageError::Unknown)?;
    let standing = site.core.call(move |engine, _| engine.standing(&id)).await?.map_err(|_| PageError::Unknown)?;
    let (store, artifacts) = (site.core.store().clone(), site.artifacts.clone());
    tokio::task::spawn_blocking(move || {
        let mut view = view::view(store.as_ref(), standing)?;
        view::add_all_points(&mut view, store.as_ref())?;
        // If an artifact cannot be read at the moment, the request fails: a report without it would say that it is not
        // stored any more.
        let failed = Cell::new(None);
        let read = |id: &ArtifactId| match artifacts.blocking_read(*id) {
            Ok(content) => Some(content),
            Err(error) => {
                failed.set(error.can_be_retried().then(|| PageError::Unavailable(error.to_string())).or(failed.take()));
                None
            }
        };
        let folder = pretext_report::render(&view, &read, &[]).folder;
        failed.take().map_or(Ok(folder), Err)
    })
    .await
    .map_err(|error| PageError::Unavailable(error.to_string()))?
}
