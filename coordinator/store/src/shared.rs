//! A store that several coordinators share. One of them leads, and only the leader can use the store.

use std::sync::Arc;
use std::time::Duration;

use crate::{Durability, Store, StoreError};

/// A checked server with a store on which this process does not lead yet.
pub trait SharedStore: Send + Sync {
    /// Returns the address, without secrets.
    fn address(&self) -> String;

    /// Returns what the server guarantees.
    fn durability(&self) -> &Durability;

    /// Returns how long the lead lasts without a sign of life.
    fn lease(&self) -> Duration;

    /// Takes the lead, unless another coordinator has it. Blocks.
    ///
    /// # Errors
    /// If the server does not answer, or holds another format.
    fn lead(self: Arc<Self>) -> Result<Lead<Led>, StoreError>;
}

/// A store on which this process leads.
pub struct Led {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The term: higher than all before.
    pub term: u64,
}

/// The outcome of an attempt to lead.
pub enum Lead<S> {
    /// This process leads.
    Leads(S),
    /// Another coordinator leads; its lease lasts for `left` unless it is renewed.
    Held {
        /// Its name.
        by: String,
        /// The rest of its lease.
        left: Duration,
    },
}
