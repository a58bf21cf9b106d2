//! `coordinator plan`: shows what a sweep file would run, without running anything.

mod data;
mod table;
mod time;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;
use pretext_engine::submission::{self, Announced};
use pretext_shared::dataset::DatasetFacts;
use pretext_shared::ids::StageId;
use pretext_shared::plan::Plan;
use serde::Serialize;

use data::Data;
use time::Time;

use super::console::{Console, Show};
use super::error::CliError;
use super::sweep_file::SweepFile;
use super::worker_program::{WorkerProgram, class_of};
use crate::look::{look, room};
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
    /// The data sets: the sweep's, and the one for pretext training if it is another.
    data: Vec<Data>,
    /// Stages that have a result; `None` if no coordinator was asked.
    cached: Option<BTreeSet<StageId>>,
    /// How long the other stages will take; `None` if no coordinator was asked.
    time: Option<Time>,
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
        let data: String = self.data.iter().map(Data::text).collect();
        let mut text = table::render(&self.plan, &data, self.cached.as_ref());
        text.extend(self.time.as_ref().map(Time::text));
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
            let plan = client.decode(reply.plan_json.as_bytes())?;
            // A coordinator of an older version does not send the facts.
            let facts: Vec<DatasetFacts> = match reply.data_json.is_empty() {
                true => Vec::new(),
                false => client.decode(reply.data_json.as_bytes())?,
            };
            let data = Data::announced(&file.sweep, &facts);
            Shown { plan, data, cached: Some(cached), time: reply.estimate.map(Time::from), chains }
        }
        None => {
            let (plan, data) = here(&file, &args).await?;
            Shown { plan, data, cached: None, time: None, chains }
        }
    };
    console.show(&shown)?;
    Ok(Verdict::Good)
}

async fn here(file: &SweepFile, args: &PlanArgs) -> Result<(Plan, Vec<Data>), CliError> {
    // What an earlier `run` in this folder has hashed and decoded.
    let cache = Path::new(".pretext/worker/hashes");
    let cache = cache.parent().is_some_and(Path::is_dir).then_some(cache);
    let looked = look(file, &args.data_root, cache).await?;
    let (class, room) = match file.sweep.numeric {
        Some(class) => {
            // The file says all that the plan needs: without the program, only the memory of this machine is unknown.
            let devices = match WorkerProgram::find() {
                Ok(program) => program.devices().await.unwrap_or_default(),
                Err(_) => Vec::new(),
            };
            (class, room(&devices))
        }
        None => {
            let devices = WorkerProgram::find()?.devices().await?;
            (class_of(&devices), room(&devices))
        }
    };
    let announced: Announced =
        looked.iter().map(|looked| (looked.source.key(), vec![Ok(looked.facts.clone())])).collect();
    let planned = submission::plan(&file.text, args.file.extent(), &announced, class);
    let plan = planned.map_err(|error| file.not_planned(error))?.plan;
    Ok((plan, looked.into_iter().map(|looked| Data::here(looked, room)).collect()))
}
