//! The gRPC server: all services behind the authorizer, with the limits of the interface.

use std::future::Future;

use axum::Router;
use pretext_artifacts::Artifacts;
use pretext_engine::Limits;
use pretext_proto::externalscaler::external_scaler_server::ExternalScalerServer;
use pretext_proto::v1::data_server::DataServer;
use pretext_proto::v1::identity_server::IdentityServer;
use pretext_proto::v1::sweeps_server::SweepsServer;
use pretext_proto::v1::web_server::WebServer;
use pretext_proto::v1::work_server::WorkServer;
use pretext_shared::sweep::Build;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::service::Routes;

use super::limits::{CONNECTION_AGE, KEEP_ALIVE, MAX_HEADERS, MAX_MESSAGE, MAX_RESETS, MAX_STREAMS, MAX_WORK_MESSAGE};
use super::{DataService, SweepsService, WorkService};
use crate::authorization::{self, Authorizer};
use crate::core::Core;
use crate::http::{Web, WebService};
use crate::identity::IdentityService;
use crate::listen::Acceptor;
use crate::scaler::ScalerService;

/// The parts that the services are built from.
pub struct Parts {
    /// The core.
    pub core: Core,
    /// Artifacts.
    pub artifacts: Artifacts,
    /// Times and limits of leases.
    pub limits: Limits,
    /// What this program was built from.
    pub build: Option<Build>,
    /// The web page, for which links are made.
    pub web: Option<Web>,
}

/// The protocol descriptors of this build are damaged, which should be impossible.
#[derive(Debug, thiserror::Error)]
#[error("the descriptors of this build are damaged: {0}")]
pub struct DescriptorError(String);

/// Returns the services of a leading coordinator.
///
/// # Errors
/// Never in a build that passed its tests.
pub fn services(parts: Parts, authorizer: Authorizer, identity: IdentityService) -> Result<Router, DescriptorError> {
    let describing = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(pretext_proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // Each version describes both, and not only itself.
            .include_reflection_service(false)
            .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET)
    };
    let damaged = |error: tonic_reflection::server::Error| DescriptorError(error.to_string());
    let reflection = describing().build_v1().map_err(damaged)?;
    // Many stock clients still ask for the version before.
    let reflection_v1alpha = describing().build_v1alpha().map_err(damaged)?;
    let Parts { core, artifacts, limits, build, web } = parts;
    let sweeps = SweepsService::new(core.clone(), artifacts.clone(), build);
    let data = DataService::new(core.clone(), artifacts.clone());
    let work = WorkService::new(core.clone(), artifacts, limits, authorizer);
    let scaler = ScalerService::new(core);
    let routes = Routes::new(reflection)
        .add_service(reflection_v1alpha)
        .add_service(SweepsServer::new(sweeps).max_decoding_message_size(MAX_MESSAGE))
        .add_service(DataServer::new(data).max_decoding_message_size(MAX_MESSAGE))
        .add_service(WorkServer::new(work).max_decoding_message_size(MAX_WORK_MESSAGE))
        .add_service(IdentityServer::new(identity).max_decoding_message_size(MAX_HEADERS as usize))
        .add_service(WebServer::new(WebService::new(web)).max_decoding_message_size(MAX_HEADERS as usize))
        .add_service(ExternalScalerServer::new(scaler).max_decoding_message_size(MAX_HEADERS as usize));
    Ok(routes.into_axum_router())
}

/// Returns `front` behind the authorizer.
pub fn guarded(front: Router, authorizer: Authorizer) -> Router {
    front.layer(axum::middleware::from_fn_with_state(authorizer, authorization::authorize))
}

/// Passes connections from `listener` through the authorizer to `front`, until `stopped`.
pub fn serve(
    listener: TcpListener,
    acceptor: Acceptor,
    authorizer: Authorizer,
    front: Router,
    stopped: impl Future<Output = ()> + Send + 'static,
) -> JoinHandle<Result<(), tonic::transport::Error>> {
    let guarded = guarded(front, authorizer);
    let mut server = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(KEEP_ALIVE.0))
        .http2_keepalive_timeout(Some(KEEP_ALIVE.1))
        .http2_max_header_list_size(MAX_HEADERS)
        .http2_max_pending_accept_reset_streams(Some(MAX_RESETS))
        .max_concurrent_streams(Some(MAX_STREAMS));
    if acceptor.tls.is_some() {
        server = server.max_connection_age(CONNECTION_AGE);
    }
    let serving =
        server.add_routes(Routes::from(guarded)).serve_with_incoming_shutdown(acceptor.connections(listener), stopped);
    tokio::spawn(serving)
}
