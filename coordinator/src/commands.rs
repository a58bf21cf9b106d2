//! The commands of the program, and where each is run.

use clap::{CommandFactory, Parser, Subcommand};

use crate::backup::{self, BackupArgs, RestoreArgs};
use crate::console::Console;
use crate::control::{self, DeleteArgs, RetryArgs};
use crate::data::{self, DataArgs};
use crate::error::CliError;
use crate::explain::{self, ExplainArgs};
use crate::gc::{self, GcArgs};
use crate::identity::{self, CertifyArgs, InitCaArgs, JoinArgs, TokenArgs};
use crate::init::{self, InitArgs};
use crate::logging::LogFormat;
use crate::login::{self, LoginArgs};
use crate::plan::{self, PlanArgs};
use crate::remote::SweepArgs;
use crate::report::{self, ReportArgs};
use crate::reproduce::{self, ReproduceArgs};
use crate::run::{self, RunArgs};
use crate::serve::{self, ServeArgs};
use crate::shell::{self, CompletionsArgs, ManArgs};
use crate::status::{self, StatusArgs};
use crate::submit::{self, SubmitArgs};
use crate::verdict::Verdict;
use crate::verify::{self, VerifyArgs};
use crate::watch::{self, WatchArgs};
use crate::workers::{self, WorkersArgs};

const EXIT_CODES: &str = "\
Exit codes:
  0    all cells succeeded, or the command did what was asked
  1    some cell failed or was cancelled (run, watch, submit --watch); the numbers do not agree (reproduce);
       a promise is broken (verify)
  2    bad input: a sweep file, an argument, a name
  3    no coordinator answers
  4    the environment: a port in use, a full disk, a store in use, a missing program
  130  interrupted; the same command resumes

Environment:
  PRETEXT_COORDINATOR  the coordinator's URL, or several URLs with commas; --coordinator takes precedence
  PRETEXT_CREDENTIALS  the folder of the certificate; --credentials takes precedence
  PRETEXT_STORE        the address of the store of `serve`; --store takes precedence
  PRETEXT_ARTIFACTS    where `serve` keeps artifacts; --artifacts takes precedence
  PRETEXT_LOG          the log filter, for example `info` or `pretext_server=debug`";

/// Runs label-efficiency studies: takes a sweep file, distributes it over workers, prints the tables.
#[derive(Debug, Parser)]
#[command(name = "coordinator", version, after_help = EXIT_CODES)]
pub(super) struct Cli {
    /// Print JSON instead of text to stdout
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Format of the log lines on stderr
    #[arg(long, global = true, value_enum, default_value = "text", value_name = "FORMAT")]
    pub(super) log_format: LogFormat,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Look at a folder of pictures and write a sweep file for it
    Init(InitArgs),
    /// Run a sweep on this machine, with its own coordinator and worker
    Run(RunArgs),
    /// Start a coordinator server, which takes sweeps and gives stages to workers
    Serve(ServeArgs),
    /// Submit a sweep to a coordinator server
    Submit(SubmitArgs),
    /// Show what a sweep file would run: cells, stages, shared work, steps and images
    ///
    /// With --coordinator (or PRETEXT_COORDINATOR), the plan is for the data and devices that this coordinator's workers
    /// announce. Without it, the plan is for this machine.
    Plan(PlanArgs),
    /// List sweeps, or show the cells of one
    Status(StatusArgs),
    /// Follow a sweep until all of its cells are final
    Watch(WatchArgs),
    /// Explain why a cell is not running, or what happened to it
    Explain(ExplainArgs),
    /// Cancel a sweep; stages that another sweep needs continue
    Cancel(SweepArgs),
    /// Run the failed stages of a sweep again; for a cancelled sweep, also the cancelled stages
    Retry(RetryArgs),
    /// Delete a sweep that does not run, with all that no other sweep needs
    Delete(DeleteArgs),
    /// Write the report of a sweep from the results so far, and print its tables
    Report(ReportArgs),
    /// Run the sweep of a results.json again and compare the numbers
    Reproduce(ReproduceArgs),
    /// Check a sweep against the store and the grant log: no result lost, none counted twice
    Verify(VerifyArgs),
    /// Copy the store into one file, also while it is in use
    Backup(BackupArgs),
    /// Create a state directory from a backup
    Restore(RestoreArgs),
    /// Remove artifacts that no sweep or data set needs any more
    Gc(GcArgs),
    /// List workers: devices, slots, data sets, running stages
    Workers(WorkersArgs),
    /// Push data sets for workers to fetch, list them, or remove them
    Data(DataArgs),
    /// Create a link with which one browser can log in to the web page, once
    Login(LoginArgs),
    /// Create the certificate authority that `serve --tls` needs
    InitCa(InitCaArgs),
    /// Create, list and revoke join tokens
    Token(TokenArgs),
    /// Create a certificate for a program that cannot join by itself (a scraper, an autoscaler)
    Certify(CertifyArgs),
    /// Exchange a join token for the certificate that the other commands use
    Join(JoinArgs),
    /// Print the script with which a shell completes the arguments of this program
    ///
    /// For bash: `coordinator completions bash > ~/.local/share/bash-completion/completions/coordinator`
    Completions(CompletionsArgs),
    /// Write man pages, one for each command
    Man(ManArgs),
}

impl Command {
    /// Runs the command.
    pub(super) async fn run(self, console: &Console) -> Result<Verdict, CliError> {
        // Boxed: otherwise the large futures of some commands would be part of every command's future.
        match self {
            Command::Init(args) => Box::pin(init::init(args, console)).await,
            Command::Run(args) => Box::pin(run::run(args, console)).await,
            Command::Serve(args) => Box::pin(serve::serve(args, console)).await,
            Command::Submit(args) => Box::pin(submit::submit(args, console)).await,
            Command::Plan(args) => Box::pin(plan::plan(args, console)).await,
            Command::Status(args) => Box::pin(status::status(args, console)).await,
            Command::Watch(args) => Box::pin(watch::watch(args, console)).await,
            Command::Explain(args) => Box::pin(explain::explain(args, console)).await,
            Command::Cancel(args) => Box::pin(control::cancel(args, console)).await,
            Command::Retry(args) => Box::pin(control::retry(args, console)).await,
            Command::Delete(args) => Box::pin(control::delete(args, console)).await,
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
            Command::Completions(args) => shell::completions(&args, Cli::command(), console),
            Command::Man(args) => shell::man(args, Cli::command(), console),
        }
    }

    /// Returns the default log filter, which `PRETEXT_LOG` overrides.
    pub(super) fn default_log(&self) -> &'static str {
        match self {
            Command::Serve(_) => "info",
            _ => "warn",
        }
    }
}

#[cfg(test)]
mod tests {
    use clap_complete::Shell;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_a_page_and_is_completed() {
        let folder = tempfile::tempdir().expect("a folder");
        clap_mangen::generate_to(Cli::command(), folder.path()).expect("a folder that can be written");
        let mut script = Vec::new();
        clap_complete::generate(Shell::Bash, &mut Cli::command(), "coordinator", &mut script);
        let script = String::from_utf8(script).expect("text");
        for command in Cli::command().get_subcommands() {
            let page = folder.path().join(format!("coordinator-{}.1", command.get_name()));
            assert!(page.is_file(), "{}", page.display());
            assert!(script.contains(command.get_name()), "{}", command.get_name());
        }
    }

    #[test]
    fn json_stands_anywhere_and_an_empty_url_names_nothing() {
        let cli =
            Cli::try_parse_from(["coordinator", "status", "--json", "--coordinator", ""]).expect("good arguments");
        let Command::Status(args) = cli.command else { panic!("not status") };
        assert!(cli.json);
        assert_eq!((args.remote.named(), args.remote.urls()), (None, vec!["http://127.0.0.1:7878".to_owned()]));
    }
}
