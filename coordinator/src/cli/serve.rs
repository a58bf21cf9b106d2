//! `coordinator serve`.

use serde::Serialize;

use super::Verdict;
use super::args::ServeArgs;
use super::console::{Console, Show};
use super::error::CliError;
use super::signals::Signals;
use crate::engine::Limits;
use crate::serve::{Coordinator, Options};

/// Where it listens: the first line on stdout, for people and for scripts that chose port 0.
#[derive(Debug, Serialize)]
struct Listening {
    listening: String,
    /// Where health checks and metrics are.
    #[serde(skip_serializing_if = "Option::is_none")]
    monitoring: Option<String>,
}

impl Show for Listening {
    fn text(&self) -> String {
        let mut text = format!("listening on {}", self.listening);
        if let Some(monitoring) = &self.monitoring {
            text.push_str(&format!("\nhealth and metrics on {monitoring}"));
        }
        text
    }
}

/// Serves until it is told to stop.
pub(super) async fn serve(args: ServeArgs, console: &Console) -> Result<Verdict, CliError> {
    let options = options(&args)?;
    // Caught before anything is open, so that no moment is left in which a signal kills.
    let mut signals = Signals::catch()?;
    let scheme = options.exposure.scheme();
    let coordinator = Coordinator::start(options).await?;
    console.show(&Listening {
        listening: format!("{scheme}://{}", coordinator.address()),
        monitoring: coordinator.monitor().map(|address| format!("http://{address}")),
    })?;
    let broken = tokio::select! {
        () = signals.next() => None,
        reason = coordinator.broken() => Some(reason),
    };
    if let Some(reason) = broken {
        coordinator.stop().await;
        return Err(store_lost(reason));
    }
    console.terminal.say("stopping; workers go on and hand over what they have when a coordinator is back");
    tokio::select! {
        () = coordinator.stop() => Ok(Verdict::Good),
        // What was acknowledged is durable: nothing is lost by leaving now.
        () = signals.next() => Err(CliError::Interrupted { message: "stopped at once".to_owned() }),
    }
}

/// A store that cannot be written ends a coordinator.
pub(super) fn store_lost(reason: String) -> CliError {
    CliError::Environment {
        message: reason,
        help: Some("nothing that was acknowledged is lost: make room, and start again".to_owned()),
    }
}

fn options(args: &ServeArgs) -> Result<Options, CliError> {
    let mut limits = Limits::default();
    if let Some(lease_ms) = args.lease_ms {
        limits.lease_ms = lease_ms;
    }
    let exposure = args.exposure.resolve(args.listen, &args.state_dir)?;
    Ok(Options { listen: args.listen, state_dir: args.state_dir.clone(), limits, exposure })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::{Cli, Command};

    fn parsed(arguments: &[&str]) -> Result<Options, CliError> {
        let line = ["coordinator", "serve"].iter().chain(arguments);
        let Command::Serve(args) = Cli::try_parse_from(line).expect("good arguments").command else {
            panic!("not serve")
        };
        options(&args)
    }

    #[test]
    fn options_are_taken_over() {
        let options = parsed(&["--lease-ms", "500", "--monitor", "127.0.0.1:0"]).expect("loopback");
        assert_eq!(options.limits.lease_ms, 500);
        assert!(options.exposure.monitor.is_some());
        assert_eq!(parsed(&["--listen", "0.0.0.0:0"]).expect_err("open to all").exit_code(), 2);
    }
}
