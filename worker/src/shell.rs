//! `worker completions` and `worker man`: what a shell and `man` know of the arguments, made from them.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use super::Cli;

/// Prints the script with which a shell completes arguments.
pub(super) fn completions(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "worker", &mut script);
    match io::stdout().write_all(&script) {
        // If the reader of stdout has gone away, that is not a failure.
        Ok(()) | Err(_) => ExitCode::SUCCESS,
    }
}

/// Writes a man page for each command.
pub(super) fn man(dir: &Path) -> ExitCode {
    match std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(Cli::command(), dir)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: cannot write man pages into {}: {error}", dir.display());
            ExitCode::from(4)
        }
    }
}
