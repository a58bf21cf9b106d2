//! Accuracies as proportions of a finite number of images.

/// The 0.975 quantile of the normal distribution.
const Z_975: f64 = 1.959_963_984_540_054;

/// Half width of the 95 % interval of an accuracy measured on `n` independent samples (Wilson 1927).
/// Unlike the textbook ±1.96 √(p(1−p)/n) it does not shrink to nothing at 0 and 1.
pub fn binomial_half_width(accuracy: f64, n: u64) -> Option<f64> {
    (n > 0).then(|| half_width(accuracy, n as f64, Z_975))
}

/// Wilson's half width for the quantile `z` of the normal distribution.
pub(crate) fn half_width(accuracy: f64, n: f64, z: f64) -> f64 {
    let variance = accuracy * (1.0 - accuracy) / n + z * z / (4.0 * n * n);
    z * variance.max(0.0).sqrt() / (1.0 + z * z / n)
}
