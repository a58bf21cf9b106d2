//! `GET /api/v1/sweeps/SWEEP/cells`: the cells of a sweep, in the order of the plan.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use pretext_engine::CellNews;
use pretext_shared::ids::{StageId, SweepId};
use pretext_shared::outcome::{FailureCode, Score};
use pretext_shared::split::Fraction;
use pretext_shared::stage::Method;
use pretext_shared::sweep::{Cell, CellState};
use serde::Serialize;

use super::choice::Choice;
use super::error::ApiError;
use super::query::Query;
use super::{InPath, json, sweep_id};
use crate::http::Site;

/// Cells of an answer, if the query does not say how many.
const CELLS: usize = 1_000;
/// Most cells of an answer.
const MOST_CELLS: usize = 10_000;

#[derive(Serialize)]
struct Answer<'a> {
    sweep: &'a SweepId,
    /// Number of chosen cells.
    total: usize,
    /// Offset of the next answer; `null` if this is the last.
    next_offset: Option<usize>,
    cells: Vec<CellRecord<'a>>,
}

/// A cell, as all answers write it.
#[derive(Serialize)]
pub(super) struct CellRecord<'a> {
    /// `METHOD/FRACTION/LR/SEED`.
    cell: String,
    method: Method,
    fraction: Fraction,
    lr: &'a str,
    seed: u64,
    state: CellState,
    /// Test accuracy in 0–1, if the cell has a result.
    accuracy: Option<f64>,
    /// Score on the test images.
    test: Option<Score>,
    /// Why it failed.
    failure: Option<FailureCode>,
    pretext: Option<StageId>,
    downstream: StageId,
    test_stage: StageId,
}

impl<'a> CellRecord<'a> {
    /// Returns the record of a cell.
    pub(super) fn of((cell, news): (&'a Cell, &CellNews)) -> Self {
        Self {
            cell: cell.key.to_string(),
            method: cell.key.method,
            fraction: cell.key.fraction,
            lr: &cell.key.lr,
            seed: cell.key.seed,
            state: news.state,
            accuracy: news.test.map(|score| score.accuracy),
            test: news.test,
            failure: news.failure,
            pretext: cell.pretext,
            downstream: cell.downstream,
            test_stage: cell.test,
        }
    }
}

/// See the module.
pub(super) async fn cells(State(site): State<Arc<Site>>, path: InPath, uri: Uri) -> Result<Response, ApiError> {
    let query = Query::of(&uri, &[&Choice::NAMES[..], &["offset", "limit"]].concat())?;
    let choice = Choice::of(&query)?;
    let (offset, limit) = (query.one("offset", 0_usize)?, query.one("limit", CELLS)?);
    if !(1..=MOST_CELLS).contains(&limit) {
        return Err(ApiError::BadQuery(format!("`limit` is 1 to {MOST_CELLS}")));
    }
    let roster = site.rosters.get(&sweep_id(path)?).await?;
    let chosen: Vec<_> = roster.iter().filter(|(cell, news)| choice.has(cell, news)).collect();
    let total = chosen.len();
    let end = offset.saturating_add(limit);
    Ok(json(&Answer {
        sweep: &roster.sweep,
        total,
        next_offset: (end < total).then_some(end),
        cells: chosen.into_iter().skip(offset).take(limit).map(CellRecord::of).collect(),
    }))
}
