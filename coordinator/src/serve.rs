//! A running coordinator: store, core, artifacts and the gRPC server around them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::artifacts::{ArtifactError, Artifacts};
use crate::core::{Core, CoreThread};
use crate::engine::Limits;
use crate::exposure::{Exposure, ExposureError};
use crate::grpc::{self, DescriptorError, Parts};
use crate::http::{Web, WebError, WebParts};
use crate::metrics::{Metrics, MonitorError, serve_monitor};
use crate::store::{RedbStore, Store, StoreError};

/// How long streams may take to end at a shutdown before they are cut.
const DRAIN: Duration = Duration::from_secs(3);

/// How to start a coordinator.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Where state and artifacts are kept.
    pub state_dir: PathBuf,
    /// Times and limits.
    pub limits: Limits,
    /// Who can reach it, and how.
    pub exposure: Exposure,
}

/// Why a coordinator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken, or not ours.
    #[error("cannot listen on {address}: {cause}{hint}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        cause: std::io::Error,
        /// What to do.
        hint: &'static str,
    },
    /// The state directory cannot be made.
    #[error("cannot make the state directory {path}: {cause}", path = path.display())]
    StateDir {
        /// The directory.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// The store does not open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The artifact store does not open.
    #[error(transparent)]
    Artifacts(#[from] ArtifactError),
    /// TLS or identities cannot be had.
    #[error(transparent)]
    Exposure(#[from] ExposureError),
    /// There is no monitoring port.
    #[error(transparent)]
    Monitor(#[from] MonitorError),
    /// There is no web page.
    #[error(transparent)]
    Web(#[from] WebError),
    /// A thread ended before its work: a broken build.
    #[error("a thread of the coordinator ended: {0}")]
    Thread(String),
    /// A broken build.
    #[error(transparent)]
    Descriptors(#[from] DescriptorError),
}

/// A coordinator that serves.
pub struct Coordinator {
    address: SocketAddr,
    monitor: Option<SocketAddr>,
    web: Option<Web>,
    /// What goes on beside the server; ends with this.
    _beside: JoinSet<()>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<Result<(), tonic::transport::Error>>,
    core: CoreThread,
    handle: Core,
}

/// Binds `address`.
pub(crate) fn listen(address: SocketAddr) -> Result<std::net::TcpListener, StartError> {
    let failed = |cause: std::io::Error| {
        let hint = match cause.kind() {
            std::io::ErrorKind::AddrInUse => ": another program has the port, choose another with --listen",
            _ => "",
        };
        StartError::Listen { address, cause, hint }
    };
    let listener = std::net::TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

impl Coordinator {
    /// Opens the state on the embedded store, listens and serves until [`Coordinator::stop`].
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let listener = listen(options.listen)?;
        make_dir(&options.state_dir)?;
        let store = Arc::new(RedbStore::open(&options.state_dir.join("state.redb"))?);
        Self::serve(listener, store, options).await
    }

    /// Serves on a store that is open.
    pub(crate) async fn serve(
        listener: std::net::TcpListener,
        store: Arc<dyn Store>,
        options: Options,
    ) -> Result<Self, StartError> {
        let failed = |cause| StartError::Listen { address: options.listen, cause, hint: "" };
        let address = listener.local_addr().map_err(failed)?;
        let listener = TcpListener::from_std(listener).map_err(failed)?;
        make_dir(&options.state_dir)?;
        let artifacts = Artifacts::open(&options.state_dir.join("artifacts"))?;
        let (core, thread) = Core::start(store, options.limits)?;

        let metrics = Arc::new(Metrics::new());
        let mut beside = JoinSet::new();
        let monitor = match options.exposure.monitor {
            None => None,
            Some(address) => {
                let health = grpc::health().await;
                Some(serve_monitor(address, health, metrics.clone(), core.clone(), &mut beside).await?)
            }
        };
        let guard = options.exposure.guard(address, &metrics, &mut beside)?;
        let web = match &options.exposure.web {
            None => None,
            Some(web) => {
                let parts = WebParts {
                    core: core.clone(),
                    artifacts: artifacts.clone(),
                    register: guard.register,
                    ports: guard.ports.clone(),
                };
                Some(Web::start(web, &options.state_dir.join("web"), parts, &mut beside).await?)
            }
        };
        let parts = Parts {
            core: core.clone(),
            artifacts,
            limits: options.limits,
            gate: guard.gate,
            identity: guard.identity,
            web: web.clone(),
        };
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            // A dropped sender means the same as a sent stop.
            let _ = stopped.await;
        };
        let server = grpc::serve(listener, guard.ports, parts, stopped).await?;
        tracing::info!(%address, state = %options.state_dir.display(), "coordinator serves");
        Ok(Self { address, monitor, web, _beside: beside, stop, server, core: thread, handle: core })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where health checks and metrics are, if anywhere.
    pub fn monitor(&self) -> Option<SocketAddr> {
        self.monitor
    }

    /// The web page, if there is one.
    pub fn web(&self) -> Option<&Web> {
        self.web.as_ref()
    }

    /// Returns when the store can no longer be written, with the reason. Then only [`Coordinator::stop`] is
    /// left to do.
    pub async fn broken(&self) -> String {
        self.handle.broken().await
    }

    /// Lets streams end for a moment, then stops. What was acknowledged is durable already.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        let mut server = self.server;
        if tokio::time::timeout(DRAIN, &mut server).await.is_err() {
            server.abort();
        }
        let core = self.core;
        if tokio::task::spawn_blocking(move || core.stop()).await.is_err() {
            tracing::error!("the core thread did not stop");
        }
    }
}

fn make_dir(path: &Path) -> Result<(), StartError> {
    std::fs::create_dir_all(path).map_err(|cause| StartError::StateDir { path: path.to_owned(), cause })
}
