//! The web page: what sweeps and workers do, live, for everybody who was let in; cancel and retry as the only changes.
//!
//! A request passes `guard` (is it spoken to under our name, by a page of ours?), then one of the three routers of
//! `routes` (open to all, for who may look, for who may change). Pages are made by `page` from what the engine
//! shows, kept for a moment by `pages`, and sent again in parts by `events` when they change. Scripts use gRPC:
//! there is nothing here for them.

mod assets;
mod change;
mod enter;
mod events;
mod files;
mod guard;
mod html;
mod listen;
mod login;
mod names;
mod origin;
mod page;
mod pages;
mod reply;
mod routes;
mod secret;
mod service;
mod session;
mod visitor;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use pretext_artifacts::Artifacts;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::login::Logins;
use self::names::HostNames;
use self::pages::Pages;
use self::secret::{NoRandomness, Secret};
use self::session::Sessions;
use self::visitor::{Right, Visitor};
use crate::core::Core;
use crate::identity::{Ports, Register};

pub use self::service::WebService;
pub use self::session::SessionError;

/// Event streams at a time. Each costs a page a second at most, shared with all who look at the same one.
const MAX_STREAMS: usize = 128;
/// Reports that are made at a time.
const MAX_REPORTS: usize = 2;

/// How the page is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebOptions {
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Names by which browsers reach it, beside the address and loopback.
    pub names: Vec<String>,
    /// Plain text or TLS.
    pub wire: WebWire,
}

/// What browsers speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebWire {
    /// HTTP: on loopback, or where the user said so in words.
    Plain,
    /// HTTPS, with the coordinator's certificate.
    Tls,
}

impl WebWire {
    fn scheme(self) -> &'static str {
        match self {
            WebWire::Plain => "http",
            WebWire::Tls => "https",
        }
    }
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// The address is taken, or not ours.
    #[error("cannot listen for browsers on {address}: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        cause: io::Error,
    },
    /// Sessions cannot be kept.
    #[error(transparent)]
    Session(#[from] SessionError),
}

/// What all requests share.
struct Site {
    core: Core,
    artifacts: Artifacts,
    pages: Pages,
    logins: Logins,
    sessions: Sessions,
    names: HostNames,
    wire: WebWire,
    port: u16,
    streams: Arc<Semaphore>,
    reports: Arc<Semaphore>,
}

/// What the page is made of.
pub struct WebParts {
    /// The core.
    pub core: Core,
    /// Artifacts, for reports.
    pub artifacts: Artifacts,
    /// Who was shut out; `None` without TLS.
    pub register: Option<Register>,
    /// How connections are taken.
    pub ports: Ports,
}

/// A page that is served.
#[derive(Clone)]
pub struct Web {
    site: Arc<Site>,
    address: SocketAddr,
}

impl Web {
    /// Serves as long as `beside` is there, with sessions kept below `folder`.
    ///
    /// # Errors
    /// When the address is taken or not ours, or sessions cannot be kept.
    pub async fn start(
        options: &WebOptions,
        folder: &Path,
        parts: WebParts,
        beside: &mut JoinSet<()>,
    ) -> Result<Self, WebError> {
        let failed = |cause| WebError::Listen { address: options.listen, cause };
        let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let WebParts { core, artifacts, register, ports } = parts;
        let site = Arc::new(Site {
            pages: Pages::new(core.clone()),
            core,
            artifacts,
            logins: Logins::default(),
            sessions: Sessions::open(&folder.join("sessions"), register)?,
            names: HostNames::new(options.listen, &options.names),
            wire: options.wire,
            port: address.port(),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            reports: Arc::new(Semaphore::new(MAX_REPORTS)),
        });
        let ports = listen::for_browsers(&ports, options.wire);
        beside.spawn(listen::serve(listener, ports, routes::router(site.clone())));
        tracing::info!(%address, scheme = options.wire.scheme(), "the web page is served");
        Ok(Self { site, address })
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("{}://{}:{}", self.site.wire.scheme(), self.site.names.first(), self.address.port())
    }

    /// A login link for whoever starts the coordinator: it may do everything that the page can do.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn first_link(&self) -> Result<String, NoRandomness> {
        Ok(self.link(&self.site.logins.create(Visitor { right: Right::Submit, holder: None }, Instant::now())?))
    }

    fn link(&self, secret: &Secret) -> String {
        format!("{}/login/{}", self.url(), secret.as_str())
    }
}
