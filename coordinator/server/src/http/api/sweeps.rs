//! `GET /api/v1/sweeps` and `GET /api/v1/sweeps/SWEEP`: how far sweeps are, and the axes of one sweep.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use pretext_engine::{RunningStage, SweepStatus};
use pretext_shared::ids::{StageId, SweepId};
use pretext_shared::split::Fraction;
use pretext_shared::stage::{Extent, Method};
use serde::Serialize;

use super::error::ApiError;
use super::query::Query;
use super::{InPath, json, sweep_id};
use crate::http::Site;
use crate::http::roster::Roster;

#[derive(Serialize)]
struct Sweeps {
    sweeps: Vec<SweepRecord>,
}

/// A sweep and how far it is.
#[derive(Serialize)]
struct SweepRecord {
    sweep: SweepId,
    /// Milliseconds since the Unix epoch.
    submitted_ms: u64,
    /// `smoke` for a rehearsal, whose numbers mean nothing.
    extent: Extent,
    cancelled: bool,
    /// Whether no cell can change any more.
    is_final: bool,
    /// Number of cells by state.
    cells: Counts,
    /// Finished steps, and all steps.
    steps: [u64; 2],
    /// Finished images, and all images.
    images: [u64; 2],
    /// Why stages that are ready cannot run.
    obstacles: Vec<String>,
}

#[derive(Serialize)]
struct Counts {
    pending: usize,
    running: usize,
    succeeded: usize,
    failed: usize,
    cancelled: usize,
}

/// A sweep with its axes and its running stages.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    record: SweepRecord,
    methods: Vec<MethodRecord>,
    fractions: Vec<Fraction>,
    policies: Vec<&'a str>,
    seeds: Vec<u64>,
    running: Vec<Running>,
}

#[derive(Serialize)]
struct MethodRecord {
    method: Method,
    title: &'static str,
}

#[derive(Serialize)]
struct Running {
    stage: StageId,
    kind: &'static str,
    /// A cell that needs the stage.
    cell: String,
    /// Cells that share it.
    cells: usize,
    worker: String,
    device: String,
    step: u64,
    steps: u64,
}

impl From<SweepStatus> for SweepRecord {
    fn from(status: SweepStatus) -> Self {
        let cells = status.cells;
        Self {
            is_final: cells.is_final(),
            cells: Counts {
                pending: cells.pending,
                running: cells.running,
                succeeded: cells.succeeded,
                failed: cells.failed,
                cancelled: cells.cancelled,
            },
            cancelled: status.mark.is_cancelled(),
            sweep: status.id,
            submitted_ms: status.submitted_ms,
            extent: status.extent,
            steps: status.steps.into(),
            images: status.images.into(),
            obstacles: status.obstacles,
        }
    }
}

impl From<RunningStage> for Running {
    fn from(stage: RunningStage) -> Self {
        Self {
            stage: stage.attempt.stage,
            kind: stage.kind,
            cell: stage.cell,
            cells: stage.cells,
            worker: stage.worker,
            device: stage.device,
            step: stage.step,
            steps: stage.total,
        }
    }
}

/// `GET /api/v1/sweeps`, newest first.
pub(super) async fn all(State(site): State<Arc<Site>>, uri: Uri) -> Result<Response, ApiError> {
    Query::of(&uri, &[])?;
    let sweeps = site.core.call(|engine, now| engine.list(now.mono)).await?;
    Ok(json(&Sweeps { sweeps: sweeps.into_iter().map(SweepRecord::from).collect() }))
}

/// `GET /api/v1/sweeps/SWEEP`.
pub(super) async fn one(State(site): State<Arc<Site>>, path: InPath, uri: Uri) -> Result<Response, ApiError> {
    Query::of(&uri, &[])?;
    let id = sweep_id(path)?;
    let roster = site.rosters.get(&id).await?;
    let status = site.core.call(move |engine, now| engine.status(&id, now.mono)).await?;
    let mut status = status.map_err(|_| ApiError::UnknownSweep)?;
    let running = std::mem::take(&mut status.running).into_iter().map(Running::from).collect();
    Ok(json(&whole(&roster, status.into(), running)))
}

fn whole(roster: &Roster, record: SweepRecord, running: Vec<Running>) -> Whole<'_> {
    let keys = || roster.cells.iter().map(|cell| &cell.key);
    let methods = Method::ALL.into_iter().filter(|method| keys().any(|key| key.method == *method));
    let mut fractions: Vec<Fraction> = keys().map(|key| key.fraction).collect();
    fractions.sort_unstable();
    fractions.dedup();
    let mut seeds: Vec<u64> = keys().map(|key| key.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    let mut policies: Vec<&str> = Vec::new();
    for key in keys() {
        if !policies.contains(&key.lr.as_str()) {
            policies.push(&key.lr);
        }
    }
    Whole {
        record,
        methods: methods.map(|method| MethodRecord { method, title: method.title() }).collect(),
        fractions,
        policies,
        seeds,
        running,
    }
}
