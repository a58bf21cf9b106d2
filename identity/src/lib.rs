//! Who talks to whom: roles, join tokens, and the client's side of TLS. The coordinator is the authority and keeps
//! the register (`coordinator/src/identity`); workers and people hold a token once and a certificate afterwards.

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
