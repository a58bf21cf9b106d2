//! The coordinator's HTTP ports, as a browser and a scraper use them.

use std::time::{Duration, Instant};

use pretext_proto::v1 as pb;
use pretext_proto::v1::web_client::WebClient;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::error::{BenchError, within};

/// Longest time for an answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// An answer.
#[derive(Debug)]
pub(crate) struct Page {
    /// Its status.
    status: u16,
    head: String,
    /// Bytes of the whole answer.
    pub(crate) bytes: usize,
    /// The time to its last byte.
    pub(crate) took: Duration,
}

/// Asks for a path at `address` (IP:PORT), with the header line of a session if there is one.
pub(crate) async fn get(address: &str, path: &str, session: &str) -> Result<Page, BenchError> {
    let page =
        ask(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{session}Connection: close\r\n\r\n")).await?;
    match page.status {
        200 => Ok(page),
        other => Err(BenchError::Answer(format!("GET {path} at {address} answers {other}"))),
    }
}

/// Opens a session with the page at `address`, and returns its header line.
pub(crate) async fn sign_in(url: &str, address: &str) -> Result<String, BenchError> {
    let unreachable = |error: tonic::transport::Error| BenchError::Answer(format!("{url}: {error}"));
    let mut client = WebClient::connect(url.to_owned()).await.map_err(unreachable)?;
    let link = client.login(pb::LoginRequest::default()).await.map_err(BenchError::refused("login"))?.into_inner().url;
    let form = format!("link={}", link.rsplit('/').next().unwrap_or_default());
    let head = format!("POST /login HTTP/1.1\r\nHost: {address}\r\nOrigin: http://{address}\r\nConnection: close\r\n");
    let page = ask(address, &format!("{head}Content-Length: {}\r\n\r\n{form}", form.len())).await?;
    let cookie = page.head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("set-cookie").then(|| value.split(';').next().unwrap_or(value).to_owned())
    });
    let cookie =
        cookie.ok_or_else(|| BenchError::Answer(format!("a login answers {} without a session", page.status)))?;
    Ok(format!("Cookie: {cookie}\r\n"))
}

async fn ask(address: &str, request: &str) -> Result<Page, BenchError> {
    let begun = Instant::now();
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(answer)
    };
    let failed = |source| BenchError::Socket { address: address.to_owned(), source };
    let answer = within("a page", PATIENCE, async { exchange.await.map_err(failed) }).await?;
    let took = begun.elapsed();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(answer.len());
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Ok(Page { status, head, bytes: answer.len(), took })
}
