//! The command line: one file per command or per small group of commands.
//!
//! Data go to stdout, everything else to stderr. Each command returns a verdict on its cells or a `CliError`; these
//! alone determine the exit code.

#[cfg(test)]
mod answers;
mod args;
mod backup;
mod build;
mod columns;
mod console;
mod control;
mod data;
mod error;
mod explain;
mod exposure;
mod gc;
mod identity;
mod logging;
mod login;
mod plan;
mod progress;
mod remote;
mod report;
mod reproduce;
mod run;
mod serve;
mod signals;
mod status;
mod submit;
mod sweep_file;
mod verify;
mod watch;
mod worker_program;
mod workers;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use console::{Console, Format};
use error::CliError;

/// The outcome of the cells that a command was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// All cells succeeded, or the command does not depend on cells.
    Good,
    /// Some cell failed, was cancelled or differs from its record.
    SomeFailed,
}

impl Verdict {
    fn exit_code(self) -> u8 {
        match self {
            Verdict::Good => 0,
            Verdict::SomeFailed => 1,
        }
    }
}

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
    let verdict = runtime.block_on(dispatch(cli.command, console));
    // A task that still waits for a peer must not keep the program running.
    runtime.shutdown_background();
    verdict
}

async fn dispatch(command: Command, console: &Console) -> Result<Verdict, CliError> {
    // Boxed: otherwise the large futures of some commands would be part of every command's future.
    match command {
        Command::Run(args) => Box::pin(run::run(args, console)).await,
        Command::Serve(args) => Box::pin(serve::serve(args, console)).await,
        Command::Submit(args) => Box::pin(submit::submit(args, console)).await,
        Command::Plan(args) => Box::pin(plan::plan(args, console)).await,
        Command::Status(args) => Box::pin(status::status(args, console)).await,
        Command::Watch(args) => Box::pin(watch::watch(args, console)).await,
        Command::Explain(args) => Box::pin(explain::explain(args, console)).await,
        Command::Cancel(args) => Box::pin(control::cancel(args, console)).await,
        Command::Retry(args) => Box::pin(control::retry(args, console)).await,
        Command::Report(args) => Box::pin(report::report(args, console)).await,
        Command::Reproduce(args) => Box::pin(reproduce::reproduce(args, console)).await,
        Command::Verify(args) => Box::pin(verify::verify(args, console)).await,
        Command::Backup(args) => Box::pin(backup::backup(args, console)).await,
        Command::Restore(args) => Box::pin(backup::restore(args, console)).await,
        Command::Gc(args) => Box::pin(gc::gc(args, console)).await,
        Command::Workers(args) => Box::pin(workers::workers(args, console)).await,
        Command::Data(args) => Box::pin(data::data(args, console)).await,
        Command::Login(args) => Box::pin(login::login(args, console)).await,
        Command::InitCa(args) => identity::init_ca(&args, console),
        Command::Token(args) => identity::token(&args, console),
        Command::Certify(args) => identity::certify(&args, console),
        Command::Join(args) => Box::pin(identity::join(args, console)).await,
    }
}
