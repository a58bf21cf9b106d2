//! `coordinator data`: manages the data sets that the coordinator keeps for workers to fetch, so that they need no
//! shared disk.

mod packs;
mod push;

use clap::{Args, Subcommand};
use pretext_proto::v1 as pb;
use pretext_shared::text::{grouped, line};
use serde::Serialize;

use self::push::PushArgs;
use super::columns::{Align, Columns};
use super::console::{Console, Show};
use super::error::CliError;
use crate::remote::{Remote, connect};
use crate::verdict::Verdict;

#[derive(Debug, Args)]
pub(super) struct DataArgs {
    #[command(subcommand)]
    action: DataAction,
}

#[derive(Debug, Subcommand)]
enum DataAction {
    /// Upload a data set; a repeated push uploads only what is missing
    Push(PushArgs),
    /// List the data sets that were pushed
    List {
        #[command(flatten)]
        remote: Remote,
    },
    /// Remove a data set; workers delete their copies when they need the space
    Remove {
        /// The fingerprint, or an unambiguous beginning of it
        #[arg(value_name = "FINGERPRINT")]
        fingerprint: String,
        #[command(flatten)]
        remote: Remote,
    },
}

/// `coordinator data`.
pub(super) async fn data(args: DataArgs, console: &Console) -> Result<Verdict, CliError> {
    match args.action {
        DataAction::Push(args) => push::push(args, console).await,
        DataAction::List { remote } => list(&remote, console).await,
        DataAction::Remove { fingerprint, remote } => remove(&fingerprint, &remote, console).await,
    }
}

/// All pushed data sets.
#[derive(Debug, Serialize)]
pub(super) struct Listed {
    datasets: Vec<ListedData>,
}

impl Listed {
    /// Converts the coordinator's answer.
    pub(super) fn new(datasets: Vec<pb::PushedDataset>) -> Self {
        Self { datasets: datasets.into_iter().map(ListedData::from).collect() }
    }
}

#[derive(Debug, Serialize)]
struct ListedData {
    key: String,
    fingerprint: String,
    classes: usize,
    train: u64,
    test: u64,
    files: u64,
    bytes: u64,
    packs: u64,
    pushed_ms: u64,
}

impl From<pb::PushedDataset> for ListedData {
    fn from(data: pb::PushedDataset) -> Self {
        let pb::PushedDataset { dataset, files, bytes, packs, pushed_ms } = data;
        let dataset = dataset.unwrap_or_default();
        let total = |counts: &[u32]| counts.iter().map(|n| u64::from(*n)).sum();
        Self {
            classes: dataset.classes.len(),
            train: total(&dataset.train),
            test: total(&dataset.test),
            key: dataset.key,
            fingerprint: dataset.fingerprint,
            files,
            bytes,
            packs,
            pushed_ms,
        }
    }
}

impl Show for Listed {
    fn text(&self) -> String {
        if self.datasets.is_empty() {
            return "no data set was pushed: push one with `coordinator data push DIR`".to_owned();
        }
        let words = ["data set", "fingerprint"].map(|heading| (heading, Align::Left));
        let numbers = ["classes", "training", "test", "files", "MiB"].map(|heading| (heading, Align::Right));
        let mut columns = Columns::new(&[&words[..], &numbers].concat());
        for data in &self.datasets {
            let numbers = [data.classes as u64, data.train, data.test, data.files, data.bytes.div_ceil(1 << 20)];
            let start = data.fingerprint.chars().take(12).collect();
            columns.row([data.key.clone(), start].into_iter().chain(numbers.map(grouped)));
        }
        columns.render()
    }
}

async fn list(remote: &Remote, console: &Console) -> Result<Verdict, CliError> {
    let datasets = connect(remote).await?.pushed().await?;
    console.show(&Listed::new(datasets))?;
    Ok(Verdict::Good)
}

/// A removed data set.
#[derive(Debug, Serialize)]
pub(super) struct Gone {
    key: String,
    fingerprint: String,
    artifacts: u64,
}

impl Show for Gone {
    fn text(&self) -> String {
        let Gone { key, fingerprint, artifacts } = self;
        let what = line(&format!("{key} ({fingerprint})"));
        format!("{what} is removed, with {artifacts} artifacts that nothing else needs")
    }
}

impl From<pb::RemoveDataReply> for Gone {
    fn from(pb::RemoveDataReply { fingerprint, key, artifacts }: pb::RemoveDataReply) -> Self {
        Self { key, fingerprint, artifacts }
    }
}

async fn remove(fingerprint: &str, remote: &Remote, console: &Console) -> Result<Verdict, CliError> {
    let gone = connect(remote).await?.remove_pushed(fingerprint).await?;
    console.show(&Gone::from(gone))?;
    Ok(Verdict::Good)
}
