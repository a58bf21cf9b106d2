//! Problems of a sweep file, and how they are displayed.

use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};

use crate::text::counted;

/// Number of characters of a faulty line that are shown on each side of the position.
const EXCERPT: usize = 60;

/// One problem of a sweep file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// Line, counted from 1; 0 if the problem has no position.
    pub line: usize,
    /// Column in characters, counted from 1; 0 if the problem has no position.
    pub column: usize,
    /// Path of the value in the file: `pretext.batch`, `lr.fixed.base`; empty for the file itself.
    pub path: String,
    /// The problem, and what was expected.
    pub message: String,
    /// What to do, if the message does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        self.help.iter().try_for_each(|help| write!(f, " ({help})"))
    }
}

/// All problems of a sweep file, ordered by position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub struct SpecErrors {
    /// The problems; at least one.
    pub issues: Vec<Issue>,
    /// Number of further problems, which were not kept.
    pub omitted: usize,
}

impl fmt::Display for SpecErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, issue) in self.issues.iter().enumerate() {
            let separator = if i == 0 { "" } else { "\n" };
            write!(f, "{separator}{}:{}: {issue}", issue.line, issue.column)?;
        }
        if self.omitted > 0 {
            write!(f, "\nand {} more", self.omitted)?;
        }
        Ok(())
    }
}

impl SpecErrors {
    /// Returns the problems as a terminal shows them: `FILE:LINE:COL: path: message`, the faulty line with a caret
    /// below the column, and what to do. `text` is the parsed text.
    pub fn render(&self, file_name: &str, text: &str) -> String {
        let mut out = String::new();
        for issue in &self.issues {
            // Writing to a string cannot fail.
            let _ = render(&mut out, issue, file_name, text);
        }
        if self.omitted > 0 {
            let _ = writeln!(out, "{file_name}: and {}", counted(self.omitted, "more problem"));
        }
        out
    }
}

fn render(out: &mut String, issue: &Issue, file_name: &str, text: &str) -> fmt::Result {
    write!(out, "{file_name}:")?;
    if issue.line > 0 {
        write!(out, "{}:{}:", issue.line, issue.column)?;
    }
    if !issue.path.is_empty() {
        write!(out, " {}:", issue.path)?;
    }
    writeln!(out, " {}", issue.message)?;
    let line = issue.line.checked_sub(1).and_then(|index| lines(text).nth(index));
    let gutter = issue.line.to_string();
    let margin = " ".repeat(gutter.len());
    if let Some(line) = line {
        let column = issue.column.saturating_sub(1);
        let start = column.saturating_sub(EXCERPT);
        let excerpt: String = line.chars().skip(start).take(2 * EXCERPT).map(printable).collect();
        writeln!(out, " {gutter} | {}", excerpt.trim_end())?;
        writeln!(out, " {margin} | {}^", " ".repeat(column - start))?;
    }
    match &issue.help {
        Some(help) => writeln!(out, " {margin} = {help}"),
        None => Ok(()),
    }
}

/// Returns the lines of a text as YAML counts them: a carriage return alone ends a line too. A byte order mark is no
/// part of the first line.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let end = |rest: &str| match rest.as_bytes() {
        [b'\r', b'\n', ..] => 2,
        _ => 1,
    };
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let whole = rest?;
        match whole.find(['\n', '\r']) {
            Some(at) => {
                rest = Some(&whole[at + end(&whole[at..])..]);
                Some(&whole[..at])
            }
            None => {
                rest = None;
                (!whole.is_empty()).then_some(whole)
            }
        }
    })
}

/// Replaces control characters, so that a file cannot send any to a terminal.
fn printable(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

/// Returns `text` as a message quotes it: on one line, shortened, without terminal control sequences.
pub(super) fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(40).map(printable).collect();
    if text.chars().nth(40).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}
