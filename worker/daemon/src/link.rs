//! The connection to the coordinators. It reconnects by itself and repeats calls until they are answered. With several
//! coordinators it stays with the one that serves.

use std::future::Future;

use pretext_client::{Calls, InvalidAddress, Target};
use pretext_identity::Wire;
use pretext_proto::PROTOCOL;
use pretext_proto::v1 as pb;
use pretext_proto::v1::work_client::WorkClient;
use tonic::Status;
use tonic::transport::Channel;

use super::{Options, messages};

/// Why a worker cannot work with this coordinator.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Not a URL.
    #[error("{0}; it reads http://HOST:PORT or https://HOST:PORT")]
    Url(#[from] InvalidAddress),
    /// No coordinator was named.
    #[error("no coordinator was named")]
    Nowhere,
    /// The coordinator does not want this worker.
    #[error("the coordinator refused this worker: {0}")]
    Refused(String),
    /// The coordinator speaks another protocol.
    #[error("the coordinator ({version}) speaks protocol {found} and this worker ({}) speaks protocol {PROTOCOL}: install the same version on both", env!("CARGO_PKG_VERSION"))]
    Protocol {
        /// The coordinator's version.
        version: String,
        /// Its protocol.
        found: u32,
    },
}

/// See the module.
#[derive(Clone)]
pub struct Link {
    calls: Calls<WorkClient<Channel>>,
    register: pb::RegisterRequest,
}

impl Link {
    /// Returns the link of a daemon. It connects at its first call.
    ///
    /// # Errors
    /// If the address of a coordinator is missing or is not a URL.
    pub fn new(options: &Options) -> Result<Self, LinkError> {
        let register = pb::RegisterRequest {
            protocol: PROTOCOL,
            worker: Some(messages::worker(&options.worker)),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            devices: options.devices.iter().map(messages::device).collect(),
            datasets: options.datasets.clone(),
            data_cache: options.data_cache.limit,
        };
        Ok(Self { register, ..Self::to(&options.coordinators, &options.wire)? })
    }

    /// Returns a link to the coordinators `urls`, for calls about attempts that were granted before.
    ///
    /// # Errors
    /// The same as those of [`Link::new`].
    pub fn to(urls: &[String], wire: &Wire) -> Result<Self, LinkError> {
        let target = |url: &String| Ok(Target { address: url.parse()?, wire: wire.clone() });
        let targets = urls.iter().map(target).collect::<Result<Vec<_>, LinkError>>()?;
        let calls = Calls::new(targets, WorkClient::new).ok_or(LinkError::Nowhere)?;
        Ok(Self { calls, register: pb::RegisterRequest::default() })
    }

    /// The worker, as it names itself in messages.
    pub fn worker(&self) -> Option<pb::Worker> {
        self.register.worker.clone()
    }

    /// Makes the worker known; waits for a coordinator as long as it takes.
    ///
    /// # Errors
    /// When the coordinator answers that it does not want this worker.
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

    /// Makes one call. If it is not answered, the next one goes to the next coordinator.
    ///
    /// # Errors
    /// The refusal, or that there was no answer.
    pub async fn call<T, F>(&self, call: impl FnOnce(WorkClient<Channel>) -> F) -> Result<T, Status>
    where
        F: Future<Output = Result<T, Status>>,
    {
        self.calls.call(call).await
    }

    /// Repeats `call` until it is answered; an answer may be a refusal.
    ///
    /// # Errors
    /// The refusal.
    pub async fn persist<T, F>(&self, what: &'static str, call: impl Fn(WorkClient<Channel>) -> F) -> Result<T, Status>
    where
        F: Future<Output = Result<T, Status>>,
    {
        self.calls.persist(what, call).await
    }
}

#[cfg(test)]
mod tests {
    use pretext_identity::Wire;
    use pretext_shared::ids::WorkerId;

    use super::*;
    use crate::CacheOptions;

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
    async fn a_text_that_is_no_url_is_refused_by_name() {
        let Err(error) = link(&["http://a:1", "ftp://a"]) else { panic!("no URL of a coordinator") };
        assert!(error.to_string().starts_with("`ftp://a` is not the URL of a coordinator"), "{error}");
        assert!(matches!(link(&[]), Err(LinkError::Nowhere)));
    }
}
