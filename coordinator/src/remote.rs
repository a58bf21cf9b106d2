//! Which coordinator a command speaks to.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use clap::Args;
use pretext_client::{Address, Client, Target};
use pretext_identity::{Folder, TlsSession, Wire};

use crate::error::CliError;
use crate::values::DEFAULT_ADDRESS;

/// The coordinator to talk to.
#[derive(Debug, Args)]
pub(super) struct Remote {
    /// The coordinator's URL. Several URLs with commas: the command asks the leader [default: http://127.0.0.1:7878]
    #[arg(long = "coordinator", env = "PRETEXT_COORDINATOR", value_name = "URL")]
    coordinator: Option<String>,
    /// The folder with the certificate that `coordinator join` obtained, for a coordinator with TLS [default:
    /// ~/.config/pretext/identity]
    #[arg(long, env = "PRETEXT_CREDENTIALS", value_name = "DIR")]
    credentials: Option<PathBuf>,
}

impl Remote {
    /// Returns the folder of the credentials, if one was named.
    pub(super) fn credentials(&self) -> Option<&Path> {
        self.credentials.as_deref().filter(|path| !path.as_os_str().is_empty())
    }

    /// Returns the named URL; an empty URL counts as not named.
    pub(super) fn named(&self) -> Option<&str> {
        self.coordinator.as_deref().filter(|url| !url.is_empty())
    }

    /// Returns the URLs to try, at least one.
    pub(super) fn urls(&self) -> Vec<String> {
        let named = self.named().map(|urls| urls.split(',').map(|url| url.trim().to_owned()).collect());
        named.unwrap_or_else(|| vec![format!("http://{DEFAULT_ADDRESS}")])
    }
}

/// A sweep at a coordinator.
#[derive(Debug, Args)]
pub(super) struct SweepArgs {
    /// The sweep's id, or an unambiguous beginning of it
    #[arg(value_name = "SWEEP")]
    pub(super) sweep: String,
    #[command(flatten)]
    pub(super) remote: Remote,
}

/// Connects to the coordinator that `remote` names; of several, to the one that leads.
pub(super) async fn connect(remote: &Remote) -> Result<Client, CliError> {
    let target = |url: String| -> Result<Target, CliError> {
        Ok(Target { wire: wire(&url, remote.credentials())?, address: address(&url)? })
    };
    let targets = remote.urls().into_iter().map(target).collect::<Result<_, _>>()?;
    Ok(Client::connect(targets).await?)
}

/// Connects to the coordinator of this process.
pub(super) async fn connect_here(url: &str) -> Result<Client, CliError> {
    Ok(Client::connect(vec![Target { address: address(url)?, wire: Wire::Plain }]).await?)
}

fn address(url: &str) -> Result<Address, CliError> {
    url.parse().map_err(|error| CliError::from(pretext_client::ClientError::Address(error)))
}

/// How to reach the coordinator at `url`: with TLS, the credentials are looked for.
pub(super) fn wire(url: &str, credentials: Option<&Path>) -> Result<Wire, CliError> {
    if !Wire::wants_tls(url) {
        return Ok(Wire::Plain);
    }
    let folder = folder(credentials)?;
    let missing = |what: &str| CliError::Input {
        message: format!("{what} in {}", folder.path().display()),
        help: Some(
            "obtain one with `coordinator join URL --token-file FILE`, or name another folder with --credentials DIR"
                .to_owned(),
        ),
    };
    let found = folder.load().map_err(|error| CliError::environment(error.to_string()))?;
    let credentials = found.ok_or_else(|| missing("there is no certificate"))?;
    if credentials.has_ended(SystemTime::now()) {
        return Err(missing("the certificate has expired"));
    }
    let session = TlsSession::new(folder, credentials).map_err(CliError::environment)?;
    Ok(Wire::Tls(Arc::new(session)))
}

/// Returns the default folder of the credentials.
fn default_folder() -> Option<PathBuf> {
    let config = std::env::var_os("XDG_CONFIG_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".config"));
    Some(config.or_else(home)?.join("pretext/identity"))
}

pub(super) fn folder(named: Option<&Path>) -> Result<Folder, CliError> {
    let path = named.map(Path::to_owned).or_else(default_folder);
    path.map(Folder::new)
        .ok_or_else(|| CliError::input("$HOME is not set: name a folder for the certificate with --credentials DIR"))
}
