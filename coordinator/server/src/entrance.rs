//! The ports of a coordinator, and the checks of callers. The ports are open as long as the process lives, for a leader
//! and for a standby.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pretext_artifacts::Artifacts;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::core::Core;
use crate::exposure::Guard;
use crate::grpc::{self, Parts};
use crate::http::WebParts;
use crate::metrics::{Metrics, serve_monitor};
use crate::serve::{Options, StartError};
use crate::turn::Turn;

/// Time that streams have to end at a shutdown before they are cut.
const DRAIN: Duration = Duration::from_secs(3);

/// Bound ports: a client that connects waits until they are opened.
pub(crate) struct Entrance {
    address: SocketAddr,
    listener: TcpListener,
    monitor: Option<TcpListener>,
    desk: Desk,
    beside: JoinSet<()>,
}

/// The turn and the gate, which decide how calls are answered.
pub(crate) struct Desk {
    pub(crate) turn: Turn,
    guard: Guard,
    metrics: Arc<Metrics>,
}

/// Ports at which calls are answered.
pub(crate) struct Open {
    /// Address that the coordinator listens on.
    pub(crate) address: SocketAddr,
    /// Address of health checks and metrics, if any.
    pub(crate) monitor: Option<SocketAddr>,
    pub(crate) desk: Desk,
    /// Tasks that run beside the server; dropping this ends them.
    _beside: JoinSet<()>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<Result<(), tonic::transport::Error>>,
}

async fn bind(address: SocketAddr, taken: &'static str) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |cause: std::io::Error| {
        let hint = if cause.kind() == std::io::ErrorKind::AddrInUse { taken } else { "" };
        StartError::Listen { address, cause, hint }
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

impl Entrance {
    /// Binds the ports, and sets up the checks of callers.
    pub(crate) async fn bind(options: &Options) -> Result<Self, StartError> {
        let taken = ": another program has the port, choose another with --listen";
        let (listener, address) = bind(options.listen, taken).await?;
        let monitor = match options.exposure.monitor {
            None => None,
            Some(monitor) => {
                let taken = ": another program has the port, choose another with --monitor";
                Some(bind(monitor, taken).await?.0)
            }
        };
        let (metrics, mut beside) = (Arc::new(Metrics::new()), JoinSet::new());
        let guard = options.exposure.guard(address, &metrics, &mut beside)?;
        Ok(Self { address, listener, monitor, desk: Desk { turn: Turn::new().await, guard, metrics }, beside })
    }

    /// Returns the address to listen on.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns what decides how calls are answered.
    pub(crate) fn desk(&self) -> &Desk {
        &self.desk
    }

    /// Starts answering calls.
    pub(crate) fn open(mut self) -> Result<Open, StartError> {
        let Desk { turn, guard, metrics } = &self.desk;
        let monitor = match self.monitor {
            None => None,
            Some(listener) => {
                let failed = |cause| StartError::Listen { address: self.address, cause, hint: "" };
                let address = listener.local_addr().map_err(failed)?;
                serve_monitor(listener, turn.clone(), metrics.clone(), &mut self.beside);
                tracing::info!(%address, "health checks and metrics are served");
                Some(address)
            }
        };
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            // A dropped sender means the same as a stop message.
            let _ = stopped.await;
        };
        let server = grpc::serve(self.listener, guard.ports.clone(), guard.gate.clone(), turn.front(), stopped);
        Ok(Open { address: self.address, monitor, desk: self.desk, _beside: self.beside, stop, server })
    }
}

impl Desk {
    /// Returns what the web page is built from.
    pub(crate) fn web_parts(&self, core: Core, artifacts: Artifacts) -> WebParts {
        let (register, ports) = (self.guard.register.clone(), self.guard.ports.clone());
        WebParts { core, artifacts, register, ports }
    }

    /// Has the services answer calls from now on.
    pub(crate) async fn begin(&self, parts: Parts) -> Result<(), StartError> {
        let core: Core = parts.core.clone();
        let services = grpc::services(parts, self.guard.gate.clone(), self.guard.identity.clone())?;
        self.turn.begin(core, services).await;
        Ok(())
    }
}

impl Open {
    /// Gives streams a moment to end, then closes the ports.
    pub(crate) async fn close(self) {
        let _ = self.stop.send(());
        let mut server = self.server;
        if tokio::time::timeout(DRAIN, &mut server).await.is_err() {
            server.abort();
        }
    }
}
