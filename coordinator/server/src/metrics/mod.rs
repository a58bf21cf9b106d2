//! The metrics of a coordinator, for Prometheus. Every label has a closed set of values: nothing that a caller chooses
//! (a name, a path, a sweep) becomes a label.

mod monitor;

use std::time::Duration;

use pretext_engine::Backlog;
use pretext_shared::device::NumericClass;
use pretext_shared::outcome::FailureCode;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

pub(crate) use monitor::serve as serve_monitor;

/// Labels of a metric: their names and values are constants of this program.
type Labels<const N: usize> = [(&'static str, &'static str); N];

/// The outcome of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It began.
    Granted,
    /// It ended with the stage's result.
    Succeeded,
    /// It ended with a failure.
    Failed(FailureCode),
    /// Its lease was given back.
    Released,
}

/// The reason why a connection or a call was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// The limit of connections is reached.
    Connections,
    /// The TLS handshake failed: plain text, a foreign certificate, an expired one.
    Handshake,
    /// A certificate is needed and missing.
    Unauthenticated,
    /// The role, the name or the lease is not the caller's.
    Forbidden,
    /// The identity makes too many calls.
    Rate,
}

impl Denial {
    fn as_str(self) -> &'static str {
        match self {
            Denial::Connections => "connections",
            Denial::Handshake => "handshake",
            Denial::Unauthenticated => "unauthenticated",
            Denial::Forbidden => "forbidden",
            Denial::Rate => "rate",
        }
    }
}

/// All metrics of a coordinator.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    calls: Family<Labels<2>, Counter>,
    seconds: Family<Labels<1>, Histogram>,
    attempts: Family<Labels<1>, Counter>,
    failures: Family<Labels<1>, Counter>,
    points: Counter,
    refused_batches: Counter,
    uploaded: Counter,
    denials: Family<Labels<1>, Counter>,
    connections: Gauge,
    stages: Family<Labels<2>, Gauge>,
    slots: Family<Labels<1>, Gauge>,
    workers: Family<Labels<1>, Gauge>,
    drained: Gauge,
    open_sweeps: Gauge,
    leading: Gauge,
    certificates: Family<Labels<1>, Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Returns metrics that are all zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("pretext");
        let seconds = Family::<Labels<1>, Histogram>::new_with_constructor(|| {
            // 1 ms to 65 s: a long poll for work lasts up to 30 s.
            Histogram::new(exponential_buckets(0.001, 4.0, 9))
        });
        let mut metrics = Self {
            registry: Registry::default(),
            calls: Family::default(),
            seconds,
            attempts: Family::default(),
            failures: Family::default(),
            points: Counter::default(),
            refused_batches: Counter::default(),
            uploaded: Counter::default(),
            denials: Family::default(),
            connections: Gauge::default(),
            stages: Family::default(),
            slots: Family::default(),
            workers: Family::default(),
            drained: Gauge::default(),
            open_sweeps: Gauge::default(),
            leading: Gauge::default(),
            certificates: Family::default(),
        };
        let version = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "Version of the program", version);
        registry.register("rpc", "Calls by procedure and gRPC code of the first answer", metrics.calls.clone());
        registry.register_with_unit(
            "rpc",
            "Time to the first answer of a call; long polls included",
            Unit::Seconds,
            metrics.seconds.clone(),
        );
        registry.register("attempts", "Attempts by outcome", metrics.attempts.clone());
        registry.register("attempt_failures", "Failed attempts by code", metrics.failures.clone());
        registry.register("points", "Points of curves that were made durable", metrics.points.clone());
        registry.register("refused_batches", "Batches of points that were refused", metrics.refused_batches.clone());
        registry.register("uploaded_bytes", "Bytes of artifacts that workers sent", metrics.uploaded.clone());
        registry.register("denials", "Connections and calls that were refused", metrics.denials.clone());
        registry.register("connections", "Open connections", metrics.connections.clone());
        registry.register("stages", "Stages by device class and state", metrics.stages.clone());
        registry.register("slots", "Slots of connected workers", metrics.slots.clone());
        registry.register(
            "workers",
            "Workers by whether they were heard of within the lease time",
            metrics.workers.clone(),
        );
        registry.register(
            "drained_devices",
            "Devices of connected workers that get no stage because stages failed on them",
            metrics.drained.clone(),
        );
        registry.register("open_sweeps", "Sweeps with cells that are not final", metrics.open_sweeps.clone());
        registry.register("leading", "1 if this coordinator leads, 0 if it is a standby", metrics.leading.clone());
        registry.register(
            "certificate_end",
            "Unix time at which a certificate of this coordinator expires",
            metrics.certificates.clone(),
        );
        metrics.registry = registry;
        // Create all series now, so that the first event is a rise from 0 and not the start of a series.
        for outcome in ["granted", "succeeded", "failed", "released"] {
            metrics.attempts.get_or_create(&[("outcome", outcome)]).inc_by(0);
        }
        use Denial::{Connections, Forbidden, Handshake, Rate, Unauthenticated};
        for denial in [Connections, Forbidden, Handshake, Rate, Unauthenticated] {
            metrics.denials.get_or_create(&[("reason", denial.as_str())]).inc_by(0);
        }
        metrics
    }

    /// Counts an answered call.
    pub fn call(&self, rpc: &'static str, code: tonic::Code, took: Duration) {
        self.calls.get_or_create(&[("rpc", rpc), ("code", code_name(code))]).inc();
        self.seconds.get_or_create(&[("rpc", rpc)]).observe(took.as_secs_f64());
    }

    /// Counts the outcome of an attempt.
    pub fn attempt(&self, outcome: Outcome) {
        let name = match outcome {
            Outcome::Granted => "granted",
            Outcome::Succeeded => "succeeded",
            Outcome::Failed(code) => {
                self.failures.get_or_create(&[("code", code.as_str())]).inc();
                "failed"
            }
            Outcome::Released => "released",
        };
        self.attempts.get_or_create(&[("outcome", name)]).inc();
    }

    /// Counts the points of a durable batch.
    pub fn points(&self, points: usize) {
        self.points.inc_by(points as u64);
    }

    /// Counts a refused batch of points.
    pub fn refused_batch(&self) {
        self.refused_batches.inc();
    }

    /// Counts the bytes of a piece of an artifact.
    pub fn uploaded(&self, bytes: u64) {
        self.uploaded.inc_by(bytes);
    }

    /// Counts a refused connection or call.
    pub fn denied(&self, denial: Denial) {
        self.denials.get_or_create(&[("reason", denial.as_str())]).inc();
    }

    /// Counts an opened connection.
    pub fn connection_opened(&self) {
        self.connections.inc();
    }

    /// Counts a closed connection.
    pub fn connection_closed(&self) {
        self.connections.dec();
    }

    /// Sets the Unix time at which a certificate of this coordinator expires.
    pub fn certificate(&self, which: &'static str, end: i64) {
        self.certificates.get_or_create(&[("certificate", which)]).set(end);
    }

    /// Sets the metrics of the leader: that it leads, and its backlog. A standby has no backlog, and does not call
    /// this.
    pub fn leads(&self, backlog: &Backlog) {
        self.leading.set(1);
        for class in [NumericClass::Cpu, NumericClass::Gpu] {
            let counts = backlog.class(class);
            let states = [
                ("ready", counts.ready),
                ("blocked", counts.blocked),
                ("running", counts.running),
                ("failed", counts.failed),
                ("expired", counts.expired),
            ];
            for (state, count) in states {
                self.stages.get_or_create(&[("class", class.as_str()), ("state", state)]).set(count as i64);
            }
            self.slots.get_or_create(&[("class", class.as_str())]).set(counts.slots as i64);
        }
        self.workers.get_or_create(&[("state", "connected")]).set(backlog.connected as i64);
        self.workers.get_or_create(&[("state", "silent")]).set(backlog.silent as i64);
        self.drained.set(backlog.drained as i64);
        self.open_sweeps.set(backlog.open_sweeps as i64);
    }

    /// Returns the text for a scrape.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if encode(&mut text, &self.registry).is_err() {
            // Writing to a string cannot fail; if it did, an empty page would be the best report.
            text.clear();
        }
        text
    }
}

fn code_name(code: tonic::Code) -> &'static str {
    use tonic::Code::*;
    match code {
        Ok => "ok",
        Cancelled => "cancelled",
        Unknown => "unknown",
        InvalidArgument => "invalid-argument",
        DeadlineExceeded => "deadline-exceeded",
        NotFound => "not-found",
        AlreadyExists => "already-exists",
        PermissionDenied => "permission-denied",
        ResourceExhausted => "resource-exhausted",
        FailedPrecondition => "failed-precondition",
        Aborted => "aborted",
        OutOfRange => "out-of-range",
        Unimplemented => "unimplemented",
        Internal => "internal",
        Unavailable => "unavailable",
        DataLoss => "data-loss",
        Unauthenticated => "unauthenticated",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretext_engine::ClassBacklog;

    #[test]
    fn a_scrape_shows_what_was_counted() {
        let metrics = Metrics::new();
        assert!(metrics.text().contains("pretext_leading 0\n") && !metrics.text().contains("pretext_slots{"));
        metrics.attempt(Outcome::Granted);
        metrics.attempt(Outcome::Failed(FailureCode::Diverged));
        metrics.call("Work/Lease", tonic::Code::Ok, Duration::from_millis(3));
        metrics.denied(Denial::Rate);
        let gpu = ClassBacklog { ready: 7, slots: 2, ..ClassBacklog::default() };
        metrics.leads(&Backlog { gpu, connected: 1, drained: 1, ..Backlog::default() });
        let text = metrics.text();
        for line in [
            "pretext_attempts_total{outcome=\"granted\"} 1",
            "pretext_attempts_total{outcome=\"succeeded\"} 0",
            "pretext_attempt_failures_total{code=\"diverged\"} 1",
            "pretext_rpc_total{rpc=\"Work/Lease\",code=\"ok\"} 1",
            "pretext_rpc_seconds_bucket{le=\"0.004\",rpc=\"Work/Lease\"} 1",
            "pretext_denials_total{reason=\"rate\"} 1",
            "pretext_stages{class=\"gpu\",state=\"ready\"} 7",
            "pretext_slots{class=\"gpu\"} 2",
            "pretext_workers{state=\"connected\"} 1",
            "pretext_drained_devices 1",
            "pretext_leading 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
