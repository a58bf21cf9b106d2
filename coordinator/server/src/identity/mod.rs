//! Identities: the authority that issues certificates, and the register of tokens and names. The
//! authority's key also proves which attempts were granted to whom.

mod authority;
mod grant;
mod peer;
mod register;
mod service;

#[cfg(test)]
mod tests;

pub(crate) use authority::peer_of;
pub use authority::{Authority, AuthorityError, CERTIFICATE_LIFE, ServerTls, write_new};
pub use grant::GrantKey;
pub use peer::{Identity, Peer};
pub use register::{Register, RegisterError, TokenRecord, Uses};
pub use service::IdentityService;
