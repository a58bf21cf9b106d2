//! Garbage collection: what the engine says nothing refers to is removed from the artifact store.
//!
//! Between its word and the removal no reference is made: who makes one holds [`Artifacts::referring`] from the moment at
//! which it has seen that the artifact is there. An upload that finds its artifact there and comes too late to refer to it
//! is told that it is not there, and sends it again.

use std::time::Duration;

use pretext_artifacts::{ArtifactError, Artifacts};
use pretext_engine::{Collected, Garbage, Refusal};
use pretext_shared::ids::ArtifactId;
use tokio::sync::mpsc;

use crate::core::{Core, CoreError};

/// Artifacts that are removed while references wait.
const BATCH: usize = 16;

/// What becomes of garbage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is removed.
    Remove,
    /// It is named alone.
    DryRun,
}

/// Why garbage was not collected, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum GcError {
    /// The artifact store.
    #[error(transparent)]
    Artifacts(#[from] ArtifactError),
    /// The core.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// The engine.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Collects garbage that is older than `grace` and tells of it. Ends early when nobody listens any more.
///
/// # Errors
/// When the store cannot be read or an artifact not be removed; those before it are.
pub async fn collect(
    core: &Core,
    artifacts: &Artifacts,
    grace: Duration,
    mode: Mode,
    tell: mpsc::Sender<Collected>,
) -> Result<(), GcError> {
    let held = artifacts.list().await?;
    let Garbage { garbage, needed, young } = core.call(move |engine, _| engine.garbage(&held, grace)).await??;
    for batch in garbage.chunks(BATCH) {
        let gone = match mode {
            Mode::DryRun => batch.to_vec(),
            Mode::Remove => {
                let gone = discard(core, artifacts, batch.iter().map(|held| held.artifact).collect()).await?;
                batch.iter().filter(|held| gone.contains(&held.artifact)).copied().collect()
            }
        };
        for held in gone {
            if tell.send(Collected::Garbage(held)).await.is_err() {
                return Ok(());
            }
        }
    }
    // Who stopped listening does not want the end either.
    let _ = tell.send(Collected::Stays(needed, young)).await;
    Ok(())
}

/// Removes those of `artifacts` that nothing refers to, and says which these were.
///
/// # Errors
/// When one cannot be removed; those before it are.
pub async fn discard(
    core: &Core,
    artifacts: &Artifacts,
    candidates: Vec<ArtifactId>,
) -> Result<Vec<ArtifactId>, GcError> {
    let _alone = artifacts.alone().await;
    let unreferenced = core.call(move |engine, _| engine.unreferenced(candidates)).await?;
    for artifact in &unreferenced {
        artifacts.remove(*artifact).await?;
    }
    Ok(unreferenced)
}
