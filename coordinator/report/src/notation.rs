//! The notation of numbers. Every output, and every command that shows a number of a sweep, writes it in this way.

use std::ops::RangeInclusive;

use pretext_shared::outcome::Score;
use pretext_shared::stage::LrSpec;
use pretext_shared::sweep::CellState;
use pretext_shared::text;

use super::numbers::Entry;
use super::numbers::stats::{Paired, Summary};

/// The sign for a value that does not exist.
pub const ABSENT: &str = "—";

/// Formats a loss.
pub fn loss(value: f64) -> String {
    format!("{value:.4}")
}

/// Formats an accuracy in 0–1 as percent, without the sign.
pub fn percent(value: f64) -> String {
    format!("{:.2}", 100.0 * value)
}

/// Formats a difference of accuracies in percentage points, with its sign.
pub fn points(value: f64) -> String {
    format!("{:+.2}", 100.0 * value)
}

/// Formats a score: `loss / accuracy %`.
pub fn score(score: Score) -> String {
    format!("{} / {} %", loss(score.loss), percent(score.accuracy))
}

/// Formats the mean of `summary` with its standard deviation, if it has one: `43.00 ± 2.00`.
pub fn spread(summary: &Summary, number: fn(f64) -> String) -> String {
    match summary.std {
        Some(std) => format!("{} ± {}", number(summary.mean), number(std)),
        None => number(summary.mean),
    }
}

/// Formats a paired difference in percentage points with its standard deviation: `+2.10 ± 0.30`.
pub fn gain(gain: &Paired) -> String {
    match gain.difference.std {
        Some(std) => format!("{} ± {}", points(gain.difference.mean), percent(std)),
        None => points(gain.difference.mean),
    }
}

/// Formats a count, or the range of a count over seeds.
pub fn count(range: &RangeInclusive<u64>) -> String {
    let (low, high) = (text::grouped(*range.start()), text::grouped(*range.end()));
    if low == high { low } else { format!("{low}–{high}") }
}

/// Formats a p-value with three decimals.
pub fn p_value(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { format!("{p:.3}") }
}

/// Formats a paired difference in percentage points with its 95 % t-interval: `+2.10 ± 0.75`.
pub fn difference(pairs: &Paired) -> String {
    let mean = points(pairs.difference.mean);
    pairs.difference.ci95.map_or_else(|| mean.clone(), |half| format!("{mean} ± {}", percent(half)))
}

/// Formats a p-value and the same after Holm's adjustment: `0.012, 0.048`.
pub fn p_values(p: Option<f64>, p_holm: Option<f64>) -> String {
    p.zip(p_holm).map_or_else(|| ABSENT.to_owned(), |(p, holm)| format!("{}, {}", p_value(p), p_value(holm)))
}

/// Formats a duration: `8.3 s`, `12 min`, `3.5 h`.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.1} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// Describes a learning rate as a function of the step.
pub fn lr(lr: &LrSpec) -> String {
    match lr {
        LrSpec::Constant { base } => format!("constant {}", rate(*base)),
        LrSpec::Cosine { base, warmup_epochs } if *warmup_epochs == 0.0 => format!("cosine from {}", rate(*base)),
        LrSpec::Cosine { base, warmup_epochs } => format!("cosine to {}, warm-up {warmup_epochs} ep.", rate(*base)),
        LrSpec::Step { base, gamma, milestones } => {
            let milestones: Vec<String> = milestones.iter().map(u32::to_string).collect();
            format!("steps from {}, × {gamma} after epochs {}", rate(*base), milestones.join(", "))
        }
        LrSpec::OneCycle { base, .. } => format!("one cycle to {}", rate(*base)),
        LrSpec::Cyclical { base, low, half_cycle_epochs, .. } => {
            format!("cyclical between {} and {}, half a cycle {half_cycle_epochs} ep.", rate(base * low), rate(*base))
        }
    }
}

/// Formats a rate: `0.01`, `5e-6`.
fn rate(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-3 { format!("{value:e}") } else { value.to_string() }
}

/// Formats an entry on one line: `1.0000 ± 0.1000 / 43.00 ± 2.00 % (n = 3)`.
pub fn entry(entry: &Entry) -> String {
    if entry.runs.is_empty() {
        return ABSENT.to_owned();
    }
    let score = entry
        .loss
        .zip(entry.accuracy)
        .map(|(loss_summary, accuracy)| format!("{} / {} %", spread(&loss_summary, loss), spread(&accuracy, percent)));
    match (score, remarks(entry).join("; ")) {
        (Some(score), remarks) if remarks.is_empty() => score,
        (Some(score), remarks) => format!("{score} ({remarks})"),
        (None, remarks) => remarks,
    }
}

/// Returns the number of seeds of an entry that should have several, and its cells without a score: `n = 2`,
/// `1 failed (diverged)`.
pub fn remarks(entry: &Entry) -> Vec<String> {
    let seeds = (entry.n() > 0 && entry.runs.len() > 1).then(|| format!("n = {}", entry.n()));
    let missing = entry.missing().into_iter().map(|(state, count)| {
        let cells = if entry.runs.len() == 1 { String::new() } else { format!("{count} ") };
        match state {
            CellState::Failed => format!("{cells}failed ({})", entry.failures().join(", ")),
            CellState::Pending | CellState::Running | CellState::Succeeded | CellState::Cancelled => {
                format!("{cells}{}", state.as_str())
            }
        }
    });
    seeds.into_iter().chain(missing).collect()
}
