//! The pauses of a client between attempts, the same in every program.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// The first pause.
const FIRST: Duration = Duration::from_millis(100);
/// The longest pause, before it is lengthened at random.
const LONGEST: Duration = Duration::from_secs(5);

/// Pauses that begin at 100 ms, double up to 5 s and never end. Each is lengthened at random, by less than itself, so
/// that clients that lost the same coordinator do not come back together.
#[derive(Debug)]
pub struct Backoff(ExponentialBackoff);

impl Default for Backoff {
    fn default() -> Self {
        let pauses = ExponentialBuilder::new().with_min_delay(FIRST).with_max_delay(LONGEST);
        Self(pauses.with_jitter().without_max_times().build())
    }
}

impl Backoff {
    /// Returns the next pause.
    pub fn pause(&mut self) -> Duration {
        self.0.next().unwrap_or(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound_and_never_end() {
        let mut backoff = Backoff::default();
        let pauses: Vec<Duration> = (0..1_000).map(|_| backoff.pause()).collect();
        assert!((FIRST..2 * FIRST).contains(&pauses[0]), "{:?}", pauses[0]);
        assert!(pauses[20..].iter().all(|pause| (LONGEST..2 * LONGEST).contains(pause)), "{:?}", pauses[20]);
    }
}
