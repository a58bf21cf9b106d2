//! The gRPC service that issues certificates.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pretext_identity::Role;
use pretext_proto::v1 as pb;
use pretext_proto::v1::identity_server::Identity as IdentityRpc;
use tonic::{Request, Response, Status};

use super::authority::Issued;
use super::{Authority, AuthorityError, Peer, Register, RegisterError};

/// Size of the largest certificate request.
const MAX_CSR: usize = 8 << 10;

/// See the module. If there is no authority (on a server without TLS), it refuses with a reason.
#[derive(Clone)]
pub struct IdentityService {
    issuer: Option<(Arc<Authority>, Register)>,
    life: Duration,
}

impl IdentityService {
    /// Returns the service of a server without TLS: no program can join.
    pub fn closed() -> Self {
        Self { issuer: None, life: Duration::ZERO }
    }

    /// Returns the service of this authority; its certificates last for `life`.
    pub fn new(authority: Arc<Authority>, register: Register, life: Duration) -> Self {
        Self { issuer: Some((authority, register)), life }
    }

    fn issuer(&self) -> Result<(Arc<Authority>, Register), Status> {
        self.issuer.clone().ok_or_else(|| {
            Status::failed_precondition("this coordinator serves without TLS, so there is nothing to join")
        })
    }
}

fn certify(authority: &Authority, csr: &[u8], role: Role, name: &str) -> Result<Issued, Status> {
    authority.certify(csr, role, name).map_err(|error| match error {
        AuthorityError::Request(_) => Status::invalid_argument(error.to_string()),
        _ => Status::internal(error.to_string()),
    })
}

fn refused(error: RegisterError) -> Status {
    match &error {
        RegisterError::NameTaken { .. } => Status::already_exists(error.to_string()),
        RegisterError::Token | RegisterError::Name | RegisterError::NoSuchToken(_) => {
            Status::invalid_argument(error.to_string())
        }
        RegisterError::JustRevoked => Status::unavailable(error.to_string()),
        RegisterError::Io { .. } | RegisterError::Damaged { .. } => {
            tracing::error!(%error, "the register of identities cannot be used");
            Status::unavailable("the register of identities cannot be used")
        }
    }
}

fn reply(authority: &Authority, issued: Issued, role: Role) -> Response<pb::JoinReply> {
    Response::new(pb::JoinReply {
        certificate: issued.certificate,
        authority: authority.certificate().to_vec(),
        role: role.to_string(),
        not_after_ms: issued.not_after.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64,
    })
}

fn bounded(csr: Vec<u8>) -> Result<Vec<u8>, Status> {
    if csr.len() <= MAX_CSR {
        return Ok(csr);
    }
    Err(Status::invalid_argument(format!("a certificate request may have at most {MAX_CSR} bytes")))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Status> + Send + 'static) -> Result<T, Status> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Status::internal(error.to_string()))?
}

#[tonic::async_trait]
impl IdentityRpc for IdentityService {
    async fn join(&self, request: Request<pb::JoinRequest>) -> Result<Response<pb::JoinReply>, Status> {
        let (authority, register) = self.issuer()?;
        let pb::JoinRequest { credentials, name, csr } = request.into_inner();
        let (csr, life) = (bounded(csr)?, self.life);
        blocking(move || {
            let now = SystemTime::now();
            let role = register.redeem(&credentials, &name, &csr, now + life, now).map_err(refused)?;
            let issued = certify(&authority, &csr, role, &name)?;
            tracing::info!(%role, %name, serial = %issued.serial, "identity joined");
            Ok(reply(&authority, issued, role))
        })
        .await
    }

    async fn renew(&self, request: Request<pb::RenewRequest>) -> Result<Response<pb::JoinReply>, Status> {
        let (authority, register) = self.issuer()?;
        let Some(Peer::Known(identity)) = request.extensions().get::<Peer>().cloned() else {
            return Err(Status::unauthenticated("only a valid certificate can be renewed: join again with a token"));
        };
        let (csr, life) = (bounded(request.into_inner().csr)?, self.life);
        blocking(move || {
            let now = SystemTime::now();
            let issued = certify(&authority, &csr, identity.role, &identity.name)?;
            register.renew(&identity, &csr, now + life, now).map_err(refused)?;
            tracing::info!(role = %identity.role, name = %identity.name, serial = %issued.serial, "certificate renewed");
            Ok(reply(&authority, issued, identity.role))
        })
        .await
    }
}
