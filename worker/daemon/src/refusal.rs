//! What the coordinator's refusals mean to an attempt.

use pretext_proto::refusal::{self, Kind};
use tonic::{Code, Status};

/// A refusal that no retry changes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The attempt is over: it is dropped.
    #[error("{0}")]
    Superseded(String),
    /// The coordinator found a defect: the attempt fails, and its data stay on this machine for a person.
    #[error("{0}")]
    Invalid(String),
}

impl Refused {
    /// Returns the refusal as the status of a call.
    pub(crate) fn status(&self) -> Status {
        let (code, kind) = match self {
            Refused::Superseded(_) => (Code::Aborted, Kind::Superseded),
            Refused::Invalid(_) => (Code::InvalidArgument, Kind::Invalid),
        };
        refusal::status(code, kind, self.to_string())
    }

    /// Returns the refusal in a final answer of the coordinator. [`Calls::persist`](pretext_client::Calls::persist)
    /// repeats everything else.
    pub(crate) fn of(status: &Status) -> Self {
        let message = status.message().to_owned();
        match refusal::kind(status) {
            Kind::Invalid => Refused::Invalid(message),
            Kind::Superseded | Kind::Retryable(_) | Kind::Precondition => Refused::Superseded(message),
        }
    }
}
