//! A running coordinator: the store, the core, the artifacts and the gRPC server.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pretext_artifacts::{ArtifactError, ArtifactOptions, Artifacts};
use pretext_engine::Limits;
use pretext_shared::sweep::Build;
use pretext_store::{RedbStore, Store, StoreError};
use tokio::task::JoinSet;

use crate::core::{Core, CoreThread};
use crate::entrance::{Desk, Entrance, Open};
use crate::exposure::{Exposure, ExposureError};
use crate::grpc::{DescriptorError, Parts};
use crate::http::{Web, WebError};

/// How to start a coordinator.
#[derive(Debug, Clone)]
pub struct Options {
    /// The address to listen on; with port 0 the system chooses a free port.
    pub listen: SocketAddr,
    /// The state directory.
    pub state_dir: PathBuf,
    /// Location and limits of the artifacts.
    pub artifacts: ArtifactOptions,
    /// Times and limits.
    pub limits: Limits,
    /// How callers reach the coordinator.
    pub exposure: Exposure,
    /// What this program was built from, for the provenance of sweeps.
    pub build: Option<Build>,
}

/// The reason why a coordinator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is in use, or does not belong to this machine.
    #[error("cannot listen on {address}: {cause}{hint}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The cause.
        cause: std::io::Error,
        /// What to do.
        hint: &'static str,
    },
    /// The state directory cannot be made.
    #[error("cannot make the state directory {path}: {cause}", path = path.display())]
    StateDir {
        /// The directory.
        path: PathBuf,
        /// The cause.
        cause: std::io::Error,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The artifact store cannot be opened.
    #[error(transparent)]
    Artifacts(#[from] ArtifactError),
    /// TLS or identities cannot be set up.
    #[error(transparent)]
    Exposure(#[from] ExposureError),
    /// The web page cannot be served.
    #[error(transparent)]
    Web(#[from] WebError),
    /// A thread panicked: a defect of the program.
    #[error("a thread of the coordinator ended: {0}")]
    Thread(String),
    /// The descriptors are damaged: a defect of the build.
    #[error(transparent)]
    Descriptors(#[from] DescriptorError),
}

/// A running coordinator.
pub struct Coordinator {
    open: Open,
    work: Work,
}

/// The parts of a coordinator that work behind the ports.
pub(crate) struct Work {
    thread: CoreThread,
    core: Core,
    web: Option<Web>,
    /// Tasks that run beside the coordinator; dropping this ends them.
    _beside: JoinSet<()>,
}

impl Work {
    /// Starts answering at `desk`, on an open store.
    pub(crate) async fn begin(
        desk: &Desk,
        store: Arc<dyn Store>,
        artifacts: Artifacts,
        options: &Options,
    ) -> Result<Self, StartError> {
        make_dir(&options.state_dir)?;
        artifacts.begin().await?;
        let (core, thread) = Core::start(store, options.limits)?;
        let mut beside = JoinSet::new();
        let web = match &options.exposure.web {
            None => None,
            Some(web) => {
                let parts = desk.web_parts(core.clone(), artifacts.clone());
                Some(Web::start(web, &options.state_dir.join("web"), parts, &mut beside).await?)
            }
        };
        desk.begin(Parts {
            core: core.clone(),
            artifacts,
            limits: options.limits,
            build: options.build.clone(),
            web: web.clone(),
        })
        .await?;
        Ok(Self { thread, core, web, _beside: beside })
    }
}

impl Coordinator {
    /// Opens the embedded store, listens and serves until [`Coordinator::stop`].
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let entrance = Entrance::bind(&options).await?;
        make_dir(&options.state_dir)?;
        let store = Arc::new(RedbStore::open(&options.state_dir.join("state.redb"))?);
        let artifacts = Artifacts::open(&options.artifacts).await?;
        artifacts.probe().await?;
        // Begin before the ports are open, so that no caller is refused.
        let work = Work::begin(entrance.desk(), store, artifacts, &options).await?;
        Ok(Self::serving(entrance.open()?, work, &options))
    }

    /// Returns a coordinator whose ports are open and whose work has begun.
    pub(crate) fn serving(open: Open, work: Work, options: &Options) -> Self {
        tracing::info!(address = %open.address, state = %options.state_dir.display(), "coordinator serves");
        Self { open, work }
    }

    /// Returns the address that the coordinator listens on.
    pub fn address(&self) -> SocketAddr {
        self.open.address
    }

    /// Returns the address of health checks and metrics, if any.
    pub fn monitor(&self) -> Option<SocketAddr> {
        self.open.monitor
    }

    /// Returns the web page, if there is one.
    pub fn web(&self) -> Option<&Web> {
        self.work.web.as_ref()
    }

    /// Waits until the store cannot be written any more, and returns the reason. Then the only thing left to do is
    /// [`Coordinator::stop`].
    pub async fn broken(&self) -> String {
        self.work.core.broken().await
    }

    /// Answers pending requests, then ends. Acknowledged data are durable already. The core stops first: this ends
    /// waiting polls and streams, and gives up the lead on a server's store at once. Answers in progress then have a
    /// moment to leave.
    pub async fn stop(self) {
        let thread = self.work.thread;
        if tokio::task::spawn_blocking(move || thread.stop()).await.is_err() {
            tracing::error!("the core thread did not stop");
        }
        self.open.close().await;
    }
}

fn make_dir(path: &Path) -> Result<(), StartError> {
    std::fs::create_dir_all(path).map_err(|cause| StartError::StateDir { path: path.to_owned(), cause })
}
