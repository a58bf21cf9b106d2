//! `coordinator submit`.

use clap::Args;
use pretext_proto::v1 as pb;
use pretext_shared::stage::Extent;
use pretext_shared::text;
use serde::Serialize;

use super::console::{Console, Show};
use super::error::CliError;
use super::sweep_file::SweepFile;
use super::{Verdict, watch};
use crate::remote::{Remote, connect};
use crate::sweep_file::FileArgs;

#[derive(Debug, Args)]
pub(super) struct SubmitArgs {
    #[command(flatten)]
    pub(super) file: FileArgs,
    /// Follow the sweep until all of its cells are final
    #[arg(long)]
    pub(super) watch: bool,
    #[command(flatten)]
    pub(super) remote: Remote,
}

/// The outcome of a submission.
#[derive(Debug, Serialize)]
pub(super) struct Submitted {
    sweep: String,
    existed: bool,
    cancelled: bool,
    cells: u32,
    stages: u32,
    cached: u32,
    smoke: bool,
}

impl Submitted {
    /// Converts the coordinator's answer.
    pub(super) fn new(reply: &pb::SubmitReply, extent: Extent) -> Self {
        Self {
            sweep: reply.sweep.clone(),
            existed: reply.existed,
            cancelled: reply.cancelled,
            cells: reply.cells,
            stages: reply.stages,
            cached: reply.cached,
            smoke: extent == Extent::Smoke,
        }
    }
}

impl Show for Submitted {
    fn text(&self) -> String {
        let Submitted { cells, stages, cached, .. } = self;
        let sweep = text::line(&self.sweep);
        let existed = match (self.existed, self.cancelled) {
            (_, true) => " (it was cancelled and stays cancelled; undo this with `coordinator retry`)",
            (true, false) => " (already known: it continues)",
            (false, false) => "",
        };
        let smoke = if self.smoke { ", a rehearsal of two steps per stage" } else { "" };
        let (cells, stages) = (text::counted(*cells, "cell"), text::counted(*stages, "stage"));
        let have = text::agreeing(*cached, "has", "have");
        format!("{sweep}: {cells}, {stages}, {cached} of them already {have} a result{smoke}{existed}")
    }
}

/// Submits a sweep, and follows it if requested.
pub(super) async fn submit(args: SubmitArgs, console: &Console) -> Result<Verdict, CliError> {
    let file = SweepFile::read(&args.file.file)?;
    let client = connect(&args.remote).await?;
    let reply = client.submit(&file.text, args.file.extent()).await.map_err(|error| file.refused(error))?;
    console.show(&Submitted::new(&reply, args.file.extent()))?;
    if args.watch {
        return watch::follow_to_the_end(client, reply.sweep, console).await;
    }
    console.terminal.say(&format!("follow it with `coordinator watch {}`", reply.sweep));
    Ok(Verdict::Good)
}
