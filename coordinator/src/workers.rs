//! `coordinator workers`.

use std::time::Duration;

use clap::Args;
use pretext_proto::v1 as pb;
use pretext_shared::text;
use serde::Serialize;

use super::columns::{Align, Columns};
use super::console::{Console, Show};
use super::error::CliError;
use super::progress::span;
use crate::remote::{Remote, connect};
use crate::verdict::Verdict;

#[derive(Debug, Args)]
pub(super) struct WorkersArgs {
    #[command(flatten)]
    pub(super) remote: Remote,
}

/// All workers.
#[derive(Debug, Serialize)]
pub(super) struct Workers {
    workers: Vec<WorkerLine>,
}

impl Workers {
    /// Converts the coordinator's answer.
    pub(super) fn new(summaries: Vec<pb::WorkerSummary>) -> Self {
        Self { workers: summaries.into_iter().map(WorkerLine::from).collect() }
    }
}

#[derive(Debug, Serialize)]
struct WorkerLine {
    name: String,
    boot: String,
    version: String,
    connected: bool,
    silent_ms: u64,
    devices: Vec<DeviceLine>,
    datasets: Vec<DatasetLine>,
    holds: Vec<HeldLine>,
}

#[derive(Debug, Serialize)]
struct DeviceLine {
    name: String,
    description: String,
    class: String,
    slots: u32,
    /// `good`, `on-probation` or `drained`.
    state: String,
    /// Why it is drained.
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct DatasetLine {
    key: String,
    fingerprint: Option<String>,
    classes: usize,
    train: u64,
    test: u64,
    problem: Option<String>,
}

#[derive(Debug, Serialize)]
struct HeldLine {
    stage: String,
    fence: u64,
    device: String,
    step: u64,
}

impl From<pb::WorkerSummary> for WorkerLine {
    fn from(summary: pb::WorkerSummary) -> Self {
        let worker = summary.worker.unwrap_or_default();
        Self {
            name: worker.name,
            boot: worker.boot,
            version: summary.version,
            connected: summary.connected,
            silent_ms: summary.silent_ms,
            devices: summary.devices.into_iter().map(|device| DeviceLine::new(device, &summary.unwell)).collect(),
            datasets: summary.datasets.into_iter().map(DatasetLine::from).collect(),
            holds: summary.holds.into_iter().map(HeldLine::from).collect(),
        }
    }
}

impl DeviceLine {
    fn new(device: pb::Device, unwell: &[pb::UnwellDevice]) -> Self {
        let pb::Device { name, description, numeric_class: class, slots } = device;
        let unwell = unwell.iter().find(|unwell| unwell.device == name);
        let state = unwell.map_or_else(|| "good".to_owned(), |unwell| unwell.state.clone());
        let reason = unwell.map(|unwell| unwell.reason.clone()).filter(|reason| !reason.is_empty());
        Self { name, description, class, slots, state, reason }
    }
}

impl From<pb::Dataset> for DatasetLine {
    fn from(data: pb::Dataset) -> Self {
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        let total = |counts: &[u32]| counts.iter().map(|n| u64::from(*n)).sum();
        Self {
            classes: data.classes.len(),
            train: total(&data.train),
            test: total(&data.test),
            key: data.key,
            fingerprint: some(data.fingerprint),
            problem: some(data.problem),
        }
    }
}

impl From<pb::HeldStage> for HeldLine {
    fn from(held: pb::HeldStage) -> Self {
        let attempt = held.attempt.unwrap_or_default();
        Self { stage: attempt.stage, fence: attempt.fence, device: held.device, step: held.step }
    }
}

impl Show for Workers {
    fn text(&self) -> String {
        if self.workers.is_empty() {
            return "no worker has registered: start one with `worker --coordinator URL`".to_owned();
        }
        let headings = ["worker", "state", "device", "class", "busy"].map(|heading| (heading, Align::Left));
        let mut columns = Columns::new(&[&headings[..], &[("description", Align::Left)]].concat());
        for worker in &self.workers {
            let silent = span(Duration::from_millis(worker.silent_ms));
            let state = if worker.connected { "connected".to_owned() } else { format!("silent for {silent}") };
            for device in &worker.devices {
                let busy = worker.holds.iter().filter(|held| held.device == device.name).count();
                let busy = format!("{busy} of {}", device.slots);
                columns.row(
                    [&worker.name, &state, &device.name, &device.class, &busy, &device.description].map(Clone::clone),
                );
            }
        }
        let mut out = columns.render();
        for worker in &self.workers {
            for device in worker.devices.iter().filter(|device| device.state != "good") {
                let why = match &device.reason {
                    Some(reason) => format!("is {}: {reason}", device.state),
                    None => format!("is {}: it gets one stage at a time until one succeeds", device.state),
                };
                out.push_str(&text::line(&format!("{} of {} {why}", device.name, worker.name)));
                out.push('\n');
            }
            for data in &worker.datasets {
                let what = match &data.problem {
                    Some(problem) => format!("cannot be used: {problem}"),
                    None => format!(
                        "{}, {} and {}",
                        text::counted(data.classes, "class"),
                        text::counted(data.train, "training image"),
                        text::counted(data.test, "test image")
                    ),
                };
                out.push_str(&text::line(&format!("{} has {}: {what}", worker.name, data.key)));
                out.push('\n');
            }
        }
        out
    }
}

/// Lists workers.
pub(super) async fn workers(args: WorkersArgs, console: &Console) -> Result<Verdict, CliError> {
    console.show(&Workers::new(connect(&args.remote).await?.workers().await?))?;
    Ok(Verdict::Good)
}
