//! Obtains a certificate with a join token, and renews certificates.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pretext_proto::v1 as pb;
use pretext_proto::v1::identity_client::IdentityClient;
use rcgen::{CertificateParams, KeyPair};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::credentials::CredentialsError;
use crate::{Credentials, Folder, JoinToken, Pin, Role, TlsSession, wire};

/// Time limit of a coordinator's answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause after a failed renewal.
const AGAIN: Duration = Duration::from_secs(5);

/// The reason why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The coordinator does not answer, or it does not belong to the token's authority.
    #[error("cannot reach the coordinator at {url}, or it is not the one that made the token: {cause}")]
    Unreachable {
        /// The URL.
        url: String,
        /// The cause.
        cause: String,
    },
    /// The coordinator refused.
    #[error("the coordinator refused: {0}")]
    Refused(String),
    /// The coordinator's answer is not valid.
    #[error("the coordinator's answer cannot be used: {0}")]
    Answer(String),
    /// A key could not be made.
    #[error("cannot make a key: {0}")]
    Key(String),
    /// The certificate has expired, and there is no other.
    #[error("the certificate has expired: {0}")]
    Ended(String),
    /// The credentials could not be saved.
    #[error(transparent)]
    Keep(#[from] CredentialsError),
}

impl JoinError {
    /// Returns whether a retry may succeed.
    pub fn is_passing(&self) -> bool {
        matches!(self, JoinError::Unreachable { .. })
    }
}

/// A key, and the request to certify it.
struct Request {
    key: KeyPair,
    csr: Vec<u8>,
}

impl Request {
    fn new() -> Result<Self, JoinError> {
        let failed = |error: rcgen::Error| JoinError::Key(error.to_string());
        let key = KeyPair::generate().map_err(failed)?;
        let csr = CertificateParams::default().serialize_request(&key).map_err(failed)?;
        Ok(Self { csr: csr.der().to_vec(), key })
    }

    fn certified(&self, name: &str, reply: pb::JoinReply) -> Result<Credentials, JoinError> {
        Credentials::certified(name, self.key.serialize_der(), reply, SystemTime::now()).map_err(JoinError::Answer)
    }
}

fn failed(url: &str, status: &Status) -> JoinError {
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown => {
            JoinError::Unreachable { url: url.to_owned(), cause: status.message().to_owned() }
        }
        _ => JoinError::Refused(status.message().to_owned()),
    }
}

/// A join token that is to be exchanged for a certificate. Every attempt sends the same request, so that a lost answer
/// does not cost a second use of the token.
pub struct Enrollment {
    token: JoinToken,
    name: String,
    request: Request,
    /// The required role; `None` for any.
    role: Option<Role>,
}

impl Enrollment {
    /// Prepares the exchange of this token, for `name`.
    ///
    /// # Errors
    /// If a key cannot be made.
    pub fn new(token: JoinToken, name: &str) -> Result<Self, JoinError> {
        Ok(Self { token, name: name.to_owned(), request: Request::new()?, role: None })
    }

    /// Requires this role: a token of another role is an error, and nothing is saved.
    #[must_use]
    pub fn as_role(self, role: Role) -> Self {
        Self { role: Some(role), ..self }
    }

    /// Sends the request to the coordinator at `url`, and saves the certificate in `folder`.
    ///
    /// # Errors
    /// See [`JoinError`]. The token's secret was sent only to a coordinator of the pinned authority.
    pub async fn attempt(&self, url: &str, folder: &Folder) -> Result<Credentials, JoinError> {
        let unreachable = |cause: String| JoinError::Unreachable { url: url.to_owned(), cause };
        let endpoint = Endpoint::from_shared(url.to_owned())
            .map_err(|error| unreachable(error.to_string()))?
            .connect_timeout(PATIENCE)
            .timeout(PATIENCE);
        let config = wire::pinned(self.token.pin).map_err(JoinError::Key)?;
        let channel = wire::dial(&endpoint, config).await.map_err(|error| unreachable(innermost(&error)))?;
        let join = pb::JoinRequest {
            credentials: self.token.credentials.clone(),
            name: self.name.clone(),
            csr: self.request.csr.clone(),
        };
        let reply = IdentityClient::new(channel).join(join).await.map_err(|status| failed(url, &status))?.into_inner();
        if Pin::of(&reply.authority) != self.token.pin {
            return Err(JoinError::Answer("its authority is not the token's authority".to_owned()));
        }
        let credentials = self.request.certified(&self.name, reply)?;
        if let Some(role) = self.role.filter(|role| *role != credentials.role) {
            let found = credentials.role;
            return Err(JoinError::Answer(format!("the token is for the role {found}, but {role} is needed")));
        }
        folder.save(&credentials)?;
        Ok(credentials)
    }
}

/// Obtains the next certificate, saves it and uses it from now on.
///
/// # Errors
/// See [`JoinError`]; the present certificate stays in use.
pub async fn renew(session: &TlsSession, channel: Channel) -> Result<(), JoinError> {
    let request = Request::new()?;
    let old = session.credentials();
    let mut message = tonic::Request::new(pb::RenewRequest { csr: request.csr.clone() });
    message.set_timeout(PATIENCE);
    let reply = IdentityClient::new(channel)
        .renew(message)
        .await
        .map_err(|status| failed("its address", &status))?
        .into_inner();
    if reply.authority != old.authority {
        return Err(JoinError::Answer("its authority has changed".to_owned()));
    }
    let credentials = request.certified(&old.name, reply)?;
    session.folder().save(&credentials)?;
    session.replace(credentials).map_err(JoinError::Answer)
}

/// Renews the certificate whenever two thirds of its lifetime have passed; never returns. If there are several
/// coordinators and one does not answer, the next one is asked. No coordinator accepts an expired certificate: then
/// `join` obtains another, or returns why it cannot.
pub async fn keep_fresh<F>(session: Arc<TlsSession>, channels: Vec<Channel>, join: impl Fn() -> F)
where
    F: Future<Output = Result<Credentials, String>>,
{
    let mut turn = channels.iter().cycle();
    let Some(mut channel) = turn.next() else { return };
    loop {
        let due = session.credentials().renewal().duration_since(SystemTime::now()).unwrap_or_default();
        tokio::time::sleep(due).await;
        let renewed = if session.credentials().has_ended(SystemTime::now()) {
            let joined = join().await.and_then(|credentials| session.replace(credentials));
            joined.map_err(JoinError::Ended)
        } else {
            renew(&session, channel.clone()).await
        };
        match renewed {
            Ok(()) => tracing::info!(name = %session.credentials().name, "certificate renewed"),
            Err(error @ JoinError::Ended(_)) => {
                tracing::error!(%error, "no coordinator accepts this worker; its data stay on its disk");
                tokio::time::sleep(AGAIN * 12).await;
            }
            Err(error) => {
                tracing::warn!(%error, "the certificate could not be renewed; retrying");
                channel = turn.next().unwrap_or(channel);
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
