//! The places of a stage in the indexes, as a function of its entry.

use std::cmp::Reverse;
use std::sync::Arc;

use pretext_shared::device::NumericClass;
use pretext_shared::ids::{ArtifactId, StageId, SweepId};
use pretext_shared::stage::StageKind;

use crate::facts::{Before, Demand, Group, ModelPlace, Need, StageEntry};
use crate::{Holder, Millis, State, Waiting};

/// The order of the ready stages of a sweep: the first one runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    /// One replicate after the other, so that every cell has a result early.
    replicate: u32,
    /// Tests are first, because they are short and give results.
    is_no_test: bool,
    /// Then the stage with the longest chain, so that no long chain starts last.
    weight: Reverse<u64>,
}

/// The places of a stage; the default is that of no stage.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// The end of its lease, on the listening clock.
    pub(super) lease: Option<Millis>,
    /// The end of its back-off.
    pub(super) back_off: Option<Millis>,
    /// The end of its detour around the places where it failed.
    pub(super) detour: Option<Millis>,
    /// The stage before it.
    pub(super) parent: Option<StageId>,
    pub(super) hold: Option<Hold>,
    pub(super) place: Option<Place>,
    pub(super) tally: Option<Tally>,
    pub(super) effort: Option<Effort>,
    /// The artifacts that it needs.
    pub(super) artifacts: Option<Vec<ArtifactId>>,
    /// Whether no sweep needs it.
    pub(super) loose: Option<()>,
}

/// A stage that a worker holds, or whose lease on it has expired.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hold {
    pub(super) holder: Holder,
    pub(super) kind: HoldKind,
}

/// Whether a lease is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HoldKind {
    /// It is valid.
    Held,
    /// It has expired; the holder may come back.
    Owed,
}

/// The place of a stage in the sweeps that need it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The sweeps, each with the rank that the stage has in it.
    pub(super) sweeps: Vec<(SweepId, Rank)>,
    pub(super) kind: PlaceKind,
}

/// See [`Place`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PlaceKind {
    /// It waits only for a slot.
    Ready { demand: Arc<Demand>, model: ModelPlace },
    /// It runs.
    Running,
    /// It has a result, after these steps and images.
    Finished { steps: u64, images: u64 },
}

/// The counts that a stage is part of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) class: NumericClass,
    pub(super) kind: TallyKind,
}

/// See [`Tally`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TallyKind {
    /// It is leased.
    Running,
    /// It failed finally.
    Failed,
    /// It waits.
    Waiting(Wait),
}

/// How a stage waits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wait {
    /// Whether its last lease expired.
    pub(super) is_expired: bool,
    /// The active sweeps that need it.
    pub(super) needed_by: Vec<SweepId>,
    /// The stages before it.
    pub(super) before: Before,
    /// Its demand, without the places that it avoids: it does not avoid them for ever.
    pub(super) demand: Arc<Demand>,
}

/// The cost of a stage for the active sweeps that need it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Effort {
    /// Those sweeps, each with the group that the stage has in it.
    pub(super) groups: Vec<(SweepId, Group)>,
    pub(super) kind: StageKind,
    /// The images that it sees.
    pub(super) images: u64,
    pub(super) state: EffortState,
}

/// See [`Effort`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EffortState {
    /// It runs, or will run without a person's help.
    Left,
    /// It has a result.
    Done { took: Millis },
}

impl StageEntry {
    /// Returns the places of the stage.
    pub(crate) fn keys(&self) -> Keys {
        let state = &self.progress.state;
        Keys {
            lease: matches!(state, State::Leased(_)).then_some(self.until),
            back_off: (matches!(state, State::Waiting(Waiting::BackOff(_))) && self.until > 0).then_some(self.until),
            detour: (self.avoid_until > 0 && !self.progress.failed_at.is_empty()).then_some(self.avoid_until),
            parent: self.outline.parent,
            hold: self.hold(),
            place: self.place_kind().map(|kind| Place {
                sweeps: self.needs.iter().map(|need| (need.sweep.clone(), self.rank(need))).collect(),
                kind,
            }),
            tally: self.tally_kind().map(|kind| Tally { class: self.outline.class, kind }),
            effort: self.effort_state().map(|state| Effort {
                groups: self.active().map(|need| (need.sweep.clone(), need.group)).collect(),
                kind: self.outline.kind,
                images: self.outline.cost.images_seen,
                state,
            }),
            artifacts: Some(self.progress.artifacts().collect()),
            loose: self.needs.is_empty().then_some(()),
        }
    }

    /// Returns the order of the stage among the ready ones of a sweep.
    pub(crate) fn rank(&self, need: &Need) -> Rank {
        Rank {
            replicate: need.replicate,
            is_no_test: self.outline.kind != StageKind::Test,
            weight: Reverse(self.weight),
        }
    }

    /// Returns whether the stage waits only for a slot; a back-off counts as ended once it was noticed.
    pub(crate) fn is_ready(&self) -> bool {
        let waits = match &self.progress.state {
            State::Waiting(Waiting::Open | Waiting::Expired(_)) => true,
            State::Waiting(Waiting::BackOff(_)) => self.until == 0,
            _ => false,
        };
        waits && self.before == Before::Done
    }

    fn hold(&self) -> Option<Hold> {
        match &self.progress.state {
            State::Leased(holder) => Some(Hold { holder: holder.clone(), kind: HoldKind::Held }),
            State::Waiting(Waiting::Expired(holder)) => Some(Hold { holder: holder.clone(), kind: HoldKind::Owed }),
            _ => None,
        }
    }

    fn place_kind(&self) -> Option<PlaceKind> {
        match &self.progress.state {
            State::Leased(_) => Some(PlaceKind::Running),
            State::Succeeded(_) => {
                let cost = self.outline.cost;
                Some(PlaceKind::Finished { steps: cost.steps, images: cost.images_seen })
            }
            State::Waiting(_) if self.is_ready() => {
                Some(PlaceKind::Ready { demand: self.demand_now(), model: self.model.clone() })
            }
            State::Waiting(_) | State::Failed(_) | State::Cancelled => None,
        }
    }

    /// Returns the needs of the active sweeps.
    fn active(&self) -> impl Iterator<Item = &Need> {
        self.needs.iter().filter(|need| need.is_active)
    }

    fn effort_state(&self) -> Option<EffortState> {
        match &self.progress.state {
            State::Leased(_) => Some(EffortState::Left),
            State::Waiting(_) => (self.before != Before::Over).then_some(EffortState::Left),
            State::Succeeded(_) => Some(EffortState::Done { took: self.took.unwrap_or(0) }),
            State::Failed(_) | State::Cancelled => None,
        }
    }

    fn tally_kind(&self) -> Option<TallyKind> {
        match &self.progress.state {
            State::Leased(_) => Some(TallyKind::Running),
            State::Failed(_) => Some(TallyKind::Failed),
            State::Waiting(waiting) => Some(TallyKind::Waiting(Wait {
                is_expired: matches!(waiting, Waiting::Expired(_)),
                needed_by: self.active().map(|need| need.sweep.clone()).collect(),
                before: self.before,
                demand: self.demand.clone(),
            })),
            State::Succeeded(_) | State::Cancelled => None,
        }
    }
}
