//! `coordinator gc`.

use std::time::Duration;

use clap::Args;
use pretext_proto::v1 as pb;
use pretext_proto::v1::collected::What;
use pretext_shared::text::{counted, grouped};
use serde::Serialize;

use super::columns::{Align, Columns};
use super::console::{Console, Show};
use super::error::CliError;
use super::progress::span;
use crate::remote::{Remote, connect};
use crate::values::lifetime;
use crate::verdict::Verdict;

#[derive(Debug, Args)]
pub(super) struct GcArgs {
    /// Remove nothing; show what would be removed
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Keep artifacts that are younger than this, because the message that refers to them may still come
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = lifetime)]
    pub(super) grace: Duration,
    #[command(flatten)]
    pub(super) remote: Remote,
}

/// The removed artifacts (with `--dry-run`, those that would be removed), and counts of the others.
#[derive(Debug, Default, Serialize)]
struct Collection {
    dry_run: bool,
    garbage: Vec<Line>,
    /// Total size of `garbage`, in bytes.
    bytes: u64,
    kept: Kept,
    grace_s: u64,
}

#[derive(Debug, Serialize)]
struct Line {
    artifact: String,
    bytes: u64,
    age_s: u64,
}

#[derive(Debug, Default, Serialize)]
struct Kept {
    needed: u64,
    needed_bytes: u64,
    young: u64,
    young_bytes: u64,
}

impl Collection {
    fn add(&mut self, message: pb::Collected) {
        match message.what {
            Some(What::Artifact(pb::CollectedArtifact { artifact, bytes, age_s })) => {
                self.bytes += bytes;
                self.garbage.push(Line { artifact, bytes, age_s });
            }
            Some(What::Kept(pb::CollectSummary { needed, needed_bytes, young, young_bytes })) => {
                self.kept = Kept { needed, needed_bytes, young, young_bytes };
            }
            None => {}
        }
    }
}

impl Show for Collection {
    fn text(&self) -> String {
        let mut out = String::new();
        if !self.garbage.is_empty() {
            let mut columns =
                Columns::new(&[("artifact", Align::Left), ("bytes", Align::Right), ("age", Align::Right)]);
            for line in &self.garbage {
                columns.row([line.artifact.clone(), grouped(line.bytes), span(Duration::from_secs(line.age_s))]);
            }
            out = columns.render();
        }
        let Kept { needed, needed_bytes, young, young_bytes } = &self.kept;
        let done = if self.dry_run { "would be removed" } else { "removed" };
        out += &format!(
            "{done}: {}, {} bytes; needed: {needed}, {} bytes; younger than {}: {young}, {} bytes",
            counted(self.garbage.len(), "artifact"),
            grouped(self.bytes),
            grouped(*needed_bytes),
            span(Duration::from_secs(self.grace_s)),
            grouped(*young_bytes)
        );
        out
    }
}

/// Collects garbage. If it fails midway, the artifacts removed until then are shown too.
pub(super) async fn gc(args: GcArgs, console: &Console) -> Result<Verdict, CliError> {
    let grace_s = args.grace.as_secs();
    let client = connect(&args.remote).await?;
    let mut collection = Collection { dry_run: args.dry_run, grace_s, ..Collection::default() };
    let ended =
        client.collect(pb::CollectRequest { dry_run: args.dry_run, grace_s }, |message| collection.add(message)).await;
    if ended.is_ok() || !collection.garbage.is_empty() {
        console.show(&collection)?;
    }
    ended?;
    Ok(Verdict::Good)
}
