//! Builds answers: documents, notices and redirections.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use pretext_html::Html;

use super::page::layout;

/// Returns a complete document.
pub(super) fn document(status: StatusCode, document: Html) -> Response {
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    (status, [(header::CONTENT_TYPE, kind)], document.as_str().to_owned()).into_response()
}

/// Returns a page with a single message. `more` is markup that says what to do.
pub(super) fn notice(status: StatusCode, title: &str, more: Html) -> Response {
    document(status, layout::notice(title, &more))
}

/// Redirects the browser to one of our pages, after a change.
pub(super) fn see(path: &str) -> Response {
    let (location, text) = (header::LOCATION, HeaderValue::from_str(path));
    match text {
        Ok(path) => (StatusCode::SEE_OTHER, [(location, path)]).into_response(),
        // Paths consist of ids, which are ASCII.
        Err(_) => StatusCode::SEE_OTHER.into_response(),
    }
}

/// Adds a header, unless the answer already has it.
pub(super) fn add(response: &mut Response, name: HeaderName, value: &'static str) {
    response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
}
