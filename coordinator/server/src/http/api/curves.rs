//! `GET /api/v1/sweeps/SWEEP/curves`: the curves of chosen cells. Cells that share a stage share its curves, which are
//! sent once. The answer is sent stage by stage, so that it never lies in memory as a whole.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use pretext_engine::{StageBrief, curve};
use pretext_shared::ids::{StageId, SweepId};
use pretext_shared::stage::StageKind;
use pretext_shared::sweep::StageStatus;
use pretext_store::{Store, StoreError};
use serde::Serialize;
use tokio_stream::wrappers::ReceiverStream;

use super::cells::CellRecord;
use super::choice::Choice;
use super::error::ApiError;
use super::points::{Granted, Series, Wanted, XAxis, names, series};
use super::query::Query;
use super::{InPath, sweep_id};
use crate::http::Site;

/// Most cells of an answer.
const MOST_CELLS: usize = 500;
/// Points of a series, if the query does not say how many.
const POINTS: usize = 400;
/// The most and the fewest points of a series.
const MOST_POINTS: usize = 5_000;
const FEWEST_POINTS: usize = 4;
/// Longest time in which a reader takes nothing.
const SILENCE: Duration = Duration::from_secs(30);

#[derive(Serialize)]
struct Head<'a> {
    sweep: &'a SweepId,
    x: XAxis,
    points: usize,
    cells: Vec<CellRecord<'a>>,
}

#[derive(Serialize)]
struct StageRecord {
    stage: StageId,
    kind: StageKind,
    state: &'static str,
    /// The epoch whose model was kept.
    selected_epoch: Option<u32>,
    /// Names of all series of the stage.
    has: Vec<String>,
    series: Vec<Series>,
}

/// See the module.
pub(super) async fn curves(State(site): State<Arc<Site>>, path: InPath, uri: Uri) -> Result<Response, ApiError> {
    let query = Query::of(&uri, &[&Choice::NAMES[..], &["series", "x", "points", "from", "to"]].concat())?;
    let choice = Choice::of(&query)?;
    let wanted = Wanted {
        x: query.one("x", XAxis::Step)?,
        names: query.all("series").map(str::to_owned).collect(),
        points: query.one("points", POINTS)?,
        range: (query.one("from", f64::MIN)?, query.one("to", f64::MAX)?),
    };
    if !(FEWEST_POINTS..=MOST_POINTS).contains(&wanted.points) {
        return Err(ApiError::BadQuery(format!("`points` is {FEWEST_POINTS} to {MOST_POINTS}")));
    }
    let roster = site.rosters.get(&sweep_id(path)?).await?;
    let chosen: Vec<_> = roster.iter().filter(|(cell, news)| choice.has(cell, news)).collect();
    if chosen.len() > MOST_CELLS {
        let reason = format!("the query chooses {} cells, more than {MOST_CELLS}: add filters", chosen.len());
        return Err(ApiError::BadQuery(reason));
    }
    let trained = chosen.iter().flat_map(|(cell, _)| cell.pretext.into_iter().chain([cell.downstream]));
    let ids: Vec<StageId> = trained.collect::<BTreeSet<_>>().into_iter().collect();
    let ask = site.core.call(move |engine, now| (engine.stages_in_brief(&ids), now.wall));
    let (stages, now_ms) = ask.await?;
    let head = Head {
        sweep: &roster.sweep,
        x: wanted.x,
        points: wanted.points,
        cells: chosen.into_iter().map(CellRecord::of).collect(),
    };
    let head = serde_json::to_string(&head).map_err(|error| ApiError::Unavailable(error.to_string()))?;
    // The object ends after its last stage.
    let head = format!("{},\"stages\":[", head.strip_suffix('}').unwrap_or(&head));
    let permit = site.curves.clone().acquire_owned().await.map_err(|_| ApiError::Busy)?;
    let store = site.core.store().clone();
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Vec<u8>, StoreError>>(4);
    tokio::spawn(async move {
        let _permit = permit;
        let send = async |part| matches!(tokio::time::timeout(SILENCE, sender.send(part)).await, Ok(Ok(())));
        let mut goes_on = send(Ok(head.into_bytes())).await;
        let mut between = "";
        for stage in stages {
            if !goes_on {
                return;
            }
            let (store, wanted) = (store.clone(), wanted.clone());
            let made = tokio::task::spawn_blocking(move || record(store.as_ref(), &stage, &wanted, now_ms)).await;
            let Ok(made) = made else { return };
            goes_on = send(made.map(|text| [between.as_bytes(), &text].concat())).await;
            between = ",";
        }
        if goes_on {
            send(Ok(b"]}".to_vec())).await;
        }
    });
    let kind = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, kind)], Body::from_stream(ReceiverStream::new(receiver))).into_response())
}

/// Returns the record of a stage as JSON.
fn record(store: &dyn Store, stage: &StageBrief, wanted: &Wanted, now_ms: u64) -> Result<Vec<u8>, StoreError> {
    let grants = store.grants(stage.stage)?;
    let points = curve(&store.points(stage.stage)?, &grants);
    let last = grants.iter().max_by_key(|(fence, _)| *fence).map(|(_, grant)| grant);
    let (state, selected_epoch) = match &stage.status {
        StageStatus::Pending => ("pending", None),
        StageStatus::Running { .. } => ("running", None),
        StageStatus::Succeeded(result) => ("succeeded", Some(result.selected_epoch)),
        StageStatus::Failed(_) => ("failed", None),
        StageStatus::Cancelled => ("cancelled", None),
    };
    let record = StageRecord {
        stage: stage.stage,
        kind: stage.kind,
        state,
        selected_epoch,
        has: names(stage, &points),
        series: series(stage, &points, Granted { grant: last, now_ms }, wanted),
    };
    serde_json::to_vec(&record).map_err(|error| StoreError::Read { cause: error.to_string() })
}
