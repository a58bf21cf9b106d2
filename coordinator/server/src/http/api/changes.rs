//! `GET /api/v1/sweeps/SWEEP/changes`: a stream of server-sent events with the cells that change. The first event has
//! all cells, unless the reader names the mark of the event that it has seen last (`have=MARK`): then the first event has
//! what changed since. Marks stay valid across a restart of the coordinator if nothing changed meanwhile.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::Uri;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use pretext_engine::CellNews;
use pretext_shared::split::Fraction;
use serde::Serialize;
use serde_json::{Value, json};
use tokio_stream::wrappers::ReceiverStream;

use super::error::ApiError;
use super::query::Query;
use super::{InPath, sweep_id};
use crate::http::Site;
use crate::http::roster::{Roster, RosterError};
use crate::http::secret::Secret;
use crate::http::stream_session::StreamSession;

/// Time between two looks for changes.
const PACE: Duration = Duration::from_secs(1);
/// Time after which a silent stream sends a sign of life.
const ALIVE: Duration = Duration::from_secs(15);

/// All cells. Methods, fractions and policies are written once, and each cell has their positions.
#[derive(Serialize)]
struct Whole<'a> {
    mark: &'a str,
    methods: Vec<&'static str>,
    fractions: Vec<Fraction>,
    policies: Vec<&'a str>,
    /// Each cell as `[method, fraction, policy, seed, state, accuracy, failure]`.
    cells: Vec<Value>,
}

/// The changed cells.
#[derive(Serialize)]
struct Changed<'a> {
    mark: &'a str,
    /// Each cell as `[position, state, accuracy, failure]`.
    changed: Vec<Value>,
}

/// Returns the position of each value in the list of different values, and that list.
fn positions<T: Copy + Ord>(values: impl Iterator<Item = T> + Clone) -> (BTreeMap<T, usize>, Vec<T>) {
    let mut list: Vec<T> = Vec::new();
    let mut positions = BTreeMap::new();
    for value in values {
        positions.entry(value).or_insert_with(|| {
            list.push(value);
            list.len() - 1
        });
    }
    (positions, list)
}

fn now_of(news: &CellNews) -> (&'static str, Option<f64>, Option<&'static str>) {
    (news.state.as_str(), news.test.map(|score| score.accuracy), news.failure.map(|code| code.as_str()))
}

/// Returns the event with all cells.
pub(super) fn whole(roster: &Roster) -> Value {
    let keys = roster.cells.iter().map(|cell| &cell.key);
    let (method, methods) = positions(keys.clone().map(|key| key.method.as_str()));
    let (fraction, fractions) = positions(keys.clone().map(|key| key.fraction));
    let (policy, policies) = positions(keys.map(|key| key.lr.as_str()));
    let cells = roster.iter().map(|(cell, news)| {
        let key = &cell.key;
        let (state, accuracy, failure) = now_of(news);
        let places = (method.get(key.method.as_str()), fraction.get(&key.fraction), policy.get(key.lr.as_str()));
        json!([places.0, places.1, places.2, key.seed, state, accuracy, failure])
    });
    json!(Whole { mark: &roster.mark, cells: cells.collect(), methods, fractions, policies })
}

/// Returns the event with what changed since `older`; `None` if nothing did.
pub(super) fn changed(roster: &Roster, older: &Roster) -> Option<Value> {
    let changed: Vec<Value> = roster
        .since(older)
        .map(|news| {
            let (state, accuracy, failure) = now_of(news);
            json!([news.place, state, accuracy, failure])
        })
        .collect();
    (!changed.is_empty()).then(|| json!(Changed { mark: &roster.mark, changed }))
}

/// See the module.
pub(super) async fn changes(
    State(site): State<Arc<Site>>,
    Extension(secret): Extension<Secret>,
    path: InPath,
    uri: Uri,
) -> Result<Response, ApiError> {
    let query = Query::of(&uri, &["have"])?;
    let have = query.one("have", String::new())?;
    let sweep = sweep_id(path)?;
    let first = site.rosters.get(&sweep).await?;
    let mut seen = match first.mark == have {
        true => Some(first),
        false => site.rosters.recent(&sweep, &have).await,
    };
    let place = site.streams.clone().try_acquire_owned().map_err(|_| ApiError::Busy)?;
    let mut session = StreamSession::begin(&site.sessions, secret);
    let (events, stream) = tokio::sync::mpsc::channel::<Result<Event, Infallible>>(2);
    tokio::spawn(async move {
        let _place = place;
        loop {
            if !session.is_valid().await {
                return;
            }
            match site.rosters.get(&sweep).await {
                Ok(roster) => {
                    let event = seen.as_deref().map_or_else(|| Some(whole(&roster)), |seen| changed(&roster, seen));
                    if let Some(event) = event
                        && events.send(Ok(Event::default().data(event.to_string()))).await.is_err()
                    {
                        return;
                    }
                    seen = Some(roster);
                }
                Err(RosterError::Unknown) => return,
                // The core may answer again: the reader keeps what it has.
                Err(RosterError::Core(_)) => {}
            }
            tokio::select! {
                () = events.closed() => return,
                () = tokio::time::sleep(PACE) => {}
            }
        }
    });
    Ok(Sse::new(ReceiverStream::new(stream)).keep_alive(KeepAlive::new().interval(ALIVE)).into_response())
}
