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
    /// All points of the stage, those of the attempts that this one goes on from included.
    points: Vec<Point>,
    /// How many of them were sent.
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

    /// After a step: says where the run is, unless it said so just now.
    pub(super) fn tick(&mut self, step: u64, images: u64) {
        if self.last.elapsed() >= PROGRESS_EVERY {
            self.last = Instant::now();
            self.send(Report::Progress { step, images });
        }
    }

    /// Begins with the points of a checkpoint: the stream of one attempt is the whole curve.
    pub(super) fn resume(&mut self, points: Vec<Point>) {
        self.points = points;
        self.sent = 0;
    }

    /// All points of the stage so far.
    pub(super) fn points(&self) -> &[Point] {
        &self.points
    }

    /// Sends the points that were collected.
    pub(super) fn flush(&mut self) {
        if self.sent < self.points.len() {
            self.events.report(Report::Points { points: self.points[self.sent..].to_vec() });
            self.sent = self.points.len();
        }
    }
}
