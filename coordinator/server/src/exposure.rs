//! Who can reach a coordinator and how: plain text for this machine, TLS with identities for others.

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

/// How often it is looked whether a new certificate is due.
const LOOK: Duration = Duration::from_secs(60);

/// How callers get in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Door {
    /// Without TLS: for this machine alone, or for anybody where the user said so in words.
    Plain,
    /// With TLS and identities.
    Tls {
        /// Where authority and register are.
        folder: PathBuf,
        /// Names by which the coordinator is reached, beside this machine's own.
        names: Vec<String>,
        /// How long certificates last.
        life: Duration,
    },
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    /// How callers get in.
    pub door: Door,
    /// Where health checks and metrics are served in plain text, if anywhere.
    pub monitor: Option<SocketAddr>,
    /// The web page, if there is one.
    pub web: Option<WebOptions>,
    /// Connections at a time.
    pub max_connections: usize,
}

impl Default for Exposure {
    fn default() -> Self {
        Self { door: Door::Plain, monitor: None, web: None, max_connections: MAX_CONNECTIONS }
    }
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum ExposureError {
    /// No authority, or a damaged one.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The register cannot be used.
    #[error(transparent)]
    Register(#[from] RegisterError),
}

/// What stands between the wire and the services.
pub struct Guard {
    /// How connections are taken.
    pub ports: Ports,
    /// Who is let in.
    pub gate: Gate,
    /// Who certifies.
    pub identity: IdentityService,
    /// Who was shut out; `None` without TLS.
    pub register: Option<Register>,
}

impl Exposure {
    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        match self.door {
            Door::Plain => "http",
            Door::Tls { .. } => "https",
        }
    }

    /// The guard of a server on `address`. With TLS a task goes on in `beside` that renews the certificate.
    ///
    /// # Errors
    /// When there is no authority, or the register cannot be opened.
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
