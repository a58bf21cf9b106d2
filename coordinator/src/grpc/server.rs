//! The server: services behind the gate, with the limits of the wire.

use std::future::Future;

use pretext_proto::externalscaler::external_scaler_server::ExternalScalerServer;
use pretext_proto::v1::identity_server::IdentityServer;
use pretext_proto::v1::sweeps_server::SweepsServer;
use pretext_proto::v1::web_server::WebServer;
use pretext_proto::v1::work_server::WorkServer;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::service::Routes;

use super::gate::{self, Gate};
use super::limits::{CONNECTION_AGE, KEEP_ALIVE, MAX_HEADERS, MAX_MESSAGE, MAX_RESETS, MAX_STREAMS};
use super::{SweepsService, WorkService};
use crate::artifacts::Artifacts;
use crate::core::Core;
use crate::engine::Limits;
use crate::http::{Web, WebService};
use crate::identity::{IdentityService, Ports, accept};
use crate::scaler::ScalerService;

/// What a server is made of.
pub struct Parts {
    /// The core.
    pub core: Core,
    /// Artifacts.
    pub artifacts: Artifacts,
    /// Times and limits of leases.
    pub limits: Limits,
    /// Who is let in.
    pub gate: Gate,
    /// Who certifies.
    pub identity: IdentityService,
    /// The web page, for which links are made.
    pub web: Option<Web>,
}

/// The descriptors of this build are damaged: it cannot be.
#[derive(Debug, thiserror::Error)]
#[error("the descriptors of this build are damaged: {0}")]
pub struct DescriptorError(String);

/// Health checks alone. They say that the process serves; they depend neither on the store nor on training.
pub async fn health() -> Routes {
    let (health, service) = tonic_health::server::health_reporter();
    health.set_serving::<SweepsServer<SweepsService>>().await;
    health.set_serving::<WorkServer<WorkService>>().await;
    Routes::new(service)
}

/// All services behind the gate, with the limits of their messages.
///
/// # Errors
/// Never in a build that passed its tests.
pub async fn router(parts: Parts) -> Result<axum::Router, DescriptorError> {
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(pretext_proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(|error| DescriptorError(error.to_string()))?;
    let Parts { core, artifacts, limits, gate, identity, web } = parts;
    let sweeps = SweepsService::new(core.clone(), artifacts.clone());
    let work = WorkService::new(core.clone(), artifacts, limits, gate.clone());
    let scaler = ScalerService::new(core);
    let routes = health()
        .await
        .add_service(reflection)
        .add_service(SweepsServer::new(sweeps).max_decoding_message_size(MAX_MESSAGE))
        .add_service(WorkServer::new(work).max_decoding_message_size(MAX_MESSAGE))
        .add_service(IdentityServer::new(identity).max_decoding_message_size(MAX_HEADERS as usize))
        .add_service(WebServer::new(WebService::new(web)).max_decoding_message_size(MAX_HEADERS as usize))
        .add_service(ExternalScalerServer::new(scaler).max_decoding_message_size(MAX_HEADERS as usize));
    Ok(routes.into_axum_router().layer(axum::middleware::from_fn_with_state(gate, gate::pass)))
}

/// Serves what comes in at `listener` until `stopped`.
///
/// # Errors
/// As [`router`].
pub async fn serve(
    listener: TcpListener,
    ports: Ports,
    parts: Parts,
    stopped: impl Future<Output = ()> + Send + 'static,
) -> Result<JoinHandle<Result<(), tonic::transport::Error>>, DescriptorError> {
    let guarded = router(parts).await?;
    let mut server = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(KEEP_ALIVE.0))
        .http2_keepalive_timeout(Some(KEEP_ALIVE.1))
        .http2_max_header_list_size(MAX_HEADERS)
        .http2_max_pending_accept_reset_streams(Some(MAX_RESETS))
        .max_concurrent_streams(Some(MAX_STREAMS));
    if ports.tls.is_some() {
        server = server.max_connection_age(CONNECTION_AGE);
    }
    let serving =
        server.add_routes(Routes::from(guarded)).serve_with_incoming_shutdown(accept(listener, ports), stopped);
    Ok(tokio::spawn(serving))
}
