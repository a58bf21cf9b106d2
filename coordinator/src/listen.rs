//! The arguments of `serve` that decide who can reach it. Without TLS nothing listens beyond this machine, unless an
//! `--insecure` flag allows it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use pretext_server::listen::MAX_CONNECTIONS;
use pretext_server::listen::{Listen, Security, WebOptions, WebWire};

use super::error::CliError;
use crate::values::{IDENTITY, WEB, address, lifetime};

#[derive(Debug, Args)]
pub(super) struct ListenArgs {
    /// Serve with TLS, and only callers with a certificate (run `coordinator init-ca` first)
    #[arg(long, conflicts_with = "insecure")]
    pub(super) tls: bool,
    /// Allow an address beyond this machine without encryption and without certificates
    #[arg(long)]
    pub(super) insecure: bool,
    /// The folder of the certificate authority [default: identity in the state directory]
    #[arg(long, value_name = "DIR", requires = "tls")]
    pub(super) identity_dir: Option<PathBuf>,
    /// A name or address by which callers reach this coordinator; may be given several times
    #[arg(long, value_name = "NAME", requires = "tls")]
    pub(super) tls_name: Vec<String>,
    /// Lifetime of the certificates that are issued; running programs renew theirs
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = lifetime, requires = "tls")]
    pub(super) certificate_life: Duration,
    /// Serve health checks and metrics in plain text, at this address [127.0.0.1:7879 if none is given]
    #[arg(long, value_name = "IP:PORT", value_parser = address, num_args = 0..=1,
          default_missing_value = "127.0.0.1:7879")]
    pub(super) monitor: Option<SocketAddr>,
    /// Allow a monitoring address that other machines can reach
    #[arg(long, requires = "monitor")]
    pub(super) insecure_monitor: bool,
    /// Serve the web page at this address [127.0.0.1:7880 if none is given]; `coordinator login` creates links to it
    #[arg(long, value_name = "IP:PORT", value_parser = address, num_args = 0..=1, default_missing_value = WEB)]
    pub(super) web: Option<SocketAddr>,
    /// A name by which browsers reach the web page; may be given several times
    #[arg(long, value_name = "NAME", requires = "web")]
    pub(super) web_name: Vec<String>,
    /// Largest number of simultaneous connections
    #[arg(long, value_name = "N", default_value_t = MAX_CONNECTIONS)]
    pub(super) max_connections: usize,
}

impl ListenArgs {
    /// Returns where to listen and how; an error if that is unsafe and no flag allows it.
    pub(super) fn resolve(&self, listen: SocketAddr, state_dir: &Path) -> Result<Listen, CliError> {
        if !listen.ip().is_loopback() && !self.insecure && !self.tls {
            return Err(CliError::Input {
                message: format!(
                    "{listen} can be reached from other machines, and anyone there could submit sweeps and read \
                     results: connections are neither encrypted nor checked"
                ),
                help: Some(
                    "run `coordinator init-ca` and serve with --tls, or listen on 127.0.0.1 and use a tunnel, or give \
                     --insecure on a network that you trust"
                        .to_owned(),
                ),
            });
        }
        if let Some(monitor) = self.monitor.filter(|monitor| !monitor.ip().is_loopback() && !self.insecure_monitor) {
            return Err(CliError::Input {
                message: format!(
                    "{monitor} can be reached from other machines, and anyone there could read the metrics"
                ),
                help: Some(
                    "give --monitor an address on 127.0.0.1, or give --insecure-monitor on a network that you trust"
                        .to_owned(),
                ),
            });
        }
        let security = if self.tls {
            let folder = self.identity_dir.clone().unwrap_or_else(|| state_dir.join(IDENTITY));
            Security::Tls { folder, names: self.tls_name.clone(), life: self.certificate_life }
        } else {
            Security::Plaintext
        };
        let web = self.web.map(|listen| self.resolve_web(listen)).transpose()?;
        Ok(Listen { address: listen, security, monitor: self.monitor, web, max_connections: self.max_connections })
    }

    /// The page is plain HTTP on loopback, for browsers of this machine and for tunnels, and HTTPS elsewhere.
    fn resolve_web(&self, listen: SocketAddr) -> Result<WebOptions, CliError> {
        let wire = match (listen.ip().is_loopback(), self.tls, self.insecure) {
            (true, ..) | (false, false, true) => WebWire::Plain,
            (false, true, _) => WebWire::Tls,
            (false, false, false) => {
                return Err(CliError::Input {
                    message: format!(
                        "{listen} can be reached from other machines, and anyone on the network path could take over \
                         the web page's sessions: they are not encrypted"
                    ),
                    help: Some(
                        "serve with --tls, or keep the page on 127.0.0.1 and use a tunnel (ssh -L 7880:127.0.0.1:7880 HOST), \
                         or give --insecure on a network that you trust"
                            .to_owned(),
                    ),
                });
            }
        };
        let names =
            self.web_name.iter().chain(self.tls_name.iter().filter(|_| wire == WebWire::Tls)).cloned().collect();
        Ok(WebOptions { listen, names, wire })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[arg(long, default_value = "127.0.0.1:7878")]
        listen: SocketAddr,
        #[arg(long, default_value = ".pretext")]
        state_dir: std::path::PathBuf,
        #[command(flatten)]
        security: ListenArgs,
    }

    fn line(arguments: &[&str]) -> Result<Line, clap::Error> {
        Line::try_parse_from(["serve"].iter().chain(arguments))
    }

    fn parsed(arguments: &[&str]) -> Result<Listen, CliError> {
        let args = line(arguments).expect("good arguments");
        args.security.resolve(args.listen, &args.state_dir)
    }

    #[test]
    fn other_machines_are_let_in_only_with_tls_or_in_words() {
        for address in ["0.0.0.0:7878", "192.0.2.1:0", "[::]:7878"] {
            let error = parsed(&["--listen", address]).expect_err(address);
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(address), "{error}");
            assert!(error.help().is_some_and(|help| help.contains("--insecure") && help.contains("--tls")));
            assert_eq!(parsed(&["--listen", address, "--insecure"]).expect("in words").scheme(), "http");
            assert_eq!(parsed(&["--listen", address, "--tls"]).expect("with TLS").scheme(), "https");
            let monitor = parsed(&["--monitor", address]).expect_err(address);
            assert!(monitor.help().is_some_and(|help| help.contains("--insecure-monitor")));
            assert!(parsed(&["--monitor", address, "--insecure-monitor"]).is_ok());
        }
        for address in ["0.0.0.0:7880", "192.0.2.1:0", "[::]:7880"] {
            let error = parsed(&["--web", address]).expect_err(address);
            assert!(error.help().is_some_and(|help| help.contains("--insecure") && help.contains("--tls")));
            let wire = |said: &str| parsed(&["--web", address, said]).expect(said).web.map(|web| web.wire);
            assert_eq!(wire("--insecure"), Some(WebWire::Plain));
            assert_eq!(wire("--tls"), Some(WebWire::Tls));
        }
        let here = parsed(&["--tls", "--tls-name", "lab", "--web", "--web-name", "tunnel"]).expect("loopback").web;
        let listen = WEB.parse().expect("an address");
        assert_eq!(here, Some(WebOptions { listen, names: vec!["tunnel".to_owned()], wire: WebWire::Plain }));
        assert!(line(&["--web-name", "lab"]).is_err());
        let here = "[::1]:0".parse().expect("an address");
        assert_eq!(parsed(&["--listen", "[::1]:0"]).expect("loopback"), Listen::plaintext(here));
        assert!(parsed(&["--monitor"]).is_ok_and(|it| it.monitor.is_some_and(|address| address.port() == 7879)));
        assert!(line(&["--tls", "--insecure"]).is_err());
    }

    #[test]
    fn the_authority_is_in_the_state_directory_unless_told_otherwise() {
        let folder = |arguments: &[&str]| match parsed(arguments).expect("good").security {
            Security::Tls { folder, .. } => folder,
            Security::Plaintext => panic!("no TLS"),
        };
        assert_eq!(folder(&["--tls", "--state-dir", "s"]), Path::new("s/identity"));
        assert_eq!(folder(&["--tls", "--identity-dir", "i"]), Path::new("i"));
    }
}
