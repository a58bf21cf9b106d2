//! Output of the commands: data on stdout, as text or JSON; everything else on stderr, above the progress bars.

use std::cell::Cell;
use std::io::{self, ErrorKind, IsTerminal, Write};

use indicatif::MultiProgress;
use serde::Serialize;

use super::error::CliError;

/// The format of printed data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Readable text.
    Text,
    /// One JSON object per line.
    Json,
}

/// Something that commands print: fields for scripts, and a text for people.
pub(super) trait Show: Serialize {
    /// Returns the text, with or without a final line break.
    fn text(&self) -> String;
}

/// stdout and stderr.
pub(super) struct Console {
    format: Format,
    /// Whether the reader of stdout has gone away: `coordinator status | head -1` is not an error.
    closed: Cell<bool>,
    /// stderr.
    pub(super) terminal: Terminal,
}

impl Console {
    /// Returns a console that prints data in `format`.
    pub(super) fn new(format: Format) -> Self {
        Self { format, closed: Cell::new(false), terminal: Terminal::new() }
    }

    /// Returns the format of printed data.
    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// Returns whether the reader of stdout has gone away.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Prints data to stdout.
    pub(super) fn show(&self, value: &impl Show) -> Result<(), CliError> {
        let mut text = match self.format {
            Format::Text => value.text(),
            Format::Json => serde_json::to_string(value)
                .map_err(|error| CliError::environment(format!("cannot write the answer as JSON: {error}")))?,
        };
        if !text.ends_with('\n') {
            text.push('\n');
        }
        self.write(&text)
    }

    fn write(&self, text: &str) -> Result<(), CliError> {
        if self.is_closed() {
            return Ok(());
        }
        let written = self.terminal.bars.suspend(|| {
            let mut stdout = io::stdout().lock();
            stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
        });
        match written {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => self.closed.set(true),
            Err(error) => return Err(CliError::environment(format!("cannot write to stdout: {error}"))),
            Ok(()) => {}
        }
        Ok(())
    }

    /// Reports an error: as text on stderr, and with `--json` also as an object on stdout.
    pub(super) fn fail(&self, error: &CliError) {
        let message = error.to_string();
        let (red, bold, plain) =
            if self.terminal.colours { ("\u{1b}[31m", "\u{1b}[1m", "\u{1b}[0m") } else { ("", "", "") };
        match error {
            CliError::Spec { .. } => self.terminal.say(message.trim_end()),
            CliError::Interrupted { .. } => self.terminal.say(&message),
            _ => self.terminal.say(&format!("{bold}{red}error:{plain} {}", message.trim_end())),
        }
        if let Some(help) = error.help() {
            self.terminal.say(&format!("{bold}help:{plain} {help}"));
        }
        if self.format == Format::Json {
            self.fail_in_json(error);
        }
    }

    /// Reports an error on stdout, as an object.
    pub(super) fn fail_in_json(&self, error: &CliError) {
        // The error that is reported matters more than a failure to write it.
        let _ = self.write(&format!("{}\n", error.to_json()));
    }
}

/// stderr: messages and log lines, above the progress bars if there are any.
#[derive(Debug, Clone)]
pub(super) struct Terminal {
    /// The bars; hidden if stderr is not a terminal.
    pub(super) bars: MultiProgress,
    /// Whether stderr is a terminal.
    pub(super) interactive: bool,
    /// Whether to print colours.
    pub(super) colours: bool,
}

impl Terminal {
    fn new() -> Self {
        let interactive = io::stderr().is_terminal();
        let colours = interactive && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        // `MultiProgress` draws to stderr, and draws nothing if stderr is not a terminal.
        Self { bars: MultiProgress::new(), interactive, colours }
    }

    /// Writes a line.
    pub(super) fn say(&self, line: &str) {
        self.write_all(&format!("{line}\n"));
    }

    fn write_all(&self, text: &str) {
        // A failure to write to stderr cannot be reported anywhere.
        let _ = self.bars.suspend(|| io::stderr().lock().write_all(text.as_bytes()));
    }
}

impl Write for Terminal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bars.suspend(|| io::stderr().lock().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}
