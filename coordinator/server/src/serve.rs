//! A running coordinator: the store, the core, the artifacts and the gRPC server.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use pretext_artifacts::Artifacts;
use pretext_store::{RedbStore, Store};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clearing;
use crate::core::{Core, CoreThread};
use crate::frontend::{BoundFrontend, Context, Frontend};
use crate::grpc::Parts;
use crate::http::Web;
use crate::on_final::Teller;
use crate::start::{Options, StartError};

/// A running coordinator.
pub struct Coordinator {
    frontend: Frontend,
    work: Work,
}

/// The parts of a coordinator that work behind the ports.
pub(crate) struct Work {
    thread: CoreThread,
    core: Core,
    web: Option<Web>,
    /// The rounds of the program for sweeps that have finished, if there is one.
    told: Option<watch::Receiver<u64>>,
    /// Tasks that run beside the coordinator; dropping this ends them.
    _beside: JoinSet<()>,
}

impl Work {
    /// Starts answering at `context`, on an open store.
    pub(crate) async fn begin(
        context: &Context,
        store: Arc<dyn Store>,
        artifacts: Artifacts,
        options: &Options,
    ) -> Result<Self, StartError> {
        make_dir(&options.state_dir)?;
        artifacts.begin().await?;
        let (core, thread) = Core::start(store, options.limits)?;
        let mut beside = JoinSet::new();
        beside.spawn(clearing::proceed(core.clone()));
        let told = match &options.on_final {
            None => None,
            Some(program) => {
                let teller = Teller::new(core.clone(), program, options.state_dir.join("final")).await?;
                let rounds = teller.rounds();
                beside.spawn(teller.tell());
                Some(rounds)
            }
        };
        let web = match &options.listen.web {
            None => None,
            Some(web) => {
                let parts = context.web_parts(core.clone(), artifacts.clone());
                Some(Web::start(web, &options.state_dir.join("web"), parts, &mut beside).await?)
            }
        };
        context
            .begin(Parts {
                core: core.clone(),
                artifacts,
                limits: options.limits,
                build: options.build.clone(),
                web: web.clone(),
            })
            .await?;
        Ok(Self { thread, core, web, told, _beside: beside })
    }
}

impl Coordinator {
    /// Opens the embedded store, listens and serves until [`Coordinator::stop`].
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let bound = BoundFrontend::bind(&options.listen).await?;
        make_dir(&options.state_dir)?;
        let store = Arc::new(RedbStore::open(&options.state_dir.join("state.redb"))?);
        let artifacts = Artifacts::open(&options.artifacts).await?;
        artifacts.probe().await?;
        // Begin before the ports are open, so that no caller is refused.
        let work = Work::begin(bound.context(), store, artifacts, &options).await?;
        Ok(Self::serving(bound.open()?, work, &options))
    }

    /// Returns a coordinator whose ports are open and whose work has begun.
    pub(crate) fn serving(frontend: Frontend, work: Work, options: &Options) -> Self {
        tracing::info!(address = %frontend.address, state = %options.state_dir.display(), "coordinator serves");
        Self { frontend, work }
    }

    /// Returns the address that the coordinator listens on.
    pub fn address(&self) -> SocketAddr {
        self.frontend.address
    }

    /// Returns the address of health checks and metrics, if any.
    pub fn monitor(&self) -> Option<SocketAddr> {
        self.frontend.monitor
    }

    /// Returns the web page, if there is one.
    pub fn web(&self) -> Option<&Web> {
        self.work.web.as_ref()
    }

    /// Returns a receiver of the reason why this coordinator takes no request at present: its store is full. `None` if it
    /// takes requests.
    pub fn full(&self) -> watch::Receiver<Option<String>> {
        self.work.core.full()
    }

    /// Waits until the program for sweeps that have finished was told of all that have finished now.
    pub async fn all_told(&self) {
        let Some(mut rounds) = self.work.told.clone() else { return };
        // A round may be under way that began before; the one after it has seen all.
        let enough = *rounds.borrow_and_update() + 2;
        // The teller ends with the core, which this coordinator's other parts report.
        let _ = rounds.wait_for(|round| *round >= enough).await;
    }

    /// Waits until a part of this coordinator has died, and returns the reason: the store cannot be written, the core
    /// panicked, or the ports have closed. From then on health checks say that it does not serve. The only thing left to
    /// do is [`Coordinator::stop`].
    pub async fn broken(&mut self) -> String {
        let reason = tokio::select! {
            reason = self.work.core.broken() => reason,
            reason = self.frontend.broken() => reason,
        };
        self.frontend.context.leadership.end().await;
        reason
    }

    /// Answers pending requests, then ends. Acknowledged data are durable already. The core stops first: this ends
    /// waiting polls and streams, and gives up the lead on a server's store at once. Answers in progress then have a
    /// moment to leave.
    pub async fn stop(self) {
        let thread = self.work.thread;
        if tokio::task::spawn_blocking(move || thread.stop()).await.is_err() {
            tracing::error!("the core thread did not stop");
        }
        self.frontend.close().await;
    }
}

fn make_dir(path: &Path) -> Result<(), StartError> {
    std::fs::create_dir_all(path).map_err(|cause| StartError::StateDir { path: path.to_owned(), cause })
}
