//! Builds the table from what a store has. A restart waits for it, so each stage is
//! visited a fixed number of times, in the order of the store, and the indexes are built from sorted lists.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pretext_shared::ids::{StageId, SweepId};
use pretext_shared::stage::StageKind;
use pretext_shared::sweep::CellState;

use super::{Cells, Index, SweepEntry, Table, cells};
use crate::facts::{Demand, Group, Need, StageEntry, images};
use crate::{Limits, Millis, Snapshot, State, SweepMark, SweepRecord, Waiting};

impl Table {
    /// Returns the table with the state of `snapshot`. Held leases get a full lease time from `now`.
    pub(crate) fn restore(limits: Limits, snapshot: Snapshot, now: Millis) -> Self {
        let mut table = Self {
            sweeps: BTreeMap::new(),
            drafts: BTreeMap::new(),
            stages: BTreeMap::new(),
            data: BTreeMap::new(),
            demands: BTreeSet::new(),
            index: Index::default(),
        };
        for (fingerprint, data) in snapshot.data {
            table.set_data(fingerprint, Some(data));
        }
        let mut needs: Vec<(StageId, Need)> = Vec::new();
        let mut sweeps = BTreeMap::new();
        for (record, mark) in snapshot.sweeps {
            let is_active = !mark.is_cancelled();
            table.index.queues.open(&record, is_active);
            let cells = cells::by_stage(&record);
            let stages: Vec<StageId> = cells.iter().map(|(stage, ..)| *stage).collect();
            needs.extend(cells.into_iter().filter_map(|(stage, replicate, cells)| {
                let group = Group::of(&record, &cells)?;
                Some((stage, Need { sweep: record.id.clone(), is_active, replicate, group, cells }))
            }));
            sweeps.insert(record.id.clone(), (record, mark, stages));
        }
        needs.sort_unstable_by(|(a, of_a), (b, of_b)| (a, &of_a.sweep).cmp(&(b, &of_b.sweep)));
        // Stages and needs are sorted, so one pass over both is enough.
        let mut needs = needs.into_iter().peekable();
        let mut stages = Vec::with_capacity(snapshot.stages.len());
        let mut last_demand: Option<Arc<Demand>> = None;
        for (id, (outline, progress)) in snapshot.stages {
            // Most stages of a store have the same demand.
            let demand = last_demand.take().filter(|demand| demand.is_of(&outline));
            let demand = demand.unwrap_or_else(|| table.demand(&outline));
            last_demand = Some(demand.clone());
            let mut entry = StageEntry::new(outline, progress, demand);
            entry.until = match &entry.progress.state {
                State::Leased(_) => now + limits.lease_ms,
                State::Waiting(Waiting::BackOff(ms)) => now + ms,
                _ => 0,
            };
            // Like a back-off, a detour starts anew.
            entry.avoid_until = now + limits.avoid_ms;
            entry.has_last_try = entry.progress.has_last_try(&limits);
            while needs.next_if(|(stage, _)| *stage < id).is_some() {}
            while let Some((_, need)) = needs.next_if(|(stage, _)| *stage == id) {
                entry.needs.push(need);
            }
            // The time on the slot is not known any more. The training is most of it.
            if let State::Succeeded(result) = &entry.progress.state {
                entry.took = Some((result.seconds * 1_000.0) as Millis);
            }
            stages.push((id, entry));
        }
        relate(&mut stages);
        table.index.fill(stages.iter().map(|(id, entry)| (*id, entry.keys())));
        table.sweeps = sum_up(sweeps, &stages);
        table.stages = stages.into_iter().collect();
        table
    }
}

/// A sweep whose stages are being counted.
struct Sum {
    record: SweepRecord,
    mark: SweepMark,
    stages: Vec<StageId>,
    steps: u64,
    images: u64,
    cells: Vec<CellState>,
}

/// Returns the sweeps with their costs and the states of their cells, from one pass over all stages.
fn sum_up(
    sweeps: BTreeMap<SweepId, (SweepRecord, SweepMark, Vec<StageId>)>,
    stages: &[(StageId, StageEntry)],
) -> BTreeMap<SweepId, SweepEntry> {
    let sum = |(id, (record, mark, stages)): (SweepId, (SweepRecord, SweepMark, Vec<StageId>))| {
        let cells = vec![CellState::Pending; record.cells.len()];
        (id, Sum { record, mark, stages, steps: 0, images: 0, cells })
    };
    let mut sums: BTreeMap<SweepId, Sum> = sweeps.into_iter().map(sum).collect();
    for (_, entry) in stages {
        let state = cells::through(entry);
        for need in &entry.needs {
            let Some(sum) = sums.get_mut(&need.sweep) else { continue };
            sum.steps += entry.outline.cost.steps;
            sum.images += entry.outline.cost.images_seen;
            for place in &need.cells {
                if let Some(cell) = sum.cells.get_mut(*place as usize) {
                    *cell = cells::stronger(*cell, state);
                }
            }
        }
    }
    let entry = |(id, Sum { record, mark, stages, steps, images, cells }): (SweepId, Sum)| {
        let cells = Cells::new(cells, &mark, 1);
        (id, SweepEntry { record, mark, stages, steps, images, cells })
    };
    sums.into_iter().map(entry).collect()
}

/// Computes for every stage what is before it, and the images of the longest chain that starts with it.
fn relate(stages: &mut [(StageId, StageEntry)]) {
    let parents = parents(stages);
    // Test stages have no children, downstream stages have test children, pretext stages have downstream children.
    // In the order of kinds, every stage comes after the stage that it waits for.
    let mut order: Vec<(StageKind, usize)> =
        stages.iter().enumerate().map(|(place, (_, entry))| (entry.outline.kind, place)).collect();
    order.sort_unstable();
    let parent_of = |place: usize| parents.get(place).copied().flatten();
    let mut longest = vec![0; stages.len()];
    for (_, place) in order.iter().rev() {
        let Some((_, entry)) = stages.get_mut(*place) else { continue };
        entry.weight = images(&entry.outline) + longest.get(*place).copied().unwrap_or(0);
        if let Some(most) = parent_of(*place).and_then(|parent| longest.get_mut(parent)) {
            *most = entry.weight.max(*most);
        }
    }
    for (_, place) in &order {
        let before = parent_of(*place).and_then(|parent| stages.get(parent)).map(|(_, parent)| parent.before_next());
        if let (Some(before), Some((_, entry))) = (before, stages.get_mut(*place)) {
            entry.before = before;
        }
    }
}

/// Returns the position of each stage's parent. The stages are sorted by id.
fn parents(stages: &[(StageId, StageEntry)]) -> Vec<Option<usize>> {
    let of = |(child, (_, entry)): (usize, &(StageId, StageEntry))| Some((entry.outline.parent?, child));
    let mut links: Vec<(StageId, usize)> = stages.iter().enumerate().filter_map(of).collect();
    links.sort_unstable();
    let mut parents = vec![None; stages.len()];
    // Stages and links are sorted, so one pass over both is enough.
    let mut at = stages.iter().enumerate().peekable();
    for (parent, child) in links {
        while at.next_if(|(_, (id, _))| *id < parent).is_some() {}
        let found = at.peek().filter(|(_, (id, _))| *id == parent).map(|(place, _)| *place);
        if let Some(slot) = parents.get_mut(child) {
            *slot = found;
        }
    }
    parents
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{SWEEP, engine_with, failure, lease, persist, pushed, result, submission};
    use crate::index::Keys;
    use pretext_shared::ids::{ArtifactId, ContentHash, Fingerprint};
    use pretext_shared::outcome::{ArtifactKind, FailureCode, StageResult};

    /// The bulk path has its own code for every index. It must not drift from the path of single changes.
    #[test]
    fn a_start_fills_the_indexes_as_single_stages_do() {
        let mut engine = engine_with(&[("a", 2), ("bb", 2)]);
        let mut snapshot = Snapshot::default();
        let cancelled = submission(&SWEEP.replace("seeds: [0]", "seeds: [0, 1]"), 2);
        let id = cancelled.sweep.id.clone();
        engine.submit(submission(SWEEP, 1));
        engine.submit(cancelled);
        engine.submit(submission(&SWEEP.replace("seeds: [0]", "seeds: [0, 2, 3]"), 3));
        let forgotten = submission(&SWEEP.replace("seeds: [0]", "seeds: [4]"), 4);
        let forgotten_id = forgotten.sweep.id.clone();
        engine.submit(forgotten);
        let model = ArtifactId(ContentHash::of(b"model"));
        for request in ["one", "two", "three", "four"] {
            let done = lease(&mut engine, "a", request, 0).expect("work");
            let artifacts = BTreeMap::from([(ArtifactKind::Model, model)]);
            let result = StageResult { artifacts, ..result() };
            engine.complete(done.attempt, result, 0).expect("the holder completes");
        }
        for (request, code) in [("five", FailureCode::Device), ("six", FailureCode::Data), ("seven", FailureCode::Data)]
        {
            let failed = lease(&mut engine, "a", request, 0).expect("work");
            engine.fail(failed.attempt, failure(code), 0).expect("the holder fails");
        }
        lease(&mut engine, "bb", "held", 0).expect("work");
        engine.cancel(&id).expect("known");
        persist(&mut snapshot, engine.take_changes());
        snapshot.data.insert(Fingerprint(ContentHash::of(b"data")), pushed());
        snapshot.sweeps.retain(|(record, _)| record.id != forgotten_id);

        let table = Table::restore(Limits::default(), snapshot, 5);
        let mut index = Index::default();
        for data in table.data.values() {
            index.need(&data.artifacts().collect::<Vec<_>>());
        }
        for sweep in table.sweeps.values() {
            index.queues.open(&sweep.record, !sweep.mark.is_cancelled());
        }
        for (id, entry) in &table.stages {
            index.replace(*id, &Keys::default(), &entry.keys());
        }
        assert_eq!(format!("{:#?}", table.index), format!("{index:#?}"));
        for sweep in table.sweeps.values() {
            let states = sweep.record.cells.iter().map(|cell| cells::state(cell, &table.stages)).collect();
            assert_eq!(format!("{:?}", sweep.cells), format!("{:?}", Cells::new(states, &sweep.mark, 1)));
        }
    }
}
