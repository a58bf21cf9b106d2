//! The reports of a stage while it runs.

use std::time::{Duration, Instant};

use pretext_shared::point::{Metric, Part, Point};
use pretext_shared::trainer::Report;

/// Shortest time between two reports of progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// The receiver of a stage's reports, which may also ask the stage to stop.
pub trait Events: Sync {
    /// Takes a report. Reports come in order.
    fn report(&self, report: Report);
    /// Returns whether the stage must stop at the next step.
    fn stop_requested(&self) -> bool;
}

/// Collects points and sends them with the progress, a few times per second.
pub(super) struct Reporter<'a> {
    events: &'a dyn Events,
    /// All points of the stage, including those of the attempts that this one resumes.
    points: Vec<Point>,
    /// Number of points that were sent.
    sent: usize,
    last: Instant,
}

impl<'a> Reporter<'a> {
    pub(super) fn new(events: &'a dyn Events) -> Self {
        Self { events, points: Vec::new(), sent: 0, last: Instant::now() }
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

    /// Reports the position after a step, unless it was reported very recently.
    pub(super) fn tick(&mut self, step: u64, images: u64) {
        if self.last.elapsed() >= PROGRESS_EVERY {
            self.last = Instant::now();
            self.send(Report::Progress { step, images });
        }
    }

    /// Starts with the points of a checkpoint, so that the points of one attempt are the whole curve.
    pub(super) fn resume(&mut self, points: Vec<Point>) {
        self.points = points;
        self.sent = 0;
    }

    /// Returns all points of the stage so far.
    pub(super) fn points(&self) -> &[Point] {
        &self.points
    }

    /// Sends the collected points.
    pub(super) fn flush(&mut self) {
        if self.sent < self.points.len() {
            self.events.report(Report::Points { points: self.points[self.sent..].to_vec() });
            self.sent = self.points.len();
        }
    }
}
