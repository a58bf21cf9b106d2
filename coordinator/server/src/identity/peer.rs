//! The identity of the other end of a connection.

use std::time::SystemTime;

use pretext_identity::Role;

/// A peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// Without TLS: a program on this machine, or with `--insecure` on any machine. It may do everything.
    Open,
    /// With TLS, but without a certificate.
    Stranger,
    /// With a certificate of this coordinator's authority.
    Known(Identity),
}

/// A certified identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its role.
    pub role: Role,
    /// Its name.
    pub name: String,
    /// Serial number of its certificate, in hexadecimal digits.
    pub serial: String,
    /// Time at which its certificate was issued.
    pub since: SystemTime,
    /// Time at which its certificate expires.
    pub not_after: SystemTime,
}

impl Peer {
    /// Returns the peer's name in logs.
    pub fn label(&self) -> String {
        match self {
            Peer::Open => "open".to_owned(),
            Peer::Stranger => "stranger".to_owned(),
            Peer::Known(identity) => format!("{}/{}", identity.role, identity.name),
        }
    }
}
