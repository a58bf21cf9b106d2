//! Decides whether a request comes from one of our own pages. Browsers state the source of a request in headers that no
//! page can set: `Sec-Fetch-Site` on trusted connections, `Origin` on every POST.

use axum::http::{HeaderMap, HeaderName, Method, header};

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// The source of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// One of our pages, or (for a request that changes nothing) a person who followed a link or typed the address.
    Own,
    /// Another site, or a source that is not stated.
    Foreign,
}

/// Returns the source of a request to the page at `scheme`, whose `Host` header was allowed. GET and HEAD change
/// nothing. For other methods at least one of the headers must be present, and each present header must name our page.
pub(super) fn source(method: &Method, scheme: &str, headers: &HeaderMap) -> Source {
    let site = headers.get(SITE).map(|value| value.as_bytes());
    if matches!(*method, Method::GET | Method::HEAD) {
        // Pictures, scripts and requests by another site's scripts are foreign; a person's navigation is not.
        let navigates = headers.get(MODE).is_some_and(|mode| mode == "navigate");
        return match site {
            None | Some(b"same-origin" | b"none") => Source::Own,
            Some(_) if navigates => Source::Own,
            Some(_) => Source::Foreign,
        };
    }
    let origin = headers.get(header::ORIGIN).map(|origin| {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        origin.as_bytes().eq_ignore_ascii_case(format!("{scheme}://{host}").as_bytes())
    });
    match (site.map(|site| site == b"same-origin"), origin) {
        (Some(false), _) | (_, Some(false)) | (None, None) => Source::Foreign,
        (Some(true), _) | (_, Some(true)) => Source::Own,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn judged(method: Method, headers: &[(&'static str, &'static str)]) -> Source {
        let mut map = HeaderMap::new();
        map.insert(header::HOST, HeaderValue::from_static("localhost:7880"));
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_static(value));
        }
        source(&method, "http", &map)
    }

    #[test]
    fn a_change_must_be_shown_to_be_ours() {
        let own = ("origin", "http://localhost:7880");
        for headers in [&[own][..], &[("sec-fetch-site", "same-origin")], &[own, ("sec-fetch-site", "same-origin")]] {
            assert_eq!(judged(Method::POST, headers), Source::Own, "{headers:?}");
        }
        for headers in [
            &[][..],
            &[("origin", "null")],
            &[("origin", "https://localhost:7880")],
            &[("origin", "http://localhost:7881")],
            &[("origin", "http://localhost")],
            &[("origin", "http://localhost:7880.evil.example")],
            &[own, ("sec-fetch-site", "same-site")],
            &[own, ("sec-fetch-site", "none")],
            &[("origin", "http://evil.example"), ("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "cross-site")],
        ] {
            assert_eq!(judged(Method::POST, headers), Source::Foreign, "{headers:?}");
            assert_eq!(judged(Method::DELETE, headers), Source::Foreign, "{headers:?}");
        }
    }

    #[test]
    fn a_look_may_come_from_a_link_and_not_from_another_sites_scripts() {
        let link = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")];
        for headers in [&[][..], &link, &[("sec-fetch-site", "none")], &[("sec-fetch-site", "same-origin")]] {
            assert_eq!(judged(Method::GET, headers), Source::Own, "{headers:?}");
        }
        for mode in ["no-cors", "cors", "websocket"] {
            for site in ["cross-site", "same-site"] {
                let headers = [("sec-fetch-site", site), ("sec-fetch-mode", mode)];
                assert_eq!(judged(Method::GET, &headers), Source::Foreign, "{headers:?}");
            }
        }
    }
}
