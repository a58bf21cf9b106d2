//! Identities: the authority that issues certificates, the register of tokens and names, the table of allowed calls,
//! and connections that carry the identity of their peer.

mod accept;
pub mod access;
mod authority;
mod peer;
mod register;
mod service;

#[cfg(test)]
mod tests;

pub use accept::{Connection, Ports, accept};
pub use authority::{Authority, AuthorityError, CERTIFICATE_LIFE, ServerTls, write_new};
pub use peer::{Identity, Peer};
pub use register::{Register, RegisterError, TokenRecord, Uses};
pub use service::IdentityService;
