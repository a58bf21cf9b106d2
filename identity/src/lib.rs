//! Identities on the client's side: roles, join tokens and TLS. The coordinator is the authority and keeps the register
//! (`coordinator/src/identity`). Workers and people need a token once, and use a certificate afterwards.

mod credentials;
mod join;
mod pin;
mod role;
mod token;
mod wire;

pub use credentials::{Credentials, CredentialsError, Folder};
pub use join::{Enrollment, JoinError, keep_fresh, renew};
pub use pin::Pin;
pub use role::Role;
pub use token::{JoinToken, TokenError};
pub use wire::{TlsSession, Wire, stranger};
