//! The address of the server: `redis://`, `rediss://` (TLS), or sentinels that know the server,
//! `redis+sentinel://[USER:PASSWORD@]HOST:PORT[,HOST:PORT…]/SERVICE[/DB]` (`rediss+sentinel://`).
//!
//! `?namespace=NAME` separates several stores on one server. Secrets are never shown: neither `Display` nor `Debug` of
//! an address contains the password.

use std::fmt;
use std::str::FromStr;

use pretext_shared::ids::is_valid_name;
use redis::{ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};

/// See the module.
#[derive(Clone)]
pub struct StoreAddress {
    encrypted: bool,
    route: Route,
    access: RedisConnectionInfo,
    namespace: String,
}

/// How to find the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// The address is the server's.
    Direct(HostPort),
    /// One of these sentinels knows the primary of `service`.
    Sentinels {
        /// The sentinels, asked in this order.
        sentinels: Vec<HostPort>,
        /// The name of the primary.
        service: String,
    },
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostPort {
    pub(super) host: String,
    pub(super) port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The error for a text that is not the address of a store. It does not repeat the text, which may contain a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the address of the store cannot be read: {0}")]
pub struct InvalidAddress(String);

impl StoreAddress {
    /// Returns the name that separates this store from others on the server.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Returns the same address with another password, for example from a file.
    pub fn with_password(mut self, password: &str) -> Self {
        self.access = self.access.set_password(password);
        self
    }

    pub(super) fn route(&self) -> &Route {
        &self.route
    }

    /// Returns how to connect to the server at `at`.
    pub(super) fn server(&self, at: &HostPort) -> Result<ConnectionInfo, InvalidAddress> {
        Ok(self.bare(at)?.set_redis_settings(self.access.clone()))
    }

    /// Returns how to connect to the sentinel at `at`, without the credentials of the server.
    pub(super) fn bare(&self, at: &HostPort) -> Result<ConnectionInfo, InvalidAddress> {
        let scheme = if self.encrypted { "rediss" } else { "redis" };
        parsed(&format!("{scheme}://{at}"))
    }
}

/// Parses with the client's own parser. Its errors do not repeat any part of the text.
fn parsed(url: &str) -> Result<ConnectionInfo, InvalidAddress> {
    url.into_connection_info().map_err(|error| InvalidAddress(error.to_string()))
}

impl FromStr for StoreAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let invalid = |message: &str| InvalidAddress(message.to_owned());
        let (scheme, rest) = text.split_once("://").ok_or_else(|| {
            invalid("give redis://HOST:PORT, rediss://HOST:PORT or redis+sentinel://HOST:PORT,…/SERVICE")
        })?;
        let (encrypted, sentinel) = match scheme {
            "redis" => (false, false),
            "rediss" => (true, false),
            "redis+sentinel" => (false, true),
            "rediss+sentinel" => (true, true),
            _ => {
                return Err(invalid("it must begin with redis://, rediss://, redis+sentinel:// or rediss+sentinel://"));
            }
        };
        if rest.contains('#') {
            return Err(invalid("`#` is not allowed; write it as %23 in a password"));
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = match hosts.rsplit_once('@') {
            Some((user, hosts)) => (format!("{user}@"), hosts),
            None => (String::new(), hosts),
        };
        let hosts: Vec<HostPort> = hosts
            .split(',')
            .map(|host| {
                let default = if sentinel { 26379 } else { 6379 };
                let info = parsed(&format!("redis://{host}"))?;
                match info.addr() {
                    // The client's default port is that of a server, not that of a sentinel.
                    redis::ConnectionAddr::Tcp(name, 6379) if !host.ends_with(":6379") => {
                        Ok(HostPort { host: name.clone(), port: default })
                    }
                    redis::ConnectionAddr::Tcp(name, port) => Ok(HostPort { host: name.clone(), port: *port }),
                    _ => Err(invalid("give a host and a port")),
                }
            })
            .collect::<Result<_, InvalidAddress>>()?;
        let (service, database) = match (sentinel, path.split_once('/')) {
            (false, _) => ("", path),
            (true, Some((service, database))) => (service, database),
            (true, None) => (path, ""),
        };
        let route = match (sentinel, hosts.as_slice()) {
            (true, _) if service.is_empty() => {
                return Err(invalid("give the name of the service after the sentinels: redis+sentinel://HOST/SERVICE"));
            }
            (true, _) => Route::Sentinels { sentinels: hosts, service: service.to_owned() },
            (false, [one]) => Route::Direct(one.clone()),
            (false, _) => return Err(invalid("redis:// takes one host; use redis+sentinel:// for several")),
        };
        let access = parsed(&format!("redis://{user}localhost/{database}"))?.redis_settings().clone();
        let mut namespace = "pretext".to_owned();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("namespace", name)) if is_valid_name(name) => namespace = name.to_owned(),
                Some(("namespace", _)) => {
                    return Err(invalid("use at most 64 letters, digits, `.`, `_` and `-` in a namespace"));
                }
                _ => return Err(invalid("the only parameter is ?namespace=NAME")),
            }
        }
        Ok(Self { encrypted, route, access, namespace })
    }
}

impl fmt::Display for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.encrypted { "rediss" } else { "redis" };
        match &self.route {
            Route::Direct(at) => write!(f, "{scheme}://{at}")?,
            Route::Sentinels { sentinels, service } => {
                let hosts: Vec<String> = sentinels.iter().map(HostPort::to_string).collect();
                write!(f, "{scheme}+sentinel://{}/{service}", hosts.join(","))?;
            }
        }
        if self.access.db() != 0 {
            write!(f, "/{}", self.access.db())?;
        }
        Ok(())
    }
}

impl fmt::Debug for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreAddress({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> StoreAddress {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn addresses_are_read_and_secrets_not_shown() {
        let plain = read("redis://lab:p%40ss@[::1]:7000/3?namespace=lab.1");
        assert_eq!(plain.to_string(), "redis://[::1]:7000/3");
        assert_eq!(plain.namespace(), "lab.1");
        assert_eq!((plain.access.username(), plain.access.password()), (Some("lab"), Some("p@ss")));
        let many = read("rediss+sentinel://:geheim@a,b:1/primary");
        assert_eq!(many.to_string(), "rediss+sentinel://a:26379,b:1/primary");
        assert_eq!(many.access.password(), Some("geheim"));
        assert_eq!(read("redis://h").to_string(), "redis://h:6379");
        assert_eq!(read("redis://h").with_password("p").access.password(), Some("p"));
        let shown = format!("{plain:?} {many:?} {plain} {many}");
        assert!(!shown.contains("ss@") && !shown.contains("geheim") && !shown.contains("lab:"), "{shown}");
    }

    #[test]
    fn what_is_not_an_address_is_refused_without_repeating_it() {
        for text in [
            "localhost:6379",
            "http://geheim",
            "redis://a,b",
            "redis+sentinel://geheim@a:1",
            "redis://:geheim@h/x",
            "redis://h?db=1",
            "redis://h?namespace=../x",
            "redis://h:99999",
            "rediss://h#insecure",
        ] {
            let Err(error) = text.parse::<StoreAddress>() else { panic!("{text} was read") };
            assert!(!error.to_string().contains("geheim"), "{error}");
        }
    }
}
