//! `coordinator plan`: shows what a sweep file would run, without running anything.

mod table;

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use pretext_engine::submission::{self, Announced};
use pretext_shared::dataset::Source;
use pretext_shared::ids::StageId;
use pretext_shared::plan::Plan;
use serde::Serialize;

use super::console::{Console, Show};
use super::error::CliError;
use super::sweep_file::SweepFile;
use super::worker_program::WorkerProgram;
use crate::remote::{Remote, connect};
use crate::sweep_file::FileArgs;
use crate::verdict::Verdict;

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    pub(super) file: FileArgs,
    /// The folder that `dataset.path` is relative to; used if no coordinator is named
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(super) data_root: PathBuf,
    /// Also show the chain of stages of each cell
    #[arg(long)]
    pub(super) cells: bool,
    /// Plan for the devices and data that this coordinator's workers announce; without it, plan for this machine
    #[command(flatten)]
    pub(super) remote: Remote,
}

/// A plan, and which of its stages have a result.
#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    plan: Plan,
    /// Stages that have a result; `None` if no coordinator was asked.
    cached: Option<BTreeSet<StageId>>,
    #[serde(skip)]
    chains: Chains,
}

/// Whether to show the chain of each cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chains {
    Shown,
    Hidden,
}

impl Show for Shown {
    fn text(&self) -> String {
        let mut text = table::render(&self.plan, self.cached.as_ref());
        if self.chains == Chains::Shown {
            text.push_str(&table::chains(&self.plan));
        }
        text
    }
}

/// Plans for the named coordinator, or for this machine if none was named.
pub(super) async fn plan(args: PlanArgs, console: &Console) -> Result<Verdict, CliError> {
    let file = SweepFile::read(&args.file.file)?;
    let chains = if args.cells { Chains::Shown } else { Chains::Hidden };
    let shown = match args.remote.named() {
        Some(_) => {
            let client = connect(&args.remote).await?;
            let reply = client.plan(&file.text, args.file.extent()).await.map_err(|error| file.refused(error))?;
            // If this version cannot read an id, the id belongs to no stage of the plan.
            let cached = reply.cached.iter().filter_map(|id| id.parse().ok()).collect();
            Shown { plan: client.decode(reply.plan_json.as_bytes())?, cached: Some(cached), chains }
        }
        None => Shown { plan: here(&file, &args).await?, cached: None, chains },
    };
    console.show(&shown)?;
    Ok(Verdict::Good)
}

async fn here(file: &SweepFile, args: &PlanArgs) -> Result<Plan, CliError> {
    let sweep = &file.sweep;
    let class = match sweep.numeric {
        Some(class) => class,
        None => WorkerProgram::find()?.class().await?,
    };
    let mut announced = Announced::new();
    for source in sweep.sources().filter(|source| !matches!(source, Source::Procedural(_))) {
        let facts = WorkerProgram::find()?.facts(source, &args.data_root).await?;
        announced.insert(source.key(), vec![Ok(facts)]);
    }
    let planned = submission::plan(&file.text, args.file.extent(), &announced, class);
    Ok(planned.map_err(|error| file.not_planned(error))?.plan)
}
