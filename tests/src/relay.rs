//! A relay on a loopback address of its own: who connects through it comes from that address, as from another machine.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Runtime;

/// See the module. Ends with the test.
pub struct Relay {
    runtime: Option<Runtime>,
    /// Where it listens: on its own address.
    pub address: SocketAddr,
}

impl Relay {
    /// From `address`, one of 127.0.0.0/8, to `target`.
    pub fn start(address: Ipv4Addr, target: SocketAddr) -> Self {
        let builder = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = builder.expect("a thread");
        let listener = runtime.block_on(TcpListener::bind((address, 0))).expect("a loopback address");
        let at = listener.local_addr().expect("it listens");
        runtime.spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((inward, _)) => drop(tokio::spawn(carry(inward, address, target))),
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        });
        Self { runtime: Some(runtime), address: at }
    }
}

/// Carries bytes both ways until either end hangs up; a target that is not there hangs up at once.
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
