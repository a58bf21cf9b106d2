//! Accepts connections: limits their number, runs the TLS handshake within a time limit, and closes a connection when
//! its certificate expires.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

use crate::identity::{Peer, peer_of};
use crate::metrics::{Denial, Metrics};

/// Time limit of a handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Longest life of a connection without a certificate: joining takes a moment.
const STRANGER_LIFE: Duration = Duration::from_secs(30);
/// Most connections without a certificate. They take nothing from the programs that have one.
const MAX_STRANGERS: usize = 64;
/// Pause after the system could not accept a connection (no file descriptors are left).
const PAUSE: Duration = Duration::from_millis(100);
/// Most connections that wait to be served.
const WAITING: usize = 64;

/// Accepts connections.
#[derive(Clone)]
pub struct Acceptor {
    /// TLS, or `None` for plain text.
    pub tls: Option<Arc<ServerConfig>>,
    /// Most simultaneous connections.
    pub max_connections: usize,
    /// The metrics that count connections.
    pub metrics: Arc<Metrics>,
    /// What a peer without a certificate gets.
    pub strangers: Strangers,
}

/// What a peer gets that shows no certificate.
#[derive(Clone)]
pub enum Strangers {
    /// A short connection, in which it can join. Each takes a permit.
    Brief(Arc<Semaphore>),
    /// A connection like any other: a browser says later who it is.
    Welcome,
}

impl Strangers {
    /// Returns the limits of a port for programs.
    pub fn brief() -> Self {
        Self::Brief(Arc::new(Semaphore::new(MAX_STRANGERS)))
    }
}

enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection whose peer is known.
pub struct Connection {
    io: Io,
    peer: Peer,
    /// The time at which the connection ends: the peer's certificate expires, or a peer without one has had its time.
    end: Option<(Pin<Box<Sleep>>, Ended)>,
    _stranger: Option<OwnedSemaphorePermit>,
    _permit: ConnectionPermit,
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, thiserror::Error)]
enum Ended {
    #[error("the peer's certificate has expired")]
    Expired,
    #[error("a connection without a certificate may last {} s", STRANGER_LIFE.as_secs())]
    Stranger,
}

impl From<Ended> for io::Error {
    fn from(ended: Ended) -> Self {
        io::Error::new(io::ErrorKind::ConnectionAborted, ended)
    }
}

/// A permit for one connection; dropping it frees the permit.
struct ConnectionPermit {
    _permit: OwnedSemaphorePermit,
    acceptor: Acceptor,
}

impl ConnectionPermit {
    fn take(permits: &Arc<Semaphore>, acceptor: &Acceptor) -> Option<Self> {
        let permit = permits.clone().try_acquire_owned().ok()?;
        acceptor.metrics.connection_opened();
        Some(Self { _permit: permit, acceptor: acceptor.clone() })
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.acceptor.metrics.connection_closed();
    }
}

impl Acceptor {
    /// Returns the connections that arrive at `listener`, until the stream is dropped.
    pub fn connections(self, listener: TcpListener) -> ReceiverStream<io::Result<Connection>> {
        let (ready, stream) = mpsc::channel(WAITING);
        let acceptor = self;
        let permits = Arc::new(Semaphore::new(acceptor.max_connections));
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = ready.closed() => return,
                };
                match accepted {
                    Ok((socket, address)) => match ConnectionPermit::take(&permits, &acceptor) {
                        Some(permit) => {
                            let ready = ready.clone();
                            tokio::spawn(async move {
                                match tokio::time::timeout(HANDSHAKE, open(socket, permit)).await {
                                    // A server that is stopping takes no more connections.
                                    Ok(Ok(connection)) => drop(ready.send(Ok(connection)).await),
                                    Ok(Err((error, metrics))) => {
                                        metrics.denied(Denial::Handshake);
                                        tracing::info!(%address, %error, "refused a connection in the handshake");
                                    }
                                    Err(_) => tracing::info!(%address, "a handshake took too long"),
                                }
                            });
                        }
                        None => {
                            acceptor.metrics.denied(Denial::Connections);
                            tracing::warn!(%address, most = acceptor.max_connections, "refused a connection: the limit of connections is reached");
                        }
                    },
                    Err(error) => {
                        tracing::warn!(%error, "could not accept a connection");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        });
        ReceiverStream::new(stream)
    }
}

async fn open(socket: TcpStream, permit: ConnectionPermit) -> Result<Connection, (io::Error, Arc<Metrics>)> {
    let metrics = permit.acceptor.metrics.clone();
    let failed = |error: io::Error| (error, metrics.clone());
    socket.set_nodelay(true).map_err(failed)?;
    let Some(tls) = permit.acceptor.tls.clone() else {
        return Ok(Connection { io: Io::Plain(socket), peer: Peer::Open, end: None, _stranger: None, _permit: permit });
    };
    let stream = TlsAcceptor::from(tls).accept(socket).await.map_err(failed)?;
    let peer = peer_of(stream.get_ref().1.peer_certificates())
        .ok_or_else(|| failed(io::Error::new(io::ErrorKind::InvalidData, "the certificate names no identity")))?;
    let (end, stranger) = match &peer {
        Peer::Known(identity) => {
            // A resumed session is not verified again: its certificate may have expired since.
            let left = identity.not_after.duration_since(SystemTime::now());
            let left = left.map_err(|_| failed(Ended::Expired.into()))?;
            (Some((Box::pin(tokio::time::sleep(left)), Ended::Expired)), None)
        }
        Peer::Stranger => match permit.acceptor.strangers.clone() {
            Strangers::Brief(permits) => {
                let many = || io::Error::other("there are too many connections without a certificate");
                let permit = permits.try_acquire_owned().map_err(|_| failed(many()))?;
                (Some((Box::pin(tokio::time::sleep(STRANGER_LIFE)), Ended::Stranger)), Some(permit))
            }
            Strangers::Welcome => (None, None),
        },
        Peer::Open => (None, None),
    };
    Ok(Connection { io: Io::Tls(Box::new(stream)), peer, end, _stranger: stranger, _permit: permit })
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some((end, why)) = &mut self.end
            && end.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err((*why).into()));
        }
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Io::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Io::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_flush(context),
            Io::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Io::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
