//! Sizes and times as people write them, in sweep files and on the command line.

use std::time::Duration;

use parse_size::Config;

/// The text is no size or no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuantity {
    /// The text is no size.
    #[error("give a size such as 1048576, 512MiB or 10G (units are powers of 1024), not `{}`", .0.escape_debug())]
    Size(String),
    /// The text is no time.
    #[error("give a time such as 90s, 15m, 24h or 7d, not `{}`", .0.escape_debug())]
    Time(String),
}

/// Returns the number of bytes that `text` says: `1048576`, `10G`, `16GiB`. All units are powers of 1024.
///
/// # Errors
/// If the text is no size below 16 EiB.
pub fn size(text: &str) -> Result<u64, InvalidQuantity> {
    Config::new().with_binary().parse_size(text).map_err(|_| InvalidQuantity::Size(text.to_owned()))
}

/// Returns the time that `text` says: `500ms`, `90s`, `15m`, `24h`, `7d`, or a whole number of seconds.
///
/// # Errors
/// If the text is no time.
pub fn time(text: &str) -> Result<Duration, InvalidQuantity> {
    let invalid = || InvalidQuantity::Time(text.to_owned());
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    humantime::parse_duration(text).map_err(|_| invalid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_a_unit() {
        let sizes = ["0", "1000", "3K", "2m", "10G", "16GiB", "1T", "1.5 MiB"].map(|text| size(text).ok());
        assert_eq!(sizes, [0, 1000, 3 << 10, 2 << 20, 10 << 30, 16 << 30, 1 << 40, 3 << 19].map(Some));
        for wrong in ["", "G", "-1", "1X", "99999999T", "ten"] {
            assert_eq!(size(wrong), Err(InvalidQuantity::Size(wrong.to_owned())));
        }
    }

    #[test]
    fn times_are_read_with_and_without_a_unit() {
        let times = ["90s", "90", "500ms", "1.5h", "7d", "0"].map(|text| time(text).map(|time| time.as_millis()).ok());
        assert_eq!(times, [90_000, 90_000, 500, 5_400_000, 604_800_000, 0].map(Some));
        for wrong in ["", "h", "-1h", "1 parsec", "é", "1.5"] {
            assert_eq!(time(wrong), Err(InvalidQuantity::Time(wrong.to_owned())));
        }
    }
}
