//! Values of arguments that several commands read.

use std::net::SocketAddr;
use std::time::Duration;

use pretext_shared::quantity;

/// Default address: `serve` listens on it, and the other commands look for the coordinator there.
pub(super) const DEFAULT_ADDRESS: &str = "127.0.0.1:7878";

/// Default address of the web page.
pub(super) const WEB: &str = "127.0.0.1:7880";

/// Folder of the authority and the register, below the state directory.
pub(super) const IDENTITY: &str = "identity";

/// Parses an IP address with a port.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("give an IP address and a port, for example {DEFAULT_ADDRESS} or [::1]:0"))
}

/// Parses an address that only this machine can reach.
pub(super) fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address = address(text)?;
    let is_ours = address.ip().is_loopback();
    is_ours.then_some(address).ok_or_else(|| "`run` serves this machine only: give a loopback address".to_owned())
}

/// Parses a time between a second and ten years.
pub(super) fn lifetime(text: &str) -> Result<Duration, String> {
    let time = quantity::time(text).map_err(|error| error.to_string())?;
    let allowed = Duration::from_secs(1)..=Duration::from_secs(315_360_000);
    allowed.contains(&time).then_some(time).ok_or_else(|| "give a time between a second and ten years".to_owned())
}

/// Parses a time between a second and a day.
pub(super) fn patience(text: &str) -> Result<Duration, String> {
    let time = quantity::time(text).map_err(|error| error.to_string())?;
    let allowed = Duration::from_secs(1)..=Duration::from_secs(86_400);
    allowed.contains(&time).then_some(time).ok_or_else(|| "give a time between a second and a day".to_owned())
}

/// Writes a path as text, also if its bytes are not UTF-8: JSON has no other strings.
pub(super) fn lossy<S: serde::Serializer>(path: &std::path::Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_bounds() {
        assert_eq!(lifetime("7d"), Ok(Duration::from_secs(7 * 24 * 3600)));
        assert_eq!(patience("60"), Ok(Duration::from_secs(60)));
        for bad in ["0s", "99999d", "é"] {
            assert!(lifetime(bad).is_err() && patience(bad).is_err(), "{bad}");
        }
        assert!(patience("2d").is_err() && lifetime("2d").is_ok());
    }

    #[test]
    fn only_this_machine_is_loopback() {
        assert!(loopback("127.0.0.1:0").is_ok() && loopback("[::1]:7880").is_ok());
        assert!(loopback("0.0.0.0:0").is_err() && address("0.0.0.0:0").is_ok() && address("localhost:1").is_err());
    }
}
