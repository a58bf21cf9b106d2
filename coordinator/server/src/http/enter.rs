//! Login and logout of the web page: a login link shows a button, and the button uses up the link and begins a session.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::response::Response;
use pretext_html::html;

use super::reply::{notice, see};
use super::secret::Secret;
use super::session::SessionError;
use super::{Site, WebWire};

/// Size of the largest form: a link and its name.
const MAX_FORM: usize = 1 << 10;
/// Time limit for a form to arrive.
const FORM_WITHIN: Duration = Duration::from_secs(10);

impl Site {
    /// Returns the cookie's name. Cookies do not know ports, so the name keeps two coordinators on one machine apart.
    /// The prefix keeps other hosts of the domain from setting the cookie; browsers allow it only with TLS.
    fn cookie_name(&self) -> String {
        match self.wire {
            WebWire::Plain => format!("pretext-{}", self.port),
            WebWire::Tls => format!("__Host-pretext-{}", self.port),
        }
    }

    fn set_cookie(&self, value: &str, life: Duration) -> Option<HeaderValue> {
        let secure = match self.wire {
            WebWire::Plain => "",
            WebWire::Tls => "; Secure",
        };
        let (name, life) = (self.cookie_name(), life.as_secs());
        let text = format!("{name}={value}; Path=/; Max-Age={life}; HttpOnly; SameSite=Strict{secure}");
        HeaderValue::from_str(&text).ok()
    }
}

/// Returns the secret in the request's cookie.
pub(super) fn cookie(site: &Site, headers: &HeaderMap) -> Option<Secret> {
    let name = site.cookie_name();
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).and_then(|(_, value)| Secret::parse(value))
}

/// Returns the page for a visitor without a session.
pub(super) fn invite(path: &str) -> Response {
    let how = html!(
        "<p>To log in, run this command and open the link that it prints. The link works once, within ten minutes.</p>\n\
         <pre>coordinator login</pre>\n\
         <p class=\"small\">Are you logged in already and followed a link from another site? Then your browser did not send \
         your session: <a href=\"{path}\">open the page from here</a>.</p>",
        path = path
    );
    notice(StatusCode::UNAUTHORIZED, "Log in to see this page", how)
}

/// `GET /login/LINK`: a button. Loading this page changes nothing, so that programs that check links in messages do not
/// use them up.
pub(super) async fn show(Path(link): Path<String>) -> Response {
    let Some(secret) = Secret::parse(&link) else { return refused() };
    let form = html!(
        "<form method=\"post\" action=\"/login\"><input type=\"hidden\" name=\"link\" value=\"{link}\">\
         <button class=\"primary\" autofocus>Log in on this browser</button></form>\n\
         <p class=\"small\">The link works once, within ten minutes after it was created.</p>",
        link = secret.as_str()
    );
    notice(StatusCode::OK, "Pretext", form)
}

fn refused() -> Response {
    let how = html!(
        "<p>It was used already, or is older than ten minutes. Create another with <code>coordinator login</code>.</p>"
    );
    notice(StatusCode::FORBIDDEN, "This link is not valid", how)
}

/// `POST /login`: uses up the link and begins a session.
pub(super) async fn log_in(State(site): State<Arc<Site>>, body: Body) -> Response {
    let too_large = || notice(StatusCode::PAYLOAD_TOO_LARGE, "The form is too large", html!(""));
    // If the announced length is too large, the body is not awaited.
    if body.size_hint().lower() > MAX_FORM as u64 {
        return too_large();
    }
    let bytes = match tokio::time::timeout(FORM_WITHIN, to_bytes(body, MAX_FORM)).await {
        Err(_) => return notice(StatusCode::REQUEST_TIMEOUT, "The form did not arrive", html!("")),
        Ok(Err(_)) => return too_large(),
        Ok(Ok(bytes)) => bytes,
    };
    let link = std::str::from_utf8(&bytes).ok().and_then(|form| Secret::parse(form.strip_prefix("link=")?));
    let Some(visitor) = link.and_then(|link| site.logins.redeem(&link, Instant::now())) else { return refused() };
    let (sessions, mine) = (site.sessions.clone(), visitor.clone());
    let begun = tokio::task::spawn_blocking(move || sessions.begin(mine, SystemTime::now())).await;
    match begun {
        Ok(Ok(secret)) => {
            tracing::info!(visitor = %visitor.label(), "a browser logged in");
            let mut response = see("/");
            if let Some(cookie) = site.set_cookie(secret.as_str(), visitor.right.session_life()) {
                response.headers_mut().insert(header::SET_COOKIE, cookie);
            }
            response
        }
        Ok(Err(error)) => failed(&error),
        Err(error) => {
            notice(StatusCode::INTERNAL_SERVER_ERROR, "The login failed", html!("<p>{}</p>", error.to_string()))
        }
    }
}

fn failed(error: &SessionError) -> Response {
    tracing::warn!(%error, "a session could not be saved");
    notice(StatusCode::SERVICE_UNAVAILABLE, "The session could not be saved", html!("<p>{}</p>", error.to_string()))
}

/// `POST /logout`: ends the session here and in the browser.
pub(super) async fn log_out(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    if let Some(secret) = cookie(&site, &headers) {
        let sessions = site.sessions.clone();
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || sessions.end(&secret)).await {
            return failed(&error);
        }
    }
    let mut response = see("/");
    if let Some(cookie) = site.set_cookie("", Duration::ZERO) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}
