//! Formats numbers and times as text.

use pretext_engine::CellCounts;
use pretext_shared::point::{Metric, Part, Point};
use pretext_shared::sweep::CellState;
use pretext_shared::text::counted;

/// Returns roughly how long ago `then_ms` was. The text changes seldom, because every change sends the page again.
pub(super) fn ago(then_ms: u64, now_ms: u64) -> String {
    let seconds = now_ms.saturating_sub(then_ms) / 1000;
    let passed = |count: u64, unit: &str| format!("{} ago", counted(count, unit));
    match seconds {
        0..60 => "just now".to_owned(),
        60..3600 => passed(seconds / 60, "minute"),
        3600..172_800 => passed(seconds / 3600, "hour"),
        _ => passed(seconds / 86_400, "day"),
    }
}

/// Formats whole percent, and never 100 before all is done.
pub(super) fn percent(done: u64, total: u64) -> String {
    if done >= total {
        return "100 %".to_owned();
    }
    format!("{} %", u128::from(done) * 100 / u128::from(total))
}

/// Returns the counts in the order of the pages: final states first.
pub(super) fn by_state(counts: &CellCounts) -> [(CellState, usize); 5] {
    [
        (CellState::Succeeded, counts.succeeded),
        (CellState::Failed, counts.failed),
        (CellState::Cancelled, counts.cancelled),
        (CellState::Running, counts.running),
        (CellState::Pending, counts.pending),
    ]
}

/// Returns the newest training loss: of a step, or of an epoch if steps have none.
pub(super) fn newest_loss(points: &[Point]) -> Option<f64> {
    let of = |metric: Metric| {
        let mine = points.iter().filter(move |point| point.metric == metric && point.part == Part::Train);
        mine.max_by_key(|point| point.step)
    };
    let newest = [of(Metric::StepLoss), of(Metric::Loss)].into_iter().flatten().max_by_key(|point| point.step);
    newest.map(|point| point.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_shares_read_well() {
        let minute = 60_000;
        assert_eq!(ago(0, minute - 1), "just now");
        assert_eq!(ago(0, minute), "1 minute ago");
        assert_eq!(ago(0, 119 * minute), "1 hour ago");
        assert_eq!(ago(0, 72 * 60 * minute), "3 days ago");
        assert_eq!(ago(5, 0), "just now", "clocks go back");
        assert_eq!([percent(999, 1000), percent(1000, 1000), percent(0, 0)], ["99 %", "100 %", "100 %"]);
    }
}
