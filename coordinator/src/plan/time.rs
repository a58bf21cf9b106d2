//! How long a planned sweep will take.

use std::time::Duration;

use pretext_proto::v1 as pb;
use serde::Serialize;

use crate::progress::span;

/// How long the stages without a result will take, from earlier stages like them.
#[derive(Debug, Serialize)]
pub(super) struct Time {
    /// Milliseconds until the end on these slots, for the stages whose time is known.
    known_ms: u64,
    /// Milliseconds that these stages need, one after the other.
    slot_ms: u64,
    /// Slots of connected workers that can run the stages.
    slots: u32,
    /// Stages whose time is not known.
    unknown_stages: u32,
}

impl From<pb::Estimate> for Time {
    fn from(estimate: pb::Estimate) -> Self {
        let pb::Estimate { known_ms, slot_ms, slots, unknown_stages } = estimate;
        Self { known_ms, slot_ms, slots, unknown_stages }
    }
}

impl Time {
    /// Returns a line for people.
    pub(super) fn text(&self) -> String {
        let time = |ms| span(Duration::from_millis(ms));
        let slots = match self.slots {
            0 => "no connected worker can run it now".to_owned(),
            1 => "on 1 slot".to_owned(),
            n => format!("on {n} slots"),
        };
        let known = match (self.slot_ms, self.slots, self.unknown_stages) {
            (0, _, 0) => return "time: nothing is left to run\n".to_owned(),
            (0, _, _) => return "time: unknown, because no stage like these has run on this coordinator\n".to_owned(),
            (work, 0, _) => format!("{} of device time; {slots}", time(work)),
            (work, ..) => format!("about {} {slots}, {} of device time", time(self.known_ms), time(work)),
        };
        match self.unknown_stages {
            0 => format!("time: {known}\n"),
            1 => format!("time: {known}; and 1 stage unlike any that has run here\n"),
            n => format!("time: {known}; and {n} stages unlike any that have run here\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_said_as_far_as_it_is_known() {
        let text = |known_ms, slot_ms, slots, unknown_stages| Time { known_ms, slot_ms, slots, unknown_stages }.text();
        assert_eq!(text(720_000, 1_440_000, 2, 0), "time: about 12 min on 2 slots, 24 min of device time\n");
        assert_eq!(
            text(60_000, 60_000, 1, 3),
            "time: about 60 s on 1 slot, 60 s of device time; and 3 stages unlike any that have run here\n"
        );
        assert_eq!(text(0, 60_000, 0, 0), "time: 60 s of device time; no connected worker can run it now\n");
        assert_eq!(text(0, 0, 2, 9), "time: unknown, because no stage like these has run on this coordinator\n");
        assert_eq!(text(0, 0, 2, 0), "time: nothing is left to run\n");
    }
}
