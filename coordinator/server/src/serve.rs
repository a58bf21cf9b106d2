//! A running coordinator: store, core, artifacts and the gRPC server around them.

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
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Where state is kept.
    pub state_dir: PathBuf,
    /// Where artifacts are kept.
    pub artifacts: ArtifactOptions,
    /// Times and limits.
    pub limits: Limits,
    /// Who can reach it, and how.
    pub exposure: Exposure,
    /// What this program was built from, for the provenance of sweeps.
    pub build: Option<Build>,
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
    open: Open,
    work: Work,
}

/// What answers behind the ports.
pub(crate) struct Work {
    thread: CoreThread,
    core: Core,
    web: Option<Web>,
    /// What goes on beside it; ends with this.
    _beside: JoinSet<()>,
}

impl Work {
    /// Begins to answer at `desk`, on a store that is open.
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
    /// Opens the state on the embedded store, listens and serves until [`Coordinator::stop`].
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let entrance = Entrance::bind(&options).await?;
        make_dir(&options.state_dir)?;
        let store = Arc::new(RedbStore::open(&options.state_dir.join("state.redb"))?);
        let artifacts = Artifacts::open(&options.artifacts).await?;
        artifacts.probe().await?;
        // Before the ports are open: nobody finds this coordinator standing by.
        let work = Work::begin(entrance.desk(), store, artifacts, &options).await?;
        Ok(Self::serving(entrance.open()?, work, &options))
    }

    /// A coordinator whose ports are open and whose work has begun.
    pub(crate) fn serving(open: Open, work: Work, options: &Options) -> Self {
        tracing::info!(address = %open.address, state = %options.state_dir.display(), "coordinator serves");
        Self { open, work }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.open.address
    }

    /// Where health checks and metrics are, if anywhere.
    pub fn monitor(&self) -> Option<SocketAddr> {
        self.open.monitor
    }

    /// The web page, if there is one.
    pub fn web(&self) -> Option<&Web> {
        self.work.web.as_ref()
    }

    /// Returns when the store can no longer be written, with the reason. Then only [`Coordinator::stop`] is
    /// left to do.
    pub async fn broken(&self) -> String {
        self.work.core.broken().await
    }

    /// Answers what was asked, then ends. What was acknowledged is durable already. The core stops first: polls and streams
    /// that wait for it end by that, and a lead on a server's store is given up at once; the answers that are on their way
    /// then have a moment to leave.
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
