//! Sets up the log, which goes to stderr, above the progress bars.

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

use super::console::Terminal;
use super::error::CliError;

/// Format of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// Readable text.
    Text,
    /// One JSON object per line.
    Json,
}

/// The environment variable with the log filter.
const FILTER: &str = "PRETEXT_LOG";

/// Starts logging with the filter `default`, or with `PRETEXT_LOG` if it is set.
pub(super) fn start(format: LogFormat, default: &str, terminal: &Terminal) -> Result<(), CliError> {
    let wanted = std::env::var(FILTER).ok().filter(|filter| !filter.is_empty());
    let filter = EnvFilter::try_new(wanted.as_deref().unwrap_or(default)).map_err(|error| CliError::Input {
        message: format!("{FILTER}={}: {error}", wanted.unwrap_or_default().escape_debug()),
        help: Some("use for example `info` or `pretext_server=debug,warn`".to_owned()),
    })?;
    let writer = terminal.clone();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(move || writer.clone());
    match format {
        LogFormat::Text => log.with_ansi(terminal.colours).with_target(false).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    Ok(())
}
