//! `GET /api/v1/workers`: all workers that have registered, with their devices and the stages that they hold.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use pretext_engine::{DeviceState, WorkerView};
use pretext_shared::device::NumericClass;
use pretext_shared::ids::StageId;
use serde::Serialize;

use super::error::ApiError;
use super::json;
use super::query::Query;
use crate::http::Site;

#[derive(Serialize)]
struct Workers {
    workers: Vec<Worker>,
}

#[derive(Serialize)]
struct Worker {
    name: String,
    boot: String,
    version: String,
    connected: bool,
    /// Milliseconds since its last sign of life.
    silent_ms: u64,
    devices: Vec<Device>,
}

#[derive(Serialize)]
struct Device {
    name: String,
    description: String,
    class: NumericClass,
    slots: u32,
    /// `good`, `drained` or `on-probation`.
    health: &'static str,
    /// Why it is drained.
    reason: Option<String>,
    holds: Vec<Held>,
}

#[derive(Serialize)]
struct Held {
    stage: StageId,
    step: u64,
}

/// See the module.
pub(super) async fn workers(State(site): State<Arc<Site>>, uri: Uri) -> Result<Response, ApiError> {
    Query::of(&uri, &[])?;
    let workers = site.core.call(|engine, now| engine.workers(now.mono)).await?;
    Ok(json(&Workers { workers: workers.into_iter().map(record).collect() }))
}

fn record(view: WorkerView) -> Worker {
    let devices = view.offer.devices.iter().map(|device| {
        let (health, reason) = match view.unwell.get(&device.name) {
            None | Some(DeviceState::Good) => ("good", None),
            Some(DeviceState::OnProbation) => ("on-probation", None),
            Some(DeviceState::Drained { reason }) => ("drained", Some(reason.clone())),
        };
        let held = view.holds.iter().filter(|(_, on, _)| *on == device.name);
        Device {
            name: device.name.clone(),
            description: device.description.clone(),
            class: device.class,
            slots: device.slots,
            health,
            reason,
            holds: held.map(|(attempt, _, step)| Held { stage: attempt.stage, step: *step }).collect(),
        }
    });
    Worker {
        devices: devices.collect(),
        name: view.worker.name,
        boot: view.worker.boot.to_string(),
        version: view.offer.version,
        connected: view.connected,
        silent_ms: view.silent_ms,
    }
}
