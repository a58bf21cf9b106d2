//! The certificate authority: one key and one certificate in the identity folder, made by `coordinator init-ca`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use base64ct::Encoding;
use pretext_identity::{Pin, Role};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SerialNumber,
};
use ring::rand::{SecureRandom, SystemRandom};
use tokio_rustls::rustls::pki_types::{
    CertificateDer, CertificateSigningRequestDer, PrivateKeyDer, PrivatePkcs8KeyDer,
};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{GrantKey, Identity, Peer};

/// Default lifetime of the certificate of a worker, a person or this server.
pub const CERTIFICATE_LIFE: Duration = Duration::from_secs(24 * 3600);
/// Lifetime of the authority's certificate.
const AUTHORITY_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Largest difference by which the clocks of other machines may be behind.
const CLOCK_SKEW: Duration = Duration::from_secs(300);

/// The reason why the authority cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The disk failed.
    #[error("cannot {action} {path}: {cause}", path = path.display())]
    Io {
        /// The failed action.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// There is no authority.
    #[error("there is no authority in {}: create one with `coordinator init-ca`", .0.display())]
    Missing(PathBuf),
    /// There is an authority already.
    #[error("there is an authority in {} already; replacing it would lock out every worker", .0.display())]
    Exists(PathBuf),
    /// A key or certificate cannot be made or read.
    #[error("certificates cannot be made: {0}")]
    Certificate(String),
    /// A request to certify a key is not valid.
    #[error("the certificate request is not valid: {0}")]
    Request(String),
}

impl AuthorityError {
    fn certificate(error: impl std::fmt::Display) -> Self {
        AuthorityError::Certificate(error.to_string())
    }
}

/// The certificate authority.
#[derive(Debug)]
pub struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    grants: GrantKey,
    life: Duration,
}

/// An issued certificate of a worker or a person.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate, as DER.
    pub certificate: Vec<u8>,
    /// Its serial number, in hexadecimal digits.
    pub serial: String,
    /// The time at which it expires.
    pub not_after: SystemTime,
}

/// A key and its certificate in PEM.
pub struct PemPair {
    /// The authority's certificate.
    pub authority: String,
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> AuthorityError {
    let path = path.to_owned();
    move |cause| AuthorityError::Io { action, path, cause }
}

/// Creates a file with `text`, readable only by its owner, and makes it durable.
///
/// # Errors
/// If the file exists already, or if the disk fails.
pub fn write_new(path: &Path, text: &str) -> Result<(), AuthorityError> {
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io_error("make", path))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io_error("write", path))
}

fn random<const N: usize>() -> Result<[u8; N], AuthorityError> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| AuthorityError::certificate("the system provides no random numbers"))?;
    Ok(bytes)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns a serial number that no other certificate has: 16 random bytes, positive.
fn serial() -> Result<[u8; 16], AuthorityError> {
    let mut bytes = random::<16>()?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(bytes)
}

impl Authority {
    /// Creates an authority in `folder`, which is created if it is missing.
    ///
    /// # Errors
    /// If there is an authority already, or if it cannot be saved.
    pub fn create(folder: &Path) -> Result<Pin, AuthorityError> {
        let (certificate_file, key_file) = (folder.join("ca.pem"), folder.join("ca.key"));
        if certificate_file.exists() || key_file.exists() {
            return Err(AuthorityError::Exists(folder.to_owned()));
        }
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io_error("make", folder))?;
        let key = KeyPair::generate().map_err(AuthorityError::certificate)?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Pretext authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.serial_number = Some(SerialNumber::from_slice(&serial()?));
        let now = SystemTime::now();
        (params.not_before, params.not_after) = ((now - CLOCK_SKEW).into(), (now + AUTHORITY_LIFE).into());
        let certificate = params.self_signed(&key).map_err(AuthorityError::certificate)?;
        write_new(&key_file, &key.serialize_pem())?;
        write_new(&certificate_file, &certificate.pem())?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error("sync", folder))?;
        Ok(Pin::of(certificate.der()))
    }

    /// Opens the authority in `folder`; it issues certificates that last for `life`.
    ///
    /// # Errors
    /// If there is no authority, or if it is damaged.
    pub fn open(folder: &Path, life: Duration) -> Result<Self, AuthorityError> {
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path).map_err(|cause| match cause.kind() {
                io::ErrorKind::NotFound => AuthorityError::Missing(folder.to_owned()),
                _ => AuthorityError::Io { action: "read", path, cause },
            })
        };
        let key = KeyPair::from_pem(&read("ca.key")?).map_err(AuthorityError::certificate)?;
        let (_, pem) = x509_parser::pem::parse_x509_pem(read("ca.pem")?.as_bytes())
            .map_err(|error| AuthorityError::Certificate(error.to_string()))?;
        let certificate = CertificateDer::from(pem.contents);
        let grants = GrantKey::derive(key.serialized_der());
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(AuthorityError::certificate)?;
        Ok(Self { certificate, issuer, grants, life })
    }

    /// Returns the hash that identifies the authority.
    pub fn pin(&self) -> Pin {
        Pin::of(&self.certificate)
    }

    /// Returns the key for proofs of grants.
    pub fn grant_key(&self) -> &GrantKey {
        &self.grants
    }

    /// Returns the authority's certificate, as DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// Returns the time at which the authority's certificate expires.
    pub fn not_after(&self) -> Option<SystemTime> {
        let (_, certificate) = X509Certificate::from_der(&self.certificate).ok()?;
        Some(time(certificate.validity().not_after.timestamp()))
    }

    /// Creates a key and a certificate in PEM, for a program that cannot join by itself.
    ///
    /// # Errors
    /// If they cannot be made.
    pub fn key_pair(&self, role: Role, name: &str) -> Result<PemPair, AuthorityError> {
        let key = KeyPair::generate().map_err(AuthorityError::certificate)?;
        let csr = CertificateParams::default().serialize_request(&key).map_err(AuthorityError::certificate)?;
        let issued = self.certify(csr.der(), role, name)?;
        Ok(PemPair {
            authority: pem(&self.certificate),
            certificate: pem(&issued.certificate),
            key: key.serialize_pem(),
        })
    }

    /// Issues a certificate for the key of `csr`, for `name` in `role`. Only the key is taken from the request.
    ///
    /// # Errors
    /// If the request is not signed with its own key.
    pub fn certify(&self, csr: &[u8], role: Role, name: &str) -> Result<Issued, AuthorityError> {
        let csr = CertificateSigningRequestDer::from(csr.to_vec());
        let mut request = CertificateSigningRequestParams::from_der(&csr)
            .map_err(|error| AuthorityError::Request(error.to_string()))?;
        let (serial, not_after) = (serial()?, SystemTime::now() + self.life);
        request.params = self.params(serial, not_after, ExtendedKeyUsagePurpose::ClientAuth);
        request.params.distinguished_name.push(DnType::CommonName, name);
        request.params.distinguished_name.push(DnType::OrganizationalUnitName, role.as_str());
        let certificate = request.signed_by(&self.issuer).map_err(AuthorityError::certificate)?;
        Ok(Issued { certificate: certificate.der().to_vec(), serial: hex(&serial), not_after })
    }

    fn params(&self, serial: [u8; 16], not_after: SystemTime, usage: ExtendedKeyUsagePurpose) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        (params.not_before, params.not_after) = ((SystemTime::now() - CLOCK_SKEW).into(), not_after.into());
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        params
    }

    fn server_certificate(&self, names: &[String]) -> Result<(Arc<CertifiedKey>, SystemTime), AuthorityError> {
        let key = KeyPair::generate().map_err(AuthorityError::certificate)?;
        let not_after = SystemTime::now() + self.life;
        let mut params = self.params(serial()?, not_after, ExtendedKeyUsagePurpose::ServerAuth);
        params.subject_alt_names =
            CertificateParams::new(names.to_vec()).map_err(AuthorityError::certificate)?.subject_alt_names;
        params.distinguished_name.push(DnType::CommonName, "Pretext coordinator");
        let certificate = params.signed_by(&key, &self.issuer).map_err(AuthorityError::certificate)?;
        let chain = vec![certificate.der().clone(), self.certificate.clone()];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let key = crypto::ring::sign::any_supported_type(&key).map_err(AuthorityError::certificate)?;
        Ok((Arc::new(CertifiedKey::new(chain, key)), not_after))
    }

    /// Returns the identity that a certificate of this authority certifies. The handshake has checked that the
    /// certificate is valid and issued by this authority.
    pub fn identify(certificate: &[u8]) -> Option<Identity> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let subject = certificate.subject();
        let role = subject.iter_organizational_unit().next()?.as_str().ok()?.parse().ok()?;
        let name = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
        let serial = hex(certificate.raw_serial());
        let validity = certificate.validity();
        let since = time(validity.not_before.timestamp()) + CLOCK_SKEW;
        Some(Identity { role, name, serial, since, not_after: time(validity.not_after.timestamp()) })
    }
}

/// Returns a certificate as PEM text.
fn pem(der: &[u8]) -> String {
    let encoded = base64ct::Base64::encode_string(der);
    let lines: Vec<&str> = encoded.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

fn time(unix_seconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(unix_seconds.max(0) as u64)
}

/// The server's side of TLS, with a certificate that is replaced before it expires.
#[derive(Debug)]
pub struct ServerTls {
    authority: Arc<Authority>,
    names: Vec<String>,
    current: RwLock<(Arc<CertifiedKey>, SystemTime)>,
}

impl ServerTls {
    /// Returns a server that clients reach under `names` (DNS names and addresses).
    ///
    /// # Errors
    /// If a name cannot be in a certificate.
    pub fn new(authority: Arc<Authority>, listen: IpAddr, names: &[String]) -> Result<Arc<Self>, AuthorityError> {
        let mut names = names.to_vec();
        names.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
        if !listen.is_unspecified() {
            names.push(listen.to_string());
        }
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        if pretext_shared::ids::is_valid_name(&host) {
            names.push(host);
        }
        names.sort();
        names.dedup();
        let current = RwLock::new(authority.server_certificate(&names)?);
        Ok(Arc::new(Self { authority, names, current }))
    }

    /// Returns the time at which the present certificate expires.
    pub fn not_after(&self) -> SystemTime {
        self.current.read().unwrap_or_else(PoisonError::into_inner).1
    }

    /// Makes a new certificate if two thirds of the present one's lifetime have passed.
    ///
    /// # Errors
    /// If it cannot be made; the present one stays in use.
    pub fn refresh(&self, now: SystemTime) -> Result<(), AuthorityError> {
        if now + self.authority.life / 3 >= self.not_after() {
            let fresh = self.authority.server_certificate(&self.names)?;
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
        Ok(())
    }

    /// Returns the configuration for handshakes. A client certificate is optional, because a client that joins has none
    /// yet. If there is one, it must be valid and issued by this authority.
    ///
    /// # Errors
    /// If the authority's certificate cannot be used.
    pub fn config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, AuthorityError> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.certificate.clone()).map_err(AuthorityError::certificate)?;
        let provider = Arc::new(crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .allow_unauthenticated()
            .build()
            .map_err(AuthorityError::certificate)?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(AuthorityError::certificate)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for ServerTls {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).0.clone())
    }
}

/// Returns the peer after a handshake.
pub(crate) fn peer_of(certificates: Option<&[CertificateDer<'_>]>) -> Option<Peer> {
    match certificates.and_then(<[_]>::first) {
        None => Some(Peer::Stranger),
        Some(certificate) => Authority::identify(certificate).map(Peer::Known),
    }
}
