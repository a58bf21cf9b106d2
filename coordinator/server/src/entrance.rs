//! Where callers come in: the ports, and who is let in at them. They are open as long as the process lives, whether it
//! leads or stands by.

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

/// How long streams may take to end at a shutdown before they are cut.
const DRAIN: Duration = Duration::from_secs(3);

/// Ports that are bound: who connects waits until they are opened.
pub(crate) struct Entrance {
    address: SocketAddr,
    listener: TcpListener,
    monitor: Option<TcpListener>,
    desk: Desk,
    beside: JoinSet<()>,
}

/// What decides how calls are answered.
pub(crate) struct Desk {
    pub(crate) turn: Turn,
    guard: Guard,
    metrics: Arc<Metrics>,
}

/// Ports at which calls are answered.
pub(crate) struct Open {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Where health checks and metrics are, if anywhere.
    pub(crate) monitor: Option<SocketAddr>,
    pub(crate) desk: Desk,
    /// What goes on beside the server; ends with this.
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
    /// Binds the ports, and finds out who may come in.
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

    /// Where it will listen.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What decides how calls are answered.
    pub(crate) fn desk(&self) -> &Desk {
        &self.desk
    }

    /// Answers calls from now on.
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
            // A dropped sender means the same as a sent stop.
            let _ = stopped.await;
        };
        let server = grpc::serve(self.listener, guard.ports.clone(), guard.gate.clone(), turn.front(), stopped);
        Ok(Open { address: self.address, monitor, desk: self.desk, _beside: self.beside, stop, server })
    }
}

impl Desk {
    /// What the web page stands on.
    pub(crate) fn web_parts(&self, core: Core, artifacts: Artifacts) -> WebParts {
        let (register, ports) = (self.guard.register.clone(), self.guard.ports.clone());
        WebParts { core, artifacts, register, ports }
    }

    /// Calls are answered by the services from now on.
    pub(crate) async fn begin(&self, parts: Parts) -> Result<(), StartError> {
        let core: Core = parts.core.clone();
        let services = grpc::services(parts, self.guard.gate.clone(), self.guard.identity.clone())?;
        self.turn.begin(core, services).await;
        Ok(())
    }
}

impl Open {
    /// Lets streams end for a moment, then closes.
    pub(crate) async fn close(self) {
        let _ = self.stop.send(());
        let mut server = self.server;
        if tokio::time::timeout(DRAIN, &mut server).await.is_err() {
            server.abort();
        }
    }
}
