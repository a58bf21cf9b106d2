//! The reasons why a measurement has no figure.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// See the module.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// A file or a folder.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// A program could not be started, or ended.
    #[error("`{program}` {problem}{log}")]
    Program { program: String, problem: String, log: String },
    /// A socket of the coordinator.
    #[error("{address}: {source}")]
    Socket { address: String, source: io::Error },
    /// The coordinator has refused a call.
    #[error("{call}: {status}")]
    Refused { call: &'static str, status: Box<tonic::Status> },
    /// The coordinator has answered something else than expected.
    #[error("{0}")]
    Answer(String),
    /// Nothing has come within the limit.
    #[error("{what} took longer than {limit:?}")]
    Late { what: &'static str, limit: Duration },
}

impl BenchError {
    /// Returns a function that turns an error of a file into this one.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::File { path, source }
    }

    /// Returns a function that turns a refusal into this error.
    pub(crate) fn refused(call: &'static str) -> impl FnOnce(tonic::Status) -> Self {
        move |status| Self::Refused { call, status: Box::new(status) }
    }
}

/// Returns the answer of `future`, or an error after `limit`.
pub(crate) async fn within<T>(
    what: &'static str,
    limit: Duration,
    future: impl Future<Output = Result<T, BenchError>>,
) -> Result<T, BenchError> {
    tokio::time::timeout(limit, future).await.unwrap_or(Err(BenchError::Late { what, limit }))
}
