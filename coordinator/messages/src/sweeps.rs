//! Conversions for the service of people and scripts: sweeps, workers and collections of garbage.

use pretext_engine::{CellCounts, Collected, DeviceState, Forecast, SweepStatus, WorkerView};
use pretext_proto::v1 as pb;
use pretext_shared::stage::Extent;

use super::work::{attempt_message, dataset_message, device_message, worker_message};

/// Returns a count as messages have it; a larger count becomes the largest `u32`.
fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Converts an event of a garbage collection.
pub fn collected(event: Collected) -> pb::Collected {
    use pb::collected::What;
    let what = match event {
        Collected::Garbage(held) => What::Artifact(pb::CollectedArtifact {
            artifact: held.artifact.to_string(),
            bytes: held.bytes,
            age_s: held.age.as_secs(),
        }),
        Collected::Stays(needed, young) => What::Kept(pb::CollectSummary {
            needed: needed.artifacts,
            needed_bytes: needed.bytes,
            young: young.artifacts,
            young_bytes: young.bytes,
        }),
    };
    pb::Collected { what: Some(what) }
}

/// Converts the number of cells in each state.
pub fn counts(counts: CellCounts) -> pb::CellCounts {
    pb::CellCounts {
        pending: count(counts.pending),
        running: count(counts.running),
        succeeded: count(counts.succeeded),
        failed: count(counts.failed),
        cancelled: count(counts.cancelled),
    }
}

/// Converts the summary of a sweep.
pub fn summary(status: &SweepStatus) -> pb::SweepSummary {
    pb::SweepSummary {
        sweep: status.id.to_string(),
        cells: Some(counts(status.cells)),
        submitted_ms: status.submitted_ms,
        cancelled: status.mark.is_cancelled(),
        smoke: status.extent == Extent::Smoke,
    }
}

/// Converts the state of a sweep at one moment.
pub fn watch_event(status: SweepStatus, forecast: Option<Forecast>) -> pb::WatchEvent {
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
                cells: count(stage.cells),
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
        left: forecast.map(|forecast| pb::TimeLeft {
            known_ms: forecast.left_ms as u64,
            unknown_stages: count(forecast.unknown),
        }),
    }
}

/// Converts a worker as the coordinator sees it.
pub fn worker_summary(view: WorkerView) -> pb::WorkerSummary {
    pb::WorkerSummary {
        worker: Some(worker_message(view.worker)),
        devices: view.offer.devices.into_iter().map(device_message).collect(),
        datasets: view.offer.datasets.into_iter().map(dataset_message).collect(),
        holds: view
            .holds
            .into_iter()
            .map(|(attempt, device, step)| pb::HeldStage { attempt: Some(attempt_message(attempt)), device, step })
            .collect(),
        silent_ms: view.silent_ms,
        connected: view.connected,
        version: view.offer.version,
        unwell: view.unwell.into_iter().map(unwell_device).collect(),
    }
}

fn unwell_device((device, state): (String, DeviceState)) -> pb::UnwellDevice {
    let name = state.as_str().to_owned();
    let reason = match state {
        DeviceState::Drained { reason } => reason,
        DeviceState::Good | DeviceState::OnProbation => String::new(),
    };
    pb::UnwellDevice { device, state: name, reason }
}
