//! The client's side of the wire: which coordinator leads, how calls are repeated, and what an error means to a person.
//! The command line and the worker's daemon both stand on it.

mod address;
mod backoff;
mod client;
mod data;
mod error;
mod leader;

pub use address::{Address, InvalidAddress, Target};
pub use backoff::Backoff;
pub use client::Client;
pub use data::Sent;
pub use error::{ClientError, innermost, is_retryable};
pub use leader::{Calls, leads};
