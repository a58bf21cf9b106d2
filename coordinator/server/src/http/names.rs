//! The host names by which a browser may call this page. If another site points its own name at this machine (DNS
//! rebinding), requests arrive under that name, and are refused.

use std::net::{IpAddr, SocketAddr};

/// Names and addresses in lower case, as in a `Host` header without the port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostNames {
    names: Vec<String>,
}

impl HostNames {
    /// Returns the names of a page on `listen`: the `given` names, the address itself, and loopback.
    pub(crate) fn new(listen: SocketAddr, given: &[String]) -> Self {
        let mut names: Vec<String> = given.iter().map(|name| name.to_ascii_lowercase()).collect();
        let ip = listen.ip();
        if !ip.is_unspecified() {
            names.push(written(ip));
        }
        names.extend(["localhost", "127.0.0.1", "[::1]"].map(str::to_owned));
        Self { names }
    }

    /// Returns whether a `Host` header names this page. Its port may be a tunnel's.
    pub(crate) fn allow(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        self.names.contains(&name.to_ascii_lowercase())
    }

    /// Returns the name for links.
    pub(crate) fn first(&self) -> &str {
        // The three names of loopback are always present.
        self.names.first().map_or("localhost", String::as_str)
    }
}

fn written(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_page_are_allowed_under_any_port() {
        let listen = "192.0.2.7:7880".parse().expect("an address");
        let names = HostNames::new(listen, &["Lab.Example".to_owned()]);
        for host in
            ["lab.example", "LAB.example:7880", "192.0.2.7:1", "localhost:9", "127.0.0.1", "[::1]:7880", "[::1]"]
        {
            assert!(names.allow(host), "{host}");
        }
        for host in [
            "evil.example",
            "lab.example.evil.example",
            "localhost.evil.example:7880",
            "xlab.example",
            "",
            ":80",
            "192.0.2.8",
            "lab.example:80:80",
            "lab.example:",
            "lab.example:8o",
            "localhost.",
            "::1",
            "0.0.0.0",
            "user@localhost",
            "localhost ",
        ] {
            assert!(!names.allow(host), "{host}");
        }
        assert_eq!(names.first(), "lab.example");
        assert_eq!(HostNames::new("0.0.0.0:1".parse().expect("an address"), &[]).first(), "localhost");
    }
}
