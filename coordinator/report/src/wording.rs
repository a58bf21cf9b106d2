//! Sentences and numbers as all renderings of the tables word them. Plain text: whoever shows it
//! escapes it.

use std::ops::RangeInclusive;

use pretext_shared::split::Fraction;
use pretext_shared::stage::{Extent, LrSpec, Method};
use pretext_shared::sweep::{CellState, SweepView};
use pretext_shared::text;

use super::aggregate::{Basis, Effort, Entry, PolicyTable, Protocol, Tables};
use super::stats::{Paired, Summary};
use super::{downstream, shortcut, verdicts};

/// What stands where the sweep has no cell.
pub const NO_CELL: &str = "—";

/// What a rehearsal says about itself.
pub const SMOKE: &str = "REHEARSAL (--smoke): every stage ran two steps. These numbers say nothing about any method.";

/// How a loss is written.
pub fn loss(value: f64) -> String {
    format!("{value:.4}")
}

/// How an accuracy in 0–1 is written, in percent and without the sign.
pub fn percent(value: f64) -> String {
    format!("{:.2}", 100.0 * value)
}

/// `±` and a standard deviation, or nothing for a single value.
fn spread(summary: &Summary, written: fn(f64) -> String) -> String {
    summary.std.map_or_else(String::new, |std| format!(" ± {}", written(std)))
}

/// `loss / acc %` of an entry, each with its standard deviation where there are several seeds; `None`
/// without a score.
pub fn score(entry: &Entry) -> Option<String> {
    let (loss_summary, accuracy) = (entry.loss?, entry.accuracy?);
    Some(format!(
        "{}{} / {}{} %",
        loss(loss_summary.mean),
        spread(&loss_summary, loss),
        percent(accuracy.mean),
        spread(&accuracy, percent)
    ))
}

/// How many seeds a score stands for (where there should be several) and what is missing: `n = 2`,
/// `1 failed (diverged)`.
pub fn remarks(entry: &Entry) -> Vec<String> {
    let seeds = (entry.n() > 0 && entry.runs.len() > 1).then(|| format!("n = {}", entry.n()));
    seeds.into_iter().chain(missing(entry)).collect()
}

/// The cells of an entry that have no score, by state: `pending` for an entry's only cell, `2 pending`
/// for several.
fn missing(entry: &Entry) -> Vec<String> {
    let one_cell = entry.runs.len() == 1;
    let words = |(state, count): (CellState, usize)| {
        let mut words = if one_cell { state.as_str().to_owned() } else { format!("{count} {}", state.as_str()) };
        if state == CellState::Failed {
            let mut codes: Vec<&str> =
                entry.runs.iter().filter_map(|run| run.failure).map(|code| code.as_str()).collect();
            codes.sort_unstable();
            codes.dedup();
            words.push_str(&format!(" ({})", codes.join(", ")));
        }
        words
    };
    entry.missing().into_iter().map(words).collect()
}

/// A whole entry on one line.
pub fn entry(entry: &Entry) -> String {
    if entry.runs.is_empty() {
        return NO_CELL.to_owned();
    }
    match (score(entry), remarks(entry).join("; ")) {
        (Some(score), remarks) if remarks.is_empty() => score,
        (Some(score), remarks) => format!("{score} ({remarks})"),
        (None, remarks) => remarks,
    }
}

/// A paired difference in percentage points: `+2.10 ± 0.30`.
pub fn gain(gain: &Paired) -> String {
    format!("{:+.2}{}", 100.0 * gain.difference.mean, spread(&gain.difference, percent))
}

/// A count, or the range of it over seeds.
pub fn count(range: &RangeInclusive<u64>) -> String {
    let (low, high) = (text::grouped(*range.start()), text::grouped(*range.end()));
    if low == high { low } else { format!("{low}–{high}") }
}

/// What a stage took and came to, in columns: see [`EFFORT_HEADINGS`].
pub fn effort_columns(effort: Option<&Effort>) -> [String; 5] {
    let Some(effort) = effort else { return [const { String::new() }; 5].map(|_| NO_CELL.to_owned()) };
    let planned = match effort.basis {
        Basis::Taken => "",
        Basis::Planned => " planned",
    };
    [
        format!("{} + {}", count(&effort.train_images), count(&effort.validation_images)),
        format!("{}{planned}", count(&effort.steps)),
        format!("{}{planned}", count(&effort.images)),
        match &effort.validation {
            Some(score) => format!("{:.4} / {:.2} %", score.loss.mean, 100.0 * score.accuracy.mean),
            None => NO_CELL.to_owned(),
        },
        effort.lr.iter().map(lr).collect::<Vec<_>>().join(", "),
    ]
}

/// The headings of [`effort_columns`].
pub const EFFORT_HEADINGS: [&str; 5] =
    ["images train + val", "steps", "images seen", "validation loss / acc", "learning rate"];

/// A learning rate as a function of the step, in words.
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

/// A rate as people write it: `0.01`, `5e-6`.
fn rate(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-3 { format!("{value:e}") } else { value.to_string() }
}

/// How many cells are in each state that has any: what is settled first.
pub fn state_counts(tables: &Tables) -> impl Iterator<Item = (CellState, usize)> {
    let order = [CellState::Succeeded, CellState::Failed, CellState::Cancelled, CellState::Running, CellState::Pending];
    order.into_iter().filter_map(|state| Some((state, *tables.states.get(&state)?)))
}

/// `14 succeeded, 1 failed, 1 pending`.
pub fn states(tables: &Tables) -> String {
    let counts = state_counts(tables).map(|(state, count)| format!("{count} {}", state.as_str()));
    counts.collect::<Vec<_>>().join(", ")
}

/// What a reader must know before the first number: a rehearsal, a cancelled sweep, a pretext task that was
/// solved too easily.
pub fn warnings(view: &SweepView) -> Vec<String> {
    let smoke = matches!(view.provenance.extent, Extent::Smoke).then(|| SMOKE.to_owned());
    let cancelled = view.is_cancelled().then(|| "This sweep was cancelled before all cells had a result.".to_owned());
    let shortcuts = shortcut::shortcuts(view);
    let shortcuts = shortcuts.iter().map(|found| verdicts::shortcut(view, found));
    smoke.into_iter().chain(cancelled).chain(shortcuts).collect()
}

/// What training from scratch reaches, at each fraction: the line to compare every column with.
pub fn supervised_line(table: &PolicyTable, tables: &Tables) -> String {
    let scores: Vec<String> = table
        .entries_of(Method::Supervised)
        .map(|(fraction, one)| format!("{}: {}", fraction.percent(), entry(one)))
        .collect();
    if scores.is_empty() {
        "Supervised line: this policy has no supervised cells, so gains over training from scratch cannot be read off \
         the table."
            .to_owned()
    } else {
        let start = if tables.weights.is_some() { "the weights file" } else { "random initial weights" };
        format!("Supervised line ({start}, no pretext, the same labels): {}.", scores.join(" · "))
    }
}

/// What a head on an encoder that learned nothing reaches, at each fraction; `None` without random-init cells.
fn floor_line(table: &PolicyTable) -> Option<String> {
    let scores: Vec<String> = table
        .entries_of(Method::RandomInit)
        .map(|(fraction, one)| format!("{}: {}", fraction.percent(), entry(one)))
        .collect();
    (!scores.is_empty()).then(|| {
        format!("Floor (random-init: a head on frozen initial weights, the same labels): {}.", scores.join(" · "))
    })
}

/// What the numbers of a table mean: selection, data protocol, test set, spread.
pub fn notes(table: &PolicyTable, tables: &Tables) -> Vec<String> {
    let mut notes = vec![supervised_line(table, tables)];
    let over_supervised = gains(table, |entry| entry.gain.as_ref());
    if !over_supervised.is_empty() {
        notes.push(format!("Accuracy minus supervised in points, paired by seed: {}.", over_supervised.join(" · ")));
    }
    notes.extend(floor_line(table));
    let above_floor = gains(table, |entry| entry.above_floor.as_ref());
    if !above_floor.is_empty() {
        notes.push(format!("Accuracy minus the floor in points, paired by seed: {}.", above_floor.join(" · ")));
    }
    notes.push(
        "Selection: the model of the epoch with the lowest validation loss. The test images are scored once, by that \
         model; accuracy is sum(correct) / sum(seen)."
            .to_owned(),
    );
    notes.extend(verdicts::budget(table));
    notes.push(protocol(table.protocol).to_owned());
    notes.extend(downstream::sentences(&table.downstream));
    notes.push(test_set(table, tables));
    notes.push(seeds(table).to_owned());
    notes.extend(verdicts::significance(table));
    notes.push(verdicts::bootstrap(table));
    notes
}

/// Paired differences, worded per method: `SimCLR +2.10 at 5 %`.
fn gains(table: &PolicyTable, pairs: impl Fn(&Entry) -> Option<&Paired>) -> Vec<String> {
    let of_method = |method: &Method| {
        let of_row = |(fraction, entry): (Fraction, &Entry)| {
            let pairs = pairs(entry)?;
            let n = if pairs.n == entry.n() { String::new() } else { format!(" (n = {})", pairs.n) };
            Some(format!("{} at {}{n}", gain(pairs), fraction.percent()))
        };
        let entries = table.rows.iter().flat_map(|row| row.entries.iter().map(|entry| (row.fraction, entry)));
        let gains: Vec<String> = entries.filter(|(_, entry)| entry.method == *method).filter_map(of_row).collect();
        (!gains.is_empty()).then(|| format!("{} {}", method.title(), gains.join(", ")))
    };
    table.methods.iter().filter_map(of_method).collect()
}

/// Which images pretext training saw.
pub fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::NoPretext => "Data: there is no pretext training in this table.",
        Protocol::Fraction => {
            "Data: pretext training saw the images of the cell's own label fraction only (protocol fraction)."
        }
        Protocol::All => "Data: pretext training saw all training images, without labels (protocol all).",
        Protocol::Transfer => {
            "Data: pretext training saw all training images of another data set, without labels (protocol transfer)."
        }
        Protocol::Mixed => {
            "Data: this table mixes pretext training on the cell's own fraction with pretext training on all training \
             images. Do not compare across the two."
        }
    }
}

fn test_set(table: &PolicyTable, tables: &Tables) -> String {
    let mut words = format!("Test set: {} images", text::grouped(tables.test_set.images));
    if let Some(majority) = &tables.test_set.majority {
        let (class, score) = (text::line(&majority.class), percent(majority.accuracy));
        words.push_str(&format!("; always answering its largest class ({class}) scores {score} %"));
    }
    let widths = || table.rows.iter().flat_map(|row| &row.entries).filter_map(|entry| entry.test_half_width);
    let (low, high) = (widths().fold(f64::INFINITY, f64::min), widths().fold(0.0, f64::max));
    if low.is_finite() {
        let (low, high) = (percent(low), percent(high));
        let range = if low == high { format!("±{low}") } else { format!("±{low} to ±{high}") };
        words.push_str(&format!(
            "; one run's accuracy has a 95 % binomial (Wilson) half-width of {range} points here, if images are independent"
        ));
    }
    words + "."
}

fn seeds(table: &PolicyTable) -> &'static str {
    if table.most_seeds() > 1 {
        "± is the sample standard deviation (n − 1) over n seeds; the 95 % t-intervals of the means are in the table of \
         measures. A single seed has neither."
    } else {
        "One seed per entry: how much a result moves with the seed cannot be seen in this table, so there is no standard \
         deviation, no interval over seeds and no test."
    }
}
