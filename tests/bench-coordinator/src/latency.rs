//! Durations of many calls, and their quantiles.

use std::time::Duration;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latency(Vec<Duration>);

impl Latency {
    /// Adds a duration.
    pub(crate) fn add(&mut self, took: Duration) {
        self.0.push(took);
    }

    /// Adds the durations of another one.
    pub(crate) fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Returns the smallest duration that a share of `quantile` does not exceed. `None` without durations.
    pub(crate) fn quantile(&self, quantile: f64) -> Option<Duration> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (quantile * sorted.len() as f64).ceil().max(1.0) as usize;
        sorted.get(rank - 1).copied()
    }

    /// Returns the longest duration.
    pub(crate) fn longest(&self) -> Option<Duration> {
        self.0.iter().max().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_ranks() {
        let mut latency = Latency::default();
        assert_eq!(latency.quantile(0.5), None);
        (1..=100).rev().for_each(|ms| latency.add(Duration::from_millis(ms)));
        let ms = |quantile: f64| latency.quantile(quantile).map(|took| took.as_millis());
        assert_eq!((ms(0.0), ms(0.5), ms(0.99), ms(1.0)), (Some(1), Some(50), Some(99), Some(100)));
        assert_eq!(latency.longest(), Some(Duration::from_millis(100)));
    }
}
