//! What every home of the store must do, as functions over the trait: each home runs all of them.

use pretext_shared::dataset::{Procedural, Source};
use pretext_shared::device::NumericClass;
use pretext_shared::ids::{ContentHash, Fence, StageId, WorkerId};
use pretext_shared::plan;
use pretext_shared::point::{Metric, Part, Point};
use pretext_shared::spec;
use pretext_shared::stage::Extent;

use super::Store;
use crate::engine::{Batch, Change, GrantRecord, Holder, Progress, State, SweepMark, Waiting};
use crate::submission::Planned;

const SWEEP: &str = "
name: stored
dataset: {kind: procedural, train_per_class: 40, test_per_class: 10, seed: 0, image_size: 16}
encoder: {kind: small-cnn, width: 4, blocks: 2}
methods: [supervised]
fractions: [50%]
lr: {fixed: {kind: constant, base: 0.01}}
seeds: [0]
downstream: {epochs: 1, batch: 8}
";

fn submission() -> (Vec<Change>, Vec<StageId>) {
    let sweep = spec::parse(SWEEP).expect("a good sweep");
    let facts = Procedural { train_per_class: 40, test_per_class: 10, seed: 0 }.facts();
    assert!(matches!(sweep.source, Source::Procedural(_)));
    let plan = plan::expand(&sweep, &facts, NumericClass::Cpu, Extent::Whole).expect("a plan");
    let submission = Planned { sweep, facts, plan }.submission(SWEEP.to_owned(), 7);
    let ids = submission.stages.iter().map(|(id, _)| *id).collect();
    let mut changes = vec![Change::AddSweep(Box::new(submission.sweep))];
    for (id, record) in submission.stages {
        changes.push(Change::AddStage(id, Box::new(record)));
        changes.push(Change::SetProgress(id, Box::default()));
    }
    (changes, ids)
}

fn batch(fence: u64, sequence: u64, value: f64) -> Batch {
    let point = Point { part: Part::Train, metric: Metric::Loss, epoch: 1, step: sequence, value };
    Batch { fence: Fence(fence), sequence, points: vec![point] }
}

/// Commits everything that can be committed, then reads it with a store that `reopen` makes anew.
pub(super) fn what_was_committed_is_there<S: Store>(store: S, reopen: impl FnOnce(S) -> S) {
    assert_eq!(store.load().expect("empty").stages.len(), 0);
    let (changes, ids) = submission();
    store.commit(&changes).expect("committed");
    let stage = ids[0];
    let holder = Holder {
        worker: WorkerId { name: "w".to_owned(), boot: uuid::Uuid::from_u128(1) },
        device: "cpu".to_owned(),
        request: "r".to_owned(),
    };
    let progress = Progress { fence: Fence(300), state: State::Leased(holder.clone()), batches: 2, ..Progress::new() };
    let grant = |ms| GrantRecord { holder: holder.clone(), granted_ms: ms, resume_step: 0 };
    // A value that decimal notation would round, and fences and sequences that text order would misplace.
    let exact = f64::from_bits(0x3fb9_9999_9999_999b);
    store
        .commit(&[
            Change::SetProgress(stage, Box::new(progress.clone())),
            Change::LogGrant(stage, Fence(300), grant(2)),
            Change::LogGrant(stage, Fence(9), grant(1)),
            Change::AppendPoints(stage, batch(300, 1, exact)),
            Change::AppendPoints(stage, batch(300, 0, 0.5)),
            Change::AppendPoints(stage, batch(9, 10, 0.1)),
            Change::AppendPoints(stage, batch(9, 2, 0.2)),
        ])
        .expect("committed");
    let sweep = store.load().expect("readable").sweeps[0].0.id.clone();
    store.commit(&[Change::MarkSweep(sweep, SweepMark::Cancelled(vec![0]))]).expect("committed");

    let store = reopen(store);
    let snapshot = store.load().expect("readable");
    let Change::AddSweep(first) = &changes[0] else { panic!("the sweep comes first") };
    assert_eq!(snapshot.sweeps, [((**first).clone(), SweepMark::Cancelled(vec![0]))]);
    assert_eq!(
        snapshot.stages.keys().copied().collect::<std::collections::BTreeSet<_>>(),
        ids.iter().copied().collect()
    );
    assert_eq!(snapshot.stages[&stage].1, progress);
    assert_eq!(snapshot.stages[&ids[1]].1.state, State::Waiting(Waiting::Open));
    let expected = [batch(9, 2, 0.2), batch(9, 10, 0.1), batch(300, 0, 0.5), batch(300, 1, exact)];
    assert_eq!(store.points(stage).expect("readable"), expected);
    assert_eq!(store.points(ids[1]).expect("readable"), []);
    assert_eq!(store.points(StageId(ContentHash::of(b"unknown"))).expect("readable"), []);
    assert_eq!(store.grants(stage).expect("readable"), [(Fence(9), grant(1)), (Fence(300), grant(2))]);
}

/// Readers see a commit whole or not at all, while a writer goes on.
pub(super) fn readers_see_whole_commits<S: Store>(store: &S) {
    let (changes, ids) = submission();
    store.commit(&changes).expect("committed");
    let (a, b) = (ids[0], ids[1]);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for fence in 1..=50 {
                let progress = |_| Box::new(Progress { fence: Fence(fence), ..Progress::new() });
                store
                    .commit(&[Change::SetProgress(a, progress(())), Change::SetProgress(b, progress(()))])
                    .expect("committed");
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
