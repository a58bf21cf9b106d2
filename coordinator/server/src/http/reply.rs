//! Answers: documents, notices and redirections.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::html::Html;
use super::page::layout;

/// A whole document.
pub(super) fn document(status: StatusCode, document: Html) -> Response {
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    (status, [(header::CONTENT_TYPE, kind)], document.as_str().to_owned()).into_response()
}

/// A page that says one thing. `more` is markup for what to do.
pub(super) fn notice(status: StatusCode, title: &str, more: Html) -> Response {
    document(status, layout::notice(title, &more))
}

/// Sends the browser on to a page of ours, after a change.
pub(super) fn see(path: &str) -> Response {
    let (location, text) = (header::LOCATION, HeaderValue::from_str(path));
    match text {
        Ok(path) => (StatusCode::SEE_OTHER, [(location, path)]).into_response(),
        // Paths are made of ids, which are ASCII.
        Err(_) => StatusCode::SEE_OTHER.into_response(),
    }
}

/// A header of an answer, unless the answer has it already.
pub(super) fn add(response: &mut Response, name: HeaderName, value: &'static str) {
    response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
}
