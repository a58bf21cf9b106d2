//! Whose turn it is. A coordinator answers on its ports from the beginning: until it leads it refuses every call in
//! words, so that workers and people go on to the next address, and says to health checks that it does not serve. From
//! the moment on which it leads its services answer, on connections that were made before too.

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
    /// Another one leads.
    #[error("{STANDS_BY}: the coordinator at {0} leads")]
    Behind(String),
    /// It has not found out who leads.
    #[error("{STANDS_BY}: it is about to look who leads")]
    Alone,
}

/// See the module. Copies are of one turn.
#[derive(Clone)]
pub struct Turn(Arc<Inner>);

struct Inner {
    /// Set once: who has led and does not any more, ends.
    leading: OnceLock<Leading>,
    standing: Mutex<Standing>,
    health: HealthReporter,
}

struct Leading {
    core: Core,
    services: Router,
}

impl Turn {
    /// The turn of a coordinator that stands by.
    pub async fn new() -> Self {
        let health = HealthReporter::new();
        health.set_not_serving::<SweepsServer<SweepsService>>().await;
        health.set_not_serving::<WorkServer<WorkService>>().await;
        let standing = Mutex::new(Standing::Alone);
        Self(Arc::new(Inner { leading: OnceLock::new(), standing, health }))
    }

    /// Notes who leads meanwhile, by name.
    pub(crate) fn led_by(&self, name: String) {
        let now = Standing::Behind(name);
        let mut standing = self.0.standing.lock().unwrap_or_else(PoisonError::into_inner);
        if *standing != now {
            tracing::info!("{now}");
            *standing = now;
        }
    }

    /// From here on `services` answer.
    pub async fn begin(&self, core: Core, services: Router) {
        self.0.leading.get_or_init(|| Leading { core, services });
        self.0.health.set_serving::<SweepsServer<SweepsService>>().await;
        self.0.health.set_serving::<WorkServer<WorkService>>().await;
    }

    fn leading(&self) -> Result<&Leading, Standing> {
        let standing = || self.0.standing.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.0.leading.get().ok_or_else(standing)
    }

    /// The core of a coordinator that leads.
    pub(crate) fn core(&self) -> Result<&Core, Standing> {
        self.leading().map(|leading| &leading.core)
    }

    /// Health checks alone. For the process as a whole (service "") they say that it serves, whatever store and training
    /// do; for the coordinator's services, whether it leads.
    pub(crate) fn health(&self) -> Routes {
        Routes::new(HealthServer::new(HealthService::from_health_reporter(self.0.health.clone())))
    }

    /// What is answered on the main port: health checks, and all else by the services or with a refusal.
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
