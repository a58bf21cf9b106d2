//! Means, standard deviations and intervals.

use serde::Serialize;

/// Values of one quantity over seeds, in three numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// Arithmetic mean.
    pub mean: f64,
    /// Sample standard deviation (divisor n − 1); `None` for a single value.
    pub std: Option<f64>,
    /// Half width of the 95 % t-interval of the mean, t(n − 1) · std / √n; `None` for a single value.
    pub ci95: Option<f64>,
}

impl Summary {
    /// Summarises `values`; `None` where there are none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        if n == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        if n == 1 {
            return Some(Self { mean, std: None, ci95: None });
        }
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let std = (squares / (n - 1) as f64).sqrt();
        let ci95 = t_quantile_95(n - 1) * std / (n as f64).sqrt();
        Some(Self { mean, std: Some(std), ci95: Some(ci95) })
    }
}

/// The 0.975 quantile of Student's t distribution for 1 to 30 degrees of freedom.
/// NIST/SEMATECH e-Handbook of Statistical Methods, section 1.3.6.7.2, column 0.975.
const T_975: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
    2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/// The 0.975 quantile of the normal distribution.
const Z_975: f64 = 1.959_963_984_540_054;

/// The factor of a two-sided 95 % interval for `freedom` ≥ 1 degrees of freedom.
fn t_quantile_95(freedom: usize) -> f64 {
    T_975.get(freedom.saturating_sub(1)).copied().unwrap_or_else(|| t_expansion(freedom as f64))
}

/// Expansion of the t quantile around the normal one (Abramowitz and Stegun 1964, 26.7.5, three terms):
/// beyond 30 degrees of freedom its error is below 1e-5.
fn t_expansion(freedom: f64) -> f64 {
    let z = Z_975;
    let first = (z.powi(3) + z) / 4.0;
    let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
    let third = (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0;
    z + first / freedom + second / freedom.powi(2) + third / freedom.powi(3)
}

/// Half width of the 95 % interval of an accuracy measured on `n` independent samples (Wilson 1927).
/// Unlike the textbook ±1.96 √(p(1−p)/n) it does not shrink to nothing at 0 and 1.
pub fn binomial_half_width(accuracy: f64, n: u64) -> Option<f64> {
    if n == 0 {
        return None;
    }
    let n = n as f64;
    let z2 = Z_975 * Z_975;
    let variance = accuracy * (1.0 - accuracy) / n + z2 / (4.0 * n * n);
    Some(Z_975 * variance.max(0.0).sqrt() / (1.0 + z2 / n))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64, within: f64) {
        assert!((a - b).abs() <= within, "{a} is not {b} ± {within}");
    }

    #[test]
    fn three_values_by_hand() {
        // Mean 0.7; deviations −0.1, 0, 0.1; s = √(0.02 / 2) = 0.1; 4.303 · 0.1 / √3 = 0.248434.
        let summary = Summary::of(&[0.6, 0.7, 0.8]).expect("three values");
        close(summary.mean, 0.7, 1e-12);
        close(summary.std.expect("n > 1"), 0.1, 1e-12);
        close(summary.ci95.expect("n > 1"), 0.248_434, 1e-6);
    }

    #[test]
    fn one_value_has_no_spread() {
        assert_eq!(Summary::of(&[0.5]), Some(Summary { mean: 0.5, std: None, ci95: None }));
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn table_and_expansion_agree() {
        for freedom in 8..=30 {
            close(t_quantile_95(freedom), t_expansion(freedom as f64), 1e-3);
        }
        close(t_quantile_95(100), 1.983_972, 1e-5);
    }

    #[test]
    fn binomial_half_widths() {
        // 10,000 images at 90 %: ±0.59 points; 3,782 at 90 %: ±0.96.
        close(binomial_half_width(0.9, 10_000).expect("n > 0"), 0.0059, 5e-5);
        close(binomial_half_width(0.9, 3782).expect("n > 0"), 0.0096, 5e-5);
        assert!(binomial_half_width(1.0, 20).expect("n > 0") > 0.05);
        assert_eq!(binomial_half_width(0.5, 0), None);
    }
}
