//! Live progress on stderr: bars on a terminal, and a line every few seconds elsewhere.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use pretext_proto::v1 as pb;
use pretext_shared::text;

use super::console::Terminal;
use super::status::Counts;

/// Period over which rates are measured: several times the time between two heartbeats.
const WINDOW: Duration = Duration::from_secs(60);
/// Time between two lines if stderr is not a terminal.
const LINES_EVERY: Duration = Duration::from_secs(10);
/// Time between two calls of [`ProgressBars::tick`].
pub(super) const TICK: Duration = Duration::from_secs(1);
/// Largest number of bars: more would not fit on a terminal.
const MOST_BARS: usize = 16;

/// The rate of a count that mostly rises.
#[derive(Debug, Default)]
struct Meter {
    samples: VecDeque<(Instant, u64)>,
}

impl Meter {
    fn push(&mut self, now: Instant, count: u64) {
        // A stage that starts again takes back its counts; the rate then starts again too.
        if self.samples.back().is_some_and(|(_, last)| *last > count) {
            self.samples.clear();
        }
        self.samples.push_back((now, count));
        while self.samples.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > WINDOW) {
            self.samples.pop_front();
        }
    }

    /// Returns the rate per second; `None` until it can be measured.
    fn rate(&self) -> Option<f64> {
        let ((from, first), (to, last)) = (self.samples.front()?, self.samples.back()?);
        let seconds = to.saturating_duration_since(*from).as_secs_f64();
        (seconds >= 1.0 && last > first).then(|| (last - first) as f64 / seconds)
    }
}

/// Formats a duration for people.
pub(super) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..=99 => format!("{seconds} s"),
        100..=5_999 => format!("{} min", (seconds + 30) / 60),
        6_000..=172_799 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// The shown progress of a sweep.
pub(super) struct ProgressBars {
    terminal: Terminal,
    bars: Bars,
    images: Meter,
    stages: BTreeMap<String, Meter>,
    obstacles: BTreeSet<String>,
    failed: Option<u32>,
    /// The last event, and when it came.
    last: Option<(pb::WatchEvent, Instant)>,
    printed: Option<Instant>,
}

impl ProgressBars {
    /// Returns a progress that has seen no event.
    pub(super) fn new(terminal: &Terminal) -> Self {
        Self {
            terminal: terminal.clone(),
            bars: Bars { terminal: terminal.clone(), stages: BTreeMap::new(), sweep: None },
            images: Meter::default(),
            stages: BTreeMap::new(),
            obstacles: BTreeSet::new(),
            failed: None,
            last: None,
            printed: None,
        }
    }

    /// Takes in the present state of a sweep.
    pub(super) fn update(&mut self, event: pb::WatchEvent, now: Instant) {
        self.images.push(now, event.images_done);
        self.stages.retain(|id, _| event.running.iter().any(|stage| stage.stage == *id));
        for stage in &event.running {
            self.stages.entry(stage.stage.clone()).or_default().push(now, stage.step);
        }
        for obstacle in &event.obstacles {
            if self.obstacles.insert(obstacle.clone()) {
                self.terminal.say(&format!("stages wait: {}", text::line(obstacle)));
            }
        }
        let failed = Counts::from(event.cells).failed;
        if self.failed.replace(failed).is_some_and(|before| failed > before) {
            self.terminal.say(&format!("failed so far: {}", text::counted(failed, "cell")));
        }
        self.last = Some((event, now));
        self.draw(now);
    }

    /// Updates the display after [`TICK`] has passed.
    pub(super) fn tick(&mut self, now: Instant) {
        let Some((event, _)) = &self.last else { return };
        // Rates fall while no event arrives.
        self.images.push(now, event.images_done);
        self.draw(now);
    }

    fn draw(&mut self, now: Instant) {
        let Some((event, came)) = &self.last else { return };
        let now_left = left(event, now.saturating_duration_since(*came));
        let summary = summary(event, self.images.rate(), now_left);
        if self.terminal.interactive {
            self.bars.draw(event, &self.stages, summary);
        } else if event.r#final || self.printed.is_none_or(|at| now.saturating_duration_since(at) >= LINES_EVERY) {
            self.printed = Some(now);
            let running: Vec<String> = event
                .running
                .iter()
                .map(|stage| format!("; {}", stage_line(stage, self.stages.get(&stage.stage))))
                .collect();
            self.terminal.say(&format!("{}: {summary}{}", text::line(&event.sweep), running.concat()));
        }
    }
}

/// Returns the time left, some time after the event: `3 min left`, or `at least 3 min left` if no stage like some of
/// the others has run yet. Returns `None` if nothing is known.
pub(super) fn left(event: &pb::WatchEvent, since: Duration) -> Option<String> {
    let pb::TimeLeft { known_ms, unknown_stages } = event.left?;
    let left = Duration::from_millis(known_ms).saturating_sub(since);
    match (left.is_zero(), unknown_stages) {
        (true, _) => None,
        (false, 0) => Some(format!("{} left", span(left))),
        (false, _) => Some(format!("at least {} left", span(left))),
    }
}

/// Formats a summary: `3 of 16 cells done, 1 failed, 1,234 images/s, 3 min left`.
pub(super) fn summary(event: &pb::WatchEvent, rate: Option<f64>, left: Option<String>) -> String {
    let cells = Counts::from(event.cells);
    let mut parts = vec![format!("{} of {} done", cells.succeeded, text::counted(cells.total(), "cell"))];
    parts.extend((cells.failed > 0).then(|| format!("{} failed", cells.failed)));
    parts.extend((cells.cancelled > 0).then(|| format!("{} cancelled", cells.cancelled)));
    if !event.r#final {
        parts.extend(rate.map(|rate| format!("{} images/s", text::grouped(rate.round() as u64))));
        parts.extend(left);
    }
    parts.join(", ")
}

/// Returns `pretext 4 cells` if the stage is shared, else its cell: `downstream rotation/0.05/fixed/0`.
fn stage_name(stage: &pb::RunningStage) -> String {
    let what = if stage.cells > 1 { text::counted(stage.cells, "cell") } else { text::line(&stage.cell) };
    format!("{} {what}", text::line(&stage.kind))
}

/// Returns the place and the rate: `local cpu, 12.5 steps/s`.
fn stage_place(stage: &pb::RunningStage, meter: Option<&Meter>) -> String {
    let place = text::line(&format!("{} {}", stage.worker, stage.device));
    match meter.and_then(Meter::rate) {
        Some(rate) => format!("{place}, {rate:.1} steps/s"),
        None => place,
    }
}

fn stage_line(stage: &pb::RunningStage, meter: Option<&Meter>) -> String {
    let place = stage_place(stage, meter);
    match stage.total {
        0 => format!("{} on {place}", stage_name(stage)),
        total => format!("{} {}/{total} on {place}", stage_name(stage), stage.step),
    }
}

/// A bar for each running stage, and one for the sweep below them.
struct Bars {
    terminal: Terminal,
    stages: BTreeMap<String, ProgressBar>,
    sweep: Option<ProgressBar>,
}

impl Bars {
    fn draw(&mut self, event: &pb::WatchEvent, meters: &BTreeMap<String, Meter>, summary: String) {
        let all = &self.terminal.bars;
        let sweep =
            self.sweep.get_or_insert_with(|| all.add(bar("{bar:20} {prefix} · {msg}", text::line(&event.sweep))));
        self.stages.retain(|id, bar| {
            let runs = event.running.iter().any(|stage| stage.stage == *id);
            if !runs {
                bar.finish_and_clear();
                all.remove(bar);
            }
            runs
        });
        for stage in &event.running {
            let known = self.stages.len();
            if !self.stages.contains_key(&stage.stage) && known >= MOST_BARS {
                continue;
            }
            let (name, place) = (stage_name(stage), stage_place(stage, meters.get(&stage.stage)));
            let bar = self.stages.entry(stage.stage.clone()).or_insert_with(|| {
                // A test stage has no steps.
                let template =
                    if stage.total == 0 { "  {prefix} · {msg}" } else { "{bar:20} {prefix} {pos}/{len} · {msg}" };
                all.insert_before(sweep, bar(template, name))
            });
            bar.set_length(stage.total);
            bar.set_message(place);
            bar.set_position(stage.step);
        }
        sweep.set_length(event.images_total.max(1));
        sweep.set_message(summary);
        sweep.set_position(event.images_done);
    }
}

fn bar(template: &str, name: String) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("the templates of this file are well formed");
    ProgressBar::no_length().with_style(style.progress_chars("━╸─")).with_prefix(name)
}

impl Drop for Bars {
    fn drop(&mut self) {
        // Removes the bars, so that later output does not mix with them.
        for bar in self.stages.values().chain(&self.sweep) {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(succeeded: u32, images_done: u64) -> pb::WatchEvent {
        pb::WatchEvent {
            sweep: "quick-00000000".to_owned(),
            cells: Some(pb::CellCounts { succeeded, failed: 1, running: 2, ..Default::default() }),
            images_done,
            images_total: 100_000,
            ..Default::default()
        }
    }

    #[test]
    fn rates_look_at_the_window_and_begin_again_with_a_stage() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut meter = Meter::default();
        meter.push(at(0), 1_000_000);
        assert_eq!(meter.rate(), None, "earlier work does not count for this run");
        meter.push(at(10), 1_005_000);
        assert_eq!(meter.rate(), Some(500.0));
        meter.push(at(65), 1_005_550);
        assert_eq!(meter.rate(), Some(10.0), "the first sample has left the window");
        meter.push(at(66), 10);
        assert_eq!(meter.rate(), None);
    }

    #[test]
    fn the_summary_says_how_long_it_takes() {
        let event = |known_ms, unknown_stages| {
            let left = Some(pb::TimeLeft { known_ms, unknown_stages });
            pb::WatchEvent { left, ..event(1, 40_000) }
        };
        let after =
            |event: &pb::WatchEvent, seconds| summary(event, Some(500.0), left(event, Duration::from_secs(seconds)));
        assert_eq!(after(&event(120_000, 0), 0), "1 of 4 cells done, 1 failed, 500 images/s, 2 min left");
        assert_eq!(after(&event(120_000, 0), 60), "1 of 4 cells done, 1 failed, 500 images/s, 60 s left");
        assert_eq!(after(&event(120_000, 3), 0), "1 of 4 cells done, 1 failed, 500 images/s, at least 2 min left");
        assert_eq!(after(&event(0, 3), 0), "1 of 4 cells done, 1 failed, 500 images/s");
        assert_eq!(summary(&pb::WatchEvent { left: None, ..event(0, 0) }, None, None), "1 of 4 cells done, 1 failed");
    }

    #[test]
    fn stages_are_named_by_their_cell_or_by_how_many_share_them() {
        let stage = pb::RunningStage {
            kind: "pretext".to_owned(),
            cell: "rotation/0.05/fixed/0".to_owned(),
            cells: 1,
            worker: "local\u{1b}[2J".to_owned(),
            device: "cpu".to_owned(),
            step: 3,
            total: 40,
            ..Default::default()
        };
        assert_eq!(stage_line(&stage, None), "pretext rotation/0.05/fixed/0 3/40 on local cpu");
        let shared = pb::RunningStage { cells: 4, total: 0, ..stage };
        assert_eq!(stage_line(&shared, None), "pretext 4 cells on local cpu");
    }

    #[test]
    fn spans_are_said_in_the_unit_that_fits() {
        let said = [0, 99, 100, 3_600, 7_500, 200_000].map(|seconds| span(Duration::from_secs(seconds)));
        assert_eq!(said, ["0 s", "99 s", "2 min", "60 min", "2 h 5 min", "2 days"]);
    }
}
