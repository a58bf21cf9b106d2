//! The gate in front of every call: who may make it, how often, under which request id. And the question whether an
//! attempt is the caller's own, which only the services can ask.

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
/// Longest request id that is taken over.
const MAX_ID: usize = 64;

/// See the module.
#[derive(Clone)]
pub struct Gate {
    /// Who was shut out; `None` without TLS.
    register: Option<Register>,
    rates: Arc<Rates>,
    metrics: Arc<Metrics>,
}

impl Gate {
    /// The gate of a server without TLS: everybody may do everything.
    pub fn open(metrics: Arc<Metrics>) -> Self {
        Self { register: None, rates: Arc::default(), metrics }
    }

    /// The gate of a server with TLS.
    pub fn guarded(register: Register, metrics: Arc<Metrics>) -> Self {
        Self { register: Some(register), rates: Arc::default(), metrics }
    }

    /// Where calls are counted.
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
        Err(Status::resource_exhausted("too many calls: wait a moment"))
    }

    /// A certificate that was good at the handshake may have been revoked since.
    pub(super) fn still_valid(&self, peer: &Peer) -> Result<(), Status> {
        let (Some(register), Peer::Known(identity)) = (&self.register, peer) else { return Ok(()) };
        match register.is_revoked(identity) {
            Ok(false) => Ok(()),
            Ok(true) => {
                self.metrics.denied(Denial::Unauthenticated);
                Err(Status::unauthenticated("the certificate was revoked: join again with a new token"))
            }
            Err(error) => {
                tracing::error!(%error, "the register of identities cannot be read; nobody is let in");
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

    /// Whether the caller may speak for `worker`.
    pub(super) fn speaks_for(&self, peer: &Peer, worker: &WorkerId) -> Result<(), Status> {
        peer.speaks_for(worker).map_err(|forbidden| self.forbid(&forbidden))
    }

    /// Whether `attempt` may be the caller's own: it is nobody else's. Whether it still stands, the engine says.
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

/// The peer of a call. One that came by no connection of ours is a stranger.
pub(super) fn peer<T>(request: &tonic::Request<T>) -> Peer {
    request.extensions().get::<Peer>().cloned().unwrap_or(Peer::Stranger)
}

/// Lets a call in, or answers it.
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

/// The code that an answer begins with: an error before the first message is in the headers. A stream that breaks
/// later began well.
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
