//! The program `coordinator`: everything is in [`coordinator::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    coordinator::cli::main()
}
