//! Looks at a large sweep, and the answers to a worker meanwhile.

use std::time::{Duration, Instant};

use super::Bench;
use crate::error::BenchError;
use crate::latency::Latency;
use crate::report::{Form, Report};
use crate::stall::{Call, Loop};
use crate::stub::Stub;
use crate::sweeps::{Person, Sweep};
use crate::system::{System, get, sign_in};
use crate::table::Cell;

const VIEWS: Form = Form {
    name: "views",
    columns: &["store", "cells", "view", "MB", "median, ms", "longest heartbeat meanwhile, ms", "peak RSS, MiB"],
};

/// A look at the sweep.
#[derive(Debug, Clone, Copy)]
enum View {
    List,
    Status,
    Metrics,
    Sweeps,
    Sweep,
}

impl View {
    const ALL: [Self; 5] = [Self::List, Self::Status, Self::Metrics, Self::Sweeps, Self::Sweep];

    fn name(self) -> &'static str {
        match self {
            Self::List => "`coordinator status`",
            Self::Status => "`coordinator status SWEEP`",
            Self::Metrics => "metrics",
            Self::Sweeps => "page of all sweeps",
            Self::Sweep => "page of the sweep",
        }
    }
}

/// Somebody who looks.
struct Visitor<'a> {
    system: &'a System,
    person: Person,
    session: String,
    sweep: String,
}

impl Visitor<'_> {
    /// Looks once. Returns the bytes of the answer, if they are counted, and its time.
    async fn look(&mut self, view: View) -> Result<(Option<usize>, Duration), BenchError> {
        let begun = Instant::now();
        let server = &self.system.server;
        let page = match view {
            View::List => {
                self.person.list().await?;
                return Ok((None, begun.elapsed()));
            }
            View::Status => {
                let bytes = self.person.status(&self.sweep).await?;
                return Ok((Some(bytes), begun.elapsed()));
            }
            View::Metrics => get(&server.monitoring, "/metrics", "").await?,
            View::Sweeps => get(&server.web, "/", &self.session).await?,
            View::Sweep => get(&server.web, &format!("/sweeps/{}", self.sweep), &self.session).await?,
        };
        Ok((Some(page.bytes), page.took))
    }
}

/// Fills the table.
pub(super) async fn run(bench: &Bench, report: &mut Report) -> Result<(), BenchError> {
    eprintln!("views: {} cells", bench.scale.views);
    let system = bench.start().await?;
    let url = &system.server.url;
    let mut person = Person::connect(url).await?;
    let reply = person.submit(Sweep::of(bench.scale.views)).await?;
    let session = sign_in(url, &system.server.web).await?;
    let mut visitor = Visitor { system: &system, person, session, sweep: reply.sweep };
    let worker = Stub::register(url, "stub".to_owned(), 1).await?;
    for view in View::ALL {
        let heartbeats = Loop::start(Call::Heartbeat(worker.clone()));
        let (mut latency, mut bytes) = (Latency::default(), None);
        for _ in 0..bench.scale.repetitions {
            let (size, took) = visitor.look(view).await?;
            latency.add(took);
            bytes = size;
        }
        report.row(
            VIEWS,
            vec![
                Cell::text(bench.store.name()),
                Cell::Count(reply.cells.into()),
                Cell::text(view.name()),
                bytes.map_or(Cell::None, |bytes| Cell::Number(bytes as f64 / 1e6, 2)),
                Cell::millis(latency.quantile(0.5)),
                Cell::millis(heartbeats.longest().await?),
                Cell::mebibytes(system.usage()?.peak),
            ],
        );
    }
    Ok(())
}
