//! The error type of the command line: a message, what to do, and an exit code.

use pretext_client::ClientError;
use pretext_engine::submission::SubmissionError;
use pretext_report::WriteError;
use pretext_server::start::StartError;
use pretext_shared::spec::SpecErrors;
use serde::Serialize;

/// The reason why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// Bad input: an argument, a name, or data that do not fit.
    #[error("{message}")]
    Input {
        /// The message.
        message: String,
        /// What to do, if the message does not say it.
        help: Option<String>,
    },
    /// The sweep file has problems.
    #[error("{rendered}")]
    Spec {
        /// All problems with their places and lines, as text.
        rendered: String,
        /// All problems, for scripts.
        errors: SpecErrors,
    },
    /// No coordinator answers.
    #[error("no coordinator answers at {url}: {cause}")]
    Unreachable {
        /// The URL of the coordinator.
        url: String,
        /// The cause.
        cause: String,
    },
    /// A fault of the machine: a port, a disk, a program.
    #[error("{message}")]
    Environment {
        /// The message.
        message: String,
        /// What to do, if the message does not say it.
        help: Option<String>,
    },
    /// The user or the system asked the command to stop.
    #[error("{message}")]
    Interrupted {
        /// The state that remains.
        message: String,
    },
}

/// An error as scripts get it.
#[derive(Serialize)]
struct Body<'a> {
    code: &'static str,
    message: String,
    help: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problems: Option<&'a SpecErrors>,
}

impl CliError {
    /// Returns an error for bad input, without a separate help text.
    pub(super) fn input(message: impl Into<String>) -> Self {
        CliError::Input { message: message.into(), help: None }
    }

    /// Returns an error for a fault of the machine, without a separate help text.
    pub(super) fn environment(message: impl Into<String>) -> Self {
        CliError::Environment { message: message.into(), help: None }
    }

    /// Returns the exit code of the program.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            CliError::Input { .. } | CliError::Spec { .. } => 2,
            CliError::Unreachable { .. } => 3,
            CliError::Environment { .. } => 4,
            CliError::Interrupted { .. } => 130,
        }
    }

    /// Returns the class of the error, for scripts.
    pub(super) fn code(&self) -> &'static str {
        match self {
            CliError::Input { .. } => "input",
            CliError::Spec { .. } => "spec",
            CliError::Unreachable { .. } => "unreachable",
            CliError::Environment { .. } => "environment",
            CliError::Interrupted { .. } => "interrupted",
        }
    }

    /// Returns what to do, if the message does not say it.
    pub(super) fn help(&self) -> Option<&str> {
        match self {
            CliError::Input { help, .. } | CliError::Environment { help, .. } => help.as_deref(),
            CliError::Unreachable { .. } => Some(
                "start one with `coordinator serve`, or name another with --coordinator URL or PRETEXT_COORDINATOR \
                 (`coordinator run FILE` needs none)",
            ),
            CliError::Spec { .. } | CliError::Interrupted { .. } => None,
        }
    }

    /// Returns `{"error": {"code", "message", "help"}}`; for a bad sweep file with `problems`.
    pub(super) fn to_json(&self) -> serde_json::Value {
        let problems = match self {
            CliError::Spec { errors, .. } => Some(errors),
            _ => None,
        };
        let body =
            Body { code: self.code(), message: self.to_string(), help: self.help().map(str::to_owned), problems };
        serde_json::json!({ "error": body })
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        let message = error.to_string();
        match error {
            ClientError::Address(_) => CliError::Input {
                message,
                help: Some("give http://HOST:PORT, or https://HOST:PORT if the coordinator uses TLS".to_owned()),
            },
            ClientError::Unreachable { url, cause } => CliError::Unreachable { url, cause },
            ClientError::Sweep { message, problems } => CliError::Spec { rendered: message, errors: problems },
            ClientError::Refused(_) => CliError::input(message),
            ClientError::Unknown { .. } | ClientError::Unreadable { .. } => CliError::Environment {
                message,
                help: Some("use the same version of Pretext on both sides".to_owned()),
            },
            ClientError::Failed(_) => CliError::environment(message),
        }
    }
}

impl From<StartError> for CliError {
    fn from(error: StartError) -> Self {
        CliError::environment(error.to_string())
    }
}

impl From<WriteError> for CliError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::NotAFolder { .. } | WriteError::NotAReport { .. } => CliError::input(error.to_string()),
            WriteError::DiskFull { .. } | WriteError::Io { .. } => CliError::environment(error.to_string()),
        }
    }
}

impl From<SubmissionError> for CliError {
    fn from(error: SubmissionError) -> Self {
        CliError::input(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use pretext_proto::{SHUTTING_DOWN, STANDS_BY};
    use tonic::Status;

    use super::*;

    const URL: &str = "http://127.0.0.1:1";

    fn exit(status: &Status) -> u8 {
        CliError::from(ClientError::from_status(URL, status)).exit_code()
    }

    #[test]
    fn answers_become_exit_codes() {
        assert_eq!(exit(&Status::invalid_argument("no such data")), 2);
        assert_eq!(exit(&Status::not_found("no sweep")), 2);
        assert_eq!(exit(&Status::unavailable(SHUTTING_DOWN)), 3);
        assert_eq!(exit(&Status::unavailable(format!("{STANDS_BY}: the coordinator at x leads"))), 3);
        assert_eq!(exit(&Status::unavailable("the disk is full")), 4);
        assert_eq!(exit(&Status::resource_exhausted("no room")), 4);
        let refused = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "connection refused");
        let error = CliError::from(ClientError::from_status(URL, &Status::from_error(Box::new(refused))));
        assert_eq!(error.exit_code(), 3);
        assert_eq!(error.to_string(), "no coordinator answers at http://127.0.0.1:1: connection refused");
        assert!(error.help().is_some_and(|help| help.contains("coordinator serve")));
        assert_eq!(CliError::Interrupted { message: String::new() }.exit_code(), 130);
    }

    #[test]
    fn errors_of_this_machine_and_of_the_user_differ() {
        let taken = StartError::StateDir { path: "s".into(), cause: std::io::ErrorKind::PermissionDenied.into() };
        assert_eq!(CliError::from(taken).exit_code(), 4);
        assert_eq!(CliError::from(WriteError::NotAFolder { path: "r".into() }).exit_code(), 2);
        assert_eq!(CliError::from(WriteError::DiskFull { path: "r".into(), bytes: 1 }).exit_code(), 4);
        assert_eq!(CliError::from(SubmissionError::NoDevice).exit_code(), 2);
    }

    #[test]
    fn scripts_get_an_object_and_terminals_no_escapes() {
        let status = Status::invalid_argument("first\u{1b}[31m\nsecond");
        let json = CliError::from(ClientError::from_status(URL, &status)).to_json();
        assert_eq!(json, serde_json::json!({"error": {"code": "input", "message": "first\nsecond", "help": null}}));
    }
}
