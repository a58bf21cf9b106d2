//! `coordinator cancel`, `coordinator retry` and `coordinator delete`.

use clap::Args;
use pretext_shared::text::counted;
use serde::Serialize;

use super::console::{Console, Show};
use super::error::CliError;
use crate::remote::{SweepArgs, connect};
use crate::verdict::Verdict;

#[derive(Debug, Args)]
pub(super) struct RetryArgs {
    #[command(flatten)]
    pub(super) sweep: SweepArgs,
    /// Run only failed stages again; refuse a cancelled sweep
    #[arg(long)]
    pub(super) failed: bool,
}

#[derive(Debug, Args)]
pub(super) struct DeleteArgs {
    #[command(flatten)]
    pub(super) sweep: SweepArgs,
    /// Delete the results of the sweep for good; without it, nothing is deleted
    #[arg(long)]
    pub(super) yes: bool,
}

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
            "{sweep} is cancelled: {cells} cells will have no result, {stages} stages stop or will not start \
             (stages that another sweep needs continue)"
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
            0 => format!("{}: there is nothing to run again", self.sweep),
            stages => format!("{}: {} will run again", self.sweep, counted(stages, "stage")),
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
                message: format!("{} is cancelled: its failed stages cannot run alone", view.id),
                help: Some(format!("`coordinator retry {}` also undoes the cancellation", view.id)),
            });
        }
    }
    let reply = client.retry(&args.sweep.sweep).await?;
    console.show(&Retried { sweep: reply.sweep, stages: reply.stages })?;
    Ok(Verdict::Good)
}

#[derive(Debug, Serialize)]
struct Deleted {
    sweep: String,
    cells: u32,
    stages: u32,
}

impl Show for Deleted {
    fn text(&self) -> String {
        let Deleted { sweep, cells, stages } = self;
        format!(
            "{sweep} is deleted: {cells} cells, and {stages} stages that no other sweep needs; `coordinator gc` \
             removes their files later"
        )
    }
}

/// Deletes a sweep that does not run.
pub(super) async fn delete(args: DeleteArgs, console: &Console) -> Result<Verdict, CliError> {
    let sweep = &args.sweep.sweep;
    if !args.yes {
        return Err(CliError::Input {
            message: format!("nothing was deleted: the results of {sweep} would be lost for good"),
            help: Some(format!("write the report first, then run `coordinator delete {sweep} --yes`")),
        });
    }
    let reply = connect(&args.sweep.remote).await?.delete(sweep).await?;
    console.show(&Deleted { sweep: reply.sweep, cells: reply.cells, stages: reply.stages })?;
    Ok(Verdict::Good)
}
