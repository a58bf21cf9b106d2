//! Garbage collection: removes the artifacts that the engine does not need any more.
//!
//! No reference can appear between the engine's answer and the removal: code that adds a reference holds
//! [`Artifacts::referring`] from its check that the artifact exists. If an upload finds its artifact but adds its
//! reference too late, the coordinator answers that the artifact is missing, and the worker uploads it again.

use std::time::Duration;

use pretext_artifacts::{ArtifactError, Artifacts};
use pretext_engine::{Collected, Garbage, Refusal};
use pretext_shared::ids::ArtifactId;
use tokio::sync::mpsc;

use crate::core::{Core, CoreError};

/// Artifacts that are removed while references have to wait.
const BATCH: usize = 16;

/// The treatment of garbage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Remove it.
    Remove,
    /// Only list it.
    DryRun,
}

/// The reason why not all garbage was collected.
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

/// Collects garbage older than `grace`, and sends an event for each artifact. Ends early if the receiver is gone.
///
/// # Errors
/// If the store cannot be read, or if an artifact cannot be removed; the artifacts before it are removed.
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
    // If the receiver is gone, it does not need the end either.
    let _ = tell.send(Collected::Stays(needed, young)).await;
    Ok(())
}

/// Removes the unneeded ones of `artifacts`, and returns them.
///
/// # Errors
/// If one cannot be removed; the ones before it are removed.
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
