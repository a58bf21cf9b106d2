//! Where a coordinator listens, and how callers connect: in plain text on this machine, or with TLS and identities.

mod acceptor;
mod web;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::task::JoinSet;

pub use self::acceptor::{Acceptor, Connection, Strangers};
pub use self::web::{WebOptions, WebWire};

use crate::authorization::Authorizer;
use crate::identity::{Authority, AuthorityError, IdentityService, Register, RegisterError, ServerTls};
use crate::metrics::Metrics;

/// Default of the most simultaneous connections.
pub const MAX_CONNECTIONS: usize = 4096;

/// Time between two checks whether a new certificate is due.
const LOOK: Duration = Duration::from_secs(60);

/// How callers connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Security {
    /// Without TLS: for this machine alone, or for any machine if a flag allows it.
    Plaintext,
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

/// The addresses of a coordinator, and how callers connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// The address of the gRPC services; with port 0 the system chooses a free port.
    pub address: SocketAddr,
    /// How callers connect.
    pub security: Security,
    /// Address at which health checks and metrics are served in plain text, if any.
    pub monitor: Option<SocketAddr>,
    /// The web page, if there is one.
    pub web: Option<WebOptions>,
    /// Most simultaneous connections.
    pub max_connections: usize,
}

/// The reason why TLS cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecurityError {
    /// The authority is missing or damaged.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The register cannot be used.
    #[error(transparent)]
    Register(#[from] RegisterError),
}

/// Everything between the network and the services.
pub struct SecurityLayer {
    /// Accepts connections.
    pub acceptor: Acceptor,
    /// Checks every call.
    pub authorizer: Authorizer,
    /// The service that issues certificates.
    pub identity: IdentityService,
    /// Register of the revoked identities; `None` without TLS.
    pub register: Option<Register>,
}

impl Listen {
    /// Listens on `address` in plain text, without health checks and without a web page.
    pub fn plaintext(address: SocketAddr) -> Self {
        Self { address, security: Security::Plaintext, monitor: None, web: None, max_connections: MAX_CONNECTIONS }
    }

    /// Returns `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        match self.security {
            Security::Plaintext => "http",
            Security::Tls { .. } => "https",
        }
    }

    /// Returns the security layer of a server that is bound to `address`. With TLS, a task in `beside` renews the certificate.
    ///
    /// # Errors
    /// If there is no authority, or if the register cannot be opened.
    pub fn layer(
        &self,
        address: SocketAddr,
        metrics: &Arc<Metrics>,
        beside: &mut JoinSet<()>,
    ) -> Result<SecurityLayer, SecurityError> {
        let acceptor = |tls| Acceptor {
            tls,
            max_connections: self.max_connections,
            metrics: metrics.clone(),
            strangers: Strangers::brief(),
        };
        let Security::Tls { folder, names, life } = &self.security else {
            return Ok(SecurityLayer {
                acceptor: acceptor(None),
                authorizer: Authorizer::unrestricted(metrics.clone()),
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
        Ok(SecurityLayer {
            acceptor: acceptor(Some(config)),
            authorizer: Authorizer::certified(register.clone(), authority.grant_key().clone(), metrics.clone()),
            identity: IdentityService::new(authority, register.clone(), *life),
            register: Some(register),
        })
    }
}
