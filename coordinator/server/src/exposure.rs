//! The exposure of a coordinator: plain text for this machine, or TLS with identities for others.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::task::JoinSet;

use crate::grpc::Gate;
use crate::grpc::limits::MAX_CONNECTIONS;
use crate::http::WebOptions;
use crate::identity::{Authority, AuthorityError, IdentityService, Ports, Register, RegisterError, ServerTls};
use crate::metrics::Metrics;

/// Time between two checks whether a new certificate is due.
const LOOK: Duration = Duration::from_secs(60);

/// How callers connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Door {
    /// Without TLS: for this machine alone, or for any machine if a flag allows it.
    Plain,
    /// With TLS and identities.
    Tls {
        /// Folder of the authority and the register.
        folder: PathBuf,
        /// Names by which clients reach the coordinator, besides this machine's own.
        names: Vec<String>,
        /// Lifetime of certificates.
        life: Duration,
    },
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    /// How callers connect.
    pub door: Door,
    /// Address at which health checks and metrics are served in plain text, if any.
    pub monitor: Option<SocketAddr>,
    /// The web page, if there is one.
    pub web: Option<WebOptions>,
    /// Most simultaneous connections.
    pub max_connections: usize,
}

impl Default for Exposure {
    fn default() -> Self {
        Self { door: Door::Plain, monitor: None, web: None, max_connections: MAX_CONNECTIONS }
    }
}

/// The reason why TLS cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ExposureError {
    /// The authority is missing or damaged.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The register cannot be used.
    #[error(transparent)]
    Register(#[from] RegisterError),
}

/// Everything between the network and the services.
pub struct Guard {
    /// Settings of connections.
    pub ports: Ports,
    /// The gate of calls.
    pub gate: Gate,
    /// The service that issues certificates.
    pub identity: IdentityService,
    /// Register of the revoked identities; `None` without TLS.
    pub register: Option<Register>,
}

impl Exposure {
    /// Returns `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        match self.door {
            Door::Plain => "http",
            Door::Tls { .. } => "https",
        }
    }

    /// Returns the guard of a server on `address`. With TLS, a task in `beside` renews the certificate.
    ///
    /// # Errors
    /// If there is no authority, or if the register cannot be opened.
    pub fn guard(
        &self,
        address: SocketAddr,
        metrics: &Arc<Metrics>,
        beside: &mut JoinSet<()>,
    ) -> Result<Guard, ExposureError> {
        let ports = |tls| Ports { tls, most: self.max_connections, metrics: metrics.clone() };
        let Door::Tls { folder, names, life } = &self.door else {
            return Ok(Guard {
                ports: ports(None),
                gate: Gate::open(metrics.clone()),
                identity: IdentityService::closed(),
                register: None,
            });
        };
        let authority = Arc::new(Authority::open(folder, *life)?);
        let register = Register::open(folder)?;
        let tls = ServerTls::new(authority.clone(), address.ip(), names)?;
        let config = tls.config()?;
        let end = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as i64;
        if let Some(not_after) = authority.not_after() {
            metrics.certificate("authority", end(not_after));
        }
        metrics.certificate("server", end(tls.not_after()));
        tracing::info!(authority = %authority.pin(), "connections are TLS, callers need a certificate");
        let (counted, look) = (metrics.clone(), LOOK.min(*life / 10));
        beside.spawn(async move {
            loop {
                tokio::time::sleep(look).await;
                match tls.refresh(SystemTime::now()) {
                    Ok(()) => counted.certificate("server", end(tls.not_after())),
                    Err(error) => tracing::error!(%error, "this coordinator's certificate could not be renewed"),
                }
            }
        });
        Ok(Guard {
            ports: ports(Some(config)),
            gate: Gate::guarded(register.clone(), metrics.clone()),
            identity: IdentityService::new(authority, register.clone(), *life),
            register: Some(register),
        })
    }
}
