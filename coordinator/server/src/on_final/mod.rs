//! Runs a person's program when a sweep is finished.
//!
//! A sweep that has finished counts as told once the program has exited with 0, and a file in the state directory says
//! so. If the coordinator dies between the two, the next one runs the program again, with the same event id. A program
//! that fails is run again, at longer and longer intervals. The first start with a program counts the sweeps that have
//! finished by then as told.

mod program;
mod told;

use std::path::{Path, PathBuf};
use std::time::Duration;

use pretext_engine::FinishedSweep;
use pretext_shared::ids::SweepId;
use pretext_shared::stage::Extent;
use serde::Serialize;
use tokio::sync::watch;

use crate::core::{Core, CoreError};
pub use program::{ProgramError, run};
use told::Told;
pub use told::ToldError;

/// Shortest time between two looks at the sweeps.
const PACE: Duration = Duration::from_millis(500);
/// The pause after the first failure of the program; doubled with each further one, up to `LONGEST`.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);
/// After this many failures in a row, a person must act.
const SEVERAL: u32 = 3;

/// The facts of a sweep that the program gets, as JSON on its standard input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// The event's id. The same event may be told again after a crash, with the same id.
    pub event: String,
    /// The sweep's id.
    pub sweep: SweepId,
    /// Its name, as in the file.
    pub name: String,
    /// `succeeded`, `failed` (some cell failed) or `cancelled`.
    pub outcome: &'static str,
    /// Cells with a result.
    pub succeeded: usize,
    /// Cells that failed.
    pub failed: usize,
    /// Cells that were cancelled.
    pub cancelled: usize,
    /// Whether it was a rehearsal of two steps a stage.
    pub smoke: bool,
    /// Milliseconds since the Unix epoch at its submission.
    pub submitted_ms: u64,
}

impl From<FinishedSweep> for Event {
    fn from(finished: FinishedSweep) -> Self {
        let FinishedSweep { sweep, name, cells, is_cancelled, extent, submitted_ms, occasion } = finished;
        Self {
            event: format!("{sweep}@{}", occasion.short()),
            sweep,
            name,
            outcome: outcome(is_cancelled || cells.cancelled > 0, cells.failed),
            succeeded: cells.succeeded,
            failed: cells.failed,
            cancelled: cells.cancelled,
            smoke: extent == Extent::Smoke,
            submitted_ms,
        }
    }
}

/// Returns how a sweep ended, in one word.
pub fn outcome(is_cancelled: bool, failed: usize) -> &'static str {
    match (is_cancelled, failed) {
        (true, _) => "cancelled",
        (false, 0) => "succeeded",
        (false, _) => "failed",
    }
}

/// Why a round did not tell everything.
#[derive(Debug, thiserror::Error)]
enum RoundError {
    #[error("{0}")]
    Core(#[from] CoreError),
    #[error("{0}")]
    Told(#[from] ToldError),
    #[error("{0}")]
    Program(#[from] ProgramError),
}

/// Tells a program of the sweeps that are finished.
pub(crate) struct Teller {
    core: Core,
    program: PathBuf,
    told: Told,
    /// Counts the rounds after which nothing was left to tell.
    rounds: watch::Sender<u64>,
}

impl Teller {
    /// Returns a teller that remembers in `folder` what it has told. To be called before anything can end.
    ///
    /// # Errors
    /// If the program is a path to nothing, or if the folder cannot be used.
    pub(crate) async fn new(core: Core, program: &Path, folder: PathBuf) -> Result<Self, ToldError> {
        let program = program::found(program)?;
        let is_new = !Told::has_begun(&folder);
        let mut told = Told::open(folder)?;
        if is_new {
            for sweep in finished_ids(&core).await.unwrap_or_default() {
                if let Ok(Some(event)) = event(&core, sweep).await {
                    told.note(&event)?;
                }
            }
            told.begin()?;
        }
        let (rounds, _) = watch::channel(0);
        Ok(Self { core, program, told, rounds })
    }

    /// Returns a receiver of the number of rounds after which nothing was left to tell.
    pub(crate) fn rounds(&self) -> watch::Receiver<u64> {
        self.rounds.subscribe()
    }

    /// Tells until the coordinator stops.
    pub(crate) async fn tell(mut self) {
        let mut changes = self.core.changes();
        let mut failures = 0;
        loop {
            changes.mark_unchanged();
            let pause = match self.round().await {
                Ok(()) => {
                    failures = 0;
                    self.rounds.send_modify(|rounds| *rounds += 1);
                    PACE
                }
                Err(RoundError::Core(CoreError::Stopped | CoreError::NotDurable(_))) => return,
                Err(RoundError::Core(CoreError::Full(_))) => PACE,
                Err(error) => {
                    failures += 1;
                    let pause = PAUSE.saturating_mul(1 << (failures - 1).min(16)).min(LONGEST);
                    if failures == SEVERAL {
                        tracing::error!(%error, program = %self.program.display(), "the program of --on-final fails again and again; it is run again until it exits with 0");
                    } else {
                        tracing::warn!(%error, program = %self.program.display(), again_s = pause.as_secs(), "the program of --on-final failed");
                    }
                    pause
                }
            };
            tokio::time::sleep(pause).await;
            if failures == 0 && changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Tells of every sweep that has finished and was not told.
    async fn round(&mut self) -> Result<(), RoundError> {
        let finished = finished_ids(&self.core).await?;
        self.told.keep(&finished);
        for sweep in finished {
            if self.told.knows(&sweep) {
                continue;
            }
            let Some(event) = event(&self.core, sweep).await? else { continue };
            if !self.told.has(&event)? {
                program::run(&self.program, &event).await?;
                tracing::info!(event = %event.event, outcome = event.outcome, "told that a sweep has finished");
                self.told.note(&event)?;
            }
        }
        Ok(())
    }
}

async fn finished_ids(core: &Core) -> Result<Vec<SweepId>, CoreError> {
    core.call(|engine, _| engine.finished_ids()).await
}

async fn event(core: &Core, sweep: SweepId) -> Result<Option<Event>, CoreError> {
    Ok(core.call(move |engine, _| engine.finished(&sweep)).await?.map(Event::from))
}

#[cfg(test)]
mod tests;
