//! How the web page is served.

use std::net::SocketAddr;

/// How the page is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebOptions {
    /// The address to listen on; with port 0 the system chooses a free port.
    pub listen: SocketAddr,
    /// Names by which browsers reach the page, besides its address and loopback.
    pub names: Vec<String>,
    /// Plain text or TLS.
    pub wire: WebWire,
}

/// The protocol that browsers use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebWire {
    /// HTTP: on loopback, or elsewhere if a flag allows it.
    Plain,
    /// HTTPS, with the coordinator's certificate.
    Tls,
}

impl WebWire {
    /// Returns `http` or `https`.
    pub(crate) fn scheme(self) -> &'static str {
        match self {
            WebWire::Plain => "http",
            WebWire::Tls => "https",
        }
    }
}
