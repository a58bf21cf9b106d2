//! The measurements: one file each, with the table that it fills.

mod dispatch;
mod fleet;
mod points;
mod raw;
mod restart;
mod submit;
mod views;

use clap::ValueEnum;

use crate::error::BenchError;
use crate::report::Report;
use crate::scale::Scale;
use crate::system::{Programs, Store, System};

/// A measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Measure {
    /// Stages that are leased and completed, beside a raw loop that writes and syncs.
    Dispatch,
    /// Points that are acknowledged.
    Points,
    /// Workers that wait, and their first leases.
    Fleet,
    /// Submissions, and how long others wait meanwhile.
    Submit,
    /// Looks at a large sweep, and how long others wait meanwhile.
    Views,
    /// Restarts with a large sweep.
    Restart,
}

/// What a measurement needs.
#[derive(Debug, Clone)]
pub(crate) struct Bench {
    /// The programs and folders.
    pub(crate) programs: Programs,
    /// The home of the job state.
    pub(crate) store: Store,
    /// The sizes.
    pub(crate) scale: Scale,
    /// Bytes of a record of the raw loop.
    pub(crate) record: usize,
}

impl Bench {
    async fn start(&self) -> Result<System, BenchError> {
        System::start(&self.programs, self.store).await
    }
}

impl Measure {
    /// Returns the name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dispatch => "dispatch",
            Self::Points => "points",
            Self::Fleet => "fleet",
            Self::Submit => "submit",
            Self::Views => "views",
            Self::Restart => "restart",
        }
    }

    /// Measures, and adds the rows to the report.
    pub(crate) async fn run(self, bench: &Bench, report: &mut Report) -> Result<(), BenchError> {
        match self {
            Self::Dispatch => dispatch::run(bench, report).await,
            Self::Points => points::run(bench, report).await,
            Self::Fleet => fleet::run(bench, report).await,
            Self::Submit => submit::run(bench, report).await,
            Self::Views => views::run(bench, report).await,
            Self::Restart => restart::run(bench, report).await,
        }
    }
}
