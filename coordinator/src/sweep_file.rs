//! Reads and parses the sweep file, so that problems are shown with their lines before anything is submitted.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::string::FromUtf8Error;

use clap::Args;
use pretext_client::ClientError;
use pretext_engine::submission::SubmissionError;
use pretext_shared::spec::{self, Issue, MAX_BYTES, Place, SpecErrors, Sweep, place};
use pretext_shared::stage::Extent;

use super::error::CliError;

/// A sweep file and how much of it to run.
#[derive(Debug, Args)]
pub(super) struct FileArgs {
    /// The sweep file; `-` reads it from stdin
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Run only two steps of every stage, to find mistakes early
    #[arg(long)]
    pub(super) smoke: bool,
}

impl FileArgs {
    /// Returns `--smoke` as the plan's type.
    pub(super) fn extent(&self) -> Extent {
        if self.smoke { Extent::Smoke } else { Extent::Whole }
    }
}

/// A valid sweep file.
#[derive(Debug)]
pub(super) struct SweepFile {
    /// Its name in messages.
    name: String,
    /// Its text.
    pub(super) text: String,
    /// Its content.
    pub(super) sweep: Sweep,
}

impl SweepFile {
    /// Reads the file at `path`, or stdin if the path is `-`.
    pub(super) fn read(path: &Path) -> Result<Self, CliError> {
        if path.as_os_str() == "-" {
            return Self::from_reader("<stdin>", io::stdin().lock());
        }
        let name = path.display().to_string();
        let failed = |error: &io::Error| match error.kind() {
            io::ErrorKind::NotFound => CliError::input(format!("there is no sweep file {name}")),
            _ => CliError::input(format!("cannot read the sweep file {name}: {error}")),
        };
        let file = File::open(path).map_err(|error| failed(&error))?;
        if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
            return Err(CliError::input(format!("{name} is a folder: name the sweep file in it")));
        }
        Self::from_reader(&name, file)
    }

    fn from_reader(name: &str, reader: impl Read) -> Result<Self, CliError> {
        let mut bytes = Vec::new();
        reader
            .take(MAX_BYTES as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| CliError::input(format!("cannot read the sweep file {name}: {error}")))?;
        if bytes.len() > MAX_BYTES {
            let limit = MAX_BYTES >> 20;
            return Err(CliError::input(format!(
                "{name} is larger than {limit} MiB: a sweep file is a few kilobytes of YAML"
            )));
        }
        let text = String::from_utf8(bytes).map_err(|error| not_utf8(name, &error))?;
        Self::from_text(name, text)
    }

    /// Returns the error for problems of this file with the data, with the lines of the file.
    fn with_lines(&self, errors: SpecErrors) -> CliError {
        CliError::Spec { rendered: errors.render(&self.name, &self.text), errors }
    }

    /// Returns the error of a coordinator that does not take this file.
    pub(super) fn refused(&self, error: ClientError) -> CliError {
        match error {
            ClientError::Sweep { problems, .. } => self.with_lines(problems),
            other => other.into(),
        }
    }

    /// Returns the error of a plan of this file.
    pub(super) fn not_planned(&self, error: SubmissionError) -> CliError {
        match error {
            SubmissionError::Spec(errors) | SubmissionError::Plan(errors) => self.with_lines(errors),
            other => other.into(),
        }
    }

    /// Returns the error of data that cannot be used, with the line of the `key` that names them.
    pub(super) fn unusable(&self, key: &str, error: CliError) -> CliError {
        let CliError::Input { message, help } = error else { return error };
        let Place { line, column, path } = place(&self.text, key);
        self.with_lines(SpecErrors { issues: vec![Issue { line, column, path, message, help }], omitted: 0 })
    }

    /// Parses `text` as a sweep file; problems name the file `name`.
    pub(super) fn from_text(name: &str, text: String) -> Result<Self, CliError> {
        match spec::parse(&text) {
            Ok(sweep) => Ok(Self { name: name.to_owned(), text, sweep }),
            Err(errors) => Err(CliError::Spec { rendered: errors.render(name, &text), errors }),
        }
    }
}

/// Returns the error for a file in another encoding than UTF-8, with the place of the first byte that shows it.
fn not_utf8(name: &str, error: &FromUtf8Error) -> CliError {
    let bytes = error.as_bytes();
    let help = Some("save the file as UTF-8: editors offer it in `Save as`".to_owned());
    if bytes.starts_with(&[0xff, 0xfe, 0, 0]) || bytes.starts_with(&[0, 0, 0xfe, 0xff]) {
        return CliError::Input { message: format!("{name} is a text in UTF-32: a sweep file is UTF-8"), help };
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        let message = format!("{name} is a text in UTF-16, as PowerShell's `>` writes it: a sweep file is UTF-8");
        return CliError::Input { message, help };
    }
    let before = &bytes[..error.utf8_error().valid_up_to()];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let last = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let column = String::from_utf8_lossy(last).chars().count() + 1;
    let byte = bytes.get(before.len()).copied().unwrap_or_default();
    CliError::Input { message: format!("{name}:{line}:{column}: the byte {byte:#04x} is not UTF-8"), help }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_beyond_the_limit_is_not_read_to_its_end() {
        let endless = io::repeat(b'#');
        let error = SweepFile::from_reader("big.yaml", endless).expect_err("too large");
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("big.yaml is larger than 1 MiB"), "{error}");
    }

    #[test]
    fn problems_show_their_file_line_and_caret() {
        let error =
            SweepFile::from_reader("s.yaml", &b"name: quick\nmetods: [rotation]\n"[..]).expect_err("a wrong key");
        let text = error.to_string();
        assert!(text.contains("s.yaml:2:1: ") && text.contains("\n 2 | metods") && text.contains('^'), "{text}");
        assert!(error.to_json()["error"]["problems"]["issues"][0]["line"].is_number());
        let error = SweepFile::from_reader("s.yaml", &b"name: \xff"[..]).expect_err("not a text");
        assert_eq!(error.to_string(), "s.yaml:1:7: the byte 0xff is not UTF-8");
        let error = SweepFile::from_reader("s.yaml", &b"# caf\xc3\xa9\n# caf\xe9\n"[..]).expect_err("Latin-1");
        assert_eq!(error.to_string(), "s.yaml:2:6: the byte 0xe9 is not UTF-8");
        let error = SweepFile::from_reader("s.yaml", &b"\xff\xfen\0a\0"[..]).expect_err("UTF-16");
        assert!(error.to_string().contains("UTF-16") && error.help().is_some(), "{error}");
        let error = SweepFile::from_reader("s.yaml", &b"\xff\xfe\0\0n\0\0\0"[..]).expect_err("UTF-32");
        assert!(error.to_string().contains("UTF-32"), "{error}");
        let error = SweepFile::read(Path::new("/")).expect_err("a folder");
        assert!(error.to_string().contains("is a folder"), "{error}");
    }
}
