//! What a stage tells while it runs.

use std::time::{Duration, Instant};

use pretext_shared::point::{Metric, Part, Point};
use pretext_shared::trainer::Report;

/// Signs of progress are no more frequent than this.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// The other end of a stage: hears its reports, and may ask it to stop.
pub trait Events: Sync {
    /// A report, in order.
    fn report(&self, report: Report);
    /// Whether the stage is to stop at the next step.
    fn stop_requested(&self) -> bool;
}

/// Collects points and sends them together with signs of progress, a few times per second.
pub(super) struct Reporter<'a> {
    events: &'a dyn Events,
    points: Vec<Point>,
    last: Instant,
}

impl<'a> Reporter<'a> {
    pub(super) fn new(events: &'a dyn Events) -> Self {
        Self { events, points: Vec::new(), last: Instant::now() }
    }

    pub(super) fn stop_requested(&self) -> bool {
        self.events.stop_requested()
    }

    pub(super) fn send(&mut self, report: Report) {
        self.flush();
        self.events.report(report);
    }

    pub(super) fn point(&mut self, part: Part, metric: Metric, epoch: u32, step: u64, value: f64) {
        self.points.push(Point { part, metric, epoch, step, value });
    }

    /// After a step: says where the run is, unless it said so just now.
    pub(super) fn tick(&mut self, step: u64, images: u64) {
        if self.last.elapsed() >= PROGRESS_EVERY {
            self.last = Instant::now();
            self.send(Report::Progress { step, images });
        }
    }

    /// Sends the points that were collected.
    pub(super) fn flush(&mut self) {
        if !self.points.is_empty() {
            self.events.report(Report::Points { points: std::mem::take(&mut self.points) });
        }
    }
}
