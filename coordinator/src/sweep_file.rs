//! Reads and parses the sweep file, so that problems are shown with their lines before anything is submitted.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use pretext_shared::spec::{self, MAX_BYTES, Sweep};
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
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            CliError::input(format!("{name} is not a text in UTF-8 (at byte {at}): a sweep file is YAML"))
        })?;
        Self::from_text(name, text)
    }

    /// Parses `text` as a sweep file; problems name the file `name`.
    pub(super) fn from_text(name: &str, text: String) -> Result<Self, CliError> {
        match spec::parse(&text) {
            Ok(sweep) => Ok(Self { text, sweep }),
            Err(errors) => Err(CliError::Spec { rendered: errors.render(name, &text), errors }),
        }
    }
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
        assert!(error.to_string().contains("at byte 6"), "{error}");
        let error = SweepFile::read(Path::new("/")).expect_err("a folder");
        assert!(error.to_string().contains("is a folder"), "{error}");
    }
}
