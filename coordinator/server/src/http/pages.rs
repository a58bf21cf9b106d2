//! A cache of pages. However many visitors look at a sweep, its page is generated at most once a second, and less often
//! if that takes long.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use pretext_html::html;
use pretext_shared::ids::{StageId, SweepId};
use pretext_store::StoreError;
use pretext_store::view;

use super::answer;
use super::page::{self, Page};
use super::reply::notice;
use super::roster::{RosterError, Rosters};
use super::standing;
use crate::core::{Core, CoreError};

/// Shortest time between two generations of a page.
pub(super) const PACE: Duration = Duration::from_secs(1);
/// Shortest time between two generations, as a multiple of the time that one takes.
const SHARE: u32 = 20;
/// Most pages that are kept while nobody looks at them.
const KEPT: usize = 64;
/// Older pages of a topic that are kept, for browsers that come back.
const RECENT: usize = 8;
/// Most running stages whose points are read for a page.
const MOST_CURVES: usize = 6;

/// The subject of a page.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Topic {
    /// All sweeps.
    Sweeps,
    /// All workers.
    Workers,
    /// A sweep.
    Sweep(SweepId),
    /// The list of a sweep's cells, from this one on.
    Cells(SweepId, usize),
    /// The comparison of a sweep's cells.
    Compare(SweepId),
    /// A cell of a sweep, by `METHOD/FRACTION/LR/SEED`.
    Cell(SweepId, String),
}

impl Topic {
    /// Returns the path of the topic's page.
    pub(super) fn path(&self) -> String {
        match self {
            Topic::Sweeps => "/".to_owned(),
            Topic::Workers => "/workers".to_owned(),
            Topic::Sweep(sweep) => format!("/sweeps/{sweep}"),
            Topic::Cells(sweep, _) => format!("/sweeps/{sweep}/cells"),
            Topic::Compare(sweep) => format!("/sweeps/{sweep}/compare"),
            Topic::Cell(sweep, cell) => format!("/sweeps/{sweep}/cells/{cell}"),
        }
    }
}

/// The reason why a page cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum PageError {
    /// Nothing has this name.
    #[error("this page does not exist")]
    Unknown,
    /// The coordinator cannot answer.
    #[error("{0}")]
    Unavailable(String),
}

impl From<CoreError> for PageError {
    fn from(error: CoreError) -> Self {
        PageError::Unavailable(error.to_string())
    }
}

impl From<RosterError> for PageError {
    fn from(error: RosterError) -> Self {
        match error {
            RosterError::Unknown => PageError::Unknown,
            RosterError::Core(error) => error.into(),
        }
    }
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        PageError::Unavailable(error.to_string())
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        match self {
            PageError::Unknown => page::missing(),
            PageError::Unavailable(reason) => {
                notice(StatusCode::SERVICE_UNAVAILABLE, "The coordinator cannot answer", html!("<p>{}</p>", reason))
            }
        }
    }
}

type Slot = Arc<tokio::sync::Mutex<Option<Kept>>>;

struct Kept {
    page: Arc<Page>,
    at: Instant,
    pace: Duration,
    /// Older pages, oldest first.
    recent: VecDeque<Arc<Page>>,
}

/// See the module.
pub(super) struct Pages {
    core: Core,
    rosters: Arc<Rosters>,
    slots: Mutex<HashMap<Topic, Slot>>,
}

impl Pages {
    /// Returns an empty cache of pages about `core`.
    pub(super) fn new(core: Core, rosters: Arc<Rosters>) -> Self {
        Self { core, rosters, slots: Mutex::default() }
    }

    /// Returns the page, at most a moment old.
    pub(super) async fn get(&self, topic: &Topic) -> Result<Arc<Page>, PageError> {
        let slot = self.slot(topic);
        let mut kept = slot.lock().await;
        if let Some(kept) = kept.as_ref().filter(|kept| kept.at.elapsed() < kept.pace) {
            return Ok(kept.page.clone());
        }
        let mut recent = kept.as_ref().map(|kept| kept.recent.clone()).unwrap_or_default();
        let begun = Instant::now();
        let page = Arc::new(self.make(topic).await?);
        let pace = PACE.max(begun.elapsed() * SHARE);
        recent.extend(kept.take().map(|kept| kept.page).filter(|old| old.mark() != page.mark()));
        if recent.len() > RECENT {
            recent.pop_front();
        }
        *kept = Some(Kept { page: page.clone(), at: Instant::now(), pace, recent });
        Ok(page)
    }

    /// Returns an older page by its mark, if it is still kept.
    pub(super) async fn recent(&self, topic: &Topic, mark: &str) -> Option<Arc<Page>> {
        let slot = self.slot(topic);
        let kept = slot.lock().await;
        kept.as_ref()?.recent.iter().find(|page| page.mark() == mark).cloned()
    }

    /// Has every page generated again at its next request.
    pub(super) fn forget(&self) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn slot(&self, topic: &Topic) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= KEPT {
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        slots.entry(topic.clone()).or_default().clone()
    }

    async fn make(&self, topic: &Topic) -> Result<Page, PageError> {
        match topic {
            Topic::Sweeps => {
                let ask = self.core.call(|engine, now| (engine.list(now.mono), engine.workers(now.mono), now.wall));
                let (sweeps, workers, now) = ask.await?;
                Ok(page::of_sweeps(&sweeps, &workers, now))
            }
            Topic::Workers => {
                let workers = self.core.call(|engine, now| engine.workers(now.mono)).await?;
                Ok(page::of_workers(&workers))
            }
            Topic::Cells(id, offset) => Ok(page::of_cells(self.rosters.get(id).await?.as_ref(), *offset)),
            Topic::Compare(id) => {
                let roster = self.rosters.get(id).await?;
                let id = id.clone();
                let status = self.core.call(move |engine, now| engine.status(&id, now.mono)).await?;
                let status = status.map_err(|_| PageError::Unknown)?;
                Ok(page::of_compare(&status, &answer::answers(&answer::entries(&roster))))
            }
            Topic::Sweep(id) => {
                let roster = self.rosters.get(id).await?;
                let id = id.clone();
                let ask = self.core.call(move |engine, now| (engine.status(&id, now.mono), now.wall));
                let (status, now) = ask.await?;
                let status = status.map_err(|_| PageError::Unknown)?;
                let standing = standing::of_sweep(&self.core, &roster).await?;
                let answers = answer::answers(&answer::entries(&roster));
                let store = self.core.store().clone();
                blocking(move || {
                    let running: Vec<StageId> =
                        status.running.iter().map(|running| running.attempt.stage).take(MOST_CURVES).collect();
                    let mut view = view::view(store.as_ref(), standing)?;
                    view::add_points(&mut view, store.as_ref(), &running)?;
                    Ok(page::of_sweep(&view, &status, &answers, now))
                })
                .await
            }
            Topic::Cell(id, key) => {
                let roster = self.rosters.get(id).await?;
                let place = roster.cells.iter().position(|cell| cell.key.to_string() == *key);
                let place = place.ok_or(PageError::Unknown)?;
                let name = format!("{id}/{key}");
                let ask = self.core.call(move |engine, now| engine.explain(&name, now.mono));
                let lines = ask.await?.map_err(|_| PageError::Unknown)?;
                let standing = standing::of_cell(&self.core, &roster, place).await?;
                let store = self.core.store().clone();
                blocking(move || {
                    let mut view = view::view(store.as_ref(), standing)?;
                    let cell = view.cells.first().cloned().ok_or(PageError::Unknown)?;
                    view::add_points(&mut view, store.as_ref(), &cell.stages().collect::<Vec<_>>())?;
                    Ok(page::of_cell(&view, &cell, &lines))
                })
                .await
            }
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PageError> + Send + 'static,
) -> Result<T, PageError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| PageError::Unavailable(error.to_string()))?
}
