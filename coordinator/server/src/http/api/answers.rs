//! `GET /api/v1/sweeps/SWEEP/answers`: mean accuracies with intervals, and which method wins with few labels.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use pretext_shared::ids::SweepId;
use serde::Serialize;

use super::error::ApiError;
use super::query::Query;
use super::{InPath, json, sweep_id};
use crate::http::Site;
use crate::http::answer::{self, Answer, Entry};

#[derive(Serialize)]
struct Answers<'a> {
    sweep: &'a SweepId,
    answers: Vec<Answer>,
    entries: Vec<Entry>,
}

/// See the module.
pub(super) async fn answers(State(site): State<Arc<Site>>, path: InPath, uri: Uri) -> Result<Response, ApiError> {
    Query::of(&uri, &[])?;
    let roster = site.rosters.get(&sweep_id(path)?).await?;
    let entries = answer::entries(&roster);
    Ok(json(&Answers { sweep: &roster.sweep, answers: answer::answers(&entries), entries }))
}
