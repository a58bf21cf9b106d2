//! Messages to domain types and back.

use std::str::FromStr;

use pretext_proto::v1 as pb;
use pretext_shared::dataset::DatasetFacts;
use pretext_shared::device::DeviceFacts;
use pretext_shared::ids::{AttemptId, Fence, WorkerId, is_valid_name};
use pretext_shared::point::{Metric, Part, Point};
use tonic::Status;

use crate::engine::{Announcement, CellCounts, Offer, SweepStatus, WorkerView};

/// Characters of what came from outside that a message repeats.
const LONGEST: usize = 200;

/// What came from outside as a message repeats it: not long, nothing that a terminal would obey.
pub(super) fn shown(text: &str) -> String {
    let mut escaped = text.chars().flat_map(char::escape_debug);
    let mut shown: String = escaped.by_ref().take(LONGEST).collect();
    if escaped.next().is_some() {
        shown.push('…');
    }
    shown
}

/// A field that must be there.
pub(super) fn required<T>(field: Option<T>, name: &str) -> Result<T, Status> {
    field.ok_or_else(|| Status::invalid_argument(format!("`{name}` is missing")))
}

/// A field that must parse.
pub(super) fn parsed<T: FromStr>(text: &str, name: &str) -> Result<T, Status>
where
    T::Err: std::fmt::Display,
{
    let refused = |error: T::Err| Status::invalid_argument(format!("`{name}`: {}", shown(&error.to_string())));
    text.parse().map_err(refused)
}

pub(super) fn attempt(message: Option<pb::Attempt>) -> Result<AttemptId, Status> {
    let message = required(message, "attempt")?;
    Ok(AttemptId { stage: parsed(&message.stage, "attempt.stage")?, fence: Fence(message.fence) })
}

pub(super) fn attempt_message(attempt: AttemptId) -> pb::Attempt {
    pb::Attempt { stage: attempt.stage.to_string(), fence: attempt.fence.0 }
}

pub(super) fn worker(message: Option<pb::Worker>) -> Result<WorkerId, Status> {
    let message = required(message, "worker")?;
    if !is_valid_name(&message.name) {
        return Err(Status::invalid_argument(format!(
            "`{}` is not a worker name: at most 64 of A-Z a-z 0-9 . _ -, no leading dot",
            shown(&message.name)
        )));
    }
    Ok(WorkerId { name: message.name, boot: parsed(&message.boot, "worker.boot")? })
}

pub(super) fn offer(message: pb::RegisterRequest) -> Result<Offer, Status> {
    let devices = message.devices.into_iter().map(device).collect::<Result<_, _>>()?;
    let datasets = message.datasets.into_iter().map(dataset).collect::<Result<_, _>>()?;
    Ok(Offer { devices, datasets, version: message.version })
}

fn device(message: pb::Device) -> Result<DeviceFacts, Status> {
    Ok(DeviceFacts {
        class: parsed(&message.numeric_class, "device.numeric_class")?,
        name: message.name,
        description: message.description,
        slots: message.slots,
    })
}

fn dataset(message: pb::Dataset) -> Result<Announcement, Status> {
    let facts = if message.problem.is_empty() {
        Ok(DatasetFacts {
            key: message.key.clone(),
            fingerprint: parsed(&message.fingerprint, "dataset.fingerprint")?,
            classes: message.classes,
            train: message.train,
            test: message.test,
            groups: message.groups.into_iter().map(|group| group.train).collect(),
        })
    } else {
        Err(message.problem)
    };
    Ok(Announcement { key: message.key, facts })
}

fn dataset_message(data: Announcement) -> pb::Dataset {
    match data.facts {
        Ok(facts) => pb::Dataset {
            key: data.key,
            fingerprint: facts.fingerprint.to_string(),
            classes: facts.classes,
            train: facts.train,
            test: facts.test,
            groups: facts.groups.into_iter().map(|train| pb::Group { train }).collect(),
            problem: String::new(),
        },
        Err(problem) => pb::Dataset { key: data.key, problem, ..Default::default() },
    }
}

pub(super) fn point(message: &pb::Point) -> Result<Point, Status> {
    let part = match message.part.as_str() {
        "train" => Part::Train,
        "validation" => Part::Validation,
        "test" => Part::Test,
        other => return Err(Status::invalid_argument(format!("`{}` is not a part", shown(other)))),
    };
    let metric = match message.metric.as_str() {
        "loss" => Metric::Loss,
        "accuracy" => Metric::Accuracy,
        "step-loss" => Metric::StepLoss,
        "learning-rate" => Metric::LearningRate,
        "knn-accuracy" => Metric::KnnAccuracy,
        other => return Err(Status::invalid_argument(format!("`{}` is not a metric", shown(other)))),
    };
    if !message.value.is_finite() {
        return Err(Status::invalid_argument("a point's value must be finite"));
    }
    Ok(Point { part, metric, epoch: message.epoch, step: message.step, value: message.value })
}

pub(super) fn counts(counts: CellCounts) -> pb::CellCounts {
    pb::CellCounts {
        pending: counts.pending as u32,
        running: counts.running as u32,
        succeeded: counts.succeeded as u32,
        failed: counts.failed as u32,
        cancelled: counts.cancelled as u32,
    }
}

pub(super) fn summary(status: &SweepStatus) -> pb::SweepSummary {
    pb::SweepSummary {
        sweep: status.id.to_string(),
        cells: Some(counts(status.cells)),
        submitted_ms: status.submitted_ms,
        cancelled: status.mark.is_cancelled(),
        smoke: status.extent == pretext_shared::stage::Extent::Smoke,
    }
}

pub(super) fn watch_event(status: SweepStatus) -> pb::WatchEvent {
    pb::WatchEvent {
        sweep: status.id.to_string(),
        cells: Some(counts(status.cells)),
        running: status
            .running
            .into_iter()
            .map(|stage| pb::RunningStage {
                stage: stage.attempt.stage.to_string(),
                kind: stage.kind.to_owned(),
                cell: stage.cell,
                cells: stage.cells as u32,
                worker: stage.worker,
                device: stage.device,
                step: stage.step,
                total: stage.total,
            })
            .collect(),
        steps_done: status.steps.0,
        steps_total: status.steps.1,
        r#final: status.cells.is_final(),
        obstacles: status.obstacles,
        images_done: status.images.0,
        images_total: status.images.1,
    }
}

pub(super) fn worker_summary(view: WorkerView) -> pb::WorkerSummary {
    pb::WorkerSummary {
        worker: Some(pb::Worker { name: view.worker.name, boot: view.worker.boot.to_string() }),
        devices: view
            .offer
            .devices
            .into_iter()
            .map(|device| pb::Device {
                name: device.name,
                description: device.description,
                numeric_class: device.class.to_string(),
                slots: device.slots,
            })
            .collect(),
        datasets: view.offer.datasets.into_iter().map(dataset_message).collect(),
        holds: view
            .holds
            .into_iter()
            .map(|(attempt, device, step)| pb::HeldStage { attempt: Some(attempt_message(attempt)), device, step })
            .collect(),
        silent_ms: view.silent_ms,
        connected: view.connected,
        version: view.offer.version,
    }
}
