//! The log: to stderr, above the bars.

use tracing_subscriber::EnvFilter;

use super::args::LogFormat;
use super::console::Terminal;
use super::error::CliError;

/// The variable that says what is logged.
const FILTER: &str = "PRETEXT_LOG";

/// Starts logging `default` and above, or what `PRETEXT_LOG` says.
pub(super) fn start(format: LogFormat, default: &str, terminal: &Terminal) -> Result<(), CliError> {
    let wanted = std::env::var(FILTER).ok().filter(|filter| !filter.is_empty());
    let filter = EnvFilter::try_new(wanted.as_deref().unwrap_or(default)).map_err(|error| CliError::Input {
        message: format!("{FILTER}={}: {error}", wanted.unwrap_or_default().escape_debug()),
        help: Some("write for example `info` or `coordinator=debug,warn`".to_owned()),
    })?;
    let writer = terminal.clone();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(move || writer.clone());
    match format {
        LogFormat::Text => log.with_ansi(terminal.colours).with_target(false).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    Ok(())
}
