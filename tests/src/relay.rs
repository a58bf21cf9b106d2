//! A relay with a loopback address of its own: connections through it come from that address, as from another machine.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// See the module. Ends with the test.
pub struct Relay {
    runtime: Option<Runtime>,
    whole: watch::Sender<bool>,
    /// The address of the relay.
    pub address: SocketAddr,
}

impl Relay {
    /// Starts a relay from `address`, one of 127.0.0.0/8, to `target`.
    pub fn start(address: Ipv4Addr, target: SocketAddr) -> Self {
        let builder = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = builder.expect("a thread");
        let listener = runtime.block_on(TcpListener::bind((address, 0))).expect("a loopback address");
        let at = listener.local_addr().expect("it listens");
        let (whole, is_whole) = watch::channel(true);
        runtime.spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((inward, _)) => drop(tokio::spawn(carry_until_cut(inward, address, target, is_whole.clone()))),
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        });
        Self { runtime: Some(runtime), whole, address: at }
    }

    /// Ends all connections, and closes every new one at once.
    pub fn cut(&self) {
        self.whole.send_replace(false);
    }

    /// Relays again.
    pub fn mend(&self) {
        self.whole.send_replace(true);
    }
}

async fn carry_until_cut(inward: TcpStream, from: Ipv4Addr, target: SocketAddr, mut whole: watch::Receiver<bool>) {
    tokio::select! {
        _ = whole.wait_for(|whole| !whole) => {}
        _ = carry(inward, from, target) => {}
    }
}

/// Copies bytes both ways until either end closes. Closes at once if the target is not there.
async fn carry(mut inward: TcpStream, from: Ipv4Addr, target: SocketAddr) -> std::io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    let mut outward = socket.connect(target).await?;
    tokio::io::copy_bidirectional(&mut inward, &mut outward).await.map(drop)
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
