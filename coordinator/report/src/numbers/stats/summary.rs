//! Means, standard deviations and t-intervals.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// The level of all tests, and one minus that of all intervals: 5 %.
pub const ALPHA: f64 = 0.05;

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
    /// Summarises `values`; `None` if there are none.
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
        let ci95 = t_quantile(n - 1) * std / (n as f64).sqrt();
        Some(Self { mean, std: Some(std), ci95: Some(ci95) })
    }
}

/// Student's t distribution with `freedom` ≥ 1 degrees of freedom.
pub(super) fn students_t(freedom: usize) -> StudentsT {
    StudentsT::new(0.0, 1.0, freedom.max(1) as f64).expect("location 0, scale 1 and a positive freedom are allowed")
}

/// The factor of a two-sided 95 % interval: the 0.975 quantile of t with `freedom` ≥ 1 degrees of freedom.
pub fn t_quantile(freedom: usize) -> f64 {
    students_t(freedom).inverse_cdf(1.0 - ALPHA / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_has_no_spread() {
        assert_eq!(Summary::of(&[0.5]), Some(Summary { mean: 0.5, std: None, ci95: None }));
        assert_eq!(Summary::of(&[]), None);
    }
}
