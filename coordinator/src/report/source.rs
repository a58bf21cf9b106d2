//! The source of a report: a running coordinator, or the state directory of a coordinator that does not run.

use std::path::{Path, PathBuf};

use clap::Args;
use pretext_artifacts::{ArtifactLimits, Artifacts, Location};
use pretext_client::Client;
use pretext_engine::{Engine, Limits};
use pretext_shared::ids::ArtifactId;
use pretext_shared::sweep::SweepView;
use pretext_store::{RedbStore, Store, StoreError, view};

use crate::backup::open_store;
use crate::error::CliError;
use crate::remote::{Remote, connect};
use crate::serve;

/// The arguments that name the source.
#[derive(Debug, Args)]
pub(super) struct Origin {
    /// Read the embedded store in this state directory, which no running coordinator may use
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// The folder or URL of the artifacts, as for `serve` [default: artifacts in the state directory]
    #[arg(long, value_name = "DIR|URL", requires = "state_dir")]
    artifacts: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// See the module.
pub(super) enum Source {
    /// A coordinator that runs.
    Server(Box<Client>),
    /// A store that nobody uses.
    Folder(Box<Stored>),
}

/// The content of a state directory.
pub(super) struct Stored {
    engine: Engine,
    store: RedbStore,
    artifacts: Artifacts,
}

impl Source {
    /// Opens the named source.
    pub(super) async fn open(origin: &Origin) -> Result<Self, CliError> {
        let Some(folder) = &origin.state_dir else {
            return Ok(Source::Server(Box::new(connect(&origin.remote).await?)));
        };
        let store = open_store(folder)?;
        let engine = Engine::restore(Limits::default(), store.load().map_err(failed)?, 0);
        let artifacts = open_artifacts(origin.artifacts.as_deref(), folder).await?;
        Ok(Source::Folder(Box::new(Stored { engine, store, artifacts })))
    }

    /// Returns the sweep that `name` names, with its curves.
    pub(super) async fn sweep(&self, name: &str) -> Result<SweepView, CliError> {
        match self {
            Source::Server(client) => Ok(client.sweep_with_points(name).await?),
            Source::Folder(stored) => {
                let refused = |refusal: pretext_engine::Refusal| CliError::input(refusal.to_string());
                let id = stored.engine.find_sweep(name).map_err(refused)?;
                let standing = stored.engine.standing(&id).map_err(refused)?;
                let mut view = view::view(&stored.store, standing).map_err(failed)?;
                view::add_all_points(&mut view, &stored.store).map_err(failed)?;
                Ok(view)
            }
        }
    }

    /// Returns the content of an artifact; `None` if it is not stored, or not any more.
    pub(super) async fn artifact(&self, id: ArtifactId) -> Result<Option<Vec<u8>>, CliError> {
        match self {
            Source::Server(client) => Ok(client.fetch(id).await?),
            Source::Folder(stored) => match stored.artifacts.read(id).await {
                Ok(content) => Ok(Some(content)),
                Err(error) if error.can_be_retried() => Err(CliError::environment(error.to_string())),
                Err(_) => Ok(None),
            },
        }
    }
}

/// Opens the named artifacts, or those in the state directory `folder`.
pub(crate) async fn open_artifacts(named: Option<&str>, folder: &Path) -> Result<Artifacts, CliError> {
    let options = serve::artifacts(named, folder, ArtifactLimits::default())?;
    // Opening a missing folder would create it, and every artifact would count as lost.
    if let Location::Directory(folder) = &options.place
        && !folder.is_dir()
    {
        return Err(CliError::input(format!(
            "there are no artifacts in {}: name their folder or URL with --artifacts",
            folder.display()
        )));
    }
    Artifacts::open(&options).await.map_err(|error| CliError::environment(error.to_string()))
}

fn failed(error: StoreError) -> CliError {
    CliError::environment(error.to_string())
}
