//! The two changes that the page can make.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use pretext_shared::ids::SweepId;

use super::Site;
use super::pages::PageError;
use super::reply::see;
use super::visitor::Visitor;

fn known(sweep: &str) -> Result<SweepId, PageError> {
    sweep.parse().map_err(|_| PageError::Unknown)
}

/// `POST /sweeps/SWEEP/cancel`.
pub(super) async fn cancel(
    State(site): State<Arc<Site>>,
    Extension(visitor): Extension<Visitor>,
    Path(sweep): Path<String>,
) -> Response {
    let done = async {
        let id = known(&sweep)?;
        let asked = id.clone();
        let done = site.core.call(move |engine, _| engine.cancel(&asked)).await?.map_err(|_| PageError::Unknown)?;
        tracing::info!(sweep = %id, cells = done.cells, visitor = %visitor.label(), "sweep cancelled from the web page");
        Ok::<_, PageError>(id)
    };
    after(&site, done.await)
}

/// `POST /sweeps/SWEEP/retry`.
pub(super) async fn retry(
    State(site): State<Arc<Site>>,
    Extension(visitor): Extension<Visitor>,
    Path(sweep): Path<String>,
) -> Response {
    let done = async {
        let id = known(&sweep)?;
        let asked = id.clone();
        let done = site.core.call(move |engine, _| engine.retry(&asked)).await?.map_err(|_| PageError::Unknown)?;
        tracing::info!(sweep = %id, stages = done.stages, visitor = %visitor.label(), "stages reset from the web page");
        Ok::<_, PageError>(id)
    };
    after(&site, done.await)
}

fn after(site: &Site, done: Result<SweepId, PageError>) -> Response {
    match done {
        Ok(id) => {
            // Who made the change sees it.
            site.pages.forget();
            see(&format!("/sweeps/{id}"))
        }
        Err(error) => error.into_response(),
    }
}
