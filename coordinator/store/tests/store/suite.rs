//! The requirements of every store, as test functions for the trait.

use std::collections::BTreeSet;

use pretext_engine::{Change, Outline, Progress, PushedData, State, SweepMark, Waiting};
use pretext_shared::ids::{ContentHash, Fence, StageId};

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
