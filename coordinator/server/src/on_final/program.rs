//! Runs the program, without a shell: nothing of a sweep's name can become a command.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::Event;
use super::told::ToldError;

/// Longest time that the program may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Why the program did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It did not start.
    #[error("it does not start: {0}")]
    Start(std::io::Error),
    /// It ended with an error.
    #[error("it ended with {0}")]
    Ended(ExitStatus),
    /// It took too long, and was killed.
    #[error("it did not end within {} s and was killed", PATIENCE.as_secs())]
    Slow,
}

/// Returns the program's path. A name without a slash is looked up on `PATH` when it runs.
pub(super) fn found(program: &Path) -> Result<PathBuf, ToldError> {
    if program.components().count() == 1 && !program.is_absolute() {
        return Ok(program.to_owned());
    }
    let absent = || ToldError::NoProgram(program.to_owned());
    let facts = std::fs::metadata(program).map_err(|_| absent())?;
    if !facts.is_file() || facts.permissions().mode() & 0o111 == 0 {
        return Err(absent());
    }
    std::path::absolute(program).map_err(|_| absent())
}

/// Runs the program with the event on its standard input and in its environment. Its standard output is ignored, its
/// standard error is that of the coordinator.
pub async fn run(program: &Path, event: &Event) -> Result<(), ProgramError> {
    let mut json = serde_json::to_vec(event).map_err(|error| ProgramError::Start(std::io::Error::other(error)))?;
    json.push(b'\n');
    let mut child = Command::new(program)
        .env("PRETEXT_EVENT", &event.event)
        .env("PRETEXT_SWEEP", event.sweep.as_str())
        .env("PRETEXT_OUTCOME", event.outcome)
        .env("PRETEXT_SUCCEEDED", event.succeeded.to_string())
        .env("PRETEXT_FAILED", event.failed.to_string())
        .env("PRETEXT_CANCELLED", event.cancelled.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .map_err(ProgramError::Start)?;
    let input = child.stdin.take();
    let ended = async {
        if let Some(mut input) = input {
            // A program that does not read its input needs only its environment.
            let _ = input.write_all(&json).await;
        }
        child.wait().await
    };
    let status = tokio::time::timeout(PATIENCE, ended).await.map_err(|_| ProgramError::Slow)?;
    let status = status.map_err(ProgramError::Start)?;
    if status.success() { Ok(()) } else { Err(ProgramError::Ended(status)) }
}
