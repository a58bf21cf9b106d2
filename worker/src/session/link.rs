//! The connection to the coordinators. It reconnects by itself and repeats calls until they are answered. With several
//! coordinators it stays with the one that serves.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pretext_identity::Wire;
use pretext_proto::PROTOCOL;
use pretext_proto::v1 as pb;
use pretext_proto::v1::work_client::WorkClient;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use super::{Options, messages};

/// Pause after the first call without an answer; doubled up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// Why a worker cannot work with this coordinator.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The URL is not valid.
    #[error("`{url}` is not the URL of a coordinator, such as http://127.0.0.1:7878: {cause}")]
    Url {
        /// The given URL.
        url: String,
        /// The cause.
        cause: String,
    },
    /// The coordinator refused this worker.
    #[error("the coordinator refused this worker: {0}")]
    Refused(String),
    /// The coordinator speaks another protocol version.
    #[error("the coordinator ({version}) speaks protocol {found} and this worker ({}) speaks protocol {PROTOCOL}: install the same version on both", env!("CARGO_PKG_VERSION"))]
    Protocol {
        /// The coordinator's version.
        version: String,
        /// The coordinator's protocol.
        found: u32,
    },
}

struct Coordinator {
    url: String,
    client: WorkClient<Channel>,
}

/// See the module.
#[derive(Clone)]
pub struct Link {
    /// The coordinators, at least one.
    coordinators: Arc<[Coordinator]>,
    /// Index of the coordinator that served last.
    current: Arc<AtomicUsize>,
    register: pb::RegisterRequest,
}

/// Returns whether the error is retryable, at the same coordinator or at another one.
pub(super) fn is_passing(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable | Code::DeadlineExceeded | Code::Unknown | Code::Cancelled | Code::Internal
    )
}

fn connect(url: &str, wire: &Wire) -> Result<Coordinator, LinkError> {
    let bad = |cause: String| LinkError::Url { url: url.to_owned(), cause };
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|error| bad(error.to_string()))?;
    if !matches!(endpoint.uri().scheme_str(), Some("http" | "https")) || endpoint.uri().host().is_none() {
        return Err(bad("it must begin with http:// or https:// and name a host".to_owned()));
    }
    let endpoint = endpoint
        .connect_timeout(Duration::from_secs(5))
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .keep_alive_while_idle(true)
        .tcp_nodelay(true);
    let channel = wire.connect_lazy(&endpoint);
    Ok(Coordinator { url: url.to_owned(), client: WorkClient::new(channel) })
}

impl Link {
    /// Returns a link that connects at its first call.
    pub fn new(options: &Options) -> Result<Self, LinkError> {
        let coordinators = options
            .coordinators
            .iter()
            .map(|url| connect(url, &options.wire))
            .collect::<Result<Arc<[Coordinator]>, _>>()?;
        if coordinators.is_empty() {
            return Err(LinkError::Url { url: String::new(), cause: "none is given".to_owned() });
        }
        let register = pb::RegisterRequest {
            protocol: PROTOCOL,
            worker: Some(messages::worker(&options.worker)),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            devices: options.devices.iter().map(messages::device).collect(),
            datasets: options.datasets.clone(),
            data_cache: options.data_cache.limit,
        };
        Ok(Self { coordinators, current: Arc::new(AtomicUsize::new(0)), register })
    }

    /// Returns the worker as messages name it.
    pub fn worker(&self) -> Option<pb::Worker> {
        self.register.worker.clone()
    }

    /// Registers the worker; waits for a coordinator as long as needed.
    ///
    /// # Errors
    /// If the coordinator refuses this worker.
    pub async fn register(&self) -> Result<pb::RegisterReply, LinkError> {
        let reply = self
            .persist("register", |mut client| {
                let request = self.register.clone();
                async move { client.register(request).await }
            })
            .await
            .map_err(|status| LinkError::Refused(status.message().to_owned()))?
            .into_inner();
        if reply.protocol != PROTOCOL {
            return Err(LinkError::Protocol { version: reply.version, found: reply.protocol });
        }
        Ok(reply)
    }

    /// Makes one call. If it is not answered, the next call goes to the next coordinator.
    ///
    /// # Errors
    /// The status of the answer, or of the missing answer.
    pub async fn call<T, F>(&self, call: impl FnOnce(WorkClient<Channel>) -> F) -> Result<T, Status>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let current = self.current.load(Ordering::Relaxed);
        let answer = call(self.coordinators[current].client.clone()).await;
        if answer.as_ref().is_err_and(is_passing) {
            self.turn_from(current);
        }
        answer
    }

    /// Repeats `call` until it is answered; an answer may be a refusal.
    ///
    /// # Errors
    /// The refusal.
    pub async fn persist<T, F>(&self, what: &'static str, call: impl Fn(WorkClient<Channel>) -> F) -> Result<T, Status>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.call(&call).await {
                Err(status) if is_passing(&status) => {
                    if pause == FIRST_PAUSE {
                        let coordinators: Vec<&str> = self.coordinators.iter().map(|each| each.url.as_str()).collect();
                        let coordinators = coordinators.join(", ");
                        tracing::info!(what, %coordinators, error = status.message(), "waiting for the coordinator");
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(MAX_PAUSE);
                }
                answered => return answered,
            }
        }
    }

    /// Turns to the next coordinator because the one at `current` does not serve, unless another call has done so
    /// already.
    fn turn_from(&self, current: usize) {
        let next = (current + 1) % self.coordinators.len();
        let turned = self.current.compare_exchange(current, next, Ordering::Relaxed, Ordering::Relaxed);
        if turned.is_ok() && next != current {
            tracing::debug!(from = %self.coordinators[current].url, to = %self.coordinators[next].url, "trying another coordinator");
        }
    }
}

#[cfg(test)]
mod tests {
    use pretext_shared::ids::WorkerId;

    use super::*;
    use crate::session::CacheOptions;

    fn link(urls: &[&str]) -> Result<Link, LinkError> {
        Link::new(&Options {
            worker: WorkerId { name: "w".to_owned(), boot: uuid::Uuid::nil() },
            coordinators: urls.iter().map(|url| (*url).to_owned()).collect(),
            devices: Vec::new(),
            threads: 1,
            data_root: ".".into(),
            datasets: Vec::new(),
            state_dir: ".".into(),
            spool_limit: 0,
            until_idle: None,
            data_cache: CacheOptions { folder: ".".into(), limit: 0 },
            wire: Wire::Plain,
        })
    }

    #[tokio::test]
    async fn the_coordinator_that_serves_is_kept() {
        let link = link(&["http://a:1", "http://b:2", "http://c:3"]).expect("three URLs");
        let current = || link.current.load(Ordering::Relaxed);
        let answer = |answer: Result<(), Status>| link.call(|_| async move { answer });
        assert!(answer(Ok(())).await.is_ok() && current() == 0);
        // A refusal is an answer.
        assert!(answer(Err(Status::failed_precondition("no"))).await.is_err() && current() == 0);
        assert!(answer(Err(Status::unavailable("down"))).await.is_err() && current() == 1);
        // Two calls that both find the coordinator gone turn to the next one only once.
        let gone = || link.call(|_| async { Err::<(), _>(Status::deadline_exceeded("no answer in time")) });
        let both = tokio::join!(gone(), async {
            link.turn_from(1);
        });
        assert!(both.0.is_err() && current() == 2, "{}", current());
        assert!(answer(Err(Status::unavailable("down"))).await.is_err() && current() == 0, "after the last the first");
    }

    #[tokio::test]
    async fn what_is_no_url_is_refused_in_words() {
        for url in ["127.0.0.1:7878", "ftp://a", "http://", ""] {
            let Err(error) = link(&["http://a:1", url]) else { panic!("`{url}` is no URL of a coordinator") };
            assert!(error.to_string().starts_with(&format!("`{url}` is not the URL of a coordinator")), "{error}");
        }
        assert!(link(&[]).is_err());
    }
}
