//! The kind of a refusal, as a gRPC status carries it.

use std::time::Duration;

use prost::Message;
use tonic::{Code, Status};

use crate::v1::{RefusalDetails, RefusalKind};

/// What the receiver of a refusal does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The attempt is over. The receiver drops it.
    Superseded,
    /// The request has a defect. A retry does not help.
    Invalid,
    /// The coordinator cannot answer now. The receiver tries again, after this time if one is stated.
    Retryable(Option<Duration>),
    /// The coordinator needs something else first: an upload, or a registration.
    Precondition,
}

/// Returns a status of this kind. A retryable status has the code `UNAVAILABLE`, which older workers retry too.
pub fn status(code: Code, kind: Kind, message: impl Into<String>) -> Status {
    let (code, wire, after) = match kind {
        Kind::Superseded => (code, RefusalKind::Superseded, None),
        Kind::Invalid => (code, RefusalKind::Invalid, None),
        Kind::Retryable(after) => (Code::Unavailable, RefusalKind::Retryable, after),
        Kind::Precondition => (Code::FailedPrecondition, RefusalKind::Unspecified, None),
    };
    let retry_after_ms = after.map_or(0, |after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
    let details = RefusalDetails { kind: wire.into(), retry_after_ms, problems_json: String::new() };
    Status::with_details(code, message, details.encode_to_vec().into())
}

/// Returns the kind of a status. If it carries none, its code decides, as for a coordinator of an older version. Every
/// code that does not name a defect or the end of an attempt is retryable.
pub fn kind(status: &Status) -> Kind {
    let details = RefusalDetails::decode(status.details()).unwrap_or_default();
    let after = (details.retry_after_ms > 0).then(|| Duration::from_millis(details.retry_after_ms));
    let Ok(said) = RefusalKind::try_from(details.kind) else { return Kind::Retryable(after) };
    match (said, status.code()) {
        (RefusalKind::Superseded, _) => Kind::Superseded,
        (RefusalKind::Invalid, _) => Kind::Invalid,
        (RefusalKind::Retryable, _) => Kind::Retryable(after),
        (RefusalKind::Unspecified, Code::FailedPrecondition) => Kind::Precondition,
        // The coordinator does not know the stage, or another worker holds it.
        (RefusalKind::Unspecified, Code::Aborted | Code::NotFound | Code::OutOfRange | Code::PermissionDenied) => {
            Kind::Superseded
        }
        (RefusalKind::Unspecified, Code::InvalidArgument | Code::Unimplemented) => Kind::Invalid,
        (RefusalKind::Unspecified, _) => Kind::Retryable(after),
    }
}

/// Returns the status that refuses a sweep file; `problems` is the JSON of its problems.
pub fn of_sweep(message: impl Into<String>, problems: String) -> Status {
    let details = RefusalDetails { kind: RefusalKind::Invalid.into(), retry_after_ms: 0, problems_json: problems };
    Status::with_details(Code::InvalidArgument, message, details.encode_to_vec().into())
}

/// Returns the JSON of the problems of a sweep file, if the status carries any.
pub fn problems(status: &Status) -> Option<String> {
    let details = RefusalDetails::decode(status.details()).ok()?;
    (!details.problems_json.is_empty()).then_some(details.problems_json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_sweep_carries_its_problems() {
        let sweep = of_sweep("why", "{}".to_owned());
        assert_eq!((kind(&sweep), problems(&sweep).as_deref()), (Kind::Invalid, Some("{}")));
        assert_eq!(problems(&status(Code::InvalidArgument, Kind::Invalid, "why")), None);
    }

    #[test]
    fn a_status_carries_its_kind() {
        let second = Duration::from_secs(1);
        for sent in
            [Kind::Superseded, Kind::Invalid, Kind::Retryable(Some(second)), Kind::Retryable(None), Kind::Precondition]
        {
            assert_eq!(kind(&status(Code::Aborted, sent, "why")), sent);
        }
        assert_eq!(status(Code::ResourceExhausted, Kind::Retryable(None), "full").code(), Code::Unavailable);
    }

    #[test]
    fn a_kind_that_is_not_known_is_retryable() {
        let unknown = RefusalDetails { kind: 99, ..RefusalDetails::default() }.encode_to_vec();
        assert_eq!(kind(&Status::with_details(Code::Aborted, "new", unknown.into())), Kind::Retryable(None));
        // A rate limit, a full disk and an unreadable register had this code in version 0.1.0.
        assert_eq!(kind(&Status::resource_exhausted("too many calls")), Kind::Retryable(None));
        assert_eq!(kind(&Status::unauthenticated("revoked")), Kind::Retryable(None));
        assert_eq!(kind(&Status::aborted("superseded")), Kind::Superseded);
    }
}
