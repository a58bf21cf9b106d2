//! Makes channels to a coordinator: plain on this machine, or TLS with the certificate that is current when a
//! connection is opened.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::ResolvesClientCert;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SignatureScheme, crypto};
use tonic::transport::{Channel, Endpoint, Uri};

use crate::pin::{Pin, PinVerifier};
use crate::{Credentials, Folder};

/// The protocol that gRPC speaks inside TLS.
const ALPN: &[u8] = b"h2";

/// How to reach coordinators.
#[derive(Debug, Clone, Default)]
pub enum Wire {
    /// Without TLS.
    #[default]
    Plain,
    /// With TLS.
    Tls(Arc<TlsSession>),
}

impl Wire {
    /// Returns whether a URL asks for TLS.
    pub fn wants_tls(url: &str) -> bool {
        url.trim_start().to_ascii_lowercase().starts_with("https:")
    }

    /// Returns a channel that connects at its first call.
    pub fn connect_lazy(&self, endpoint: &Endpoint) -> Channel {
        match self {
            Wire::Plain => endpoint.connect_lazy(),
            Wire::Tls(session) => {
                let connector = Connector::new(session.config.clone());
                endpoint.connect_with_connector_lazy(tower::service_fn(move |uri| connector.clone().connect(uri)))
            }
        }
    }

    /// Returns a connected channel.
    ///
    /// # Errors
    /// If there is no answer, or if the server does not belong to this authority.
    pub async fn connect(&self, endpoint: &Endpoint) -> Result<Channel, tonic::transport::Error> {
        match self {
            Wire::Plain => endpoint.connect().await,
            Wire::Tls(session) => dial(endpoint, session.config.clone()).await,
        }
    }
}

/// Connects with a TLS configuration.
pub(crate) async fn dial(endpoint: &Endpoint, config: Arc<ClientConfig>) -> Result<Channel, tonic::transport::Error> {
    let connector = Connector::new(config);
    endpoint.connect_with_connector(tower::service_fn(move |uri| connector.clone().connect(uri))).await
}

#[derive(Clone)]
struct Connector {
    tls: TlsConnector,
}

impl Connector {
    fn new(config: Arc<ClientConfig>) -> Self {
        Self { tls: TlsConnector::from(config) }
    }

    async fn connect(self, uri: Uri) -> io::Result<TokioIo<TlsStream<TcpStream>>> {
        let invalid = |cause: &str| io::Error::new(io::ErrorKind::InvalidInput, cause.to_owned());
        let host = uri.host().ok_or_else(|| invalid("no host"))?.trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host.clone()).map_err(|error| invalid(&error.to_string()))?;
        let stream = TcpStream::connect((host, uri.port_u16().unwrap_or(443))).await?;
        stream.set_nodelay(true)?;
        Ok(TokioIo::new(self.tls.connect(name, stream).await?))
    }
}

/// TLS with an identity whose certificate can be replaced: later connections use the new one.
#[derive(Debug)]
pub struct TlsSession {
    config: Arc<ClientConfig>,
    current: Arc<Current>,
    folder: Folder,
}

#[derive(Debug)]
struct Current {
    key: RwLock<Arc<CertifiedKey>>,
    credentials: RwLock<Credentials>,
}

impl ResolvesClientCert for Current {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.key.read().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn certified(credentials: &Credentials) -> Result<Arc<CertifiedKey>, String> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(credentials.key.clone()));
    let key = crypto::ring::sign::any_supported_type(&key).map_err(|error| error.to_string())?;
    let chain = vec![CertificateDer::from(credentials.certificate.clone())];
    Ok(Arc::new(CertifiedKey::new(chain, key)))
}

impl TlsSession {
    /// Returns a session with these credentials, which are saved in `folder` when they are renewed.
    ///
    /// # Errors
    /// A readable message, if the credentials are damaged.
    pub fn new(folder: Folder, credentials: Credentials) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(credentials.authority.clone())).map_err(|error| error.to_string())?;
        let key = RwLock::new(certified(&credentials)?);
        let current = Arc::new(Current { key, credentials: RwLock::new(credentials) });
        let provider = Arc::new(crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_client_cert_resolver(current.clone());
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self { config: Arc::new(config), current, folder })
    }

    /// Returns the present credentials.
    pub fn credentials(&self) -> Credentials {
        self.current.credentials.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the folder of the credentials.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Uses renewed credentials from now on.
    pub(crate) fn replace(&self, credentials: Credentials) -> Result<(), String> {
        let key = certified(&credentials)?;
        *self.current.key.write().unwrap_or_else(PoisonError::into_inner) = key;
        *self.current.credentials.write().unwrap_or_else(PoisonError::into_inner) = credentials;
        Ok(())
    }
}

/// Returns a configuration for servers of the pinned authority, without a client certificate: to join.
pub(crate) fn pinned(pin: Pin) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(PinVerifier::new(pin)))
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Arc::new(config))
}

/// Returns a channel to a server of the pinned authority, without a client certificate: for public calls.
///
/// # Errors
/// If there is no answer, or if the server belongs to another authority.
pub async fn stranger(pin: Pin, endpoint: &Endpoint) -> Result<Channel, String> {
    dial(endpoint, pinned(pin)?).await.map_err(|error| error.to_string())
}
