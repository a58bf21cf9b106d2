//! Decides how a coordinator answers, as a standby or as the leader. It answers on its ports from the beginning. A
//! standby refuses every call with a reason, so that clients try the next address, and tells health checks that it does
//! not serve. Once it leads, its services answer, also on connections that were opened before.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use pretext_proto::STANDS_BY;
use pretext_proto::v1::sweeps_server::SweepsServer;
use pretext_proto::v1::work_server::WorkServer;
use tonic::Status;
use tonic::codegen::Service;
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use crate::core::Core;
use crate::grpc::{SweepsService, WorkService};

/// A coordinator that does not lead, or not yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Standing {
    /// Another coordinator leads.
    #[error("{STANDS_BY}: the coordinator at {0} leads")]
    Behind(String),
    /// The leader is not known yet.
    #[error("{STANDS_BY}: it does not know the leader yet")]
    Alone,
}

/// See the module. Clones share one turn.
#[derive(Clone)]
pub struct Turn(Arc<Inner>);

struct Inner {
    /// Set once: a coordinator that loses the lead exits.
    leading: OnceLock<Leading>,
    standing: Mutex<Standing>,
    health: HealthReporter,
}

struct Leading {
    core: Core,
    services: Router,
}

impl Turn {
    /// Returns the turn of a standby.
    pub async fn new() -> Self {
        let health = HealthReporter::new();
        health.set_not_serving::<SweepsServer<SweepsService>>().await;
        health.set_not_serving::<WorkServer<WorkService>>().await;
        let standing = Mutex::new(Standing::Alone);
        Self(Arc::new(Inner { leading: OnceLock::new(), standing, health }))
    }

    /// Stores the name of the present leader.
    pub(crate) fn led_by(&self, name: String) {
        let now = Standing::Behind(name);
        let mut standing = self.0.standing.lock().unwrap_or_else(PoisonError::into_inner);
        if *standing != now {
            tracing::info!("{now}");
            *standing = now;
        }
    }

    /// Has `services` answer from here on.
    pub async fn begin(&self, core: Core, services: Router) {
        self.0.leading.get_or_init(|| Leading { core, services });
        self.0.health.set_serving::<SweepsServer<SweepsService>>().await;
        self.0.health.set_serving::<WorkServer<WorkService>>().await;
    }

    fn leading(&self) -> Result<&Leading, Standing> {
        let standing = || self.0.standing.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.0.leading.get().ok_or_else(standing)
    }

    /// Returns the core of a coordinator that leads.
    pub(crate) fn core(&self) -> Result<&Core, Standing> {
        self.leading().map(|leading| &leading.core)
    }

    /// Returns health checks alone. For the whole process (service "") they always report that it serves; for the
    /// coordinator's services they report whether it leads.
    pub(crate) fn health(&self) -> Routes {
        Routes::new(HealthServer::new(HealthService::from_health_reporter(self.0.health.clone())))
    }

    /// Returns the router of the main port: health checks, and the services or a refusal for all else.
    pub fn front(&self) -> Router {
        let turn = self.clone();
        self.health().into_axum_router().fallback(move |request: Request| turn.answer(request))
    }

    async fn answer(self, request: Request) -> Response {
        match self.leading() {
            Ok(leading) => leading.services.clone().call(request).await.unwrap_or_else(|never| match never {}),
            Err(standing) => Status::unavailable(standing.to_string()).into_http::<axum::body::Body>(),
        }
    }
}
