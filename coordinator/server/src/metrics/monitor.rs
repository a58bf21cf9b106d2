//! The monitoring port: health checks and metrics in plain text, and nothing else. It is a separate port for two
//! reasons: a kubelet's probe and most scrapers have no certificate, and monitoring must not be able to change
//! anything.

use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::Metrics;
use crate::leadership::Leadership;

/// The media type of the metrics.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves as long as `beside` runs: `GET /metrics`; `GET /ready`, which is 200 if this coordinator leads and 503 if it
/// is a standby; and gRPC health checks.
pub(crate) fn serve(listener: TcpListener, leadership: Leadership, metrics: Arc<Metrics>, beside: &mut JoinSet<()>) {
    let (scraped, asked) = (leadership.clone(), leadership.clone());
    let pages: Router = Router::new()
        .route("/metrics", get(move || scrape(metrics.clone(), scraped.clone())))
        .route("/ready", get(move || async move { ready(&asked) }));
    let app = pages.merge(leadership.health().into_axum_router());
    beside.spawn(async move {
        if let Err(error) = axum::serve(listener, app).await {
            tracing::error!(%error, "the monitoring port has failed");
        }
    });
}

fn ready(leadership: &Leadership) -> Response {
    let (status, answer) = match leadership.core() {
        Ok(_) => (StatusCode::OK, json!({"ready": true})),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, json!({"ready": false, "reason": reason.to_string()})),
    };
    (status, [(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
}

async fn scrape(metrics: Arc<Metrics>, leadership: Leadership) -> Response {
    if let Ok(core) = leadership.core() {
        match core.call(|engine, now| engine.backlog(now.mono)).await {
            Ok(backlog) => metrics.leads(&backlog),
            Err(error) => return (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
        }
    }
    ([(header::CONTENT_TYPE, OPEN_METRICS)], metrics.text()).into_response()
}
