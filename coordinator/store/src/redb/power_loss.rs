//! Tests power loss at every moment of a recorded run: the store opens, and has all acknowledged commits.

use std::collections::BTreeMap;
use std::path::Path;

use pretext_engine::fixtures::{SWEEP, submission};
use pretext_engine::{Checkpoint, Holder, Progress, State, SweepMark};
use pretext_power_loss::{Disk, lose_power};
use pretext_shared::ids::{ArtifactId, ContentHash, Fence, StageId, WorkerId};
use pretext_shared::outcome::{Score, StageResult};
use pretext_shared::point::{Metric, Part, Point};

use super::super::Store;
use super::*;

/// Everything that can be read from a store.
#[derive(Debug, Clone, PartialEq)]
struct Content {
    snapshot: Snapshot,
    plans: BTreeMap<StageId, StageRecord>,
    points: BTreeMap<StageId, Vec<Batch>>,
    grants: BTreeMap<StageId, Vec<(Fence, GrantRecord)>>,
}

fn open(disk: Disk) -> Result<RedbStore, StoreError> {
    RedbStore::on(Box::new(disk), Path::new("disk"))
}

impl Medium for Disk {
    fn open(&self) -> Result<Database, ::redb::DatabaseError> {
        Database::builder().create_with_backend(self.clone())
    }

    fn probe(&self) -> io::Result<()> {
        Ok(())
    }
}

fn read_all(store: &RedbStore) -> Result<Content, StoreError> {
    let snapshot = store.load()?;
    let ids: Vec<StageId> = snapshot.stages.keys().copied().collect();
    let points = ids.iter().map(|id| Ok((*id, store.points(*id)?))).collect::<Result<_, StoreError>>()?;
    let grants = ids.iter().map(|id| Ok((*id, store.grants(*id)?))).collect::<Result<_, StoreError>>()?;
    Ok(Content { plans: store.plans(&ids)?, points, grants, snapshot })
}

/// Returns the changes of a sweep that is submitted, trained with points and checkpoints, finished, and cancelled; each
/// group is one commit.
fn run() -> Vec<Vec<Change>> {
    let submitted = submission(SWEEP, 1);
    let (sweep, ids) = (submitted.sweep.id.clone(), submitted.stages.iter().map(|(id, _)| *id).collect::<Vec<_>>());
    let mut first = vec![Change::AddSweep(Box::new(submitted.sweep))];
    for (id, plan) in submitted.stages {
        first.extend([Change::AddStage(id, Box::new(plan)), Change::SetProgress(id, Box::default())]);
    }
    let mut groups = vec![first];
    let worker = WorkerId { name: "w".to_owned(), boot: uuid::Uuid::from_u128(1) };
    for (place, id) in ids.iter().copied().enumerate().take(3) {
        let fence = Fence(7 + place as u64);
        let holder = Holder { worker: worker.clone(), device: "cpu".to_owned(), request: format!("r{place}") };
        let leased = Progress { fence, state: State::Leased(holder.clone()), ..Progress::new() };
        groups.push(vec![
            Change::SetProgress(id, Box::new(leased.clone())),
            Change::LogGrant(id, fence, GrantRecord { holder, granted_ms: 1, resume_step: 0 }),
        ]);
        for sequence in 0..4 {
            let point = |step| Point { part: Part::Train, metric: Metric::Loss, epoch: 1, step, value: 1.5 };
            let points = (0..20).map(|step| point(sequence * 20 + step)).collect();
            let progress = Progress { batches: sequence + 1, ..leased.clone() };
            groups.push(vec![
                Change::SetProgress(id, Box::new(progress)),
                Change::AppendPoints(id, Batch { fence, sequence, points }),
            ]);
        }
        let checkpoint = Checkpoint { artifact: ArtifactId(ContentHash::of(b"checkpoint")), step: 40 };
        let progress = Progress { batches: 4, checkpoint: Some(checkpoint), ..leased.clone() };
        groups.push(vec![Change::SetProgress(id, Box::new(progress))]);
        let result = StageResult {
            selected_epoch: 1,
            score: Score { loss: 0.5, accuracy: 0.5, seen: 9 },
            steps: 80,
            images: 640,
            artifacts: BTreeMap::new(),
            device: "cpu".to_owned(),
            seconds: 1.0,
        };
        let ended = Progress { batches: 4, state: State::Succeeded(result), ..leased };
        groups.push(vec![Change::SetProgress(id, Box::new(ended))]);
    }
    groups.push(vec![Change::MarkSweep(sweep, SweepMark::Cancelled(vec![0]))]);
    groups
}

#[test]
fn power_may_be_lost_at_any_moment() {
    let disk = Disk::with(Vec::new());
    let mut store = open(disk.clone()).expect("opens");
    // The store's content after each commit, with the operation that acknowledged it.
    let mut seen = vec![(disk.recorded(), read_all(&store).expect("readable"))];
    for (place, group) in run().into_iter().enumerate() {
        if place == 10 {
            // Closed in order, and opened again.
            drop(store);
            store = open(disk.clone()).expect("opens");
        }
        store.commit(&group).expect("a good disk");
        seen.push((disk.recorded(), read_all(&store).expect("readable")));
    }
    assert!(seen.windows(2).all(|pair| pair[0].1 != pair[1].1), "every commit is seen");
    let losses = lose_power(&disk, seen[0].0, |done, moment, content| {
        let store = open(Disk::with(content)).unwrap_or_else(|error| panic!("{moment}: {error}"));
        let found = read_all(&store).unwrap_or_else(|error| panic!("{moment}: {error}"));
        let at = seen.iter().rposition(|(recorded, _)| *recorded <= done).expect("it is open");
        let next = seen.get(at + 1).map(|(_, content)| content);
        assert!(
            found == seen[at].1 || Some(&found) == next,
            "{moment}: neither what commit {at} acknowledged nor what the next one was to be"
        );
        store.commit(&[]).expect("goes on");
    });
    println!("{losses:?}");
    assert!(losses.boundaries > 40 && losses.disks > 5_000, "{losses:?}");
}
