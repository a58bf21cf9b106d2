//! Submissions of several sizes, the same again, and the answers to others meanwhile.

use std::time::Instant;

use super::Bench;
use crate::error::BenchError;
use crate::report::{Form, Report};
use crate::stall::{Call, Loop};
use crate::stub::Stub;
use crate::sweeps::{Person, Sweep};
use crate::table::Cell;

const SUBMIT: Form = Form {
    name: "submit",
    columns: &[
        "store",
        "cells",
        "stages",
        "submission, s",
        "longest heartbeat meanwhile, ms",
        "longest list meanwhile, ms",
        "again, s",
        "again: new sweeps",
        "RSS before, MiB",
        "peak RSS, MiB",
    ],
};

/// Fills the table.
pub(super) async fn run(bench: &Bench, report: &mut Report) -> Result<(), BenchError> {
    for cells in &bench.scale.submit {
        eprintln!("submit: {cells} cells");
        let system = bench.start().await?;
        let url = &system.server.url;
        let mut person = Person::connect(url).await?;
        let worker = Stub::register(url, "stub".to_owned(), 1).await?;
        let before = system.usage()?;
        let heartbeats = Loop::start(Call::Heartbeat(worker));
        let lists = Loop::start(Call::List(Person::connect(url).await?));
        let begun = Instant::now();
        let reply = person.submit(Sweep::of(*cells)).await?;
        let took = begun.elapsed();
        let (heartbeat, list) = (heartbeats.longest().await?, lists.longest().await?);
        let begun = Instant::now();
        let again = person.submit(Sweep::of(*cells)).await?;
        let again_took = begun.elapsed();
        report.row(
            SUBMIT,
            vec![
                Cell::text(bench.store.name()),
                Cell::Count(reply.cells.into()),
                Cell::Count(reply.stages.into()),
                Cell::seconds(took),
                Cell::millis(heartbeat),
                Cell::millis(list),
                Cell::seconds(again_took),
                Cell::Count(u64::from(!again.existed)),
                Cell::mebibytes(before.resident),
                Cell::mebibytes(system.usage()?.peak),
            ],
        );
    }
    Ok(())
}
