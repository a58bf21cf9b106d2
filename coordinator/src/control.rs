//! `coordinator cancel` and `coordinator retry`.

use serde::Serialize;

use super::Verdict;
use super::args::{RetryArgs, SweepArgs};
use super::console::{Console, Show};
use super::error::CliError;
use crate::remote::connect;

#[derive(Debug, Serialize)]
struct Cancelled {
    sweep: String,
    cells: u32,
    stages: u32,
}

impl Show for Cancelled {
    fn text(&self) -> String {
        let Cancelled { sweep, cells, stages } = self;
        format!(
            "{sweep} is cancelled: {cells} cells will have no result, {stages} stages stop or do not start \
             (stages that another sweep needs go on)"
        )
    }
}

/// Cancels a sweep.
pub(super) async fn cancel(args: SweepArgs, console: &Console) -> Result<Verdict, CliError> {
    let reply = connect(&args.remote).await?.cancel(&args.sweep).await?;
    console.show(&Cancelled { sweep: reply.sweep, cells: reply.cells, stages: reply.stages })?;
    Ok(Verdict::Good)
}

#[derive(Debug, Serialize)]
struct Retried {
    sweep: String,
    stages: u32,
}

impl Show for Retried {
    fn text(&self) -> String {
        match self.stages {
            0 => format!("{}: nothing to run again", self.sweep),
            stages => format!("{}: {stages} stages run again", self.sweep),
        }
    }
}

/// Lets stages of a sweep run again.
pub(super) async fn retry(args: RetryArgs, console: &Console) -> Result<Verdict, CliError> {
    let client = connect(&args.sweep.remote).await?;
    if args.failed {
        let view = client.sweep(&args.sweep.sweep).await?;
        if view.is_cancelled() {
            return Err(CliError::Input {
                message: format!("{} was cancelled: running its failed stages alone would lead nowhere", view.id),
                help: Some(format!("`coordinator retry {}` takes the cancellation back too", view.id)),
            });
        }
    }
    let reply = client.retry(&args.sweep.sweep).await?;
    console.show(&Retried { sweep: reply.sweep, stages: reply.stages })?;
    Ok(Verdict::Good)
}
