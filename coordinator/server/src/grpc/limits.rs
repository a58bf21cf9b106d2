//! What a caller may cost: every limit of the wire in one place. `docs/limits.md` lists them for people.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Largest message that is accepted of a person: a sweep file fits easily.
pub const MAX_MESSAGE: usize = 4 << 20;
/// Largest message that is accepted of a worker: point batches, pieces of artifacts and data sets fit easily, and one that is
/// full of the smallest things stays below half a GiB when it is decoded.
pub const MAX_WORK_MESSAGE: usize = 2 << 20;
/// Largest sweep file that is accepted.
pub const MAX_SPEC: usize = 1 << 20;
/// Artifacts that one question names.
pub const MAX_ASKED: usize = 10_000;
/// Calls at a time on one connection.
pub const MAX_STREAMS: u32 = 1024;
/// Connections at a time, unless `serve` is told otherwise.
pub const MAX_CONNECTIONS: usize = 4096;
/// Bytes of a call's headers.
pub const MAX_HEADERS: u32 = 16 << 10;
/// Streams that were reset before they were accepted, before a connection is ended ("rapid reset").
pub const MAX_RESETS: usize = 64;
/// How often a silent connection is asked whether it is there, and how long it may take to say so.
pub const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));
/// With TLS, a connection is asked to end after this time, so that the next one uses the certificate of then.
pub const CONNECTION_AGE: Duration = Duration::from_secs(3600);
/// The longest silence of an upload: who says nothing keeps others from their turn.
pub const UPLOAD_SILENCE: Duration = Duration::from_secs(60);
/// Calls a second of one identity in the long run, and at once. A worker makes a few.
pub const RATE: Rate = Rate { per_second: 500.0, burst: 1000.0 };
/// Calls a second of everybody who has no certificate: they can only join.
pub const STRANGERS: Rate = Rate { per_second: 20.0, burst: 100.0 };

/// Calls that are allowed: a bucket of tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// In the long run.
    pub per_second: f64,
    /// At once.
    pub burst: f64,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

/// Who has called how often lately. As many entries as there are identities: strangers share one.
#[derive(Debug, Default)]
pub(super) struct Rates {
    buckets: Mutex<HashMap<String, Bucket>>,
}

impl Rates {
    /// Whether `who` may make one more call.
    pub(super) fn take(&self, who: &str, rate: Rate, now: Instant) -> bool {
        // A panic of another holder leaves the map whole.
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if !buckets.contains_key(who) {
            // Who has a full bucket is forgotten: it makes no difference.
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
