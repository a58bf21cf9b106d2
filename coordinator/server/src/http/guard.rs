//! The checks that every request passes, and the headers that every answer carries.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderName};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use pretext_html::{Html, html};

use super::Site;
use super::api::{self, error::ApiError};
use super::enter;
use super::origin::{Source, source};
use super::reply::{add, notice};
use super::secret::Secret;
use super::visitor::{Right, Visitor};

/// Time limit for an answer to begin; event streams begin at once.
const PATIENCE: Duration = Duration::from_secs(60);

/// Pages load their own style and script, talk only to their own server, and cannot be put into a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Refuses a request that names another host, has another method than ours, or comes from another site.
pub(super) async fn guard(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let is_api = request.uri().path().starts_with(api::PREFIX);
    let mut response = match refusal(&site, &request) {
        Some(refusal) if is_api => ApiError::Refused(refusal.status, refusal.title.to_owned()).into_response(),
        Some(refusal) => notice(refusal.status, refusal.title, refusal.advice),
        None => match tokio::time::timeout(PATIENCE, next.run(request)).await {
            Ok(response) => response,
            Err(_) if is_api => ApiError::Unavailable("the answer took too long".to_owned()).into_response(),
            Err(_) => {
                notice(StatusCode::SERVICE_UNAVAILABLE, "The answer took too long", html!("<p>Try again later.</p>"))
            }
        },
    };
    add(&mut response, header::CONTENT_SECURITY_POLICY, POLICY);
    add(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(&mut response, header::X_FRAME_OPTIONS, "DENY");
    // Other sites get no referrer. Not `no-referrer`: with it browsers write `Origin: null` into our own forms.
    add(&mut response, header::REFERRER_POLICY, "same-origin");
    add(&mut response, HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    add(&mut response, HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    add(&mut response, header::CACHE_CONTROL, "no-store");
    response
}

/// A refused request, before it is said to a person or to a script.
struct Refusal {
    status: StatusCode,
    title: &'static str,
    advice: Html,
}

fn refusal(site: &Site, request: &Request) -> Option<Refusal> {
    let (method, headers) = (request.method(), request.headers());
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    // A target with its own host (`GET http://x/`) is for proxies: accepting it would allow two different host names.
    let named = host.is_some_and(|host| site.names.allow(host)) && hosts.next().is_none();
    if !named || request.uri().authority().is_some() {
        tracing::info!(host = host.unwrap_or(""), "refused a request for another host name");
        let advice = html!(
            "<p>This coordinator does not know the name in the address bar. If the name is correct, start the coordinator \
             with <code>--web-name NAME</code>.</p>"
        );
        return Some(Refusal { status: StatusCode::MISDIRECTED_REQUEST, title: "Unknown host name", advice });
    }
    if !matches!(*method, Method::GET | Method::HEAD | Method::POST) {
        let title = "This method is not supported";
        return Some(Refusal { status: StatusCode::METHOD_NOT_ALLOWED, title, advice: html!("") });
    }
    if source(method, site.wire.scheme(), headers) == Source::Foreign {
        tracing::info!(%method, path = request.uri().path(), "refused a request from another site");
        let advice = html!("<p>This request came from another site, or does not say where it comes from.</p>");
        return Some(Refusal { status: StatusCode::FORBIDDEN, title: "Request from another site", advice });
    }
    None
}

/// Returns the visitor whose session has this secret, with the secret.
async fn visitor(site: &Arc<Site>, secret: Option<Secret>) -> Option<(Visitor, Secret)> {
    let secret = secret?;
    let (sessions, mine) = (site.sessions.clone(), secret.clone());
    // This reads one or two small files.
    let found = tokio::task::spawn_blocking(move || sessions.find(&mine, SystemTime::now())).await.ok()?;
    Some((found?, secret))
}

/// Returns the secret of a script: `Authorization: Bearer TOKEN`. Browsers never send it by themselves.
fn bearer(headers: &HeaderMap) -> Option<Secret> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Secret::parse(token.trim()))?
}

/// Passes on requests of visitors who may look.
pub(super) async fn look(State(site): State<Arc<Site>>, mut request: Request, next: Next) -> Response {
    match visitor(&site, enter::cookie(&site, request.headers())).await {
        Some((visitor, secret)) => {
            request.extensions_mut().insert(visitor);
            request.extensions_mut().insert(secret);
            next.run(request).await
        }
        None => enter::invite(request.uri().path()),
    }
}

/// Passes on requests of scripts and pages that may look.
pub(super) async fn read(State(site): State<Arc<Site>>, mut request: Request, next: Next) -> Response {
    let secret = bearer(request.headers()).or_else(|| enter::cookie(&site, request.headers()));
    match visitor(&site, secret).await {
        Some((_, secret)) => {
            request.extensions_mut().insert(secret);
            next.run(request).await
        }
        None => ApiError::NoSession.into_response(),
    }
}

/// Passes on requests of visitors who may make changes.
pub(super) async fn change(State(site): State<Arc<Site>>, mut request: Request, next: Next) -> Response {
    match visitor(&site, enter::cookie(&site, request.headers())).await {
        Some((visitor, _)) if visitor.right == Right::Submit => {
            request.extensions_mut().insert(visitor);
            next.run(request).await
        }
        Some(_) => {
            let advice = html!(
                "<p>This session is read-only. To make changes, run <code>coordinator login</code> with a <code>submit</code> \
                                certificate and log in again.</p>"
            );
            notice(StatusCode::FORBIDDEN, "You cannot make changes", advice)
        }
        None => enter::invite("/"),
    }
}
