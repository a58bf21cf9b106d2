//! Methods against each other: every pair of a table's methods at every fraction, and over fractions.

use pretext_shared::split::Fraction;
use pretext_shared::stage::Method;
use pretext_shared::sweep::SweepView;
use serde::Serialize;

use super::entry::{Entry, Row};
use super::evaluation::{Evaluation, Evaluations};
use super::stats::bootstrap::{self, Interval};
use super::stats::multiple::holm;
use super::stats::{ALPHA, McNemar, Paired};

/// Two methods at one fraction, under one policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Label fraction.
    pub fraction: Fraction,
    /// The method whose accuracy is subtracted from.
    pub a: Method,
    /// The method whose accuracy is subtracted.
    pub b: Method,
    /// Accuracy of `a` minus accuracy of `b` over the seeds that both have; `None` if they share none.
    pub accuracy: Option<Paired>,
    /// The p-value of `accuracy` after Holm's adjustment for all tests of the policy's table.
    pub p_holm: Option<f64>,
    /// Verdict on the difference.
    pub verdict: Verdict,
    /// McNemar's test on the same test images, for each seed whose predictions are stored.
    pub mcnemar: Vec<Seeded>,
}

/// McNemar's test of the cells of one seed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Seeded {
    /// The seed.
    pub seed: u64,
    /// The test.
    #[serde(flatten)]
    pub test: McNemar,
}

/// A verdict on the difference between two methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// They have no seed in common.
    NoSharedSeed,
    /// One seed: nothing shows how much of the difference comes from the seed.
    OneSeed,
    /// All differences are equal: without spread there is no t-test.
    NoSpread,
    /// p ≥ 0.05.
    NotSignificant,
    /// p < 0.05 by itself, but not among this many comparisons.
    NotAmongSoMany,
    /// p < 0.05 after Holm's adjustment.
    Significant,
}

impl Verdict {
    /// Returns the verdict on paired differences and the p-value of their test after Holm's adjustment.
    pub fn of(pairs: Option<Paired>, p_holm: Option<f64>) -> Self {
        match (pairs, pairs.and_then(|pairs| pairs.p), p_holm) {
            (None, ..) => Verdict::NoSharedSeed,
            (Some(pairs), ..) if pairs.n == 1 => Verdict::OneSeed,
            (_, Some(_), Some(adjusted)) if adjusted < ALPHA => Verdict::Significant,
            (_, Some(p), _) if p < ALPHA => Verdict::NotAmongSoMany,
            (_, Some(_), _) => Verdict::NotSignificant,
            (_, None, _) => Verdict::NoSpread,
        }
    }

    /// Returns the verdict as reports write it.
    pub fn words(self) -> &'static str {
        match self {
            Verdict::NoSharedSeed => "no seed in common: no test",
            Verdict::OneSeed => "one seed: no test",
            Verdict::NoSpread => "the same in all seeds: no test",
            Verdict::NotSignificant => "not significant",
            Verdict::NotAmongSoMany => "not significant among so many comparisons",
            Verdict::Significant => "significant",
        }
    }
}

/// The significant comparisons of a policy's table.
#[derive(Debug, Clone, PartialEq)]
pub enum Significance {
    /// No pair of methods could be tested.
    Untested {
        /// Pairs of methods.
        pairs: usize,
        /// The reason.
        because: Untested,
    },
    /// Some pairs were tested.
    Tested {
        /// Pairs of methods.
        pairs: usize,
        /// Pairs that were tested.
        tested: usize,
        /// Significant differences.
        wins: Vec<Win>,
        /// Differences that are below 0.05 only before Holm's adjustment.
        before_adjustment: usize,
    },
}

/// The reason why no pair of methods could be tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Untested {
    /// No two methods have a seed in common.
    NoSharedSeed,
    /// Methods share one seed at most.
    OneSeed,
    /// Differences are the same in all seeds.
    NoSpread,
}

/// A significant difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Win {
    /// The method with the higher accuracy.
    pub better: Method,
    /// The other method.
    pub worse: Method,
    /// Label fraction.
    pub fraction: Fraction,
}

impl Significance {
    /// Summarises `comparisons`; `None` if there are none.
    pub(super) fn of(comparisons: &[Comparison]) -> Option<Self> {
        let with = |verdict: Verdict| comparisons.iter().filter(move |one| one.verdict == verdict);
        let pairs = comparisons.len();
        let tested = comparisons.iter().filter(|one| one.p_holm.is_some()).count();
        if pairs == 0 {
            return None;
        }
        if tested == 0 {
            let because = if with(Verdict::OneSeed).next().is_some() {
                Untested::OneSeed
            } else if with(Verdict::NoSpread).next().is_some() {
                Untested::NoSpread
            } else {
                Untested::NoSharedSeed
            };
            return Some(Significance::Untested { pairs, because });
        }
        let win = |one: &Comparison| {
            let higher = one.accuracy.is_some_and(|paired| paired.difference.mean > 0.0);
            let (better, worse) = if higher { (one.a, one.b) } else { (one.b, one.a) };
            Win { better, worse, fraction: one.fraction }
        };
        Some(Significance::Tested {
            pairs,
            tested,
            wins: with(Verdict::Significant).map(win).collect(),
            before_adjustment: with(Verdict::NotAmongSoMany).count(),
        })
    }
}

/// A method over all fractions of a policy's table.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Overall {
    /// The method.
    pub method: Method,
    /// Mean over fractions of the mean accuracies; `None` if a fraction has too few seeds for a bootstrap.
    pub accuracy: Option<Interval>,
    /// The same of the paired differences to supervised.
    pub over_supervised: Option<Interval>,
}

/// Returns every pair of methods in every row: the later column minus the earlier one, so that supervised is
/// subtracted.
pub fn comparisons(view: &SweepView, evaluations: &Evaluations, rows: &[Row]) -> Vec<Comparison> {
    let mut all: Vec<Comparison> = Vec::new();
    for row in rows {
        for (column, b) in row.entries.iter().enumerate() {
            for a in row.entries.iter().skip(column + 1).filter(|a| !a.runs.is_empty() && !b.runs.is_empty()) {
                let accuracy = Paired::of(&a.minus(b));
                let mcnemar = mcnemar(view, evaluations, a, b);
                let (fraction, a, b) = (row.fraction, a.method, b.method);
                all.push(Comparison {
                    fraction,
                    a,
                    b,
                    accuracy,
                    p_holm: None,
                    verdict: Verdict::NoSharedSeed,
                    mcnemar,
                });
            }
        }
    }
    let tested: Vec<usize> = (0..all.len()).filter(|one| p(&all[*one]).is_some()).collect();
    let adjusted = holm(&tested.iter().filter_map(|one| p(&all[*one])).collect::<Vec<_>>());
    tested.into_iter().zip(adjusted).for_each(|(one, p)| all[one].p_holm = Some(p));
    all.iter_mut().for_each(|one| one.verdict = Verdict::of(one.accuracy, one.p_holm));
    all
}

fn p(comparison: &Comparison) -> Option<f64> {
    comparison.accuracy?.p
}

fn mcnemar(view: &SweepView, evaluations: &Evaluations, a: &Entry, b: &Entry) -> Vec<Seeded> {
    let of_run = |cell: usize| evaluations.get(view, view.cells.get(cell)?);
    let tests = a.runs.iter().filter_map(|run| {
        let other = b.runs.iter().find(|other| other.key.seed == run.key.seed)?;
        let (a, b) = (of_run(run.cell)?, of_run(other.cell)?);
        // A rehearsal or another version may have scored other images: those cannot be paired.
        if !a.correct.keys().eq(b.correct.keys()) {
            return None;
        }
        let answers = |evaluation: &Evaluation| evaluation.correct.values().copied().collect();
        let (a, b): (Vec<bool>, Vec<bool>) = (answers(a), answers(b));
        Some(Seeded { seed: run.key.seed, test: McNemar::compare(&a, &b) })
    });
    tests.collect()
}

/// Returns every method over all fractions. A method without cells at some fraction is left out: a mean over other
/// fractions could not be compared.
pub fn overall(methods: &[Method], rows: &[Row]) -> Vec<Overall> {
    let entries = |method: Method| -> Option<Vec<&Entry>> {
        rows.iter().map(|row| row.entries.iter().find(|one| one.method == method && !one.runs.is_empty())).collect()
    };
    let supervised = entries(Method::Supervised);
    let of_method = |method: &Method| {
        let own = entries(*method)?;
        let accuracies = |entry: &&Entry| entry.runs.iter().filter_map(|run| Some(run.test?.accuracy)).collect();
        let over_supervised = supervised.as_ref().filter(|_| *method != Method::Supervised).and_then(|supervised| {
            let strata: Vec<Vec<f64>> = own.iter().zip(supervised).map(|(a, b)| a.minus(b)).collect();
            bootstrap::stratified(&strata)
        });
        let strata: Vec<Vec<f64>> = own.iter().map(accuracies).collect();
        Some(Overall { method: *method, accuracy: bootstrap::stratified(&strata), over_supervised })
    };
    methods.iter().filter_map(of_method).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(differences: &[f64], p_holm: Option<f64>) -> Verdict {
        Verdict::of(Paired::of(differences), p_holm)
    }

    #[test]
    fn verdicts_say_no_more_than_the_seeds_do() {
        assert_eq!(compared(&[], None), Verdict::NoSharedSeed);
        assert_eq!(compared(&[0.2], None), Verdict::OneSeed);
        assert_eq!(compared(&[0.02, 0.02], None), Verdict::NoSpread);
        assert_eq!(compared(&[0.02, -0.01, 0.03], Some(0.4)), Verdict::NotSignificant);
        // t = 5 with 2 degrees of freedom: p = 0.038.
        assert_eq!(compared(&[0.02, 0.02, 0.035], Some(0.27)), Verdict::NotAmongSoMany);
        assert_eq!(compared(&[0.02, 0.021, 0.022], Some(0.003)), Verdict::Significant);
    }
}
