//! The command line: one file per command or per small group of commands.
//!
//! Data go to stdout, everything else to stderr. Each command returns a verdict on its cells or a `CliError`; these
//! alone determine the exit code.

#[cfg(test)]
mod answers;
mod backup;
mod build;
mod columns;
mod commands;
mod console;
mod control;
mod data;
mod error;
mod explain;
mod gc;
mod identity;
mod init;
mod listen;
mod logging;
mod login;
mod look;
mod plan;
mod progress;
mod remote;
mod report;
mod reproduce;
mod run;
mod serve;
mod shell;
mod signals;
mod status;
mod submit;
mod sweep_file;
mod values;
mod verdict;
mod verify;
mod watch;
mod worker_program;
mod workers;

use std::process::ExitCode;

use clap::Parser;
use commands::Cli;
use console::{Console, Format};
use error::CliError;
use verdict::Verdict;

/// A restart with a large sweep makes hundreds of thousands of small values in several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => return ExitCode::from(explain_usage(&usage)),
    };
    let console = Console::new(if cli.json { Format::Json } else { Format::Text });
    let result = start(cli, &console);
    ExitCode::from(match result {
        Ok(verdict) => verdict.exit_code(),
        Err(error) => {
            console.fail(&error);
            error.exit_code()
        }
    })
}

/// Prints clap's output: help and version as data, mistakes as errors.
fn explain_usage(usage: &clap::Error) -> u8 {
    // If the reader of stdout has gone away, that is not a failure.
    let _ = usage.print();
    if usage.use_stderr() && std::env::args_os().any(|argument| argument == "--json") {
        let message = usage.kind().as_str().unwrap_or("the arguments cannot be understood").to_owned();
        let error = CliError::Input { message, help: Some("`coordinator --help` lists what there is".to_owned()) };
        Console::new(Format::Json).fail_in_json(&error);
    }
    u8::try_from(usage.exit_code()).unwrap_or(2)
}

fn start(cli: Cli, console: &Console) -> Result<Verdict, CliError> {
    logging::start(cli.log_format, cli.command.default_log(), &console.terminal)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::environment(format!("cannot start the threads of the program: {error}")))?;
    let verdict = runtime.block_on(cli.command.run(console));
    // A task that still waits for a peer must not keep the program running.
    runtime.shutdown_background();
    verdict
}
