//! Errors of the API, as JSON: `{"error": {"code": "...", "message": "..."}}`.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use pretext_store::StoreError;
use serde_json::json;

use crate::core::CoreError;
use crate::http::roster::RosterError;

/// The reason why a request of the API has no answer.
#[derive(Debug, thiserror::Error)]
pub(in crate::http) enum ApiError {
    /// The path does not exist.
    #[error("this path is not part of the API: docs/web.md lists all paths")]
    NoSuchPath,
    /// No sweep has this id.
    #[error("this coordinator has no such sweep: /api/v1/sweeps lists all")]
    UnknownSweep,
    /// A parameter is unknown, has a bad value, or asks for too much.
    #[error("{0}")]
    BadQuery(String),
    /// Too many answers are being made.
    #[error("too many streams are open: close some pages or clients, and try again")]
    Busy,
    /// There is no session and no token.
    #[error("log in on the page, or send `Authorization: Bearer TOKEN` with a token of `coordinator login --token`")]
    NoSession,
    /// The guard refused the request, for this reason.
    #[error("{1}")]
    Refused(StatusCode, String),
    /// The coordinator cannot answer now.
    #[error("{0}")]
    Unavailable(String),
}

impl ApiError {
    fn status(&self) -> StatusCode {
        match self {
            ApiError::NoSuchPath | ApiError::UnknownSweep => StatusCode::NOT_FOUND,
            ApiError::BadQuery(_) => StatusCode::BAD_REQUEST,
            ApiError::NoSession => StatusCode::UNAUTHORIZED,
            ApiError::Refused(status, _) => *status,
            ApiError::Busy | ApiError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            ApiError::NoSuchPath => "no-such-path",
            ApiError::UnknownSweep => "unknown-sweep",
            ApiError::BadQuery(_) => "bad-query",
            ApiError::Busy => "busy",
            ApiError::NoSession => "no-session",
            ApiError::Refused(..) => "refused",
            ApiError::Unavailable(_) => "unavailable",
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({ "error": { "code": self.code(), "message": self.to_string() } });
        let kind = HeaderValue::from_static("application/json");
        (self.status(), [(header::CONTENT_TYPE, kind)], body.to_string()).into_response()
    }
}

impl From<CoreError> for ApiError {
    fn from(error: CoreError) -> Self {
        ApiError::Unavailable(error.to_string())
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        ApiError::Unavailable(error.to_string())
    }
}

impl From<RosterError> for ApiError {
    fn from(error: RosterError) -> Self {
        match error {
            RosterError::Unknown => ApiError::UnknownSweep,
            RosterError::Core(error) => error.into(),
        }
    }
}
