//! `coordinator completions` and `coordinator man`: what a shell and `man` know of the commands, made from the arguments.

use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;
use serde::Serialize;

use super::console::{Console, Show};
use super::error::CliError;
use crate::verdict::Verdict;

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Folder for the pages, one for each command; it is created if it is missing
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// A script that a shell reads.
#[derive(Debug, Serialize)]
struct Script {
    script: String,
}

impl Show for Script {
    fn text(&self) -> String {
        self.script.clone()
    }
}

/// Written man pages.
#[derive(Debug, Serialize)]
struct Pages {
    dir: PathBuf,
    pages: usize,
}

impl Show for Pages {
    fn text(&self) -> String {
        format!(
            "{} pages in {}: read one with `man -l {}/coordinator.1`",
            self.pages,
            self.dir.display(),
            self.dir.display()
        )
    }
}

/// Prints the script with which a shell completes the arguments of `program`.
pub(super) fn completions(
    args: &CompletionsArgs,
    mut program: Command,
    console: &Console,
) -> Result<Verdict, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, "coordinator", &mut script);
    let script =
        String::from_utf8(script).map_err(|error| CliError::environment(format!("the script is not text: {error}")))?;
    console.show(&Script { script })?;
    Ok(Verdict::Good)
}

/// Writes a man page for each command of `program`.
pub(super) fn man(args: ManArgs, program: Command, console: &Console) -> Result<Verdict, CliError> {
    let dir = args.dir;
    let failed = |error: std::io::Error| {
        CliError::environment(format!("cannot write man pages into {}: {error}", dir.display()))
    };
    std::fs::create_dir_all(&dir).map_err(failed)?;
    clap_mangen::generate_to(program, &dir).map_err(failed)?;
    let pages = std::fs::read_dir(&dir).map_err(failed)?.count();
    console.show(&Pages { dir: dir.clone(), pages })?;
    Ok(Verdict::Good)
}
