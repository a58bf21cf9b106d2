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
}

impl Show for Listening {
    fn text(&self) -> String {
        format!("listening on {}", self.listening)
    }
}

/// Serves until it is told to stop.
pub(super) async fn serve(args: ServeArgs, console: &Console) -> Result<Verdict, CliError> {
    let options = options(&args)?;
    // Caught before anything is open, so that no moment is left in which a signal kills.
    let mut signals = Signals::catch()?;
    let coordinator = Coordinator::start(options).await?;
    console.show(&Listening { listening: format!("http://{}", coordinator.address()) })?;
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
    if !args.listen.ip().is_loopback() && !args.insecure {
        return Err(CliError::Input {
            message: format!(
                "{} can be reached from other machines, and anyone there could submit sweeps and read results: \
                 connections are neither encrypted nor checked",
                args.listen
            ),
            help: Some("listen on 127.0.0.1 and tunnel, or say --insecure on a network that you trust".to_owned()),
        });
    }
    let mut limits = Limits::default();
    if let Some(lease_ms) = args.lease_ms {
        limits.lease_ms = lease_ms;
    }
    Ok(Options { listen: args.listen, state_dir: args.state_dir.clone(), limits })
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
    fn other_machines_are_let_in_only_in_words() {
        for address in ["0.0.0.0:7878", "192.0.2.1:0", "[::]:7878"] {
            let error = parsed(&["--listen", address]).expect_err(address);
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(address), "{error}");
            assert!(error.help().is_some_and(|help| help.contains("--insecure")));
            assert!(parsed(&["--listen", address, "--insecure"]).is_ok());
        }
        assert!(parsed(&["--listen", "[::1]:0"]).is_ok());
        assert_eq!(parsed(&["--lease-ms", "500"]).expect("loopback").limits.lease_ms, 500);
    }
}
