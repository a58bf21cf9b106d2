//! Decides how a coordinator answers, as a standby or as the leader. It answers on its ports from the beginning. A
//! standby refuses every call with a reason, so that clients try the next address, and tells health checks that it does
//! not serve. Once it leads, its services answer, also on connections that were opened before.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use pretext_proto::STANDS_BY;
use pretext_proto::v1::{sweeps_server, work_server};
use tonic::Status;
use tonic::codegen::Service;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use crate::core::Core;

/// The services whose health says whether this coordinator leads.
const SERVICES: [&str; 2] = [sweeps_server::SERVICE_NAME, work_server::SERVICE_NAME];

/// Why a coordinator does not answer calls: it does not lead, or not yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotLeading {
    /// Another coordinator leads.
    #[error("{STANDS_BY}: the coordinator at {0} leads")]
    Follows(String),
    /// The leader is not known yet.
    #[error("{STANDS_BY}: it does not know the leader yet")]
    Unknown,
}

/// See the module. Clones share one state.
#[derive(Clone)]
pub struct Leadership(Arc<Inner>);

struct Inner {
    /// Set once: a coordinator that loses the lead exits.
    leading: OnceLock<Leading>,
    reason: Mutex<NotLeading>,
    health: HealthReporter,
}

struct Leading {
    core: Core,
    services: Router,
}

impl Leadership {
    /// Returns the leadership of a standby.
    pub async fn new() -> Self {
        let health = HealthReporter::new();
        for service in SERVICES {
            health.set_service_status(service, ServingStatus::NotServing).await;
        }
        let reason = Mutex::new(NotLeading::Unknown);
        Self(Arc::new(Inner { leading: OnceLock::new(), reason, health }))
    }

    /// Stores the name of the present leader.
    pub(crate) fn led_by(&self, name: String) {
        let now = NotLeading::Follows(name);
        let mut reason = self.0.reason.lock().unwrap_or_else(PoisonError::into_inner);
        if *reason != now {
            tracing::info!("{now}");
            *reason = now;
        }
    }

    /// Has `services` answer from here on.
    pub async fn begin(&self, core: Core, services: Router) {
        self.0.leading.get_or_init(|| Leading { core, services });
        for service in SERVICES {
            self.0.health.set_service_status(service, ServingStatus::Serving).await;
        }
    }

    /// Tells health checks that this coordinator does not serve any more.
    pub(crate) async fn end(&self) {
        for service in SERVICES {
            self.0.health.set_service_status(service, ServingStatus::NotServing).await;
        }
    }

    fn leading(&self) -> Result<&Leading, NotLeading> {
        let reason = || self.0.reason.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.0.leading.get().ok_or_else(reason)
    }

    /// Returns the core of a coordinator that leads.
    pub(crate) fn core(&self) -> Result<&Core, NotLeading> {
        self.leading().map(|leading| &leading.core)
    }

    /// Returns health checks alone. For the whole process (service "") they always report that it serves; for the
    /// coordinator's services they report whether it leads.
    pub(crate) fn health(&self) -> Routes {
        Routes::new(HealthServer::new(HealthService::from_health_reporter(self.0.health.clone())))
    }

    /// Returns the router of the main port: health checks, and the services or a refusal for all else.
    pub fn front(&self) -> Router {
        let leadership = self.clone();
        self.health().into_axum_router().fallback(move |request: Request| leadership.answer(request))
    }

    async fn answer(self, request: Request) -> Response {
        match self.leading() {
            Ok(leading) => leading.services.clone().call(request).await.unwrap_or_else(|never| match never {}),
            Err(reason) => Status::unavailable(reason.to_string()).into_http::<axum::body::Body>(),
        }
    }
}
