//! `coordinator login`.

use clap::Args;
use serde::Serialize;

use super::console::{Console, Show};
use super::error::CliError;
use crate::remote::{Remote, connect};
use crate::verdict::Verdict;

#[derive(Debug, Args)]
pub(super) struct LoginArgs {
    /// Role of the session: submit (it can also cancel and retry) or read [default: your own role]
    #[arg(long, value_parser = ["submit", "read"])]
    pub(super) role: Option<String>,
    #[command(flatten)]
    pub(super) remote: Remote,
}

#[derive(Debug, Serialize)]
struct Link {
    url: String,
    role: String,
    seconds: u32,
}

impl Show for Link {
    /// Returns the link alone, so that it can be piped to another program.
    fn text(&self) -> String {
        self.url.clone()
    }
}

/// Prints a link into the web page.
pub(super) async fn login(args: LoginArgs, console: &Console) -> Result<Verdict, CliError> {
    let reply = connect(&args.remote).await?.login(args.role).await?;
    console.terminal.say(&format!(
        "the link works once, within {} minutes; the browser that opens it can {}",
        reply.seconds / 60,
        if reply.role == "submit" { "view, cancel and retry sweeps" } else { "view sweeps" }
    ));
    console.show(&Link { url: reply.url, role: reply.role, seconds: reply.seconds })?;
    Ok(Verdict::Good)
}
