//! The cells of two sweeps with the same method, fraction and policy, paired by seed.

use std::collections::BTreeMap;

use pretext_shared::split::Fraction;
use pretext_shared::stage::Method;
use serde::Serialize;

use crate::numbers::Verdict;
use crate::numbers::stats::multiple::holm;
use crate::numbers::stats::{self, Summary};
use crate::record::{Record, RecordedCell};

/// A method at a fraction under a policy, in two sweeps.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pair {
    /// Method.
    pub method: Method,
    /// Label fraction.
    pub fraction: Fraction,
    /// Name of the policy; `A → B` if each sweep has one policy and the names differ.
    pub lr: String,
    /// Cells of A with a result.
    pub n_a: usize,
    /// Cells of B with a result.
    pub n_b: usize,
    /// Test accuracy of A over its seeds.
    pub a: Option<Summary>,
    /// Test accuracy of B over its seeds.
    pub b: Option<Summary>,
    /// Seeds whose stages are the same in both sweeps: they ran once, and their difference is 0.
    pub same: usize,
    /// Accuracy of B minus that of A over the seeds that both have.
    pub difference: Option<stats::Paired>,
    /// The p-value of `difference` after Holm's adjustment for all tests of the comparison.
    pub p_holm: Option<f64>,
    /// Verdict on the difference; `None` if the sweeps cannot be paired.
    pub verdict: Option<Verdict>,
}

/// The entries of two sweeps.
pub(super) struct Paired {
    pub(super) pairs: Vec<Pair>,
    pub(super) only_a: Vec<String>,
    pub(super) only_b: Vec<String>,
}

/// Place of the policy in the plan, fraction, method.
type Key = (usize, Fraction, Method);

/// The cells of one entry, by seed.
type Entry<'a> = BTreeMap<u64, &'a RecordedCell>;

/// Returns the entries of both sweeps. `can_pair` says whether accuracies of one seed can be subtracted.
pub(super) fn pairs(a: &Record, b: &Record, can_pair: bool) -> Paired {
    let (policies_a, policies_b) = (policies(a), policies(b));
    // Two sweeps with one policy each differ in it, whatever its names are.
    let alone = policies_a.len() == 1 && policies_b.len() == 1;
    let mut policies = policies_a;
    policies.extend(policies_b);
    let place = |name: &str| policies.iter().position(|one| *one == name).filter(|_| !alone).unwrap_or(0);
    let (entries_a, entries_b) = (entries(a, place), entries(b, place));
    let both = entries_a.iter().filter_map(|(key, own)| Some((own, entries_b.get(key)?)));
    let mut pairs: Vec<Pair> = both.filter_map(|(a, b)| Pair::of(a, b, can_pair)).collect();
    adjust(&mut pairs);
    Paired { pairs, only_a: missing(&entries_a, &entries_b), only_b: missing(&entries_b, &entries_a) }
}

/// Returns the names of the policies in the order of the plan.
fn policies(record: &Record) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for cell in &record.cells {
        if !names.contains(&cell.lr.as_str()) {
            names.push(&cell.lr);
        }
    }
    names
}

fn entries<'a>(record: &'a Record, place: impl Fn(&str) -> usize) -> BTreeMap<Key, Entry<'a>> {
    let mut entries: BTreeMap<Key, Entry<'a>> = BTreeMap::new();
    for cell in &record.cells {
        entries.entry((place(&cell.lr), cell.fraction, cell.method)).or_default().insert(cell.seed, cell);
    }
    entries
}

/// Returns `METHOD/FRACTION/LR` of the entries that `other` does not have.
fn missing(entries: &BTreeMap<Key, Entry<'_>>, other: &BTreeMap<Key, Entry<'_>>) -> Vec<String> {
    let own = entries.iter().filter(|(key, _)| !other.contains_key(*key));
    let cells = own.filter_map(|(_, entry)| entry.values().next());
    cells.map(|cell| format!("{}/{}/{}", cell.method, cell.fraction, cell.lr)).collect()
}

impl Pair {
    /// Returns the pair of two entries, without the adjustment for all tests.
    fn of(a: &Entry<'_>, b: &Entry<'_>, can_pair: bool) -> Option<Self> {
        let (first, other) = (a.values().next()?, b.values().next()?);
        let accuracies =
            |entry: &Entry<'_>| -> Vec<f64> { entry.values().filter_map(|cell| Some(cell.test?.accuracy)).collect() };
        let both = || a.iter().filter_map(|(seed, a)| Some((*a, *b.get(seed)?)));
        let differences: Vec<f64> = both().filter_map(|(a, b)| Some(b.test?.accuracy - a.test?.accuracy)).collect();
        let stages = |cell: &RecordedCell| (cell.pretext.as_ref().map(|one| one.stage), cell.downstream.stage);
        Some(Self {
            method: first.method,
            fraction: first.fraction,
            lr: if first.lr == other.lr { first.lr.clone() } else { format!("{} → {}", first.lr, other.lr) },
            n_a: accuracies(a).len(),
            n_b: accuracies(b).len(),
            a: Summary::of(&accuracies(a)),
            b: Summary::of(&accuracies(b)),
            same: both().filter(|(a, b)| a.test.is_some() && b.test.is_some() && stages(a) == stages(b)).count(),
            difference: stats::Paired::of(&differences).filter(|_| can_pair),
            p_holm: None,
            verdict: can_pair.then_some(Verdict::NoSharedSeed),
        })
    }
}

/// Adjusts the p-values of all pairs together, and gives each its verdict.
fn adjust(pairs: &mut [Pair]) {
    let p = |pair: &Pair| pair.difference.and_then(|difference| difference.p);
    let adjusted = holm(&pairs.iter().filter_map(p).collect::<Vec<_>>());
    for (pair, adjusted) in pairs.iter_mut().filter(|pair| p(pair).is_some()).zip(adjusted) {
        pair.p_holm = Some(adjusted);
    }
    for pair in pairs.iter_mut().filter(|pair| pair.verdict.is_some()) {
        pair.verdict = Some(Verdict::of(pair.difference, pair.p_holm));
    }
}
