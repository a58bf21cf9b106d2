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
    /// Print a token for scripts instead: it can read the page's JSON interface for seven days
    #[arg(long, conflicts_with = "role")]
    pub(super) token: bool,
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

#[derive(Debug, Serialize)]
struct Token {
    token: String,
    url: String,
    seconds: u32,
}

impl Show for Token {
    /// Returns the token alone, so that it can be put into a variable.
    fn text(&self) -> String {
        self.token.clone()
    }
}

/// Prints a link into the web page, or a token.
pub(super) async fn login(args: LoginArgs, console: &Console) -> Result<Verdict, CliError> {
    let client = connect(&args.remote).await?;
    if args.token {
        let reply = client.token().await?;
        console.terminal.say(&format!(
            "the token can read {} for {} days; send it as `Authorization: Bearer TOKEN`",
            reply.url,
            reply.seconds / 86_400
        ));
        console.show(&Token { token: reply.token, url: reply.url, seconds: reply.seconds })?;
        return Ok(Verdict::Good);
    }
    let reply = client.login(args.role).await?;
    console.terminal.say(&format!(
        "the link works once, within {} minutes; the browser that opens it can {}",
        reply.seconds / 60,
        if reply.role == "submit" { "view, cancel and retry sweeps" } else { "view sweeps" }
    ));
    console.show(&Link { url: reply.url, role: reply.role, seconds: reply.seconds })?;
    Ok(Verdict::Good)
}
