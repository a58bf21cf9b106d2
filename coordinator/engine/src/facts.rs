//! What the engine knows of a stage and of a sweep's cells, without what is derived from it.

use std::sync::Arc;

use pretext_shared::device::NumericClass;
use pretext_shared::ids::{Fingerprint, SweepId};
use pretext_shared::split::Fraction;
use pretext_shared::stage::Method;

use super::{Millis, Outline, Progress, Site, State, SweepRecord};

/// The demands of a stage on a device and on its worker. Stages share them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Demand {
    /// The numeric class of the device.
    pub(crate) class: NumericClass,
    /// The data, with their key in announcements; `None` for data that every worker draws itself.
    pub(crate) data: Option<(Fingerprint, Box<str>)>,
    /// The places that the stage avoids if another one can run it, sorted.
    pub(crate) avoids: Box<[Site]>,
}

impl From<&Outline> for Demand {
    fn from(outline: &Outline) -> Self {
        let data = outline.place.clone().map(|place| (outline.data, place));
        Self { class: outline.class, data, avoids: Box::default() }
    }
}

impl Demand {
    /// Returns whether this is the demand of a stage that avoids no place.
    pub(super) fn is_of(&self, outline: &Outline) -> bool {
        let data = self.data.as_ref().map(|(data, place)| (*data, place.as_ref()));
        self.class == outline.class
            && data == outline.place.as_deref().map(|place| (outline.data, place))
            && self.avoids.is_empty()
    }
}

/// The place of the model that a stage starts from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ModelPlace {
    /// It needs none: every worker has all of it.
    Everywhere,
    /// A worker of this name made it.
    At(Arc<str>),
    /// It is not known who made it.
    Unknown,
}

/// A stage, with everything that the engine knows of it.
#[derive(Debug, Clone)]
pub(super) struct StageEntry {
    pub(super) outline: Box<Outline>,
    pub(super) progress: Box<Progress>,
    /// The sweeps that need it, by id.
    pub(super) needs: Vec<Need>,
    /// End of the lease, on the listening clock, or of the back-off; 0 for a back-off that was seen to end.
    pub(super) until: Millis,
    /// The time until which it avoids the places where it failed; 0 if it was seen to pass.
    pub(super) avoid_until: Millis,
    /// Whether one more failure of some kind is final. The last try avoids those places without an end.
    pub(super) has_last_try: bool,
    /// Steps and images of the running attempt, as last reported. Not durable.
    pub(super) step: u64,
    pub(super) images: u64,
    /// Images of the longest chain of stages that starts with this one.
    pub(super) weight: u64,
    /// The stages before it.
    pub(super) before: Before,
    /// Its demand, without the places that it avoids.
    pub(super) demand: Arc<Demand>,
    /// The place of the model that it starts from.
    pub(super) model: ModelPlace,
    /// The name of the worker that reported its result. Not durable.
    pub(super) made_by: Option<Arc<str>>,
    /// When the running attempt got its slot, and the step that it resumed from. Not durable.
    pub(super) began: Option<(Millis, u64)>,
    /// The time for which the stage took a slot; `None` if it has no result.
    pub(super) took: Option<Millis>,
}

/// A sweep's need of a stage.
#[derive(Debug, Clone)]
pub(super) struct Need {
    pub(super) sweep: SweepId,
    /// Whether the sweep is active.
    pub(super) is_active: bool,
    /// The lowest replicate of its cells that share the stage: the place of a seed among the sweep's seeds.
    pub(super) replicate: u32,
    /// The group of its first cell that shares the stage.
    pub(super) group: Group,
    /// Its cells that share the stage, by position.
    pub(super) cells: Box<[u32]>,
}

/// A method on a label fraction. In one sweep, all stages of one kind and group take about the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group {
    pub(super) method: Method,
    pub(super) fraction: Fraction,
}

impl Group {
    /// Returns the group of the first of `cells`; `None` if there is none.
    pub(super) fn of(record: &SweepRecord, cells: &[u32]) -> Option<Self> {
        let key = &record.cells.get(*cells.first()? as usize)?.key;
        Some(Self { method: key.method, fraction: key.fraction })
    }
}

/// The stages before a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// There is none, or all have a result.
    Done,
    /// One has no result yet.
    Open,
    /// One failed or was cancelled: the stage waits until a person asks for a retry.
    Over,
}

impl StageEntry {
    pub(super) fn new(outline: Box<Outline>, progress: Box<Progress>, demand: Arc<Demand>) -> Self {
        let (before, model) = match outline.parent {
            Some(_) => (Before::Open, ModelPlace::Unknown),
            None => (Before::Done, ModelPlace::Everywhere),
        };
        let weight = images(&outline);
        Self {
            outline,
            progress,
            needs: Vec::new(),
            until: 0,
            avoid_until: 0,
            has_last_try: false,
            step: 0,
            images: 0,
            weight,
            before,
            demand,
            model,
            made_by: None,
            began: None,
            took: None,
        }
    }

    /// Returns the time for which a stage that ends now would have taken a slot, if one attempt had run it whole; `None`
    /// if that is not known.
    pub(super) fn time_taken(&self, now: Millis) -> Option<Millis> {
        let (began, resumed) = self.began?;
        let ran = now.saturating_sub(began);
        let steps = self.outline.cost.steps;
        match steps.saturating_sub(resumed) {
            0 => Some(ran),
            done => Some((ran as f64 * steps as f64 / done as f64) as Millis),
        }
    }

    /// Returns the places that the stage avoids now if another one can run it.
    pub(super) fn avoids(&self) -> &[Site] {
        if self.has_last_try || self.avoid_until > 0 { &self.progress.failed_at } else { &[] }
    }

    /// Returns the demand of the stage now.
    pub(super) fn demand_now(&self) -> Arc<Demand> {
        match self.avoids() {
            [] => self.demand.clone(),
            avoids => {
                let mut avoids: Box<[Site]> = avoids.into();
                avoids.sort_unstable();
                Arc::new(Demand { avoids, ..Demand::clone(&self.demand) })
            }
        }
    }

    /// Returns what a stage after this one has before it.
    pub(super) fn before_next(&self) -> Before {
        match &self.progress.state {
            State::Succeeded(_) => Before::Done,
            State::Failed(_) | State::Cancelled => Before::Over,
            State::Waiting(_) | State::Leased(_) if self.before == Before::Over => Before::Over,
            State::Waiting(_) | State::Leased(_) => Before::Open,
        }
    }

    /// Returns where the model of this stage is.
    pub(super) fn model_of_next(&self) -> ModelPlace {
        self.made_by.clone().map_or(ModelPlace::Unknown, ModelPlace::At)
    }

    /// Returns whether a sweep that was not cancelled needs the stage.
    pub(super) fn is_needed(&self) -> bool {
        self.needs.iter().any(|need| need.is_active)
    }

    /// Returns the need of a sweep.
    pub(super) fn need_of(&self, sweep: &SweepId) -> Option<&Need> {
        let place = self.needs.binary_search_by(|need| need.sweep.cmp(sweep)).ok()?;
        self.needs.get(place)
    }
}

pub(super) fn images(outline: &Outline) -> u64 {
    outline.cost.images_seen.max(1)
}

/// Number of cells in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CellCounts {
    /// See [`CellState`](pretext_shared::sweep::CellState).
    pub pending: usize,
    /// See [`CellState`](pretext_shared::sweep::CellState).
    pub running: usize,
    /// See [`CellState`](pretext_shared::sweep::CellState).
    pub succeeded: usize,
    /// See [`CellState`](pretext_shared::sweep::CellState).
    pub failed: usize,
    /// See [`CellState`](pretext_shared::sweep::CellState).
    pub cancelled: usize,
}

impl CellCounts {
    /// Returns whether no cell will change any more.
    pub fn is_final(&self) -> bool {
        self.pending == 0 && self.running == 0
    }
}
