//! How many calls a caller may make.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Calls of one identity per second in the long run, and in a burst. A worker makes a few.
pub(super) const RATE: Rate = Rate { per_second: 500.0, burst: 1000.0 };
/// Calls per second of all callers without a certificate: they can only join.
pub(super) const STRANGERS: Rate = Rate { per_second: 20.0, burst: 100.0 };

/// Allowed calls, as a token bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rate {
    /// Calls per second in the long run.
    pub(super) per_second: f64,
    /// Calls in a burst.
    pub(super) burst: f64,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

/// Recent calls of each identity. Strangers share one entry, so the map has as many entries as there are identities.
#[derive(Debug, Default)]
pub(super) struct Rates {
    buckets: Mutex<HashMap<String, Bucket>>,
}

impl Rates {
    /// Returns whether `who` may make one more call.
    pub(super) fn take(&self, who: &str, rate: Rate, now: Instant) -> bool {
        // After a panic of another holder the map is still complete.
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if !buckets.contains_key(who) {
            // A full bucket is the same as no bucket, so it is removed.
            buckets.retain(|_, bucket| now.duration_since(bucket.at) < Duration::from_secs(60));
            buckets.insert(who.to_owned(), Bucket { left: rate.burst, at: now });
        }
        let Some(bucket) = buckets.get_mut(who) else { return false };
        let earned = now.saturating_duration_since(bucket.at).as_secs_f64() * rate.per_second;
        (bucket.left, bucket.at) = ((bucket.left + earned).min(rate.burst), now);
        if bucket.left < 1.0 {
            return false;
        }
        bucket.left -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_refills_and_is_each_callers_own() {
        let rates = Rates::default();
        let rate = Rate { per_second: 10.0, burst: 3.0 };
        let start = Instant::now();
        let taken = |who: &str, at: u64, tries: usize| {
            (0..tries).filter(|_| rates.take(who, rate, start + Duration::from_millis(at))).count()
        };
        assert_eq!(taken("a", 0, 5), 3, "the burst and no more");
        assert_eq!(taken("b", 0, 1), 1, "another's calls do not count");
        assert_eq!(taken("a", 99, 1), 0);
        assert_eq!(taken("a", 100, 2), 1, "a tenth of a second earns one");
        assert_eq!(taken("a", 10_000, 9), 3, "never more than the burst");
        taken("c", 100_000, 1);
        assert_eq!(rates.buckets.lock().expect("whole").len(), 1, "who is silent is forgotten");
    }
}
