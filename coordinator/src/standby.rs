//! A coordinator on a server's store: it stands by until it leads. Until then it says so, on the address
//! on which it will serve: to health checks as NOT_SERVING, to every call as UNAVAILABLE, so that workers and
//! people go on to the next address. Where it will serve with TLS it says nothing in the clear: whoever connects is hung up
//! on, which sends them on as well.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use pretext_proto::v1::sweeps_server::SweepsServer;
use pretext_proto::v1::work_server::WorkServer;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Status;
use tonic::codegen::{Service, http};
use tonic::server::NamedService;

use crate::exposure::Door;
use crate::grpc::{SweepsService, WorkService};
use crate::serve::{Coordinator, Options, StartError, listen};
use crate::store::{Durability, Lead, RedisHome, RedisOptions, RedisStore, Store};

/// How every refusal of a coordinator that stands by begins.
pub const STANDS_BY: &str = "this coordinator stands by";
/// How long calls that came before the lead was taken may take to be refused.
const DRAIN: Duration = Duration::from_millis(500);

/// A coordinator that does not lead, or not yet.
pub struct Standby {
    listener: std::net::TcpListener,
    address: SocketAddr,
    home: Arc<RedisHome>,
    options: Options,
    leader: Leader,
    stop: oneshot::Sender<()>,
}

/// The name of who leads, for refusals.
type Leader = Arc<Mutex<String>>;

impl Standby {
    /// Listens, checks the store's server, and refuses calls until [`Standby::lead`] has the lead.
    pub async fn start(options: Options, mut redis: RedisOptions) -> Result<Self, StartError> {
        let listener = listen(options.listen)?;
        let failed = |cause| StartError::Listen { address: options.listen, cause, hint: "" };
        let address = listener.local_addr().map_err(failed)?;
        redis.name = address.to_string();
        let home = Arc::new(blocking(move || RedisHome::open(redis)).await??);
        let leader = Leader::default();
        let own = TcpListener::from_std(listener.try_clone().map_err(failed)?).map_err(failed)?;
        let (stop, stopped) = oneshot::channel();
        match options.exposure.door {
            Door::Tls { .. } => hang_up(own, stopped),
            Door::Plain => refuse(own, leader.clone(), stopped).await,
        }
        Ok(Self { listener, address, home, options, leader, stop })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How it will be spoken to.
    pub fn scheme(&self) -> &'static str {
        self.options.exposure.scheme()
    }

    /// The store's address, without secrets.
    pub fn store(&self) -> String {
        self.home.address()
    }

    /// What the store's server can and cannot promise.
    pub fn durability(&self) -> &Durability {
        self.home.durability()
    }

    fn led_by(&self, name: String) {
        let mut leader = self.leader.lock().unwrap_or_else(PoisonError::into_inner);
        if *leader != name {
            tracing::info!(leader = %name, "stands by");
            *leader = name;
        }
    }

    /// Waits for the lead, and serves. Returns the term too.
    pub async fn lead(self) -> Result<(Coordinator, u64), StartError> {
        let pace = self.home.lease() / 5;
        let store: RedisStore = loop {
            let home = self.home.clone();
            match blocking(move || home.lead()).await?? {
                Lead::Leads(store) => break *store,
                Lead::Held { by, left } => {
                    self.led_by(by);
                    tokio::time::sleep(pace.min(left + Duration::from_millis(1))).await;
                }
            }
        };
        let term = store.term();
        tracing::info!(term, "leads");
        // A dropped sender means the same as a sent stop. Who is connected is told to connect again.
        drop(self.stop);
        let store: Arc<dyn Store> = Arc::new(store);
        Ok((Coordinator::serve(self.listener, store, self.options).await?, term))
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StartError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| StartError::Thread(error.to_string()))
}

/// Ends every connection until it is told to stop.
fn hang_up(listener: TcpListener, stopped: oneshot::Receiver<()>) {
    tokio::spawn(async move {
        let accepting = async {
            // An error of one connection is no reason to let the next one wait.
            loop {
                drop(listener.accept().await);
            }
        };
        tokio::select! {
            () = accepting => {}
            _ = stopped => {}
        }
    });
}

/// Serves refusals until it is told to stop.
async fn refuse(listener: TcpListener, leader: Leader, stopped: oneshot::Receiver<()>) {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_not_serving::<SweepsServer<SweepsService>>().await;
    health.set_not_serving::<WorkServer<WorkService>>().await;
    let (told, telling) = oneshot::channel::<()>();
    let server = tonic::transport::Server::builder()
        .add_service(health_service)
        .add_service(Refusing::<SweepsServer<SweepsService>>::new(leader.clone()))
        .add_service(Refusing::<WorkServer<WorkService>>::new(leader))
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), async {
            let _ = stopped.await;
            drop(told);
        });
    let mut server = tokio::spawn(server);
    tokio::spawn(async move {
        let _ = telling.await;
        if tokio::time::timeout(DRAIN, &mut server).await.is_err() {
            server.abort();
        }
    });
}

/// Refuses every call of the service `S`.
struct Refusing<S> {
    leader: Leader,
    service: PhantomData<fn() -> S>,
}

impl<S> Refusing<S> {
    fn new(leader: Leader) -> Self {
        Self { leader, service: PhantomData }
    }
}

impl<S> Clone for Refusing<S> {
    fn clone(&self) -> Self {
        Self::new(self.leader.clone())
    }
}

impl<S: NamedService> NamedService for Refusing<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, B> Service<http::Request<B>> for Refusing<S> {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<B>) -> Self::Future {
        let leader = self.leader.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let message = if leader.is_empty() {
            format!("{STANDS_BY}: it is about to look who leads")
        } else {
            format!("{STANDS_BY}: the coordinator at {leader} leads")
        };
        ready(Ok(Status::unavailable(message).into_http()))
    }
}
