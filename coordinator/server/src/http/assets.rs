//! Style, script and icon of the web page. They are part of the program; nothing is loaded from elsewhere.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use pretext_report::charts::svg;

fn asset(kind: &'static str, text: String) -> Response {
    // Browsers ask again each time, so that a newer coordinator's page never runs with an older script.
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")];
    (headers.map(|(name, value)| (name, HeaderValue::from_static(value))), text).into_response()
}

/// Returns the style of pages and charts.
pub(super) async fn style() -> Response {
    asset("text/css; charset=utf-8", format!("{}{}", include_str!("assets/page.css"), svg::STYLE))
}

/// Returns the script that keeps a page up to date. Pages are readable without it.
pub(super) async fn script() -> Response {
    asset("text/javascript; charset=utf-8", include_str!("assets/page.js").to_owned())
}

/// Returns the icon of browser tabs.
pub(super) async fn icon() -> Response {
    asset("image/svg+xml", include_str!("assets/icon.svg").to_owned())
}
