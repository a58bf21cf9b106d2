//! McNemar's test: do two classifiers err equally often on the same images?

use serde::Serialize;
use statrs::function::erf::erfc;

/// From this many images on that only one side got right, the chi-squared form is used: the usual rule
/// (Dietterich 1998 asks for more than 20).
pub const LARGE: u64 = 25;

/// Two classifiers on the same images: where one is right and the other is not.
///
/// The test compares these two trained models on images like these. It does not know how much either method varies with
/// the seed (SimCLR, appendix B.8, says so of its own use), so it does not replace the paired t-test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct McNemar {
    /// Images that only the first classifies correctly.
    pub only_a: u64,
    /// Images that only the second classifies correctly.
    pub only_b: u64,
    /// Which form of the test was used.
    pub form: Form,
    /// Two-sided p-value.
    pub p: f64,
}

/// The forms of McNemar's test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Binomial: below [`LARGE`] discordant images the chi-squared distribution is a poor approximation.
    Exact,
    /// Chi-squared with Edwards' continuity correction, (|b − c| − 1)² / (b + c): beyond that the two
    /// agree, and this one costs nothing however many images there are.
    Corrected,
}

impl McNemar {
    /// The test for `only_a` and `only_b` images that only one side got right.
    pub fn of(only_a: u64, only_b: u64) -> Self {
        let discordant = only_a + only_b;
        let (form, p) = if discordant < LARGE {
            (Form::Exact, exact(only_a.min(only_b), discordant))
        } else {
            (Form::Corrected, corrected(only_a.abs_diff(only_b), discordant))
        };
        Self { only_a, only_b, form, p }
    }

    /// Compares what two classifiers got right on the same images, in the same order.
    pub fn compare(a: &[bool], b: &[bool]) -> Self {
        let pairs = || a.iter().zip(b);
        let only_a = pairs().filter(|(a, b)| **a && !**b).count() as u64;
        let only_b = pairs().filter(|(a, b)| !**a && **b).count() as u64;
        Self::of(only_a, only_b)
    }
}

/// Twice the probability of at most `fewer` heads in `n` tosses of a fair coin, at most 1.
pub(crate) fn exact(fewer: u64, n: u64) -> f64 {
    let mut choose = 1.0;
    let mut sum = 1.0;
    for k in 1..=fewer {
        choose *= (n + 1 - k) as f64 / k as f64;
        sum += choose;
    }
    (2.0 * sum * 0.5f64.powi(n as i32)).min(1.0)
}

/// The upper tail of chi-squared with one degree of freedom at (|difference| − 1)² / n. The correction
/// does not turn a difference of 0 into one of 1.
pub(crate) fn corrected(difference: u64, n: u64) -> f64 {
    let root = difference.saturating_sub(1) as f64 / (n.max(1) as f64).sqrt();
    erfc(root / std::f64::consts::SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_images_that_tell_the_two_apart_count() {
        let (t, f) = (true, false);
        let test = McNemar::compare(&[t, t, f, f, t], &[t, f, f, t, f]);
        assert_eq!((test.only_a, test.only_b, test.form), (2, 1, Form::Exact));
        assert_eq!(McNemar::of(0, 0).p, 1.0);
        assert_eq!((McNemar::of(12, 12).form, McNemar::of(13, 12).form), (Form::Exact, Form::Corrected));
        assert_eq!(McNemar::of(20, 20).p, 1.0);
    }
}
