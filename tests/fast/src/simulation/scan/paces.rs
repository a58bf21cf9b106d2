//! How long the stages of each sweep take, and how many are left, from a walk over all of them.

use std::collections::BTreeMap;

use pretext_engine::{Pace, State};
use pretext_shared::ids::SweepId;
use pretext_shared::split::Fraction;
use pretext_shared::stage::{Method, StageKind};
use pretext_shared::sweep::Cell;

use super::Scan;

/// Paces by kind, method and label fraction.
type Paces = BTreeMap<(StageKind, Method, Fraction), Pace>;

impl<'a> Scan<'a> {
    /// Returns the paces of every active sweep.
    pub(in crate::simulation) fn paces(&self) -> impl Iterator<Item = (&'a SweepId, Paces)> {
        let active = self.sweeps.iter().zip(&self.members).filter(|((_, mark), _)| !mark.is_cancelled());
        active.map(|((sweep, _), members)| {
            let mut paces = Paces::new();
            for stage in members.iter().filter_map(|id| self.stages.get(id)) {
                let of = |cell: &&Cell| cell.stages().any(|id| id == stage.id);
                let Some(key) = sweep.cells.iter().find(of).map(|cell| &cell.key) else { continue };
                let images = stage.outline.cost.images_seen;
                let own = match &stage.progress.state {
                    State::Succeeded(_) => {
                        Pace { done: 1, done_images: images, done_ms: stage.took.unwrap_or(0), ..Pace::default() }
                    }
                    State::Leased(_) | State::Waiting(_) if !self.is_stranded(stage) => {
                        Pace { left: 1, left_images: images, ..Pace::default() }
                    }
                    State::Leased(_) | State::Waiting(_) | State::Failed(_) | State::Cancelled => continue,
                };
                let pace = paces.entry((stage.outline.kind, key.method, key.fraction)).or_default();
                pace.left += own.left;
                pace.left_images += own.left_images;
                pace.done += own.done;
                pace.done_images += own.done_images;
                pace.done_ms += own.done_ms;
            }
            (&sweep.id, paces)
        })
    }
}
