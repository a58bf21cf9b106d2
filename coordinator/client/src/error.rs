//! Why a call did not do what it should, as a sentence for a person and a class for a program.

use std::error::Error;

use pretext_proto::refusal::{self, Kind};
use pretext_proto::{SHUTTING_DOWN, STANDS_BY};
use pretext_shared::spec::SpecErrors;
use pretext_shared::text;
use tonic::{Code, Status};

use crate::address::InvalidAddress;

/// Why a call to a coordinator failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// The address is none.
    #[error(transparent)]
    Address(#[from] InvalidAddress),
    /// No coordinator answers, or none that leads.
    #[error("no coordinator answers at {url}: {cause}")]
    Unreachable {
        /// Where it should be.
        url: String,
        /// What happened instead.
        cause: String,
    },
    /// The coordinator cannot do what was asked: a name, an argument, a right is wrong.
    #[error("{0}")]
    Refused(String),
    /// The coordinator cannot plan a sweep; each problem has its line.
    #[error("{message}")]
    Sweep {
        /// What the coordinator said.
        message: String,
        /// The problems.
        problems: SpecErrors,
    },
    /// The coordinator is of another version.
    #[error("the program at {url} does not support this request: {message}")]
    Unknown {
        /// Where it is.
        url: String,
        /// What it said.
        message: String,
    },
    /// The answer is of another version.
    #[error("the answer of {url} cannot be read: {cause}")]
    Unreadable {
        /// Where it came from.
        url: String,
        /// Why.
        cause: String,
    },
    /// The coordinator, its store or its machine is in trouble.
    #[error("{0}")]
    Failed(String),
}

impl ClientError {
    /// Returns what the answer `status` of the coordinator at `url` means.
    pub fn from_status(url: &str, status: &Status) -> Self {
        let message: String = status.message().lines().map(text::line).collect::<Vec<_>>().join("\n");
        let unreachable = |cause: String| ClientError::Unreachable { url: url.to_owned(), cause };
        // Only a status made on this side has a source: the connection failed.
        if let Some(source) = Error::source(status) {
            return unreachable(innermost(source));
        }
        if let Some(problems) = refusal::problems(status).and_then(|json| serde_json::from_str(&json).ok()) {
            return ClientError::Sweep { message, problems };
        }
        match status.code() {
            Code::InvalidArgument
            | Code::NotFound
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::AlreadyExists
            | Code::Unauthenticated
            | Code::PermissionDenied
            | Code::Aborted => ClientError::Refused(message),
            Code::Unavailable if message == SHUTTING_DOWN || message.starts_with(STANDS_BY) => unreachable(message),
            Code::DeadlineExceeded | Code::Cancelled => unreachable(message),
            Code::Unimplemented => ClientError::Unknown { url: url.to_owned(), message },
            _ => ClientError::Failed(message),
        }
    }
}

/// Returns whether a call that ended with `status` may succeed later, or at another coordinator.
pub fn is_retryable(status: &Status) -> bool {
    matches!(refusal::kind(status), Kind::Retryable(_))
}

/// Returns the last cause of a chain of errors: the only one that helps a person.
pub fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "http://127.0.0.1:1";

    #[test]
    fn a_standby_and_a_coordinator_that_goes_are_not_there() {
        let of = |status: Status| ClientError::from_status(URL, &status);
        assert!(matches!(of(Status::unavailable(SHUTTING_DOWN)), ClientError::Unreachable { .. }));
        let standby = Status::unavailable(format!("{STANDS_BY}: the coordinator at x leads"));
        assert!(matches!(of(standby), ClientError::Unreachable { .. }));
        assert!(matches!(of(Status::unavailable("the disk is full")), ClientError::Failed(_)));
        let refused = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "connection refused");
        let error = of(Status::from_error(Box::new(refused)));
        assert_eq!(error.to_string(), "no coordinator answers at http://127.0.0.1:1: connection refused");
        // A terminal must not obey what a coordinator answers.
        assert_eq!(of(Status::invalid_argument("first\u{1b}[31m\nsecond")).to_string(), "first\nsecond");
    }
}
