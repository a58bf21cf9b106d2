//! Rosters: the cells of sweeps with their states, as far as readers need them. A roster is brought up to date with what
//! the engine says has changed, so that ten thousand cells cost the core thread no more than the few that changed.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pretext_engine::{CellNews, Refusal, Revision};
use pretext_shared::ids::{ContentHash, SweepId};
use pretext_shared::sweep::Cell;

use crate::core::{Core, CoreError};

/// Shortest time between two questions to the engine about a sweep.
const PACE: Duration = Duration::from_millis(250);
/// Most rosters that are kept while nobody reads them.
const KEPT: usize = 16;
/// Older states of a roster that are kept, for readers that come back.
const RECENT: usize = 16;

/// The reason why there is no roster.
#[derive(Debug, thiserror::Error)]
pub(super) enum RosterError {
    /// No sweep has this id.
    #[error("this coordinator has no such sweep")]
    Unknown,
    /// The core does not answer.
    #[error(transparent)]
    Core(#[from] CoreError),
}

/// The cells of a sweep at one moment.
#[derive(Debug)]
pub(super) struct Roster {
    /// The sweep.
    pub(super) sweep: SweepId,
    /// Its cells, in the order of the plan.
    pub(super) cells: Arc<[Cell]>,
    /// The state of each, in the same order.
    pub(super) states: Vec<CellNews>,
    /// A mark that differs if a state differs. It is the same after a restart.
    pub(super) mark: String,
}

impl Roster {
    fn of(sweep: SweepId, cells: Arc<[Cell]>, states: Vec<CellNews>) -> Self {
        let mut text = Vec::with_capacity(states.len() * 16);
        for cell in &states {
            text.push(cell.state as u8);
            text.extend(cell.test.map_or(0, |test| test.accuracy.to_bits()).to_be_bytes());
            text.extend(cell.failure.map_or("", |code| code.as_str()).as_bytes());
        }
        Self { sweep, cells, states, mark: ContentHash::of(&text).short() }
    }

    /// Returns the cells with their states.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Cell, &CellNews)> {
        self.cells.iter().zip(&self.states)
    }

    /// Returns the states that differ from those of an older roster of the sweep.
    pub(super) fn since<'a>(&'a self, older: &'a Roster) -> impl Iterator<Item = &'a CellNews> {
        self.states.iter().zip(&older.states).filter(|(new, old)| new != old).map(|(new, _)| new)
    }
}

struct Held {
    roster: Arc<Roster>,
    revision: Revision,
    at: Instant,
    /// Older rosters, oldest first.
    recent: VecDeque<Arc<Roster>>,
}

type Slot = Arc<tokio::sync::Mutex<Option<Held>>>;

/// See the module.
pub(super) struct Rosters {
    core: Core,
    slots: Mutex<HashMap<SweepId, Slot>>,
}

impl Rosters {
    /// Returns an empty collection of rosters of `core`'s sweeps.
    pub(super) fn new(core: Core) -> Self {
        Self { core, slots: Mutex::default() }
    }

    /// Returns the roster of a sweep, at most a moment old.
    pub(super) async fn get(&self, sweep: &SweepId) -> Result<Arc<Roster>, RosterError> {
        let slot = self.slot(sweep);
        let mut held = slot.lock().await;
        match held.take() {
            Some(old) if old.at.elapsed() < PACE => {
                let roster = old.roster.clone();
                *held = Some(old);
                Ok(roster)
            }
            Some(old) => {
                let new = self.renew(old).await?;
                Ok(held.insert(new).roster.clone())
            }
            None => match self.begin(sweep).await {
                Ok(new) => Ok(held.insert(new).roster.clone()),
                Err(error) => {
                    // Unknown names must not fill the memory.
                    self.slots.lock().unwrap_or_else(PoisonError::into_inner).remove(sweep);
                    Err(error)
                }
            },
        }
    }

    /// Returns an older roster of a sweep by its mark, if it is still kept.
    pub(super) async fn recent(&self, sweep: &SweepId, mark: &str) -> Option<Arc<Roster>> {
        let slot = self.slot(sweep);
        let held = slot.lock().await;
        let held = held.as_ref()?;
        let mut all = held.recent.iter().chain([&held.roster]);
        all.find(|roster| roster.mark == mark).cloned()
    }

    fn slot(&self, sweep: &SweepId) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= KEPT {
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        slots.entry(sweep.clone()).or_default().clone()
    }

    async fn begin(&self, sweep: &SweepId) -> Result<Held, RosterError> {
        let id = sweep.clone();
        let ask = self.core.call(move |engine, _| Ok::<_, Refusal>((engine.cells(&id)?, engine.news(&id, None)?)));
        let (cells, news) = ask.await?.map_err(|_| RosterError::Unknown)?;
        let roster = Arc::new(Roster::of(sweep.clone(), cells.into(), news.cells));
        Ok(Held { roster, revision: news.revision, at: Instant::now(), recent: VecDeque::new() })
    }

    async fn renew(&self, old: Held) -> Result<Held, RosterError> {
        let (id, since) = (old.roster.sweep.clone(), old.revision);
        let ask = self.core.call(move |engine, _| engine.news(&id, Some(since)));
        let news = ask.await?.map_err(|_| RosterError::Unknown)?;
        let (revision, at) = (news.revision, Instant::now());
        if news.cells.is_empty() {
            return Ok(Held { revision, at, ..old });
        }
        let Held { roster: before, mut recent, .. } = old;
        let mut states = before.states.clone();
        for cell in news.cells {
            if let Some(state) = states.get_mut(cell.place as usize) {
                *state = cell;
            }
        }
        let roster = Arc::new(Roster::of(before.sweep.clone(), before.cells.clone(), states));
        recent.push_back(before);
        if recent.len() > RECENT {
            recent.pop_front();
        }
        Ok(Held { roster, revision, at, recent })
    }
}
