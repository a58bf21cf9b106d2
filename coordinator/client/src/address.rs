//! Where a coordinator may be, and how a client connects to it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use pretext_identity::Wire;
use tonic::transport::Endpoint;

/// How long a coordinator may take to answer a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// The URL of a coordinator: `http://HOST:PORT` or `https://HOST:PORT`.
#[derive(Debug, Clone)]
pub struct Address {
    url: String,
    endpoint: Endpoint,
}

/// The text is no URL of a coordinator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not the URL of a coordinator", .url.escape_debug())]
pub struct InvalidAddress {
    /// The text.
    pub url: String,
}

/// A coordinator's address with the credentials for it.
#[derive(Clone)]
pub struct Target {
    /// Where it is.
    pub address: Address,
    /// How it is reached.
    pub wire: Wire,
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(url: &str) -> Result<Self, InvalidAddress> {
        let invalid = || InvalidAddress { url: url.to_owned() };
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|_| invalid())?;
        let uri = endpoint.uri();
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
            return Err(invalid());
        }
        Ok(Self { url: url.to_owned(), endpoint: endpoint.connect_timeout(CONNECT).tcp_nodelay(true) })
    }
}

impl Address {
    /// The URL as it was written.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The endpoint. A connection counts as dead if it stays silent for `silence` and then for `answer`.
    pub fn endpoint(&self, silence: Duration, answer: Duration) -> Endpoint {
        self.endpoint.clone().http2_keep_alive_interval(silence).keep_alive_timeout(answer)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_no_url_is_refused_by_name() {
        for url in ["127.0.0.1:7878", "ftp://a", "http://", ""] {
            let error = url.parse::<Address>().expect_err(url);
            assert_eq!(error.to_string(), format!("`{url}` is not the URL of a coordinator"));
        }
        assert_eq!(
            "https://lab:7878".parse::<Address>().map(|address| address.to_string()),
            Ok("https://lab:7878".to_owned())
        );
    }
}
