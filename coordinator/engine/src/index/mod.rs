//! The derived facts of stages, in the form in which the scheduler asks for them. Each is an ordered set or a count, so
//! no decision walks over all stages.
//!
//! The places of a stage follow from its entry alone: [`StageEntry::keys`](super::facts::StageEntry::keys) returns them.
//! [`Index::replace`] takes a stage from its former places to its new ones. Only [`super::table`] calls it, for every
//! change of a stage.

mod holdings;
mod keys;
mod paces;
mod queues;
mod tallies;

use std::collections::{BTreeMap, BTreeSet};

use holdings::Holdings;
pub(super) use keys::Keys;
pub use paces::Pace;
use paces::Paces;
use pretext_shared::ids::{ArtifactId, ContentHash, StageId};
pub(super) use queues::Fetch;
use queues::Queues;
use tallies::Tallies;

use super::Millis;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    /// Leases by their end, on the listening clock.
    leases: BTreeSet<(Millis, StageId)>,
    /// Back-offs by their end.
    back_offs: BTreeSet<(Millis, StageId)>,
    /// Detours around places where stages failed, by their end.
    detours: BTreeSet<(Millis, StageId)>,
    /// Parent stages with their children.
    children: BTreeSet<(StageId, StageId)>,
    /// How many stages and data sets need each artifact.
    artifacts: BTreeMap<ArtifactId, usize>,
    /// Stages that no sweep needs.
    loose: BTreeSet<StageId>,
    pub(super) holdings: Holdings,
    pub(super) paces: Paces,
    pub(super) queues: Queues,
    pub(super) tallies: Tallies,
}

impl Index {
    /// Takes a stage from the places of `old` to those of `new`.
    pub(super) fn replace(&mut self, id: StageId, old: &Keys, new: &Keys) {
        let (left, entered) = moved(&old.lease, &new.lease);
        left.map(|end| self.leases.remove(&(*end, id)));
        entered.map(|end| self.leases.insert((*end, id)));
        let (left, entered) = moved(&old.back_off, &new.back_off);
        left.map(|end| self.back_offs.remove(&(*end, id)));
        entered.map(|end| self.back_offs.insert((*end, id)));
        let (left, entered) = moved(&old.detour, &new.detour);
        left.map(|end| self.detours.remove(&(*end, id)));
        entered.map(|end| self.detours.insert((*end, id)));
        let (left, entered) = moved(&old.parent, &new.parent);
        left.map(|parent| self.children.remove(&(*parent, id)));
        entered.map(|parent| self.children.insert((*parent, id)));
        let (left, entered) = moved(&old.hold, &new.hold);
        left.inspect(|hold| self.holdings.leave(id, hold));
        entered.inspect(|hold| self.holdings.enter(id, hold));
        let (left, entered) = moved(&old.place, &new.place);
        left.inspect(|place| self.queues.leave(id, place));
        entered.inspect(|place| self.queues.enter(id, place));
        let (left, entered) = moved(&old.effort, &new.effort);
        left.inspect(|effort| self.paces.leave(effort));
        entered.inspect(|effort| self.paces.enter(effort));
        let (left, entered) = moved(&old.tally, &new.tally);
        left.inspect(|tally| self.tallies.leave(tally));
        entered.inspect(|tally| self.tallies.enter(tally));
        let (left, entered) = moved(&old.artifacts, &new.artifacts);
        left.inspect(|artifacts| self.give_up(artifacts));
        entered.inspect(|artifacts| self.need(artifacts));
        let (left, entered) = moved(&old.loose, &new.loose);
        left.map(|()| self.loose.remove(&id));
        entered.map(|()| self.loose.insert(id));
    }

    /// Enters all stages, sorted by id, into empty indexes. It leaves the same indexes as [`replace`](Self::replace) for
    /// each stage, and takes less time.
    pub(super) fn fill(&mut self, stages: impl Iterator<Item = (StageId, Keys)>) {
        let (mut leases, mut back_offs, mut detours) = (Vec::new(), Vec::new(), Vec::new());
        let (mut children, mut artifacts, mut loose) = (Vec::new(), Vec::new(), Vec::new());
        for (id, keys) in stages {
            leases.extend(keys.lease.map(|end| (end, id)));
            back_offs.extend(keys.back_off.map(|end| (end, id)));
            detours.extend(keys.detour.map(|end| (end, id)));
            children.extend(keys.parent.map(|parent| (parent, id)));
            artifacts.extend(keys.artifacts.into_iter().flatten());
            loose.extend(keys.loose.map(|()| id));
            keys.hold.inspect(|hold| self.holdings.enter(id, hold));
            keys.place.inspect(|place| self.queues.fill(id, place));
            keys.effort.inspect(|effort| self.paces.enter(effort));
            keys.tally.inspect(|tally| self.tallies.enter(tally));
        }
        self.queues.give_turns();
        (self.leases, self.back_offs) = (leases.into_iter().collect(), back_offs.into_iter().collect());
        (self.detours, self.children) = (detours.into_iter().collect(), children.into_iter().collect());
        self.loose = loose.into_iter().collect();
        // Pushed data may need artifacts already.
        let of_data = std::mem::take(&mut self.artifacts);
        artifacts.extend(of_data.into_iter().flat_map(|(artifact, count)| std::iter::repeat_n(artifact, count)));
        artifacts.sort_unstable();
        let counts = artifacts.chunk_by(|a, b| a == b).filter_map(|same| Some((*same.first()?, same.len())));
        self.artifacts = counts.collect();
    }

    /// Returns the stages that no sweep needs.
    pub(super) fn loose(&self) -> impl Iterator<Item = StageId> {
        self.loose.iter().copied()
    }

    /// Counts one more need of each artifact.
    pub(super) fn need(&mut self, artifacts: &[ArtifactId]) {
        for artifact in artifacts {
            *self.artifacts.entry(*artifact).or_default() += 1;
        }
    }

    /// Counts one need less of each artifact.
    pub(super) fn give_up(&mut self, artifacts: &[ArtifactId]) {
        for artifact in artifacts {
            less(&mut self.artifacts, artifact);
        }
    }

    /// Returns whether a stage or a data set needs the artifact.
    pub(super) fn needs(&self, artifact: ArtifactId) -> bool {
        self.artifacts.contains_key(&artifact)
    }

    /// Returns the stages whose leases end until `now` on the listening clock, the earliest first.
    pub(super) fn ended_leases(&self, now: Millis) -> Vec<StageId> {
        self.leases.iter().take_while(|(end, _)| *end <= now).map(|(_, id)| *id).collect()
    }

    /// Returns the stages whose back-offs end until `now`, the earliest first.
    pub(super) fn ended_back_offs(&self, now: Millis) -> Vec<StageId> {
        self.back_offs.iter().take_while(|(end, _)| *end <= now).map(|(_, id)| *id).collect()
    }

    /// Returns the stages whose detours end until `now`, the earliest first.
    pub(super) fn ended_detours(&self, now: Millis) -> Vec<StageId> {
        self.detours.iter().take_while(|(end, _)| *end <= now).map(|(_, id)| *id).collect()
    }

    /// Returns the stages that start from the output of `parent`.
    pub(super) fn children(&self, parent: StageId) -> Vec<StageId> {
        let lowest = StageId(ContentHash::from_bytes([0; 32]));
        let children = self.children.range((parent, lowest)..);
        children.take_while(|(other, _)| *other == parent).map(|(_, child)| *child).collect()
    }
}

/// Returns the places that a stage leaves and enters; none if they are the same.
fn moved<'a, K: PartialEq>(old: &'a Option<K>, new: &'a Option<K>) -> (Option<&'a K>, Option<&'a K>) {
    if old == new { (None, None) } else { (old.as_ref(), new.as_ref()) }
}

/// Counts one less, and forgets a count of zero.
fn less<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}
