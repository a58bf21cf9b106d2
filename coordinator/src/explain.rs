//! `coordinator explain`.

use clap::Args;
use pretext_shared::text;
use serde::Serialize;

use super::console::{Console, Show};
use super::error::CliError;
use crate::remote::{Remote, connect};
use crate::verdict::Verdict;

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The cell: SWEEP/METHOD/FRACTION/LR/SEED
    #[arg(value_name = "CELL")]
    pub(super) cell: String,
    #[command(flatten)]
    pub(super) remote: Remote,
}

#[derive(Debug, Serialize)]
struct Explanation {
    cell: String,
    lines: Vec<String>,
}

impl Show for Explanation {
    fn text(&self) -> String {
        self.lines.iter().map(|line| text::line(line) + "\n").collect()
    }
}

/// Says why a cell is not running, or what happened to it.
pub(super) async fn explain(args: ExplainArgs, console: &Console) -> Result<Verdict, CliError> {
    let lines = connect(&args.remote).await?.explain(&args.cell).await?;
    console.show(&Explanation { cell: args.cell, lines })?;
    Ok(Verdict::Good)
}
