//! `coordinator data push`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use pretext_client::Sent;
use pretext_engine::Announcement;
use pretext_messages as messages;
use pretext_shared::dataset::{DatasetFacts, GroupPattern, Source};
use pretext_shared::ids::{ArtifactId, ContentHash, is_valid_name};
use pretext_shared::inventory::Shipment;
use pretext_shared::packing::{Packing, PackingError, pieces};
use pretext_shared::text::{counted, grouped};
use serde::Serialize;

use super::packs::{PackError, PackReader};
use crate::console::{Console, Show, Terminal};
use crate::error::CliError;
use crate::remote::{Remote, connect};
use crate::verdict::Verdict;
use crate::worker_program::WorkerProgram;

#[derive(Debug, Args)]
pub(super) struct PushArgs {
    /// The data set's folder: class folders, a list of images, arrays, Parquet files, shards, CIFAR, IDX files
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The name that sweep files give as `dataset.path` [default: the folder's name]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Pattern that finds the group (slide, patient) in an image's name, as `dataset.groups` in a sweep file
    #[arg(long, value_name = "PATTERN")]
    groups: Option<GroupPattern>,
    #[command(flatten)]
    remote: Remote,
}

/// A pushed data set.
#[derive(Debug, Serialize)]
struct Pushed {
    key: String,
    fingerprint: String,
    files: usize,
    bytes: u64,
    packs: usize,
    /// Packs that were uploaded now.
    uploaded: usize,
    existed: bool,
}

impl Show for Pushed {
    fn text(&self) -> String {
        let Pushed { key, fingerprint, files, bytes, packs, uploaded, existed } = self;
        let existed = if *existed { ", already known" } else { "" };
        let (files, bytes) = (counted(*files, "file"), grouped(bytes.div_ceil(1 << 20)));
        let packs = counted(*packs, "pack");
        let fingerprint: String = fingerprint.chars().take(12).collect();
        format!(
            "{key}: {files}, {bytes} MiB in {packs}, {uploaded} of them uploaded now (fingerprint {fingerprint}{existed})"
        )
    }
}

impl From<PackError> for CliError {
    fn from(error: PackError) -> Self {
        match error {
            PackError::Io { .. } => CliError::environment(error.to_string()),
            PackError::Changed(_) => CliError::input(error.to_string()),
        }
    }
}

impl From<PackingError> for CliError {
    fn from(error: PackingError) -> Self {
        CliError::input(error.to_string())
    }
}

/// Lists a data set as a worker does, uploads the packs that the coordinator does not have, and registers it.
pub(super) async fn push(args: PushArgs, console: &Console) -> Result<Verdict, CliError> {
    if !args.dir.is_dir() {
        return Err(CliError::input(format!("there is no folder {}", args.dir.display())));
    }
    let name = name(&args)?;
    let client = connect(&args.remote).await?;
    console.terminal.say(&format!("reading {}", args.dir.display()));
    let Shipment { facts, files } = WorkerProgram::find()?.shipment(&args.dir, args.groups.as_ref()).await?;
    let facts = called(facts, &name)?;

    let bar = bar(&console.terminal, files.iter().map(|file| file.bytes).sum());
    let mut reader = PackReader::new(&args.dir);
    let (mut packs, mut uploaded) = (Vec::new(), 0);
    for pack in pieces(&files) {
        let content = tokio::task::block_in_place(|| reader.read(&files, &pack))?;
        let (artifact, bytes) = (ArtifactId(ContentHash::of(&content)), content.len() as u64);
        uploaded += usize::from(client.send(artifact, Arc::new(content)).await? == Sent::Now);
        packs.push(artifact);
        bar.inc(bytes);
    }
    bar.finish_and_clear();
    let packing = Packing::new(files, packs)?;
    let text = packing.text()?;
    let id = ArtifactId(ContentHash::of(&text));
    client.send(id, Arc::new(text)).await?;
    let (key, fingerprint) = (facts.key.clone(), facts.fingerprint.to_string());
    let existed =
        client.push(messages::dataset_message(Announcement { key: key.clone(), facts: Ok(facts) }), id).await?;
    let (files, bytes, packs) = (packing.files().len(), packing.bytes(), packing.packs().len());
    console.show(&Pushed { key, fingerprint, files, bytes, packs, uploaded, existed })?;
    Ok(Verdict::Good)
}

/// Returns the given name, or the folder's.
fn name(args: &PushArgs) -> Result<String, CliError> {
    let folder = || {
        let folder = args.dir.canonicalize().ok()?;
        Some(folder.file_name()?.to_str()?.to_owned())
    };
    let name = args.name.clone().or_else(folder).unwrap_or_default();
    if is_valid_name(&name) {
        return Ok(name);
    }
    Err(CliError::Input {
        message: format!(
            "`{}` cannot be the name of a data set: use at most 64 of A-Z a-z 0-9 . _ -, without a leading dot",
            name.escape_debug()
        ),
        help: Some("choose a name with --name".to_owned()),
    })
}

/// Returns the same facts under the data set's name.
fn called(facts: DatasetFacts, name: &str) -> Result<DatasetFacts, CliError> {
    let source: Source = facts.key.parse().map_err(CliError::input)?;
    Ok(DatasetFacts { key: source.at(name).key(), ..facts })
}

fn bar(terminal: &Terminal, bytes: u64) -> ProgressBar {
    let template = "{bar:20} {bytes} of {total_bytes} · {bytes_per_sec} · {eta} left";
    let style = ProgressStyle::with_template(template).expect("the template of this function is well formed");
    terminal.bars.add(ProgressBar::new(bytes).with_style(style.progress_chars("━╸─")))
}
