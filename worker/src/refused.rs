//! The commands `worker refused`: list what a coordinator refused as invalid, hand it in again, and drop it.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use pretext_daemon::hand_in::{HandInError, hand_in};
use pretext_daemon::kept::{self, Kept};
use pretext_daemon::refusal::Refused;
use pretext_daemon::spool::Ending;
use pretext_daemon::{Link, identity};
use pretext_shared::text;
use serde::Serialize;

use crate::daemon::{BAD_INPUT, ENVIRONMENT, REFUSED, give_up, start_logging};

/// See the module.
#[derive(Subcommand)]
pub(crate) enum RefusedCommand {
    /// List the copies, the oldest first.
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Send a copy to the coordinator again, once its defect is mended. A copy that the coordinator takes is removed.
    HandIn {
        /// Id of the copy, or its unambiguous beginning.
        id: String,
        /// URL of the coordinator. Several URLs (separated by commas, or given several times) are tried in turn.
        #[arg(
            long,
            env = "PRETEXT_COORDINATOR",
            value_name = "URL",
            default_value = "http://127.0.0.1:7878",
            value_delimiter = ','
        )]
        coordinator: Vec<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Remove a copy for good.
    Drop {
        /// Id of the copy, or its unambiguous beginning.
        id: String,
        #[command(flatten)]
        place: Place,
    },
}

/// The worker whose copies are meant.
#[derive(Args)]
pub(crate) struct Place {
    /// State directory of the worker.
    #[arg(long, value_name = "DIR", default_value = ".pretext-worker")]
    state_dir: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A copy, for readers.
#[derive(Serialize)]
struct Row {
    id: String,
    stage: String,
    fence: String,
    /// The end of the attempt: a result, a failure, or none.
    holds: &'static str,
    files: Vec<&'static str>,
    points: usize,
    reason: String,
}

/// The outcome of handing in or dropping a copy.
#[derive(Serialize)]
struct Outcome {
    id: String,
    outcome: &'static str,
    /// The coordinator's reason, if it refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<&Kept> for Row {
    fn from(copy: &Kept) -> Self {
        let record = &copy.record;
        Self {
            id: copy.id.clone(),
            stage: record.stage.to_string(),
            fence: record.fence.to_string(),
            holds: match &record.ending {
                Some(Ending::Finished { .. }) => "result",
                Some(Ending::Failed { .. }) => "failure",
                None => "points",
            },
            files: record.files.iter().map(|kind| kind.as_str()).collect(),
            points: record.batches.iter().map(|batch| batch.points.len()).sum(),
            reason: record.reason.clone(),
        }
    }
}

impl Row {
    fn line(&self) -> String {
        let files = if self.files.is_empty() { "no files".to_owned() } else { self.files.join(", ") };
        let Self { id, holds, points, .. } = self;
        format!("{id}: {holds}, {files}, {points} points; {}", text::line(&self.reason))
    }
}

/// Runs a command and returns the exit code.
pub(crate) fn run(command: RefusedCommand) -> ExitCode {
    match command {
        RefusedCommand::List { place } => list(&place),
        RefusedCommand::HandIn { id, coordinator, place } => hand(&id, &coordinator, &place),
        RefusedCommand::Drop { id, place } => drop_copy(&id, &place),
    }
}

fn list(place: &Place) -> ExitCode {
    let copies = match kept::list(&place.state_dir) {
        Ok(copies) => copies,
        Err(error) => return give_up(ENVIRONMENT, error),
    };
    let rows: Vec<Row> = copies.iter().map(Row::from).collect();
    let text = match rows.as_slice() {
        [] => format!("{} has no refused copies", place.state_dir.display()),
        rows => rows.iter().map(Row::line).collect::<Vec<_>>().join("\n"),
    };
    print(place, &rows, text, ExitCode::SUCCESS)
}

fn drop_copy(id: &str, place: &Place) -> ExitCode {
    let copy = match kept::find(&place.state_dir, id) {
        Ok(copy) => copy,
        Err(error) => return give_up(BAD_INPUT, error),
    };
    if let Err(error) = copy.remove() {
        return give_up(ENVIRONMENT, error);
    }
    let text = format!("{} was dropped", copy.id);
    print(place, &Outcome { id: copy.id, outcome: "dropped", reason: None }, text, ExitCode::SUCCESS)
}

fn hand(id: &str, coordinators: &[String], place: &Place) -> ExitCode {
    start_logging("text");
    let copy = match kept::find(&place.state_dir, id) {
        Ok(copy) => copy,
        Err(error) => return give_up(BAD_INPUT, error),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return give_up(ENVIRONMENT, format!("cannot start the runtime: {error}")),
    };
    let handed = runtime.block_on(async {
        let wire = identity::stored(coordinators, &place.state_dir).map_err(|error| (REFUSED, error.to_string()))?;
        let link = Link::to(coordinators, &wire).map_err(|error| (BAD_INPUT, error.to_string()))?;
        Ok(hand_in(&link, &copy).await)
    });
    let id = copy.id.clone();
    match handed {
        Err((code, sentence)) => give_up(code, sentence),
        Ok(Ok(())) => match copy.remove() {
            Ok(()) => {
                let text = format!("the coordinator has taken {id}; the copy was removed");
                print(place, &Outcome { id, outcome: "taken", reason: None }, text, ExitCode::SUCCESS)
            }
            Err(error) => give_up(ENVIRONMENT, format!("the coordinator has taken {id}, but: {error}")),
        },
        Ok(Err(HandInError::Refused(refused))) => {
            let (outcome, reason) = match refused {
                Refused::Superseded(reason) => ("superseded", reason),
                Refused::Invalid(reason) => ("invalid", reason),
            };
            let text = format!(
                "the coordinator refused {id} as {outcome}: {}; the copy stays, `worker refused drop {id}` removes it",
                text::line(&reason)
            );
            print(place, &Outcome { id, outcome, reason: Some(reason) }, text, ExitCode::from(REFUSED))
        }
        Ok(Err(error @ HandInError::NoResult)) => give_up(BAD_INPUT, format!("{id} cannot be handed in: {error}")),
        Ok(Err(error)) => give_up(ENVIRONMENT, format!("{id} was not handed in: {error}")),
    }
}

fn print<T: Serialize + ?Sized>(place: &Place, answer: &T, text: String, code: ExitCode) -> ExitCode {
    let text = if place.json {
        match serde_json::to_string_pretty(answer) {
            Ok(text) => text,
            Err(error) => return give_up(ENVIRONMENT, error),
        }
    } else {
        text
    };
    match writeln!(std::io::stdout(), "{text}") {
        // A reader that closes the pipe early is not an error.
        Ok(()) | Err(_) => code,
    }
}
