//! Who is at the other end of a connection.

use std::time::SystemTime;

use pretext_identity::Role;

/// A peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// Without TLS: somebody on this machine, or anybody where `--insecure` was said. May do everything.
    Open,
    /// With TLS and without a certificate.
    Stranger,
    /// With a certificate of this coordinator's authority.
    Known(Identity),
}

/// A certified identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// What it may do.
    pub role: Role,
    /// Its name.
    pub name: String,
    /// Its certificate's number, in hexadecimal digits.
    pub serial: String,
    /// When its certificate was made.
    pub since: SystemTime,
    /// When its certificate ends.
    pub not_after: SystemTime,
}

impl Peer {
    /// What logs call it.
    pub fn label(&self) -> String {
        match self {
            Peer::Open => "open".to_owned(),
            Peer::Stranger => "stranger".to_owned(),
            Peer::Known(identity) => format!("{}/{}", identity.role, identity.name),
        }
    }
}
