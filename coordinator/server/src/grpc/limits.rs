//! The limits of the gRPC interface: the most that a caller may cost. `docs/limits.md` lists them for people.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Size of the largest message that is accepted from a person: a sweep file fits easily.
pub const MAX_MESSAGE: usize = 4 << 20;
/// Size of the largest message that is accepted from a worker: point batches and pieces of artifacts and data sets fit
/// easily. A message full of the smallest possible elements stays below half a GiB after decoding.
pub const MAX_WORK_MESSAGE: usize = 2 << 20;
/// Size of the largest accepted sweep file.
pub const MAX_SPEC: usize = 1 << 20;
/// Most artifacts that one request may name.
pub const MAX_ASKED: usize = 10_000;
/// Most simultaneous calls on one connection.
pub const MAX_STREAMS: u32 = 1024;
/// Default of the most simultaneous connections.
pub const MAX_CONNECTIONS: usize = 4096;
/// Most bytes in a call's headers.
pub const MAX_HEADERS: u32 = 16 << 10;
/// Most streams that are reset before they were accepted; after that the connection is closed ("rapid reset").
pub const MAX_RESETS: usize = 64;
/// Time of silence after which a connection is probed, and time limit for its answer.
pub const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));
/// Age at which a connection with TLS is asked to close, so that the next one uses the newest certificate.
pub const CONNECTION_AGE: Duration = Duration::from_secs(3600);
/// Longest silence of an upload: a silent upload keeps others waiting.
pub const UPLOAD_SILENCE: Duration = Duration::from_secs(60);
/// Calls of one identity per second in the long run, and in a burst. A worker makes a few.
pub const RATE: Rate = Rate { per_second: 500.0, burst: 1000.0 };
/// Calls per second of all callers without a certificate: they can only join.
pub const STRANGERS: Rate = Rate { per_second: 20.0, burst: 100.0 };

/// Allowed calls, as a token bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Calls per second in the long run.
    pub per_second: f64,
    /// Calls in a burst.
    pub burst: f64,
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
