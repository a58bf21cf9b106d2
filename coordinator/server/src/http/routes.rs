//! All paths of the web page, in routers by the right that they need. A path outside of these does not exist.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use super::{Site, api, assets, change, enter, events, files, guard, page};

/// Returns all routes, behind the guard.
pub(super) fn router(site: Arc<Site>) -> Router {
    open()
        .merge(looks().route_layer(from_fn_with_state(site.clone(), guard::look)))
        .merge(api::routes().route_layer(from_fn_with_state(site.clone(), guard::read)))
        .merge(changes().route_layer(from_fn_with_state(site.clone(), guard::change)))
        .fallback(|| async { page::missing() })
        .layer(from_fn_with_state(site.clone(), guard::guard))
        .with_state(site)
}

/// Returns the routes for everybody. They show nothing about sweeps or workers.
fn open() -> Router<Arc<Site>> {
    Router::new()
        .route("/login/{link}", get(enter::show))
        .route("/login", post(enter::log_in))
        .route("/logout", post(enter::log_out))
        .route("/assets/{*name}", get(assets::asset))
}

/// Returns the routes for visitors who may look. None of them changes anything.
fn looks() -> Router<Arc<Site>> {
    Router::new()
        .route("/", get(page::sweeps))
        .route("/workers", get(page::workers))
        .route("/sweeps/{sweep}", get(page::sweep))
        .route("/sweeps/{sweep}/cells", get(page::cells))
        .route("/sweeps/{sweep}/compare", get(page::compare))
        .route("/sweeps/{sweep}/cells/{method}/{fraction}/{lr}/{seed}", get(page::cell))
        .route("/sweeps/{sweep}/report", get(files::report))
        .route("/sweeps/{sweep}/report/{*file}", get(files::file))
        .route("/events", get(events::sweeps))
        .route("/events/workers", get(events::workers))
        .route("/events/sweeps/{sweep}", get(events::sweep))
        .route("/events/sweeps/{sweep}/cells", get(events::cells))
        .route("/events/sweeps/{sweep}/compare", get(events::compare))
        .route("/events/sweeps/{sweep}/cells/{method}/{fraction}/{lr}/{seed}", get(events::cell))
}

/// Returns the routes for visitors who may make changes.
fn changes() -> Router<Arc<Site>> {
    Router::new()
        .route("/sweeps/{sweep}/cancel", post(change::cancel))
        .route("/sweeps/{sweep}/retry", post(change::retry))
}
