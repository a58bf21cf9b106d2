//! A coordinator on a server's store. It is a standby until it leads, and answers on its ports in both states
//! (`turn.rs`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pretext_artifacts::Artifacts;
use pretext_store::{Durability, Lead, RedisHome, RedisOptions, RedisStore, Store};

use crate::entrance::{Entrance, Open};
use crate::serve::{Coordinator, Options, StartError, Work};

/// A coordinator that does not lead, or not yet.
pub struct Standby {
    open: Open,
    home: Arc<RedisHome>,
    artifacts: Artifacts,
    options: Options,
}

impl Standby {
    /// Listens and refuses calls until [`Standby::lead`] has the lead; checks the store's server and the artifact
    /// store.
    pub async fn start(options: Options, mut redis: RedisOptions) -> Result<Self, StartError> {
        let entrance = Entrance::bind(&options).await?;
        redis.name = name(entrance.address());
        // Open the ports before asking the store: health checks of the process do not depend on the store.
        let open = entrance.open()?;
        let home = Arc::new(blocking(move || RedisHome::open(redis)).await??);
        let artifacts = Artifacts::open(&options.artifacts).await?;
        artifacts.probe().await?;
        Ok(Self { open, home, artifacts, options })
    }

    /// Returns the address that the coordinator listens on.
    pub fn address(&self) -> SocketAddr {
        self.open.address
    }

    /// Returns the address of health checks and metrics, if any.
    pub fn monitor(&self) -> Option<SocketAddr> {
        self.open.monitor
    }

    /// Returns `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        self.options.exposure.scheme()
    }

    /// Returns the store's address, without secrets.
    pub fn store(&self) -> String {
        self.home.address()
    }

    /// Returns what the store's server guarantees.
    pub fn durability(&self) -> &Durability {
        self.home.durability()
    }

    /// Waits for the lead, then serves. Returns the coordinator and its term.
    pub async fn lead(self) -> Result<(Coordinator, u64), StartError> {
        let Self { open, home, artifacts, options } = self;
        let pace = home.lease() / 5;
        let store: RedisStore = loop {
            let home = home.clone();
            match blocking(move || home.lead()).await?? {
                Lead::Leads(store) => break *store,
                Lead::Held { by, left } => {
                    open.desk.turn.led_by(by);
                    tokio::time::sleep(pace.min(left + Duration::from_millis(1))).await;
                }
            }
        };
        let term = store.term();
        tracing::info!(term, "leads");
        let store: Arc<dyn Store> = Arc::new(store);
        let work = Work::begin(&open.desk, store, artifacts, &options).await?;
        Ok((Coordinator::serving(open, work, &options), term))
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
