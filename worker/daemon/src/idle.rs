//! Decides when a daemon with `--until-idle` may end: every slot is empty, and for the given time the coordinator has
//! said of every device that no stage waits for it. A coordinator that does not answer does not count.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Longest time that the coordinator may hold a request for work.
const LONG_POLL: Duration = Duration::from_secs(20);

/// The known state of the work for a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outlook {
    /// The slot has a stage or may get one, or nothing is known.
    Work,
    /// No stage waits that the slot's device could run.
    Nothing,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Idle {
    /// `None`: the daemon never ends by itself.
    patience: Option<Duration>,
    /// The time since which each slot has nothing to do.
    since: Mutex<Vec<Option<Instant>>>,
}

impl Idle {
    /// Returns the state for a daemon with `slots` slots.
    pub(super) fn new(patience: Option<Duration>, slots: usize) -> Self {
        Self { patience, since: Mutex::new(vec![None; slots]) }
    }

    /// Returns how long a slot waits for work before it asks again.
    pub(super) fn poll(&self) -> Duration {
        self.patience.map_or(LONG_POLL, |patience| patience.clamp(Duration::from_millis(100), LONG_POLL))
    }

    /// Records what is known of a slot, and returns whether the slot may end.
    pub(super) fn note(&self, slot: usize, outlook: Outlook, now: Instant) -> bool {
        let Some(patience) = self.patience else { return false };
        // The list is consistent after every statement, so a panic of another holder does no harm.
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(since) = since.get_mut(slot) {
            *since = match outlook {
                Outlook::Work => None,
                Outlook::Nothing => Some(since.unwrap_or(now)),
            };
        }
        let idle = |since: &Option<Instant>| since.is_some_and(|since| now.duration_since(since) >= patience);
        since.iter().all(idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_may_end_when_no_slot_has_had_work_for_long_enough() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let idle = Idle::new(Some(Duration::from_secs(10)), 2);
        assert!(!idle.note(0, Outlook::Nothing, at(0)));
        assert!(!idle.note(0, Outlook::Nothing, at(60)), "the other slot has a stage");
        assert!(!idle.note(1, Outlook::Nothing, at(61)));
        assert!(!idle.note(1, Outlook::Nothing, at(70)));
        assert!(!idle.note(0, Outlook::Work, at(70)), "a grant, or no answer");
        assert!(!idle.note(1, Outlook::Nothing, at(80)));
        assert!(!idle.note(0, Outlook::Nothing, at(80)));
        assert!(!idle.note(0, Outlook::Nothing, at(89)));
        assert!(idle.note(1, Outlook::Nothing, at(90)) && idle.note(0, Outlook::Nothing, at(90)));
        let for_ever = Idle::new(None, 1);
        assert!(!for_ever.note(0, Outlook::Nothing, at(0)) && !for_ever.note(0, Outlook::Nothing, at(9_999)));
    }
}
