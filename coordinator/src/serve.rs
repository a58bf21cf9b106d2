//! `coordinator serve`.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use pretext_artifacts::{ArtifactLimits, ArtifactOptions, AwsVariables, Location};
use pretext_engine::Limits;
use pretext_server::http::Web;
use pretext_server::serve::Coordinator;
use pretext_server::standby::Standby;
use pretext_server::start::Options;
use pretext_shared::quantity;
use pretext_store::{Durability, Level, RedisHome, RedisOptions, StoreAddress};
use serde::Serialize;
use tokio::sync::watch;

use super::console::{Console, Show};
use super::error::CliError;
use super::listen::ListenArgs;
use super::signals::Signals;
use crate::build;
use crate::values::{DEFAULT_ADDRESS, address, patience};
use crate::verdict::Verdict;

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// The address to listen on; with port 0 the system chooses a free port
    #[arg(long, value_name = "IP:PORT", default_value = DEFAULT_ADDRESS, value_parser = address)]
    pub(super) listen: SocketAddr,
    /// The folder for job state, artifacts and identities. With --store it holds artifacts and identities only, and all
    /// coordinators must share it
    #[arg(long, value_name = "DIR", default_value = ".pretext")]
    pub(super) state_dir: PathBuf,
    /// Keep artifacts in this folder instead, or in S3-compatible storage as s3://BUCKET/PREFIX. The usual AWS_*
    /// variables name the server and the credentials [default: artifacts in the state directory]
    #[arg(long, env = "PRETEXT_ARTIFACTS", value_name = "DIR|URL")]
    pub(super) artifacts: Option<String>,
    /// Size of the largest accepted artifact, for example 512MiB
    #[arg(long, value_name = "SIZE", default_value = "16GiB", value_parser = quantity::size)]
    pub(super) artifact_limit: u64,
    /// Largest total size of all artifacts; when it is reached, workers wait [default: limited by the storage only]
    #[arg(long, value_name = "SIZE", value_parser = quantity::size)]
    pub(super) artifact_quota: Option<u64>,
    /// Run this program whenever a sweep has finished. It gets the facts as JSON on its standard input, and is run again
    /// until it exits with 0
    #[arg(long, value_name = "PROGRAM")]
    pub(super) on_final: Option<PathBuf>,
    #[command(flatten)]
    pub(super) security: ListenArgs,
    /// Keep job state on a Redis server (7.0 or newer) instead: `redis://[USER:PASSWORD@]HOST:PORT`, rediss:// for TLS,
    /// redis+sentinel://HOST:PORT,…/SERVICE. A second coordinator on the same store is a standby
    #[arg(long, env = "PRETEXT_STORE", hide_env_values = true, value_name = "URL")]
    pub(super) store: Option<String>,
    /// A file with the password of the store's user, instead of a password in the URL; read again for every connection
    #[arg(long, value_name = "FILE", requires = "store")]
    pub(super) store_password_file: Option<PathBuf>,
    /// Acknowledge a commit only when at least N replicas have received it
    #[arg(long, value_name = "N", requires = "store", default_value_t = 0)]
    pub(super) store_replicas: u32,
    /// How long to retry a failing store before the coordinator exits
    #[arg(long, value_name = "TIME", requires = "store", default_value = "60s", value_parser = patience)]
    pub(super) store_patience: Duration,
    /// How long the lead lasts without a sign of life from the leader
    #[arg(long, value_name = "MS", hide = true, value_parser = clap::value_parser!(u64).range(100..=3_600_000))]
    pub(super) lead_ms: Option<u64>,
    /// How long a lease lasts without a sign of life from the worker
    #[arg(long, value_name = "MS", hide = true, value_parser = clap::value_parser!(u64).range(50..=3_600_000))]
    pub(super) lease_ms: Option<u64>,
}

/// Address that the coordinator listens on: the first line on stdout, for people and for scripts that use port 0.
#[derive(Debug, Serialize)]
struct Listening {
    listening: String,
    /// Address of health checks and metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    monitoring: Option<String>,
    /// Address of the web page.
    #[serde(skip_serializing_if = "Option::is_none")]
    web: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<StoreWords>,
    /// Folder or URL of the artifacts.
    artifacts: String,
}

/// A store on a server, and its guarantees.
#[derive(Debug, Serialize)]
struct StoreWords {
    address: String,
    #[serde(flatten)]
    durability: Durability,
}

impl Show for Listening {
    fn text(&self) -> String {
        let mut text = format!("listening on {}", self.listening);
        if let Some(monitoring) = &self.monitoring {
            text.push_str(&format!("\nhealth and metrics on {monitoring}"));
        }
        if let Some(web) = &self.web {
            text.push_str(&format!("\nweb page on {web}"));
        }
        if let Some(store) = &self.store {
            text.push_str(&format!("\nstore {} (Redis {}):", store.address, store.durability.version));
            store.durability.sentences.iter().for_each(|sentence| text.push_str(&format!("\n  {sentence}")));
        }
        text.push_str(&format!("\nartifacts in {}", self.artifacts));
        text
    }
}

/// The second line on stdout, if the store is on a server: the coordinator leads from now on.
#[derive(Debug, Serialize)]
struct Leading {
    leading: Term,
}

#[derive(Debug, Serialize)]
struct Term {
    term: u64,
    /// Address of the web page.
    #[serde(skip_serializing_if = "Option::is_none")]
    web: Option<String>,
}

impl Show for Leading {
    fn text(&self) -> String {
        let web = self.leading.web.as_ref().map_or_else(String::new, |web| format!("\nweb page on {web}"));
        format!("leading (term {}){web}", self.leading.term)
    }
}

/// Serves until a signal asks it to stop.
pub(super) async fn serve(args: ServeArgs, console: &Console) -> Result<Verdict, CliError> {
    let (options, redis) = (options(&args)?, redis(&args)?);
    let artifacts = options.artifacts.place.to_string();
    // Signals are caught before anything is opened: from then on, no signal kills the process.
    let mut signals = Signals::catch()?;
    let mut coordinator = match redis {
        None => {
            let scheme = options.listen.scheme();
            let coordinator = Coordinator::start(options).await?;
            console.show(&Listening {
                listening: format!("{scheme}://{}", coordinator.address()),
                monitoring: coordinator.monitor().map(|address| format!("http://{address}")),
                web: coordinator.web().map(Web::url),
                store: None,
                artifacts,
            })?;
            coordinator
        }
        Some(redis) => {
            let standby = tokio::select! {
                standby = Standby::start(options, move |name| RedisHome::open(RedisOptions { name, ..redis })) => standby?,
                () = signals.next() => return Ok(Verdict::Good),
            };
            announce(&standby, artifacts, console)?;
            let (coordinator, term) = tokio::select! {
                led = standby.lead() => led?,
                () = signals.next() => return Ok(Verdict::Good),
            };
            console.show(&Leading { leading: Term { term, web: coordinator.web().map(Web::url) } })?;
            coordinator
        }
    };
    offer_link(&coordinator, console)?;
    let full = coordinator.full();
    let broken = tokio::select! {
        () = signals.next() => None,
        reason = coordinator.broken() => Some(reason),
        never = say_when_full(full, console) => match never {},
    };
    if let Some(reason) = broken {
        coordinator.stop().await;
        return Err(store_lost(reason));
    }
    console.terminal.say("stopping; workers continue, and hand over their results when a coordinator is back");
    tokio::select! {
        () = coordinator.stop() => Ok(Verdict::Good),
        // Acknowledged data are durable: an immediate stop loses nothing.
        () = signals.next() => Err(CliError::Interrupted { message: "stopped at once".to_owned() }),
    }
}

/// Says on the terminal when the store is full, and when it has room again.
pub(super) async fn say_when_full(mut full: watch::Receiver<Option<String>>, console: &Console) -> Infallible {
    while full.changed().await.is_ok() {
        match full.borrow_and_update().as_deref() {
            Some(reason) => console.terminal.say(&format!("warning: {reason}")),
            None => console.terminal.say("the store has room again; the coordinator continues"),
        }
    }
    // The coordinator ends, which its other parts report.
    std::future::pending().await
}

/// Prints a sign-in link for the web page on the terminal. It never goes to a log: any reader of the log could use it.
pub(super) fn offer_link(coordinator: &Coordinator, console: &Console) -> Result<(), CliError> {
    let Some(web) = coordinator.web() else { return Ok(()) };
    if !console.terminal.interactive {
        return Ok(());
    }
    let link = web.first_link().map_err(|error| CliError::environment(error.to_string()))?;
    console
        .terminal
        .say(&format!("open {link}\n  (works once, within ten minutes; `coordinator login` creates another)"));
    Ok(())
}

/// Prints the addresses and the guarantees of the store.
fn announce(standby: &Standby, artifacts: String, console: &Console) -> Result<(), CliError> {
    let durability = standby.durability();
    for sentence in &durability.sentences {
        match durability.level {
            Level::EveryCommit => tracing::info!(store = %standby.store(), "{sentence}"),
            _ => tracing::warn!(store = %standby.store(), "{sentence}"),
        }
    }
    let store = StoreWords { address: standby.store(), durability: durability.clone() };
    let listening = format!("{}://{}", standby.scheme(), standby.address());
    let monitoring = standby.monitor().map(|address| format!("http://{address}"));
    console.show(&Listening { listening, monitoring, web: None, store: Some(store), artifacts })
}

/// Returns the options of the named store on a server, if any. An error message does not repeat the address: it may
/// hold a password.
fn redis(args: &ServeArgs) -> Result<Option<RedisOptions>, CliError> {
    let Some(url) = args.store.as_deref().filter(|url| !url.is_empty()) else { return Ok(None) };
    let address: StoreAddress = url.parse().map_err(|error| CliError::Input {
        message: format!("--store: {error}"),
        help: Some("for example redis://127.0.0.1:6379; without --store, state is kept in --state-dir".to_owned()),
    })?;
    let mut options = RedisOptions::new(address);
    if let Some(path) = &args.store_password_file {
        // Read the file now too, so that a mistake is reported at the start.
        std::fs::read(path)
            .map_err(|error| CliError::environment(format!("cannot read {}: {error}", path.display())))?;
        options.password_file = Some(path.clone());
    }
    options.replicas = args.store_replicas;
    options.patience.budget = args.store_patience;
    if let Some(ms) = args.lead_ms {
        options.lease = Duration::from_millis(ms);
    }
    Ok(Some(options))
}

/// Returns the store of the named artifact folder or URL; an empty name means the folder in the state
/// directory.
pub(super) fn artifacts(
    named: Option<&str>,
    state_dir: &Path,
    limits: ArtifactLimits,
) -> Result<ArtifactOptions, CliError> {
    let place = match named.filter(|named| !named.is_empty()) {
        Some(named) => named.parse().map_err(|error| CliError::input(format!("--artifacts: {error}")))?,
        None => Location::Directory(state_dir.join("artifacts")),
    };
    Ok(ArtifactOptions { place, variables: AwsVariables::of_process(), limits })
}

/// Returns the error of a coordinator whose store cannot be written; the coordinator exits with it.
pub(super) fn store_lost(reason: String) -> CliError {
    CliError::Environment {
        message: reason,
        help: Some(
            "nothing more is acknowledged: repair the store, then start the coordinator again (docs/store.md)"
                .to_owned(),
        ),
    }
}

fn options(args: &ServeArgs) -> Result<Options, CliError> {
    let mut limits = Limits::default();
    if let Some(lease_ms) = args.lease_ms {
        limits.lease_ms = lease_ms;
    }
    let listen = args.security.resolve(args.listen, &args.state_dir)?;
    let taken = ArtifactLimits { artifact: args.artifact_limit, quota: args.artifact_quota };
    let artifacts = artifacts(args.artifacts.as_deref(), &args.state_dir, taken)?;
    let build = Some(build::this());
    let on_final = args.on_final.clone();
    Ok(Options { listen, state_dir: args.state_dir.clone(), artifacts, limits, build, on_final })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: ServeArgs,
    }

    fn line(arguments: &[&str]) -> ServeArgs {
        Line::try_parse_from(["serve"].iter().chain(arguments)).expect("good arguments").args
    }

    #[test]
    fn a_bad_address_of_a_store_is_refused_without_its_secret() {
        let error = redis(&line(&["--store", "redis://lab:geheim@h/not-a-number"])).expect_err("a bad address");
        assert_eq!(error.exit_code(), 2);
        assert!(!error.to_string().contains("geheim"), "{error}");
    }

    fn parsed(arguments: &[&str]) -> Result<Options, CliError> {
        options(&line(arguments))
    }

    #[test]
    fn options_are_taken_over() {
        let options = parsed(&["--lease-ms", "500", "--monitor", "127.0.0.1:0"]).expect("loopback");
        assert_eq!(options.limits.lease_ms, 500);
        assert!(options.listen.monitor.is_some());
        assert_eq!(options.artifacts.place.to_string(), ".pretext/artifacts");
        let options = parsed(&["--artifacts", "s3://lab/a", "--artifact-quota", "2TiB"]).expect("a bucket");
        assert_eq!(
            (options.artifacts.place.to_string().as_str(), options.artifacts.limits.artifact),
            ("s3://lab/a", 16 << 30)
        );
        assert_eq!(options.artifacts.limits.quota, Some(2 << 40));
        assert_eq!(parsed(&["--artifacts", "ftp://lab"]).expect_err("no home").exit_code(), 2);
        assert_eq!(parsed(&["--listen", "0.0.0.0:0"]).expect_err("open to all").exit_code(), 2);
    }
}
