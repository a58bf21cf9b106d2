//! Styles, scripts and the icon of the web page. They are part of the program; nothing is loaded from elsewhere.

use axum::extract::Path;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use pretext_report::charts::style;

use super::page;

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// Names below `/assets/`, each with its kind and its text.
const ASSETS: &[(&str, &str, &str)] = &[
    ("page.js", JS, include_str!("assets/page.js")),
    ("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
    ("cells/cells.css", CSS, include_str!("assets/cells/cells.css")),
    ("cells/main.js", JS, include_str!("assets/cells/main.js")),
    ("cells/stream.js", JS, include_str!("assets/cells/stream.js")),
    ("cells/table.js", JS, include_str!("assets/cells/table.js")),
    ("compare/chart.js", JS, include_str!("assets/compare/chart.js")),
    ("compare/chooser.js", JS, include_str!("assets/compare/chooser.js")),
    ("compare/data.js", JS, include_str!("assets/compare/data.js")),
    ("compare/efficiency.js", JS, include_str!("assets/compare/efficiency.js")),
    ("compare/health.js", JS, include_str!("assets/compare/health.js")),
    ("compare/lines.js", JS, include_str!("assets/compare/lines.js")),
    ("compare/look.js", JS, include_str!("assets/compare/look.js")),
    ("compare/main.js", JS, include_str!("assets/compare/main.js")),
    ("compare/state.js", JS, include_str!("assets/compare/state.js")),
    // uPlot 1.6.32 (npm `uplot`), unchanged, with its licence.
    ("vendor/uPlot-1.6.32.iife.min.js", JS, include_str!("assets/vendor/uPlot-1.6.32.iife.min.js")),
    ("vendor/uPlot-1.6.32.min.css", CSS, include_str!("assets/vendor/uPlot-1.6.32.min.css")),
    ("vendor/uPlot-LICENSE-MIT.txt", "text/plain; charset=utf-8", include_str!("assets/vendor/uPlot-LICENSE-MIT.txt")),
];

/// Returns the asset of this name.
pub(super) async fn asset(Path(name): Path<String>) -> Response {
    let fixed = ASSETS.iter().find(|(known, ..)| *known == name).map(|(_, kind, text)| (*kind, (*text).to_owned()));
    // These styles have those of charts and the colours of methods in them.
    let made = || match name.as_str() {
        "page.css" => Some((CSS, format!("{}{}", include_str!("assets/page.css"), *style::STYLE))),
        "compare/compare.css" => {
            Some((CSS, format!("{}{}", style::colours(), include_str!("assets/compare/compare.css"))))
        }
        _ => None,
    };
    let Some((kind, text)) = fixed.or_else(made) else { return page::missing() };
    // Browsers ask again each time, so that a newer coordinator's page never runs with an older script.
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")];
    (headers.map(|(name, value)| (name, HeaderValue::from_static(value))), text).into_response()
}
