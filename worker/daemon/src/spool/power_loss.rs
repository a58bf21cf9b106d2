//! Tests of the spool on a disk that loses power, is full, or fails for a while. Every operation of a run is recorded.
//! Then power is lost after each operation; everything that was not synced is lost, kept, torn or reordered. The spool
//! must open with everything that it had acknowledged.

use std::collections::BTreeMap;

use pretext_power_loss::{Disk, lose_power};

use super::log::{Log, SpoolError};
use super::tests::{attempt, batch, opening};
use super::{Ending, Entry, Saved, Spool};

fn saved(step: u64) -> Saved {
    Saved { path: format!("/checkpoint-{step}").into(), step, next_sequence: step }
}

fn ending() -> Ending {
    let score = pretext_shared::outcome::Score { loss: 0.1, accuracy: 0.9, seen: 10 };
    let files = BTreeMap::new();
    let finished =
        pretext_shared::trainer::Finished { selected_epoch: 1, score, steps: 40, images: 160, seconds: 1.5, files };
    Ending::Finished { finished, next_sequence: 40 }
}

/// Two attempts: one is handed over while the other continues.
fn run() -> Vec<Vec<Entry>> {
    let mut groups = vec![vec![Entry::Begin(attempt(1), opening())]];
    for n in 0..40 {
        groups.push(vec![Entry::Points(attempt(1), batch(n))]);
        if n % 8 == 7 {
            groups.push(vec![Entry::Checkpoint(attempt(1), saved(n)), Entry::Acknowledged(attempt(1), n / 2)]);
            groups.push(vec![Entry::Settled(attempt(1), n), Entry::Acknowledged(attempt(1), n / 2 + 1)]);
        }
        if n == 20 {
            groups.push(vec![Entry::Begin(attempt(2), opening())]);
        }
        if n > 20 {
            groups.push(vec![Entry::Points(attempt(2), batch(n - 21))]);
        }
    }
    groups.push(vec![Entry::End(attempt(1), ending())]);
    groups.push(vec![Entry::Forget(attempt(1))]);
    groups.push(vec![Entry::Points(attempt(2), batch(19))]);
    groups
}

/// The part of the spool's content that must survive.
#[derive(Debug, Default, Clone, PartialEq)]
struct Held {
    open: bool,
    /// Batches below this number may be missing.
    acknowledged: u64,
    next: u64,
    checkpoint: Option<Saved>,
    settled: bool,
    ending: Option<Ending>,
}

type Ledger = BTreeMap<u64, Held>;

fn book(ledger: &mut Ledger, entry: &Entry) {
    match entry {
        Entry::Begin(attempt, _) => ledger.entry(attempt.fence.0).or_default().open = true,
        Entry::Points(attempt, batch) => ledger.entry(attempt.fence.0).or_default().next = batch.sequence + 1,
        Entry::Checkpoint(attempt, saved) => {
            let held = ledger.entry(attempt.fence.0).or_default();
            (held.checkpoint, held.settled) = (Some(saved.clone()), false);
        }
        Entry::End(attempt, ending) => ledger.entry(attempt.fence.0).or_default().ending = Some(ending.clone()),
        Entry::Acknowledged(attempt, below) => ledger.entry(attempt.fence.0).or_default().acknowledged = *below,
        Entry::Settled(attempt, _) => ledger.entry(attempt.fence.0).or_default().settled = true,
        Entry::Forget(attempt) => drop(ledger.remove(&attempt.fence.0)),
    }
}

/// Checks that the spool over `content` holds what was acknowledged (`before`) or what was being written (`after`).
fn check(content: Vec<u8>, before: &Ledger, after: &Ledger, what: &str) {
    let log = Log::over(Disk::with(content)).unwrap_or_else(|error| panic!("{what}: {error}"));
    let left = log.left().unwrap_or_else(|error| panic!("{what}: {error}"));
    let found: BTreeMap<u64, _> = left.into_iter().map(|left| (left.attempt.fence.0, left)).collect();
    for fence in [1, 2] {
        let holds = |held: Option<&Held>| match (held, found.get(&fence)) {
            (None, None) => true,
            (Some(held), Some(left)) => {
                let mut batches = log.batches(attempt(fence), 0).expect("readable");
                batches.extend(
                    log.batches(attempt(fence), batches.last().map_or(0, |last| last.sequence + 1)).expect("readable"),
                );
                let first = batches.first().map_or(held.next, |first| first.sequence);
                let whole: Vec<_> = (first..held.next).map(batch).collect();
                let checkpoint = left.checkpoint == held.checkpoint || (held.settled && left.checkpoint.is_none());
                // The number at which the next run continues.
                let numbers = batches.is_empty() || left.batches == (first, held.next);
                first <= held.acknowledged && batches == whole && numbers && checkpoint && left.ending == held.ending
            }
            _ => false,
        };
        assert!(
            holds(before.get(&fence)) || holds(after.get(&fence)),
            "{what}: fence {fence}\nfound {:#?}\nbefore {before:#?}\nafter {after:#?}",
            found.get(&fence)
        );
    }
}

#[test]
fn power_may_be_lost_at_any_moment() {
    let disk = Disk::with(Vec::new());
    let log = Log::over(disk.clone()).expect("opens");
    // Ledgers after each group, with the operation that acknowledged the group.
    let mut ledgers = vec![(disk.recorded(), Ledger::new())];
    for group in run() {
        log.write(&group).expect("a good disk");
        let mut ledger = ledgers.last().expect("one").1.clone();
        group.iter().for_each(|entry| book(&mut ledger, entry));
        ledgers.push((disk.recorded(), ledger));
    }
    let losses = lose_power(&disk, ledgers[0].0, |done, moment, content| {
        let at = ledgers.iter().rposition(|(recorded, _)| *recorded <= done).expect("it is open");
        // Entries that are not vital may be missing: the ledger knows which.
        let (before, after) = (&ledgers[at].1, &ledgers[(at + 1).min(ledgers.len() - 1)].1);
        check(content, before, after, moment);
    });
    println!("{losses:?}");
    assert!(losses.boundaries > 70 && losses.disks > 10_000, "{losses:?}");
}

#[test]
fn a_disk_that_refuses_for_a_while_loses_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let disk = Disk::with(Vec::new());
    let opened = disk.clone();
    let open = move || -> Result<Log, SpoolError> { Log::over(opened.clone()) };
    let (spool, _) = Spool::with(Box::new(open), 1 << 20).expect("opens");
    runtime.block_on(async {
        spool.write(Entry::Begin(attempt(1), opening())).await.expect("open");
        for sequence in 0..12 {
            if sequence % 6 == 3 {
                disk.refuse(sequence as usize / 3, 2);
            }
            spool.points(attempt(1), batch(sequence)).await.expect("open");
        }
        assert_eq!(disk.refusals_left(), 0, "the disk did refuse");
        assert_eq!(spool.read(attempt(1), 0).await.expect("open"), (0..12).map(batch).collect::<Vec<_>>());
    });
}

#[test]
fn nobody_is_answered_before_the_disk_has_it() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let disk = Disk::with(Vec::new());
    let opened = disk.clone();
    let (spool, _) = Spool::with(Box::new(move || Log::over(opened.clone())), 1 << 20).expect("opens");
    runtime.block_on(async {
        let vital = [
            Entry::Begin(attempt(1), opening()),
            Entry::Points(attempt(1), batch(0)),
            Entry::Checkpoint(attempt(1), saved(1)),
            Entry::End(attempt(1), ending()),
            Entry::Forget(attempt(1)),
        ];
        for entry in vital {
            let what = format!("{entry:?}");
            disk.close();
            let mut written = Box::pin(spool.write(entry));
            // Until the disk was asked for a sync and has not done it yet.
            while !disk.is_waited_for() {
                assert!(!is_ready(&mut written).await, "answered before the disk was asked: {what}");
                tokio::task::yield_now().await;
            }
            assert!(!is_ready(&mut written).await, "answered before the disk has done it: {what}");
            disk.reopen();
            written.await.expect("open");
            assert!(disk.ends_with_a_sync(), "not forced: {what}");
        }
    });
}

async fn is_ready<T>(future: &mut (impl Future<Output = T> + Unpin)) -> bool {
    tokio::select! {
        biased;
        _ = future => true,
        () = std::future::ready(()) => false,
    }
}
