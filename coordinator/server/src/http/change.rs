//! The two changes that the web page can make: cancel and retry.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use pretext_engine::{Engine, Refusal};
use pretext_shared::ids::SweepId;

use super::Site;
use super::pages::PageError;
use super::reply::see;
use super::visitor::Visitor;

/// `POST /sweeps/SWEEP/cancel`.
pub(super) async fn cancel(
    State(site): State<Arc<Site>>,
    Extension(visitor): Extension<Visitor>,
    Path(sweep): Path<String>,
) -> Response {
    change(&site, &sweep, Engine::cancel, |id, done| {
        tracing::info!(sweep = %id, cells = done.cells, visitor = %visitor.label(), "sweep cancelled from the web page");
    })
    .await
}

/// `POST /sweeps/SWEEP/retry`.
pub(super) async fn retry(
    State(site): State<Arc<Site>>,
    Extension(visitor): Extension<Visitor>,
    Path(sweep): Path<String>,
) -> Response {
    change(&site, &sweep, Engine::retry, |id, done| {
        tracing::info!(sweep = %id, stages = done.stages, visitor = %visitor.label(), "stages reset from the web page");
    })
    .await
}

/// Makes a change, calls `done` with its outcome, and shows the sweep to the visitor who made the change.
async fn change<T: Send + 'static>(
    site: &Site,
    sweep: &str,
    make: fn(&mut Engine, &SweepId) -> Result<T, Refusal>,
    done: impl FnOnce(&SweepId, T),
) -> Response {
    let changed = async {
        let id: SweepId = sweep.parse().map_err(|_| PageError::Unknown)?;
        let asked = id.clone();
        let what = site.core.call(move |engine, _| make(engine, &asked)).await?.map_err(|_| PageError::Unknown)?;
        done(&id, what);
        Ok::<_, PageError>(id)
    };
    match changed.await {
        Ok(id) => {
            // The visitor must see the effect at once.
            site.pages.forget();
            see(&format!("/sweeps/{id}"))
        }
        Err(error) => error.into_response(),
    }
}
