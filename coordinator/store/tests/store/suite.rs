//! The requirements of every store, as test functions for the trait.

use std::collections::BTreeSet;

use pretext_engine::{Change, Outline, Progress, PushedData, State, SweepMark, Waiting};
use pretext_shared::ids::{ContentHash, Fence, StageId, SweepId};

use pretext_store::{Store, StoreError};

use super::records::{batch, grant, large, leased, progress, pushed, submitted};

/// A store that can be opened again and again.
pub(crate) trait Home: Sync {
    type Store: Store;

    /// Opens the store after its former user has closed it.
    fn open(&self) -> Self::Store;

    fn reopen(&self, store: Self::Store) -> Self::Store {
        store.close();
        drop(store);
        self.open()
    }
}

pub(crate) fn what_was_committed_is_there(home: &impl Home) {
    let store = home.open();
    assert_eq!(store.load().expect("empty").stages.len(), 0);
    let (changes, ids) = submitted();
    store.commit(&changes).expect("committed");
    let stage = ids[0];
    // A value that decimal notation would round, and fences and sequences that text order would put in the wrong order.
    let exact = f64::from_bits(0x3fb9_9999_9999_999b);
    store
        .commit(&[
            Change::LogGrant(stage, Fence(9), grant(1)),
            Change::AppendPoints(stage, batch(9, 10, 0.1)),
            Change::AppendPoints(stage, batch(9, 2, 0.2)),
            Change::SetProgress(stage, Box::new(Progress { batches: 7, ..leased(300) })),
            Change::LogGrant(stage, Fence(300), grant(2)),
            Change::AppendPoints(stage, batch(300, 1, exact)),
            Change::AppendPoints(stage, batch(300, 0, 0.5)),
            // The last value in a commit counts.
            progress(stage, 300),
        ])
        .expect("committed");
    let sweep = store.load().expect("readable").sweeps[0].0.id.clone();
    store.commit(&[Change::MarkSweep(sweep, SweepMark::Cancelled(vec![0]))]).expect("committed");

    let store = home.reopen(store);
    let snapshot = store.load().expect("readable");
    let Change::AddSweep(first) = &changes[0] else { panic!("the sweep comes first") };
    assert_eq!(snapshot.sweeps, [((**first).clone(), SweepMark::Cancelled(vec![0]))]);
    assert_eq!(snapshot.stages.keys().copied().collect::<BTreeSet<_>>(), ids.iter().copied().collect());
    assert_eq!(*snapshot.stages[&stage].1, leased(300));
    assert_eq!(snapshot.stages[&ids[1]].1.state, State::Waiting(Waiting::Open));
    let expected = [batch(9, 2, 0.2), batch(9, 10, 0.1), batch(300, 0, 0.5), batch(300, 1, exact)];
    assert_eq!(store.points(stage).expect("readable"), expected);
    assert_eq!(store.points(ids[1]).expect("readable"), []);
    assert_eq!(store.points(StageId(ContentHash::of(b"unknown"))).expect("readable"), []);
    assert_eq!(store.grants(stage).expect("readable"), [(Fence(9), grant(1)), (Fence(300), grant(2))]);
    store.commit(&[progress(stage, 301)]).expect("goes on after it was opened again");
}

/// Tests that pushed data sets are stored until they are removed, and again after another push.
pub(crate) fn pushed_data_are_kept_until_they_are_removed(home: &impl Home) {
    let store = home.open();
    let (one, two) = (pushed("one"), pushed("two"));
    let set = |data: &PushedData| Change::SetData(data.facts.fingerprint, Some(Box::new(data.clone())));
    store.commit(&[set(&one), set(&two)]).expect("committed");
    let store = home.reopen(store);
    let both = [&one, &two].map(|data| (data.facts.fingerprint, data.clone())).into();
    assert_eq!(store.load().expect("readable").data, both);
    store.commit(&[Change::SetData(one.facts.fingerprint, None)]).expect("committed");
    let store = home.reopen(store);
    assert_eq!(store.load().expect("readable").data, [(two.facts.fingerprint, two)].into());
    store.commit(&[set(&one)]).expect("committed");
    assert_eq!(store.load().expect("readable").data.len(), 2);
}

/// Tests that readers see each commit complete or not at all while a writer continues.
pub(crate) fn readers_see_whole_commits(home: &impl Home) {
    let store = home.open();
    let (changes, ids) = submitted();
    store.commit(&changes).expect("committed");
    let (a, b) = (ids[0], ids[1]);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for fence in 1..=50 {
                store.commit(&[progress(a, fence), progress(b, fence)]).expect("committed");
            }
        });
        let mut last = Fence(0);
        while last < Fence(50) {
            let snapshot = store.load().expect("readable");
            let (first, second) = (snapshot.stages[&a].1.fence, snapshot.stages[&b].1.fence);
            assert_eq!(first, second);
            assert!(first >= last, "a commit was lost again");
            last = first;
        }
        writer.join().expect("the writer did not panic");
    });
}

/// Tests that concurrent commits are all stored, complete and once.
pub(crate) fn concurrent_writers_lose_nothing(home: &impl Home) {
    let store = home.open();
    let (changes, ids) = submitted();
    store.commit(&changes).expect("committed");
    std::thread::scope(|scope| {
        for writer in 0..8_u64 {
            let (store, stage) = (&store, ids[0]);
            scope.spawn(move || {
                for sequence in writer * 20..writer * 20 + 20 {
                    let batch = batch(1, sequence, sequence as f64);
                    store.commit(&[Change::AppendPoints(stage, batch)]).expect("committed");
                }
            });
        }
    });
    let sequences: Vec<u64> = store.points(ids[0]).expect("readable").iter().map(|batch| batch.sequence).collect();
    assert_eq!(sequences, (0..160).collect::<Vec<_>>());
}

/// Tests that a write with a fence below the highest of its stage is refused, with its whole commit.
pub(crate) fn stale_fences_are_refused(home: &impl Home) {
    let store = home.open();
    let (changes, ids) = submitted();
    store.commit(&changes).expect("committed");
    let (stage, other) = (ids[0], ids[1]);
    store.commit(&[progress(stage, 7)]).expect("committed");
    let before = store.load().expect("readable");
    for stale in [
        progress(stage, 6),
        Change::SetProgress(stage, Box::default()),
        Change::AppendPoints(stage, batch(6, 0, 0.5)),
        Change::LogGrant(stage, Fence(6), grant(1)),
    ] {
        let refused = store.commit(&[progress(other, 1), stale.clone()]);
        let expected = matches!(
            &refused,
            Err(StoreError::StaleFence { stage: found, stored: Fence(7), .. }) if *found == stage
        );
        assert!(expected, "{stale:?}: {refused:?}");
        assert_eq!(store.load().expect("readable"), before);
        assert_eq!(store.points(stage).expect("readable"), []);
    }
    // Within one commit too.
    let refused = store.commit(&[progress(stage, 9), Change::AppendPoints(stage, batch(8, 0, 0.5))]);
    assert!(matches!(refused, Err(StoreError::StaleFence { stored: Fence(9), .. })), "{refused:?}");
    store.commit(&[Change::AppendPoints(stage, batch(7, 0, 0.5)), progress(stage, 8)]).expect("its own fence");
    // Neighbouring fences that are equal in floating point.
    let wide = 1 << 59;
    store.commit(&[progress(stage, wide + 1)]).expect("higher");
    let refused = store.commit(&[progress(stage, wide)]);
    assert!(matches!(refused, Err(StoreError::StaleFence { stored, .. }) if stored == Fence(wide + 1)), "{refused:?}");
}

/// Tests that a submission of 10⁵ cells is one commit: readers see all of it or nothing.
pub(crate) fn large_sweeps_are_one_commit(home: &impl Home) {
    let store = home.open();
    let (changes, stages) = large(100_000);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::SeqCst) {
                let snapshot = store.load().expect("readable");
                let seen = (snapshot.sweeps.len(), snapshot.stages.len());
                assert!(seen == (0, 0) || seen == (1, 100_000), "a part of a commit was seen: {seen:?}");
            }
        });
        let committed = store.commit(&changes);
        done.store(true, std::sync::atomic::Ordering::SeqCst);
        committed.expect("committed");
    });
    let store = home.reopen(store);
    let snapshot = store.load().expect("readable");
    let Change::AddSweep(sweep) = &changes[0] else { panic!("the sweep comes first") };
    assert!(snapshot.sweeps == [((**sweep).clone(), SweepMark::Active)]);
    assert!(snapshot.stages.len() == stages.len());
    assert!(snapshot.stages.iter().all(|(id, (outline, progress))| {
        stages.get(id).is_some_and(|plan| **outline == Outline::from(plan)) && **progress == Progress::new()
    }));
    let some: Vec<StageId> = stages.keys().copied().step_by(7).collect();
    let plans = store.plans(&some).expect("readable");
    assert!(plans.len() == some.len() && plans.iter().all(|(id, plan)| stages.get(id) == Some(plan)));
    // The commit after a large one, and the fences of the large one.
    let first = *stages.keys().next().expect("stages");
    store.commit(&[progress(first, 1)]).expect("committed");
    assert!(matches!(store.commit(&[progress(first, 0)]), Err(StoreError::StaleFence { .. })));
}

/// The changes that delete a sweep with these stages.
fn deletion(sweep: &SweepId, stages: &[StageId], first: Fence) -> Vec<Change> {
    let mut changes = vec![Change::DeleteSweep(sweep.clone())];
    changes.extend(stages.iter().map(|stage| Change::DeleteStage(*stage)));
    changes.push(Change::RaiseFences(first));
    changes
}

/// Tests that nothing is left of a deleted sweep but the fence at which new stages begin.
pub(crate) fn deleted_sweeps_leave_nothing(home: &impl Home) {
    let store = home.open();
    assert_eq!(store.load().expect("empty").first_fence, Fence(0));
    let (changes, ids) = submitted();
    let Change::AddSweep(sweep) = &changes[0] else { panic!("the sweep comes first") };
    store.commit(&changes).expect("committed");
    let written = [Change::LogGrant(ids[0], Fence(9), grant(1)), Change::AppendPoints(ids[0], batch(9, 0, 0.1))];
    store.commit(&written).expect("committed");
    store.commit(&[Change::MarkSweep(sweep.id.clone(), SweepMark::Cancelled(vec![]))]).expect("committed");
    // A neighbour stays.
    let other = StageId(ContentHash::of(b"a neighbour"));
    let neighbour = [Change::LogGrant(other, Fence(9), grant(1)), Change::AppendPoints(other, batch(9, 0, 0.1))];
    store.commit(&neighbour).expect("committed");
    store.commit(&deletion(&sweep.id, &ids, Fence(10))).expect("committed");

    let mut store = store;
    for _ in 0..2 {
        let snapshot = store.load().expect("readable");
        assert_eq!((snapshot.sweeps.len(), snapshot.stages.len(), snapshot.first_fence), (0, 0, Fence(10)));
        assert_eq!(store.plans(&ids).expect("readable"), [].into());
        assert_eq!(store.points(ids[0]).expect("readable"), []);
        assert_eq!(store.grants(ids[0]).expect("readable"), []);
        assert_eq!((store.points(other).expect("there").len(), store.grants(other).expect("there").len()), (1, 1));
        store = home.reopen(store);
    }
    // The same sweep is a new one.
    store.commit(&changes).expect("committed");
    let snapshot = store.load().expect("readable");
    assert_eq!(snapshot.sweeps, [((**sweep).clone(), SweepMark::Active)]);
    assert_eq!(snapshot.stages.len(), ids.len());
}

/// Tests that readers see all of a large deletion or nothing.
pub(crate) fn large_deletions_are_one_commit(home: &impl Home) {
    const CELLS: u32 = 2_000;
    let store = home.open();
    let (changes, stages) = large(CELLS);
    let Change::AddSweep(sweep) = &changes[0] else { panic!("the sweep comes first") };
    store.commit(&changes).expect("committed");
    let stages: Vec<StageId> = stages.into_keys().collect();
    let points: Vec<Change> = stages.iter().map(|id| Change::AppendPoints(*id, batch(1, 0, 0.5))).collect();
    store.commit(&points).expect("committed");
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::SeqCst) {
                let snapshot = store.load().expect("readable");
                let seen = (snapshot.sweeps.len(), snapshot.stages.len(), snapshot.first_fence);
                let whole = [(1, CELLS as usize, Fence(0)), (0, 0, Fence(7))];
                assert!(whole.contains(&seen), "a part of a deletion was seen: {seen:?}");
            }
        });
        let committed = store.commit(&deletion(&sweep.id, &stages, Fence(7)));
        done.store(true, std::sync::atomic::Ordering::SeqCst);
        committed.expect("committed");
    });
    let store = home.reopen(store);
    assert_eq!(store.load().expect("readable").stages.len(), 0);
    assert!(stages.iter().all(|id| store.points(*id).expect("readable").is_empty()));
}

/// Tests that a commit which deletes a stage, adds it again and writes to it keeps the later writes, in commits of any
/// size.
pub(crate) fn a_stage_that_comes_again_keeps_what_came_after_its_deletion(home: &impl Home) {
    for others in [0, 3_000] {
        let store = home.open();
        let (mut changes, ids) = submitted();
        let Change::AddSweep(sweep) = changes.remove(0) else { panic!("the sweep comes first") };
        store.commit(&changes).expect("committed");
        let stage = ids[0];
        store.commit(&[progress(stage, 5), Change::AppendPoints(stage, batch(5, 0, 0.1))]).expect("committed");
        let mut again = vec![progress(stage, 6), Change::AppendPoints(stage, batch(6, 0, 0.2))];
        again.extend(deletion(&sweep.id, &ids, Fence(10)));
        again.extend(changes.iter().map(|change| match change {
            Change::SetProgress(id, _) => progress(*id, 10),
            other => other.clone(),
        }));
        again.extend([progress(stage, 11), Change::AppendPoints(stage, batch(11, 0, 0.3))]);
        // Enough rows before and after it to spread the commit over several pieces.
        let more = (0..others).map(|n: u64| Change::AppendPoints(ids[1], batch(10, n, 0.5)));
        let more: Vec<Change> = more.collect();
        let committed = [again, more].concat();
        store.commit(&committed).expect("committed");
        let store = home.reopen(store);
        assert_eq!(*store.load().expect("readable").stages[&stage].1, leased(11));
        assert_eq!(store.points(stage).expect("readable"), [batch(11, 0, 0.3)]);
        assert_eq!(store.points(ids[1]).expect("readable").len() as u64, others);
        assert!(matches!(store.commit(&[progress(stage, 10)]), Err(StoreError::StaleFence { .. })));
        store.commit(&deletion(&sweep.id, &ids, Fence(12))).expect("committed");
        store.close();
    }
}
