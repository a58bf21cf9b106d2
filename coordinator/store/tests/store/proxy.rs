//! A network on loopback, between store and server, that loses replies.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// The fate of the chosen reply.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The server has done its work; its reply is lost with the connection. After that everything works.
    Once,
    /// The same, and after that no connection works.
    ForGood,
}

struct Shared {
    server: u16,
    cut: Cut,
    /// Number of replies that still pass before the cut.
    left: AtomicU64,
    seen: AtomicU64,
    closed: AtomicBool,
    streams: Mutex<Vec<TcpStream>>,
}

/// Forwards everything except one reply.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts a proxy for the server on a port; the cut comes after `replies` more replies. One reply counts for each
    /// time that the client waits.
    pub(crate) fn start(server: u16, replies: u64, cut: Cut) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let shared = Arc::new(Shared {
            server,
            cut,
            left: AtomicU64::new(replies),
            seen: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            streams: Mutex::new(Vec::new()),
        });
        let own = shared.clone();
        let accepting = std::thread::spawn(move || {
            for client in listener.incoming() {
                if own.closed.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(client) = client else { continue };
                own.pass(client);
            }
        });
        Self { port, shared, accepting: Some(accepting) }
    }

    /// Lets this many more replies pass.
    pub(crate) fn allow(&self, replies: u64) {
        self.shared.left.store(replies, Ordering::SeqCst);
        self.shared.seen.store(0, Ordering::SeqCst);
    }

    /// Returns the number of replies since then.
    pub(crate) fn seen(&self) -> u64 {
        self.shared.seen.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn pass(self: &Arc<Self>, client: TcpStream) {
        if self.left.load(Ordering::SeqCst) == 0 && self.cut == Cut::ForGood {
            return;
        }
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.server)) else { return };
        let (Ok(from), Ok(to)) = (client.try_clone(), server.try_clone()) else { return };
        if let Ok(mut streams) = self.streams.lock() {
            streams.extend([client.try_clone(), server.try_clone()].into_iter().flatten());
        }
        // Set when the client sends, cleared by the first bytes of the reply.
        let asked = Arc::new(AtomicBool::new(false));
        let waiting = asked.clone();
        std::thread::spawn(move || {
            copy(from, to, || {
                waiting.store(true, Ordering::SeqCst);
                true
            })
        });
        let shared = self.clone();
        std::thread::spawn(move || copy(server, client, || shared.passes(&asked)));
    }

    /// Returns whether bytes of a reply pass.
    fn passes(&self, asked: &AtomicBool) -> bool {
        if !asked.swap(false, Ordering::SeqCst) {
            return true;
        }
        self.seen.fetch_add(1, Ordering::SeqCst);
        let before = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| match (left, self.cut) {
            (0, Cut::ForGood) => None,
            // The counter has passed zero: set it far away.
            (0, Cut::Once) => Some(u64::MAX),
            (left, _) => Some(left - 1),
        });
        !matches!(before, Ok(0) | Err(_))
    }
}

/// Copies until one side ends or `passes` returns false; then closes both sides.
fn copy(mut from: TcpStream, mut to: TcpStream, mut passes: impl FnMut() -> bool) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        if !passes() || to.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        if let Ok(streams) = self.shared.streams.lock() {
            streams.iter().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
        }
        // This wakes the accepting thread.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}
