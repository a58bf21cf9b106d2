//! Paired differences: two methods on the same seeds.

use serde::Serialize;
use statrs::distribution::ContinuousCDF;

use super::summary::{Summary, students_t};

/// Below this share of the mean (or of 1, where that is larger) a spread is the rounding of the subtraction.
const ROUNDING: f64 = 1e-12;

/// A difference over the seeds that both sides have. The null hypothesis of its paired t-test is a difference of zero.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Paired {
    /// Pairs.
    pub n: usize,
    /// The differences, in 0–1 (0.01 is one percentage point), with their 95 % t-interval.
    #[serde(flatten)]
    pub difference: Summary,
    /// Two-sided p-value of the paired t-test (Student 1908) with n − 1 degrees of freedom. `None` for a
    /// single pair, and if all differences are equal: without spread there is no t.
    pub p: Option<f64>,
}

impl Paired {
    /// Summarises `differences`, one a seed; `None` if there are none.
    pub fn of(differences: &[f64]) -> Option<Self> {
        let difference = Summary::of(differences)?;
        let n = differences.len();
        let p = difference.std.filter(|std| *std > ROUNDING * difference.mean.abs().max(1.0)).map(|std| {
            let t = difference.mean * (n as f64).sqrt() / std;
            (2.0 * students_t(n - 1).sf(t.abs())).min(1.0)
        });
        Some(Self { n, difference, p })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_spread_there_is_no_test() {
        assert_eq!(Paired::of(&[]), None);
        assert_eq!(Paired::of(&[0.02]).and_then(|pair| pair.p), None);
        // 0.50 − 0.43 and its like differ in the last bits alone.
        let equal = Paired::of(&[0.50 - 0.43, 0.52 - 0.45, 0.48 - 0.41]).expect("three pairs");
        assert_eq!((equal.n, equal.p), (3, None));
        assert!(Paired::of(&[0.01, 0.011]).and_then(|pair| pair.p).is_some());
    }
}
