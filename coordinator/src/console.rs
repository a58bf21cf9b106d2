//! The two ends of the terminal: data on stdout, in text or JSON; everything else on stderr, where
//! bars may be in the way.

use std::cell::Cell;
use std::io::{self, ErrorKind, IsTerminal, Write};

use indicatif::MultiProgress;
use serde::Serialize;

use super::error::CliError;

/// How data are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// For people.
    Text,
    /// An object per line.
    Json,
}

/// Something that commands print: its fields for scripts, and a text for people.
pub(super) trait Show: Serialize {
    /// The text, with or without a line break at its end.
    fn text(&self) -> String;
}

/// Both ends.
pub(super) struct Console {
    format: Format,
    /// Whoever read stdout has gone away: `coordinator status | head -1` is no error.
    closed: Cell<bool>,
    /// stderr.
    pub(super) terminal: Terminal,
}

impl Console {
    /// Data in `format`.
    pub(super) fn new(format: Format) -> Self {
        Self { format, closed: Cell::new(false), terminal: Terminal::new() }
    }

    /// How data are printed.
    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// Whether nobody reads stdout any more.
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

    /// Says what went wrong: on stderr in words, and on stdout too where scripts read it.
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

    /// Says what went wrong on stdout, as an object.
    pub(super) fn fail_in_json(&self, error: &CliError) {
        // The error that is being reported counts, not that its reader has gone.
        let _ = self.write(&format!("{}\n", error.to_json()));
    }
}

/// stderr: lines of words and of the log, above the bars if there are any.
#[derive(Debug, Clone)]
pub(super) struct Terminal {
    /// The bars; hidden where stderr is not a terminal.
    pub(super) bars: MultiProgress,
    /// Whether somebody looks at it.
    pub(super) interactive: bool,
    /// Whether colours are welcome.
    pub(super) colours: bool,
}

impl Terminal {
    fn new() -> Self {
        let interactive = io::stderr().is_terminal();
        let colours = interactive && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        // Its default target is stderr, and nothing where that is not a terminal.
        Self { bars: MultiProgress::new(), interactive, colours }
    }

    /// Writes a line.
    pub(super) fn say(&self, line: &str) {
        self.write_all(&format!("{line}\n"));
    }

    fn write_all(&self, text: &str) {
        // There is nowhere left to complain to.
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
