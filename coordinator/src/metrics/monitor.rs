//! The monitoring port: health checks and metrics in plain text, and nothing else. It is a port of its own because
//! neither a kubelet's probe nor most scrapers have a certificate, and because it must change nothing.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::Metrics;
use crate::core::Core;

/// The media type of the text.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Why there is no monitoring port.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for monitoring on {address}: {cause}")]
pub struct MonitorError {
    address: SocketAddr,
    cause: std::io::Error,
}

/// Listens on `address` as long as `beside` is there: `GET /metrics`, and gRPC health checks from `health`. Returns
/// where.
///
/// # Errors
/// When the address is taken or not ours.
pub async fn serve(
    address: SocketAddr,
    health: tonic::service::Routes,
    metrics: Arc<Metrics>,
    core: Core,
    beside: &mut JoinSet<()>,
) -> Result<SocketAddr, MonitorError> {
    let failed = |cause| MonitorError { address, cause };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let pages: Router = Router::new().route("/metrics", get(move || scrape(metrics.clone(), core.clone())));
    let app = pages.merge(health.into_axum_router());
    beside.spawn(async move {
        if let Err(error) = axum::serve(listener, app).await {
            tracing::error!(%error, "the monitoring port is gone");
        }
    });
    tracing::info!(address = %bound, "health checks and metrics are served");
    Ok(bound)
}

async fn scrape(metrics: Arc<Metrics>, core: Core) -> Response {
    match core.call(|engine, now| engine.backlog(now.mono)).await {
        Ok(backlog) => {
            metrics.backlog(&backlog);
            ([(header::CONTENT_TYPE, OPEN_METRICS)], metrics.text()).into_response()
        }
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    }
}
