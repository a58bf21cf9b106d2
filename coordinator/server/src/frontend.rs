//! The ports of a coordinator. They are open as long as the process lives, for a leader and for a standby.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pretext_artifacts::Artifacts;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::core::Core;
use crate::grpc::{self, Parts};
use crate::http::WebParts;
use crate::leadership::Leadership;
use crate::listen::{Listen, SecurityLayer};
use crate::metrics::{Metrics, serve_monitor};
use crate::start::StartError;

/// Time that streams have to end at a shutdown before they are cut.
const DRAIN: Duration = Duration::from_secs(3);

/// BoundFrontend ports: a client that connects waits until they are opened.
pub(crate) struct BoundFrontend {
    address: SocketAddr,
    listener: TcpListener,
    monitor: Option<TcpListener>,
    context: Context,
    beside: JoinSet<()>,
}

/// What decides how calls are answered.
pub(crate) struct Context {
    pub(crate) leadership: Leadership,
    security: SecurityLayer,
    metrics: Arc<Metrics>,
}

/// Ports at which calls are answered.
pub(crate) struct Frontend {
    /// Address that the coordinator listens on.
    pub(crate) address: SocketAddr,
    /// Address of health checks and metrics, if any.
    pub(crate) monitor: Option<SocketAddr>,
    pub(crate) context: Context,
    /// Tasks that run beside the server; dropping this ends them.
    _beside: JoinSet<()>,
    stop: oneshot::Sender<()>,
    server: Server,
}

type Server = JoinHandle<Result<(), tonic::transport::Error>>;

async fn bind(address: SocketAddr, taken: &'static str) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |cause: std::io::Error| {
        let hint = if cause.kind() == std::io::ErrorKind::AddrInUse { taken } else { "" };
        StartError::Listen { address, cause, hint }
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

impl BoundFrontend {
    /// Binds the ports, and sets up the checks of callers.
    pub(crate) async fn bind(listen: &Listen) -> Result<Self, StartError> {
        let taken = ": another program has the port, choose another with --listen";
        let (listener, address) = bind(listen.address, taken).await?;
        let monitor = match listen.monitor {
            None => None,
            Some(monitor) => {
                let taken = ": another program has the port, choose another with --monitor";
                Some(bind(monitor, taken).await?.0)
            }
        };
        let (metrics, mut beside) = (Arc::new(Metrics::new()), JoinSet::new());
        let security = listen.layer(address, &metrics, &mut beside)?;
        Ok(Self {
            address,
            listener,
            monitor,
            context: Context { leadership: Leadership::new().await, security, metrics },
            beside,
        })
    }

    /// Returns the address to listen on.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns what decides how calls are answered.
    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// Starts answering calls.
    pub(crate) fn open(mut self) -> Result<Frontend, StartError> {
        let Context { leadership, security, metrics } = &self.context;
        let monitor = match self.monitor {
            None => None,
            Some(listener) => {
                let failed = |cause| StartError::Listen { address: self.address, cause, hint: "" };
                let address = listener.local_addr().map_err(failed)?;
                serve_monitor(listener, leadership.clone(), metrics.clone(), &mut self.beside);
                tracing::info!(%address, "health checks and metrics are served");
                Some(address)
            }
        };
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            // A dropped sender means the same as a stop message.
            let _ = stopped.await;
        };
        let server = grpc::serve(
            self.listener,
            security.acceptor.clone(),
            security.authorizer.clone(),
            leadership.front(),
            stopped,
        );
        Ok(Frontend { address: self.address, monitor, context: self.context, _beside: self.beside, stop, server })
    }
}

impl Context {
    /// Returns what the web page is built from.
    pub(crate) fn web_parts(&self, core: Core, artifacts: Artifacts) -> WebParts {
        let (register, acceptor) = (self.security.register.clone(), self.security.acceptor.clone());
        WebParts { core, artifacts, register, acceptor }
    }

    /// Has the services answer calls from now on.
    pub(crate) async fn begin(&self, parts: Parts) -> Result<(), StartError> {
        let core: Core = parts.core.clone();
        let services = grpc::services(parts, self.security.authorizer.clone(), self.security.identity.clone())?;
        self.leadership.begin(core, services).await;
        Ok(())
    }
}

impl Frontend {
    /// Waits until the ports have closed without [`Frontend::close`], and returns the reason.
    pub(crate) async fn broken(&mut self) -> String {
        match (&mut self.server).await {
            Ok(Ok(())) => "the listener has ended".to_owned(),
            Ok(Err(error)) => format!("the listener has failed: {error}"),
            Err(error) => format!("the listener has failed: {error}"),
        }
    }

    /// Gives streams a moment to end, then closes the ports.
    pub(crate) async fn close(self) {
        let _ = self.stop.send(());
        let mut server = self.server;
        // A listener that has failed was awaited before.
        if !server.is_finished() && tokio::time::timeout(DRAIN, &mut server).await.is_err() {
            server.abort();
        }
    }
}
