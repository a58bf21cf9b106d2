//! A coordinator on a shared store: a standby until it leads. It answers on its ports all the while
//! ([`crate::leadership`]).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pretext_artifacts::Artifacts;
use pretext_store::{Durability, Lead, Led, SharedStore, StoreError};

use crate::frontend::{BoundFrontend, Frontend};
use crate::serve::{Coordinator, Work};
use crate::start::{Options, StartError};

/// A coordinator that does not lead, or not yet.
pub struct Standby {
    frontend: Frontend,
    home: Arc<dyn SharedStore>,
    artifacts: Artifacts,
    options: Options,
}

impl Standby {
    /// Listens, refuses calls until [`Standby::lead`] has the lead, and checks the store and the artifacts. `open` opens
    /// the store in the name of this coordinator; it may block.
    pub async fn start<H: SharedStore + 'static>(
        options: Options,
        open: impl FnOnce(String) -> Result<H, StoreError> + Send + 'static,
    ) -> Result<Self, StartError> {
        let bound = BoundFrontend::bind(&options.listen).await?;
        let name = name(bound.address());
        // Open the ports first: that the process lives does not depend on the store.
        let frontend = bound.open()?;
        let home = Arc::new(blocking(move || open(name)).await??);
        let artifacts = Artifacts::open(&options.artifacts).await?;
        artifacts.probe().await?;
        Ok(Self { frontend, home, artifacts, options })
    }

    /// Returns the address that the coordinator listens on.
    pub fn address(&self) -> SocketAddr {
        self.frontend.address
    }

    /// Returns the address of health checks and metrics, if any.
    pub fn monitor(&self) -> Option<SocketAddr> {
        self.frontend.monitor
    }

    /// Returns `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        self.options.listen.scheme()
    }

    /// Returns the store's address, without secrets.
    pub fn store(&self) -> String {
        self.home.address()
    }

    /// Returns what the store's server guarantees.
    pub fn durability(&self) -> &Durability {
        self.home.durability()
    }

    /// Waits for the lead, then serves. Returns the term too.
    pub async fn lead(self) -> Result<(Coordinator, u64), StartError> {
        let Self { frontend, home, artifacts, options } = self;
        let pace = home.lease() / 5;
        let Led { store, term } = loop {
            let home = home.clone();
            match blocking(move || home.lead()).await?? {
                Lead::Leads(led) => break led,
                Lead::Held { by, left } => {
                    frontend.context.leadership.led_by(by);
                    tokio::time::sleep(pace.min(left + Duration::from_millis(1))).await;
                }
            }
        };
        tracing::info!(term, "leads");
        let work = Work::begin(&frontend.context, store, artifacts, &options).await?;
        Ok((Coordinator::serving(frontend, work, &options), term))
    }
}

/// Returns the name by which standbys call a coordinator: the address that it listens on. If it listens on all
/// addresses, the name is this machine's name and the port.
fn name(address: SocketAddr) -> String {
    if !address.ip().is_unspecified() {
        return address.to_string();
    }
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{host}:{}", address.port())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StartError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| StartError::Thread(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coordinator_that_listens_everywhere_is_called_by_its_machine() {
        let named = |address: &str| name(address.parse().expect("an address"));
        assert_eq!(named("127.0.0.2:7878"), "127.0.0.2:7878");
        let everywhere = named("0.0.0.0:7878");
        assert!(everywhere.ends_with(":7878") && !everywhere.starts_with("0.0.0.0"), "{everywhere}");
    }
}
