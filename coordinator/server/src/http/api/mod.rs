//! The read API: sweeps, cells, curves and workers as JSON, for scripts and for the page's own scripts. `docs/web.md`
//! describes it. Its fields are an interface: version 1 only gains fields. It changes nothing.

mod answers;
mod cells;
mod changes;
mod choice;
mod curves;
pub(super) mod error;
mod points;
mod query;
mod sweeps;
mod thin;
mod workers;

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use pretext_shared::ids::SweepId;
use serde::Serialize;

use self::error::ApiError;
use super::Site;

/// Beginning of the paths of the API, whose errors are JSON.
pub(super) const PREFIX: &str = "/api/";

/// Returns the routes, for visitors who may look.
pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/api/v1/sweeps", get(sweeps::all))
        .route("/api/v1/sweeps/{sweep}", get(sweeps::one))
        .route("/api/v1/sweeps/{sweep}/cells", get(cells::cells))
        .route("/api/v1/sweeps/{sweep}/answers", get(answers::answers))
        .route("/api/v1/sweeps/{sweep}/curves", get(curves::curves))
        .route("/api/v1/sweeps/{sweep}/changes", get(changes::changes))
        .route("/api/v1/workers", get(workers::workers))
        .route("/api/{*path}", get(|| async { ApiError::NoSuchPath }))
}

/// The sweep in a path, which may not exist.
type InPath = Result<Path<String>, PathRejection>;

/// Parses the sweep's id in a path.
fn sweep_id(path: InPath) -> Result<SweepId, ApiError> {
    path.ok().and_then(|Path(id)| id.parse().ok()).ok_or(ApiError::UnknownSweep)
}

/// Returns `value` as JSON.
fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(text) => {
            let kind = HeaderValue::from_static("application/json");
            (StatusCode::OK, [(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => ApiError::Unavailable(error.to_string()).into_response(),
    }
}
