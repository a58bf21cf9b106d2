//! Builds the table from what a store has. A restart waits for it, so each stage is visited a fixed number of times.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use pretext_shared::ids::StageId;
use pretext_shared::stage::StageKind;

use super::{Cells, Index, Keys, SweepEntry, Table, cells};
use crate::facts::{Before, Group, Need, StageEntry, images};
use crate::{Limits, Millis, Snapshot, State, Waiting};

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
        for (id, (outline, progress)) in snapshot.stages {
            let demand = table.demand(&outline);
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
        table.stages = stages.into_iter().collect();
        table.relate();
        for (id, entry) in &table.stages {
            table.index.replace(*id, &Keys::default(), &entry.keys());
        }
        for (id, (record, mark, stages)) in sweeps {
            let cells = Cells::new(&record, &mark, &table.stages, 1);
            let mut entry = SweepEntry { record, mark, stages, steps: 0, images: 0, cells };
            entry.sum_costs(&table.stages);
            table.sweeps.insert(id, entry);
        }
        table
    }

    /// Computes for every stage what is before it, and the images of the longest chain that starts with it.
    fn relate(&mut self) {
        let all = self.stages.iter().map(|(id, entry)| (*id, entry.outline.kind, entry.outline.parent));
        let mut all: Vec<(StageId, StageKind, Option<StageId>)> = all.collect();
        // Test stages have no children, downstream stages have test children, pretext stages have downstream children.
        // In this order every stage comes after all stages that wait for it.
        all.sort_unstable_by_key(|(_, kind, _)| Reverse(*kind));
        let mut longest: HashMap<StageId, u64> = HashMap::with_capacity(all.len());
        for (id, _, parent) in &all {
            let Some(entry) = self.stages.get_mut(id) else { continue };
            entry.weight = images(&entry.outline) + longest.get(id).copied().unwrap_or(0);
            if let Some(parent) = parent {
                let most = longest.entry(*parent).or_default();
                *most = entry.weight.max(*most);
            }
        }
        // The other way round, every stage comes after the stage that it waits for.
        let mut next: HashMap<StageId, Before> = HashMap::with_capacity(all.len());
        for (id, _, parent) in all.iter().rev() {
            let Some(entry) = self.stages.get_mut(id) else { continue };
            if let Some(parent) = parent {
                entry.before = next.get(parent).copied().unwrap_or(Before::Open);
            }
            next.insert(*id, entry.before_next());
        }
    }
}
