//! The web page: shows sweeps and workers live to every visitor who has logged in. Its only changes are cancel and
//! retry.
//!
//! A request first passes `guard`: does it name our host, and does it come from our own page? Then it passes one of the
//! routers of `routes`: open to all, for visitors who may look, for scripts that read, for visitors who may make changes.
//! `page` generates pages from the engine's views, `pages` keeps them for a moment, and `events` sends the parts that
//! change. `api` is the read interface for scripts, which has JSON instead of pages. `roster` keeps the cells of a sweep
//! up to date for both.

mod answer;
mod api;
mod assets;
mod change;
mod enter;
mod events;
mod files;
mod guard;
mod listen;
mod login;
mod names;
mod origin;
mod page;
mod pages;
mod reply;
mod roster;
mod routes;
mod secret;
mod service;
mod session;
mod standing;
mod stream_session;
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

pub use self::service::WebService;
pub use self::session::SessionError;

use self::login::Logins;
use self::names::HostNames;
use self::pages::Pages;
use self::roster::Rosters;
use self::secret::{NoRandomness, Secret};
use self::session::Sessions;
use self::visitor::{Right, Visitor};
use crate::core::Core;
use crate::identity::Register;
use crate::listen::{Acceptor, WebOptions, WebWire};

/// Most event streams at a time. A stream costs at most one page a second, and streams of the same page share that
/// cost.
const MAX_STREAMS: usize = 128;
/// Most reports that are generated at a time.
const MAX_REPORTS: usize = 2;
/// Most answers with curves that are made at a time; others wait.
const MAX_CURVES: usize = 4;

/// The reason why the page cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// The address is in use, or does not belong to this machine.
    #[error("cannot listen for browsers on {address}: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The cause.
        cause: io::Error,
    },
    /// Sessions cannot be saved.
    #[error(transparent)]
    Session(#[from] SessionError),
}

/// The state that all requests share.
struct Site {
    core: Core,
    artifacts: Artifacts,
    pages: Pages,
    rosters: Arc<Rosters>,
    logins: Logins,
    sessions: Sessions,
    names: HostNames,
    wire: WebWire,
    port: u16,
    streams: Arc<Semaphore>,
    reports: Arc<Semaphore>,
    curves: Arc<Semaphore>,
}

/// The parts that the page is built from.
pub struct WebParts {
    /// The core.
    pub core: Core,
    /// Artifacts, for reports.
    pub artifacts: Artifacts,
    /// Register of the revoked identities; `None` without TLS.
    pub register: Option<Register>,
    /// Settings of connections.
    pub acceptor: Acceptor,
}

/// A running web page.
#[derive(Clone)]
pub struct Web {
    site: Arc<Site>,
    address: SocketAddr,
}

impl Web {
    /// Serves as long as `beside` runs, and keeps sessions below `folder`.
    ///
    /// # Errors
    /// If the address is in use or does not belong to this machine, or if sessions cannot be saved.
    pub async fn start(
        options: &WebOptions,
        folder: &Path,
        parts: WebParts,
        beside: &mut JoinSet<()>,
    ) -> Result<Self, WebError> {
        let failed = |cause| WebError::Listen { address: options.listen, cause };
        let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let WebParts { core, artifacts, register, acceptor } = parts;
        let rosters = Arc::new(Rosters::new(core.clone()));
        let site = Arc::new(Site {
            pages: Pages::new(core.clone(), rosters.clone()),
            rosters,
            core,
            artifacts,
            logins: Logins::default(),
            sessions: Sessions::open(&folder.join("sessions"), register)?,
            names: HostNames::new(options.listen, &options.names),
            wire: options.wire,
            port: address.port(),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            reports: Arc::new(Semaphore::new(MAX_REPORTS)),
            curves: Arc::new(Semaphore::new(MAX_CURVES)),
        });
        let acceptor = listen::for_browsers(&acceptor, options.wire);
        beside.spawn(listen::serve(listener, acceptor, routes::router(site.clone())));
        tracing::info!(%address, scheme = options.wire.scheme(), "the web page is served");
        Ok(Self { site, address })
    }

    /// Returns the URL of the page.
    pub fn url(&self) -> String {
        format!("{}://{}:{}", self.site.wire.scheme(), self.site.names.first(), self.address.port())
    }

    /// Returns a login link for the user who starts the coordinator, with all rights of the page.
    ///
    /// # Errors
    /// If the system provides no random numbers.
    pub fn first_link(&self) -> Result<String, NoRandomness> {
        Ok(self.link(&self.site.logins.create(Visitor { right: Right::Submit, holder: None }, Instant::now())?))
    }

    fn link(&self, secret: &Secret) -> String {
        format!("{}/login/{}", self.url(), secret.as_str())
    }
}
