//! The worker's identity: a certificate that the worker obtains once with a join token, keeps in the state directory
//! and renews while it runs.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pretext_client::Backoff;
use pretext_identity::{
    Credentials, CredentialsError, Enrollment, Folder, JoinError, JoinToken, Role, TlsSession, Wire, keep_fresh,
};
use tonic::transport::Endpoint;

/// How long a coordinator may take to answer a connection on which the certificate is renewed.
const CONNECT: Duration = Duration::from_secs(2);

/// Why a worker has no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Some coordinators use TLS and some do not.
    #[error("some coordinators have https:// URLs and some http://: use https:// for all or for none")]
    Mixed,
    /// There is no certificate, and no token to obtain one with.
    #[error("{0} needs a certificate: give a token with --token-file (`coordinator token create --role worker`)")]
    NoToken(String),
    /// There is no valid certificate, and this command joins nobody.
    #[error("there is no valid certificate in {0}: start the worker with this --state-dir first")]
    Ended(String),
    /// The token cannot be read.
    #[error("cannot read the token in {file}: {cause}")]
    Token {
        /// The file.
        file: String,
        /// Why not.
        cause: String,
    },
    /// The certificate belongs to another identity.
    #[error(
        "the certificate in {folder} belongs to {found}, but this worker is `{name}`: choose another --state-dir, or remove the folder"
    )]
    Other {
        /// The folder of the certificate.
        folder: String,
        /// The identity that the certificate names.
        found: String,
        /// This worker's name.
        name: String,
    },
    /// The coordinator refused, or the certificate could not be kept.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// The stored certificate cannot be used.
    #[error(transparent)]
    Kept(#[from] CredentialsError),
    /// The stored certificate cannot be used; the cause is a message.
    #[error("the certificate cannot be used: {0}")]
    Damaged(String),
}

/// Returns the connection to the coordinators `urls` for the worker `name`. With https, it uses the stored certificate,
/// or obtains one with the token and waits for a coordinator as long as needed. A task renews the certificate from then
/// on.
///
/// # Errors
/// If there is no token, or the coordinator refuses it.
pub async fn prepare(
    urls: &[String],
    token_file: Option<&Path>,
    state_dir: &Path,
    name: &str,
) -> Result<Wire, IdentityError> {
    if !want_tls(urls)? {
        return Ok(Wire::Plain);
    }
    let state = state_dir.join("identity");
    let folder = Folder::new(state.clone());
    let kept = folder.load()?.filter(|credentials| !credentials.has_ended(SystemTime::now()));
    let credentials = match kept {
        Some(credentials) => credentials,
        None => join(urls, token_file, &folder, name).await?,
    };
    if credentials.role != Role::Worker || credentials.name != name {
        return Err(IdentityError::Other {
            folder: folder.path().display().to_string(),
            found: format!("{} `{}`", credentials.role, credentials.name),
            name: name.to_owned(),
        });
    }
    let session = Arc::new(TlsSession::new(folder, credentials).map_err(IdentityError::Damaged)?);
    let wire = Wire::Tls(session.clone());
    let endpoints = urls.iter().filter_map(|url| Endpoint::from_shared(url.clone()).ok());
    let channels = endpoints.map(|endpoint| wire.connect_lazy(&endpoint.connect_timeout(CONNECT))).collect();
    let (urls, name, token_file) = (urls.to_vec(), name.to_owned(), token_file.map(Path::to_owned));
    let again = move || {
        let (urls, name, token_file) = (urls.clone(), name.clone(), token_file.clone());
        let folder = Folder::new(state.clone());
        async move { join(&urls, token_file.as_deref(), &folder, &name).await.map_err(|error| error.to_string()) }
    };
    tokio::spawn(keep_fresh(session, channels, again));
    Ok(wire)
}

/// Returns the connection to the coordinators `urls` with the certificate that the daemon of this state directory has.
/// It is not renewed.
///
/// # Errors
/// If it has no valid certificate.
pub fn stored(urls: &[String], state_dir: &Path) -> Result<Wire, IdentityError> {
    if !want_tls(urls)? {
        return Ok(Wire::Plain);
    }
    let folder = Folder::new(state_dir.join("identity"));
    let kept = folder.load()?.filter(|credentials| !credentials.has_ended(SystemTime::now()));
    let credentials = kept.ok_or_else(|| IdentityError::Ended(folder.path().display().to_string()))?;
    Ok(Wire::Tls(Arc::new(TlsSession::new(folder, credentials).map_err(IdentityError::Damaged)?)))
}

/// Returns whether all URLs ask for TLS; none may differ.
fn want_tls(urls: &[String]) -> Result<bool, IdentityError> {
    match urls.iter().filter(|url| Wire::wants_tls(url)).count() {
        0 => Ok(false),
        with_tls if with_tls < urls.len() => Err(IdentityError::Mixed),
        _ => Ok(true),
    }
}

async fn join(
    urls: &[String],
    token_file: Option<&Path>,
    folder: &Folder,
    name: &str,
) -> Result<Credentials, IdentityError> {
    let file = token_file.ok_or_else(|| IdentityError::NoToken(urls.join(", ")))?;
    let unread = |cause: String| IdentityError::Token { file: file.display().to_string(), cause };
    let text = std::fs::read_to_string(file).map_err(|error| unread(error.to_string()))?;
    let token: JoinToken = text.parse().map_err(|error: pretext_identity::TokenError| unread(error.to_string()))?;
    let enrollment = Enrollment::new(token, name)?.as_role(Role::Worker);
    let (mut backoff, mut told) = (Backoff::default(), false);
    loop {
        for url in urls {
            match enrollment.attempt(url, folder).await {
                Ok(credentials) => {
                    tracing::info!(name, coordinator = %url, "joined");
                    return Ok(credentials);
                }
                Err(error) if error.is_passing() => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::info!(%error, "waiting for the coordinator before joining");
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        tokio::time::sleep(backoff.pause()).await;
    }
}
