//! The procedure that creates login links. The table of all procedures decides who may call it; this code only prevents
//! a link with more rights than its creator has.

use std::time::{Instant, SystemTime};

use pretext_identity::Role;
use pretext_messages::parsed;
use pretext_proto::v1 as pb;
use pretext_proto::v1::web_server::Web as WebRpc;
use tonic::{Request, Response, Status};

use super::Web;
use super::login::LINK_LIFE;
use super::session::SessionError;
use super::visitor::{Holder, Right, Visitor};
use crate::identity::Peer;

/// See the module. If the coordinator serves no page, it refuses with a reason.
pub struct WebService {
    web: Option<Web>,
}

impl WebService {
    /// Returns the service of this page.
    pub fn new(web: Option<Web>) -> Self {
        Self { web }
    }

    fn web(&self) -> Result<&Web, Status> {
        let none = || Status::failed_precondition("this coordinator serves no web page: start it with --web");
        self.web.as_ref().ok_or_else(none)
    }
}

/// Returns the most that the caller of a procedure may have, and its identity.
fn caller<T>(request: &Request<T>) -> Result<(Right, Option<Holder>), Status> {
    match request.extensions().get::<Peer>() {
        Some(Peer::Open) => Ok((Right::Submit, None)),
        Some(Peer::Known(identity)) => {
            let right = Right::of(identity.role);
            let refused = || Status::permission_denied("a worker's certificate cannot log in to the web page");
            Ok((right.ok_or_else(refused)?, Some(Holder::of(identity))))
        }
        Some(Peer::Stranger) | None => Err(Status::unauthenticated("this call needs a certificate: join first")),
    }
}

/// Returns the requested right; without a request, the most that the caller may have.
fn wanted(text: &str, most: Right) -> Result<Right, Status> {
    if text.is_empty() {
        return Ok(most);
    }
    let role: Role = parsed(text, "role")?;
    let right = Right::of(role).ok_or_else(|| Status::invalid_argument("a link is for `submit` or `read`"))?;
    if right <= most {
        return Ok(right);
    }
    Err(Status::permission_denied("the role `read` cannot create a link for `submit`"))
}

#[tonic::async_trait]
impl WebRpc for WebService {
    async fn login(&self, request: Request<pb::LoginRequest>) -> Result<Response<pb::LoginReply>, Status> {
        let web = self.web()?;
        let (most, holder) = caller(&request)?;
        let visitor = Visitor { right: wanted(&request.into_inner().role, most)?, holder };
        let label = visitor.label();
        let right = visitor.right;
        let secret = web
            .site
            .logins
            .create(visitor, Instant::now())
            .map_err(|error| Status::resource_exhausted(error.to_string()))?;
        tracing::info!(visitor = %label, "a login link was created");
        Ok(Response::new(pb::LoginReply {
            url: web.link(&secret),
            role: right.as_str().to_owned(),
            seconds: LINK_LIFE.as_secs() as u32,
        }))
    }

    async fn token(&self, request: Request<pb::TokenRequest>) -> Result<Response<pb::TokenReply>, Status> {
        let web = self.web()?;
        let (_, holder) = caller(&request)?;
        // A script that reads needs no right to change, and its token lies in files and variables.
        let visitor = Visitor { right: Right::Read, holder };
        let label = visitor.label();
        let sessions = web.site.sessions.clone();
        let begun = tokio::task::spawn_blocking(move || sessions.begin(visitor, SystemTime::now())).await;
        let secret = match begun {
            Ok(Ok(secret)) => secret,
            Ok(Err(error @ SessionError::TooMany)) => return Err(Status::resource_exhausted(error.to_string())),
            Ok(Err(error)) => return Err(Status::unavailable(error.to_string())),
            Err(error) => return Err(Status::unavailable(error.to_string())),
        };
        tracing::info!(visitor = %label, "a token for scripts was created");
        Ok(Response::new(pb::TokenReply {
            token: secret.as_str().to_owned(),
            url: format!("{}/api/v1", web.url()),
            seconds: Right::Read.session_life().as_secs() as u32,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gets_more_than_it_has() {
        assert_eq!(wanted("", Right::Read).expect("its own"), Right::Read);
        assert_eq!(wanted("read", Right::Submit).expect("less"), Right::Read);
        assert_eq!(wanted("submit", Right::Read).expect_err("more").code(), tonic::Code::PermissionDenied);
        for text in ["worker", "admin", "Submit"] {
            assert_eq!(wanted(text, Right::Submit).expect_err(text).code(), tonic::Code::InvalidArgument);
        }
    }
}
