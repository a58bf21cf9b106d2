//! Several coordinators, one of which leads: calls go to the one that answered last, and to the next one if it does not.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pretext_proto::refusal::{self, Kind};
use pretext_proto::v1::sweeps_server::SERVICE_NAME;
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::address::Target;
use crate::backoff::Backoff;
use crate::error::{ClientError, is_retryable};

/// After this time without a word, a worker asks whether its coordinator is still there.
const SILENCE: Duration = Duration::from_secs(20);
/// And this long it waits for the answer.
const ANSWER: Duration = Duration::from_secs(10);

/// Checks that the coordinator at `url` leads: a standby reports to health checks that it does not serve.
///
/// # Errors
/// When it does not lead, or does not answer within `patience`.
pub async fn leads(url: &str, channel: Channel, patience: Duration) -> Result<(), ClientError> {
    let unreachable = |cause: &str| ClientError::Unreachable { url: url.to_owned(), cause: cause.to_owned() };
    let mut check = Request::new(HealthCheckRequest { service: SERVICE_NAME.to_owned() });
    check.set_timeout(patience);
    let answer = HealthClient::new(channel).check(check).await.map_err(|status| unreachable(status.message()))?;
    match answer.into_inner().status() {
        ServingStatus::Serving => Ok(()),
        _ => Err(unreachable("it is a standby")),
    }
}

/// Calls to whichever coordinator leads, made with a client `C` of each.
pub struct Calls<C> {
    /// At least one.
    coordinators: Arc<[(Target, C)]>,
    /// The one that answered last.
    current: Arc<AtomicUsize>,
}

impl<C> Clone for Calls<C> {
    fn clone(&self) -> Self {
        Self { coordinators: self.coordinators.clone(), current: self.current.clone() }
    }
}

impl<C: Clone> Calls<C> {
    /// Calls to `targets`, through the client that `client` makes of a channel. The first call connects.
    /// Returns `None` if there are no targets.
    pub fn new(targets: Vec<Target>, client: impl Fn(Channel) -> C) -> Option<Self> {
        let connected = targets.into_iter().map(|target| {
            let endpoint = target.address.endpoint(SILENCE, ANSWER).keep_alive_while_idle(true);
            let client = client(target.wire.connect_lazy(&endpoint));
            (target, client)
        });
        let coordinators: Arc<[_]> = connected.collect();
        (!coordinators.is_empty()).then(|| Self { coordinators, current: Arc::new(AtomicUsize::new(0)) })
    }

    /// Makes one call. If it is not answered, the next call goes to the next coordinator.
    ///
    /// # Errors
    /// The refusal, or that there was no answer.
    pub async fn call<T, F>(&self, call: impl FnOnce(C) -> F) -> Result<T, Status>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let current = self.current.load(Ordering::Relaxed);
        let answer = call(self.coordinators[current].1.clone()).await;
        if answer.as_ref().is_err_and(is_retryable) {
            self.turn_from(current);
        }
        answer
    }

    /// Repeats `call` until it is answered; an answer may be a refusal.
    ///
    /// # Errors
    /// The refusal.
    pub async fn persist<T, F>(&self, what: &'static str, call: impl Fn(C) -> F) -> Result<T, Status>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let (mut backoff, mut told) = (Backoff::default(), false);
        loop {
            let status = match self.call(&call).await {
                Err(status) => status,
                answered => return answered,
            };
            let Kind::Retryable(after) = refusal::kind(&status) else { return Err(status) };
            if !std::mem::replace(&mut told, true) {
                let urls: Vec<&str> = self.coordinators.iter().map(|(target, _)| target.address.url()).collect();
                let coordinators = urls.join(", ");
                tracing::info!(what, %coordinators, error = status.message(), "waiting for the coordinator");
            }
            tokio::time::sleep(after.unwrap_or_default().max(backoff.pause())).await;
        }
    }

    /// Turns to the coordinator after `current`, which does not serve, unless another call has turned already.
    fn turn_from(&self, current: usize) {
        let next = (current + 1) % self.coordinators.len();
        let turned = self.current.compare_exchange(current, next, Ordering::Relaxed, Ordering::Relaxed);
        if turned.is_ok() && next != current {
            let url = |at: usize| self.coordinators[at].0.address.url();
            tracing::debug!(from = %url(current), to = %url(next), "trying another coordinator");
        }
    }
}

#[cfg(test)]
mod tests {
    use pretext_identity::Wire;

    use super::*;

    #[tokio::test]
    async fn the_coordinator_that_serves_is_kept() {
        let target = |url: &str| Target { address: url.parse().expect("a URL"), wire: Wire::Plain };
        let calls = Calls::new(["http://a:1", "http://b:2", "http://c:3"].map(target).to_vec(), |_| ()).expect("three");
        let current = || calls.current.load(Ordering::Relaxed);
        let answer = |answer: Result<(), Status>| calls.call(|()| async move { answer });
        assert!(answer(Ok(())).await.is_ok() && current() == 0);
        // A refusal is an answer.
        assert!(answer(Err(Status::failed_precondition("no"))).await.is_err() && current() == 0);
        assert!(answer(Err(Status::unavailable("down"))).await.is_err() && current() == 1);
        // Two calls that find the same one gone turn once.
        let gone = || calls.call(|()| async { Err::<(), _>(Status::deadline_exceeded("no answer in time")) });
        let both = tokio::join!(gone(), async {
            calls.turn_from(1);
        });
        assert!(both.0.is_err() && current() == 2, "{}", current());
        assert!(answer(Err(Status::unavailable("down"))).await.is_err() && current() == 0, "after the last the first");
        assert!(Calls::new(Vec::new(), |_| ()).is_none());
    }
}
