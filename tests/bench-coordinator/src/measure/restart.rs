//! Restarts with a large sweep in the store: from SIGTERM to the first answer to a worker.

use std::time::Instant;

use super::Bench;
use crate::error::BenchError;
use crate::latency::Latency;
use crate::report::{Form, Report};
use crate::stub::Stub;
use crate::sweeps::{Person, Sweep};
use crate::table::Cell;

const RESTART: Form = Form {
    name: "restart",
    columns: &[
        "store",
        "cells",
        "stages",
        "SIGTERM to the end, s",
        "start to the first answer, s",
        "SIGTERM to the first answer, s",
        "RSS after it, MiB",
    ],
};

/// Fills the table.
pub(super) async fn run(bench: &Bench, report: &mut Report) -> Result<(), BenchError> {
    for cells in &bench.scale.restart {
        eprintln!("restart: {cells} cells");
        let mut system = bench.start().await?;
        let reply = Person::connect(&system.server.url).await?.submit(Sweep::of(*cells)).await?;
        let (mut ends, mut starts, mut both) = (Latency::default(), Latency::default(), Latency::default());
        for _ in 0..bench.scale.repetitions {
            let begun = Instant::now();
            system.server.terminate().await?;
            let ended = Instant::now();
            system.start_again(&bench.programs).await?;
            Stub::register(&system.server.url, "stub".to_owned(), 1).await?;
            let answered = Instant::now();
            ends.add(ended - begun);
            starts.add(answered - ended);
            both.add(answered - begun);
        }
        let median = |latency: &Latency| latency.quantile(0.5).map_or(Cell::None, Cell::seconds);
        report.row(
            RESTART,
            vec![
                Cell::text(bench.store.name()),
                Cell::Count(reply.cells.into()),
                Cell::Count(reply.stages.into()),
                median(&ends),
                median(&starts),
                median(&both),
                Cell::mebibytes(system.usage()?.resident),
            ],
        );
    }
    Ok(())
}
