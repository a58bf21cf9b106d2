//! Connections of browsers: HTTP/1.1 with limits. A page keeps one stream open while it is looked at, so that the few
//! connections that a browser grants a host are enough.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_stream::StreamExt;

use super::WebWire;
use crate::identity::{Ports, accept};

/// How long a request's head may take to come in, and how long a connection may be idle between two.
const HEAD_WITHIN: Duration = Duration::from_secs(15);
/// Bytes of a request's head.
const MAX_HEAD: usize = 16 << 10;
/// Lines of it.
const MAX_HEADERS: usize = 64;
/// A connection is cut after this time: event streams open another by themselves.
const AGE: Duration = Duration::from_secs(3600);

/// Connections at a time.
const MAX_CONNECTIONS: usize = 512;

/// How browsers are taken, who speak HTTP/1.1, on a server that takes others by `ports`.
pub(super) fn for_browsers(ports: &Ports, wire: WebWire) -> Ports {
    let tls = match wire {
        WebWire::Plain => None,
        WebWire::Tls => ports.tls.as_deref().map(|config| {
            let mut config = config.clone();
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            Arc::new(config)
        }),
    };
    Ports { tls, most: ports.most.min(MAX_CONNECTIONS), metrics: ports.metrics.clone() }
}

/// Serves what comes in at `listener`, for ever.
pub(super) async fn serve(listener: TcpListener, ports: Ports, router: Router) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(MAX_HEAD).max_headers(MAX_HEADERS);
    let mut incoming = accept(listener, ports);
    // Ended with this future: nothing is served after it.
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
