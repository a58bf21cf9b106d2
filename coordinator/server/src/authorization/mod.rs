//! Who may make which call, and how often. Every call passes the [`Authorizer`], which also gives it a request id. The
//! services ask it whether an attempt belongs to the caller.

mod rates;
pub mod table;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use pretext_engine::{Denied, Evidence, Refusal};
use pretext_messages as messages;
use pretext_proto::refusal::{self, Kind};
use pretext_shared::claim::{Claim, Proof};
use pretext_shared::ids::{AttemptId, WorkerId};
use tonic::{Code, Status};
use tracing::Instrument;
use uuid::Uuid;

use self::rates::{RATE, Rates, STRANGERS};
use self::table::{Forbidden, Rpc};
use crate::core::Core;
use crate::identity::{GrantKey, Peer, Register};
use crate::metrics::{Denial, Metrics};

/// The header that carries a request's id from process to process.
const REQUEST_ID: &str = "x-request-id";
/// Time after which a call that was refused for now is tried again.
const MOMENT: Duration = Duration::from_secs(1);
/// Length of the longest accepted request id.
const MAX_ID: usize = 64;

/// Checks calls; see the module. Clones share their counts.
#[derive(Clone)]
pub struct Authorizer {
    /// Register of the revoked identities; `None` without TLS.
    register: Option<Register>,
    /// Key of the proofs of grants; `None` without TLS.
    grants: Option<GrantKey>,
    rates: Arc<Rates>,
    metrics: Arc<Metrics>,
}

impl Authorizer {
    /// Returns the authorizer of a server without TLS: every caller may do everything.
    pub fn unrestricted(metrics: Arc<Metrics>) -> Self {
        Self { register: None, grants: None, rates: Arc::default(), metrics }
    }

    /// Returns the authorizer of a server with TLS, whose callers need a certificate.
    pub fn certified(register: Register, grants: GrantKey, metrics: Arc<Metrics>) -> Self {
        Self { register: Some(register), grants: Some(grants), rates: Arc::default(), metrics }
    }

    /// Returns the metrics that count calls.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    async fn admit(&self, rpc: Rpc, peer: &Peer) -> Result<(), Status> {
        rpc.access.check(peer).map_err(|forbidden| self.forbid(&forbidden))?;
        self.still_valid(peer).await?;
        let rate = match peer {
            Peer::Open => return Ok(()),
            Peer::Stranger => STRANGERS,
            Peer::Known(_) => RATE,
        };
        if self.rates.take(&peer.label(), rate, Instant::now()) {
            return Ok(());
        }
        self.metrics.denied(Denial::Rate);
        Err(later("too many calls: wait a second and try again"))
    }

    /// Checks the certificate again: it may have been revoked since the handshake.
    pub(crate) async fn still_valid(&self, peer: &Peer) -> Result<(), Status> {
        let (Some(register), Peer::Known(identity)) = (&self.register, peer) else { return Ok(()) };
        // The register is a folder, maybe on a network: a read of it may take long, and must hold up nobody else.
        let (register, identity) = (register.clone(), identity.clone());
        let read = tokio::task::spawn_blocking(move || register.is_revoked(&identity));
        match read.await.map_err(|error| Status::internal(error.to_string()))? {
            Ok(false) => Ok(()),
            Ok(true) => {
                self.metrics.denied(Denial::Unauthenticated);
                Err(Status::unauthenticated("the certificate was revoked: join again with a new token"))
            }
            Err(error) => {
                tracing::error!(%error, "the register of identities cannot be read; every call is refused");
                Err(later("the register of identities cannot be read"))
            }
        }
    }

    fn forbid(&self, forbidden: &Forbidden) -> Status {
        match forbidden {
            Forbidden::Unknown => {
                self.metrics.denied(Denial::Unauthenticated);
                Status::unauthenticated(forbidden.to_string())
            }
            Forbidden::Role(_) | Forbidden::Name { .. } | Forbidden::ForeignLease => {
                self.metrics.denied(Denial::Forbidden);
                Status::permission_denied(forbidden.to_string())
            }
        }
    }

    /// Checks that the caller may act as `worker`.
    pub(crate) fn speaks_for(&self, peer: &Peer, worker: &WorkerId) -> Result<(), Status> {
        table::speaks_for(peer, worker).map_err(|forbidden| self.forbid(&forbidden))
    }

    /// Returns the proof that `attempt` was granted to the worker called `name`; an empty one without TLS.
    pub(crate) fn proof(&self, attempt: AttemptId, name: &str) -> Proof {
        self.grants.as_ref().map(|key| key.prove(attempt, name)).unwrap_or_default()
    }

    /// Checks that the caller may speak for the attempt of `claim`. The engine decides whether the attempt is still
    /// valid.
    pub(crate) async fn owns(&self, peer: &Peer, claim: Claim, core: &Core) -> Result<(), Status> {
        let denied = self.refused(peer, vec![claim], core).await?.into_iter().flatten().next();
        let Some(refusal) = denied else { return Ok(()) };
        let code = match refusal {
            Refusal::UnknownStage(_) => Code::NotFound,
            _ => Code::Aborted,
        };
        Err(refusal::status(code, Kind::Superseded, messages::words(&refusal)))
    }

    /// Checks that no other worker holds the attempt of one of `claims`. Returns for each claim its refusal, if the
    /// store does not know the attempt and the caller cannot prove that it was granted.
    pub(crate) async fn refused(
        &self,
        peer: &Peer,
        claims: Vec<Claim>,
        core: &Core,
    ) -> Result<Vec<Option<Refusal>>, Status> {
        let Peer::Known(identity) = peer else {
            return match peer {
                Peer::Open => Ok(vec![None; claims.len()]),
                _ => Err(self.forbid(&Forbidden::Unknown)),
            };
        };
        self.still_valid(peer).await?;
        let name = identity.name.clone();
        let evidence = |claim: &Claim| match &self.grants {
            Some(key) if key.confirms(claim, &name) => Evidence::Proof,
            _ => Evidence::Missing,
        };
        let claims: Vec<_> = claims.iter().map(|claim| (claim.attempt, evidence(claim))).collect();
        let vouched = core
            .call(move |engine, _| {
                let vouched = claims.into_iter().map(|(attempt, evidence)| engine.vouch(&name, attempt, evidence));
                vouched.collect::<Vec<_>>()
            })
            .await
            .map_err(|error| later(&error.to_string()))?;
        let refused = vouched.into_iter().map(|vouched| match vouched {
            Ok(()) => Ok(None),
            Err(Denied::Refused(refusal)) => {
                tracing::warn!(worker = %identity.name, %refusal, "a worker cannot prove that its attempt was granted");
                Ok(Some(refusal))
            }
            Err(Denied::Foreign) => Err(self.forbid(&Forbidden::ForeignLease)),
        });
        refused.collect()
    }
}

/// Returns the refusal of a call that may succeed in a moment.
fn later(message: &str) -> Status {
    refusal::status(Code::Unavailable, Kind::Retryable(Some(MOMENT)), message)
}

/// Returns the peer of a call. A call from outside our connections counts as a stranger's.
pub(crate) fn peer<T>(request: &tonic::Request<T>) -> Peer {
    request.extensions().get::<Peer>().cloned().unwrap_or(Peer::Stranger)
}

/// Passes a call on, or refuses it.
pub(crate) async fn authorize(State(authorizer): State<Authorizer>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let peer = request.extensions().get::<Peer>().cloned().unwrap_or(Peer::Stranger);
    let Some(rpc) = table::find(request.uri().path()) else {
        authorizer.metrics.call("other", Code::Unimplemented, begun.elapsed());
        return refusal(&Status::unimplemented("this coordinator does not know this procedure"));
    };
    let span = tracing::info_span!("rpc", rpc = rpc.name, request = %request_id(&request), peer = %peer.label());
    let answer = async {
        match authorizer.admit(rpc, &peer).await {
            Ok(()) => next.run(request).await,
            Err(status) => {
                tracing::info!(code = ?status.code(), reason = status.message(), "call refused");
                refusal(&status)
            }
        }
    }
    .instrument(span)
    .await;
    authorizer.metrics.call(rpc.name, code(&answer), begun.elapsed());
    answer
}

/// Returns the code in the headers of an answer: an error before the first message is there. A stream that fails later
/// has the code of a success.
fn code(answer: &Response) -> Code {
    answer.headers().get("grpc-status").map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()))
}

fn refusal(status: &Status) -> Response {
    status.clone().into_http::<Body>()
}

fn request_id(request: &Request) -> String {
    let given = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(|id| {
        (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    });
    given.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}
