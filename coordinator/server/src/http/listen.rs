//! Connections of browsers: HTTP/1.1 with limits. A page keeps one stream open while it is visible, so that the few
//! connections that a browser opens to one host are enough.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_stream::StreamExt;

use crate::listen::{Acceptor, Strangers, WebWire};

/// Time limit for a request's head to arrive, and longest idle time of a connection between two requests.
const HEAD_WITHIN: Duration = Duration::from_secs(15);
/// Most bytes in a request's head.
const MAX_HEAD: usize = 16 << 10;
/// Most lines in a request's head.
const MAX_HEADERS: usize = 64;
/// Age at which a connection is closed: event streams reconnect by themselves.
const AGE: Duration = Duration::from_secs(3600);

/// Most simultaneous connections.
const MAX_CONNECTIONS: usize = 512;

/// Returns the settings for browsers, which speak HTTP/1.1, from the `acceptor` of a server for other clients.
pub(super) fn for_browsers(acceptor: &Acceptor, wire: WebWire) -> Acceptor {
    let tls = match wire {
        WebWire::Plain => None,
        WebWire::Tls => acceptor.tls.as_deref().map(|config| {
            let mut config = config.clone();
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            Arc::new(config)
        }),
    };
    Acceptor {
        tls,
        max_connections: acceptor.max_connections.min(MAX_CONNECTIONS),
        metrics: acceptor.metrics.clone(),
        strangers: Strangers::Welcome,
    }
}

/// Serves connections from `listener` until this future is dropped.
pub(super) async fn serve(listener: TcpListener, acceptor: Acceptor, router: Router) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(MAX_HEAD).max_headers(MAX_HEADERS);
    let mut incoming = acceptor.connections(listener);
    // Dropped with this future: nothing is served after it.
    let mut connections = JoinSet::new();
    while let Some(accepted) = incoming.next().await {
        while connections.try_join_next().is_some() {}
        let Ok(connection) = accepted else { continue };
        let serving = http.serve_connection(TokioIo::new(connection), TowerToHyperService::new(router.clone()));
        connections.spawn(async move {
            if let Ok(Err(error)) = tokio::time::timeout(AGE, serving).await {
                tracing::debug!(%error, "a browser's connection ended");
            }
        });
    }
}
