//! The gate in front of every call decides who may make it, and how often, and gives it a request id. The services also
//! ask it whether an attempt belongs to the caller.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use pretext_shared::ids::{AttemptId, WorkerId};
use tonic::{Code, Status};
use tracing::Instrument;
use uuid::Uuid;

use super::limits::{RATE, Rates, STRANGERS};
use super::unavailable;
use crate::core::Core;
use crate::identity::access::{self, Forbidden};
use crate::identity::{Peer, Register};
use crate::metrics::{Denial, Metrics};

/// The header that carries a request's id from process to process.
const REQUEST_ID: &str = "x-request-id";
/// Length of the longest accepted request id.
const MAX_ID: usize = 64;

/// See the module.
#[derive(Clone)]
pub struct Gate {
    /// Register of the revoked identities; `None` without TLS.
    register: Option<Register>,
    rates: Arc<Rates>,
    metrics: Arc<Metrics>,
}

impl Gate {
    /// Returns the gate of a server without TLS: every caller may do everything.
    pub fn open(metrics: Arc<Metrics>) -> Self {
        Self { register: None, rates: Arc::default(), metrics }
    }

    /// Returns the gate of a server with TLS.
    pub fn guarded(register: Register, metrics: Arc<Metrics>) -> Self {
        Self { register: Some(register), rates: Arc::default(), metrics }
    }

    /// Returns the metrics that count calls.
    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn admit(&self, rpc: access::Rpc, peer: &Peer) -> Result<(), Status> {
        rpc.access.check(peer).map_err(|forbidden| self.forbid(&forbidden))?;
        self.still_valid(peer)?;
        let rate = match peer {
            Peer::Open => return Ok(()),
            Peer::Stranger => STRANGERS,
            Peer::Known(_) => RATE,
        };
        if self.rates.take(&peer.label(), rate, Instant::now()) {
            return Ok(());
        }
        self.metrics.denied(Denial::Rate);
        Err(Status::resource_exhausted("too many calls: wait a second and try again"))
    }

    /// Checks the certificate again: it may have been revoked since the handshake.
    pub(super) fn still_valid(&self, peer: &Peer) -> Result<(), Status> {
        let (Some(register), Peer::Known(identity)) = (&self.register, peer) else { return Ok(()) };
        match register.is_revoked(identity) {
            Ok(false) => Ok(()),
            Ok(true) => {
                self.metrics.denied(Denial::Unauthenticated);
                Err(Status::unauthenticated("the certificate was revoked: join again with a new token"))
            }
            Err(error) => {
                tracing::error!(%error, "the register of identities cannot be read; every call is refused");
                Err(Status::resource_exhausted("the register of identities cannot be read"))
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
    pub(super) fn speaks_for(&self, peer: &Peer, worker: &WorkerId) -> Result<(), Status> {
        peer.speaks_for(worker).map_err(|forbidden| self.forbid(&forbidden))
    }

    /// Checks that no other worker owns `attempt`. The engine decides whether the attempt is still valid.
    pub(super) async fn owns(&self, peer: &Peer, attempts: Vec<AttemptId>, core: &Core) -> Result<(), Status> {
        let Peer::Known(identity) = peer else {
            return match peer {
                Peer::Open => Ok(()),
                _ => Err(self.forbid(&Forbidden::Unknown)),
            };
        };
        self.still_valid(peer)?;
        let name = identity.name.clone();
        let foreign = core
            .call(move |engine, _| {
                let mut holders = attempts.iter().filter_map(|attempt| engine.holder(*attempt));
                holders.any(|holder| holder.worker.name != name)
            })
            .await
            .map_err(unavailable)?;
        if foreign { Err(self.forbid(&Forbidden::ForeignLease)) } else { Ok(()) }
    }
}

/// Returns the peer of a call. A call from outside our connections counts as a stranger's.
pub(super) fn peer<T>(request: &tonic::Request<T>) -> Peer {
    request.extensions().get::<Peer>().cloned().unwrap_or(Peer::Stranger)
}

/// Passes a call on, or refuses it.
pub(super) async fn pass(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let peer = request.extensions().get::<Peer>().cloned().unwrap_or(Peer::Stranger);
    let Some(rpc) = access::find(request.uri().path()) else {
        gate.metrics.call("other", Code::Unimplemented, begun.elapsed());
        return refusal(&Status::unimplemented("this coordinator does not know this procedure"));
    };
    let span = tracing::info_span!("rpc", rpc = rpc.name, request = %request_id(&request), peer = %peer.label());
    let answer = async {
        match gate.admit(rpc, &peer) {
            Ok(()) => next.run(request).await,
            Err(status) => {
                tracing::info!(code = ?status.code(), reason = status.message(), "call refused");
                refusal(&status)
            }
        }
    }
    .instrument(span)
    .await;
    gate.metrics.call(rpc.name, code(&answer), begun.elapsed());
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
