//! Requests as bytes, because these tests are about the bytes, and the setup of every test.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use pretext_proto::v1 as pb;
use pretext_tests::stub::Stub;
use pretext_tests::{Scratch, Server};

/// A sweep of four cells, two of them of two stages.
pub(crate) const SWEEP: &str = "
name: study
dataset: {kind: procedural, train_per_class: 40, test_per_class: 10, seed: 0, image_size: 16}
encoder: {kind: small-cnn, width: 4, blocks: 2}
methods: [supervised, rotation]
fractions: [50%, 100%]
lr: {fixed: {kind: constant, base: 0.01}}
seeds: [0]
pretext: {data: all, epochs: 2, batch: 8}
downstream: {epochs: 2, batch: 8}
";

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    /// Returns the body as JSON; a streamed one is put together first.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        let whole = match self.header("transfer-encoding") {
            "chunked" => together(&self.body),
            _ => self.body.clone(),
        };
        serde_json::from_str(&whole).unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }

    /// Returns a header, or an empty text.
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }
}

/// Puts the pieces of a chunked body together.
fn together(body: &str) -> String {
    let (mut whole, mut rest) = (String::new(), body);
    while let Some((size, after)) = rest.split_once("\r\n") {
        let Ok(size) = usize::from_str_radix(size.trim(), 16) else { break };
        whole.push_str(after.get(..size).unwrap_or_default());
        rest = after.get(size + 2..).unwrap_or_default();
    }
    whole
}

/// The page of a server with `--web`, as a client of the network sees it.
pub(crate) struct Site {
    pub(crate) folder: Scratch,
    pub(crate) server: Server,
    /// `127.0.0.1:PORT`.
    pub(crate) address: String,
}

impl Site {
    /// Starts a server with a page.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(extra: &[&str]) -> Self {
        let folder = Scratch::new();
        let server = Server::start(&folder, &[&["--web", "127.0.0.1:0"], extra].concat());
        let url = server.web.clone().expect("asked for");
        let address = url.strip_prefix("http://").expect("plain text on loopback").to_owned();
        Self { folder, server, address }
    }

    /// Returns a server with [`SWEEP`], and the sweep's id.
    pub(crate) async fn with_sweep() -> (Self, Stub, String) {
        let site = Self::start();
        let stub = Stub::register(&site.server.url, "stub", 1).await;
        let sweep = site.server.submit(&site.folder, SWEEP);
        (site, stub, sweep)
    }

    /// Sends bytes, and reads the answer to its end.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(&self.address).expect("a port");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
        // A server that refuses may close before it has read everything.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let text = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// Sends a request with these header lines; `Host` is the page's own unless it is among them.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|line| line.starts_with("Host:")) {
            head.push_str(&format!("Host: {}\r\n", self.address));
        }
        headers.iter().for_each(|line| head.push_str(&format!("{line}\r\n")));
        if method == "POST" || !body.is_empty() {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        self.raw(format!("{head}\r\n{body}").as_bytes())
    }

    pub(crate) fn get(&self, path: &str, cookie: &str) -> Answer {
        self.ask("GET", path, &[cookie], "")
    }

    /// Returns `Origin` as the page's own forms send it.
    pub(crate) fn origin(&self) -> String {
        format!("Origin: http://{}", self.address)
    }

    /// Returns the secret of a new login link.
    pub(crate) fn link(&self, role: &str) -> String {
        let reply = self.server.ask(&self.folder, &["login", "--role", role, "--json"]).expect(0).json();
        let url = reply["url"].as_str().expect("a link").to_owned();
        let prefix = format!("http://{}/login/", self.address);
        url.strip_prefix(&prefix).unwrap_or_else(|| panic!("{url} is not below {prefix}")).to_owned()
    }

    /// Returns the `Cookie` line of a new session.
    pub(crate) fn session(&self, role: &str) -> String {
        let answer = self.ask("POST", "/login", &[&self.origin()], &format!("link={}", self.link(role)));
        assert_eq!(answer.status, 303, "{answer:?}");
        let cookie = answer.header("set-cookie").split(';').next().unwrap_or_default();
        assert!(cookie.contains('='), "{answer:?}");
        format!("Cookie: {cookie}")
    }

    /// Returns whether the sweep was cancelled.
    pub(crate) fn is_cancelled(&self, sweep: &str) -> bool {
        let status = self.server.ask(&self.folder, &["status", "--json"]).expect(0).json();
        let sweeps = status["sweeps"].as_array().expect("a list");
        sweeps.iter().find(|one| one["sweep"] == sweep).expect("this sweep")["cancelled"] == true
    }

    /// Returns every path that shows content of the server.
    pub(crate) fn looks(sweep: &str) -> Vec<String> {
        let cell = "supervised/0.5/fixed/0";
        let mut paths = vec!["/".to_owned(), "/workers".to_owned(), format!("/sweeps/{sweep}")];
        paths.extend(["compare", "cells"].map(|page| format!("/sweeps/{sweep}/{page}")));
        paths.push(format!("/sweeps/{sweep}/cells/{cell}"));
        paths.extend(["", "/report.html", "/results.json"].map(|file| format!("/sweeps/{sweep}/report{file}")));
        paths
    }

    /// Returns every path of the read API that answers at once.
    pub(crate) fn reads(sweep: &str) -> Vec<String> {
        let of = |path: &str| format!("/api/v1{path}");
        let below = ["", "/cells", "/answers", "/curves"].map(|path| of(&format!("/sweeps/{sweep}{path}")));
        [of("/sweeps"), of("/workers")].into_iter().chain(below).collect()
    }

    /// Returns every path that streams.
    pub(crate) fn streams(sweep: &str) -> [String; 7] {
        let of = |path: &str| format!("/events{path}");
        [
            of(""),
            of("/workers"),
            of(&format!("/sweeps/{sweep}")),
            of(&format!("/sweeps/{sweep}/compare")),
            of(&format!("/sweeps/{sweep}/cells")),
            format!("/api/v1/sweeps/{sweep}/changes"),
            of(&format!("/sweeps/{sweep}/cells/supervised/0.5/fixed/0")),
        ]
    }

    /// Returns every path that changes something.
    pub(crate) fn changes(sweep: &str) -> [String; 2] {
        ["cancel", "retry"].map(|change| format!("/sweeps/{sweep}/{change}"))
    }
}

/// Sends points of an attempt and waits until they are durable.
pub(crate) async fn points(stub: &mut Stub, grant: &pb::Grant, losses: &[f64]) {
    let points = losses.iter().zip(1u32..).map(|(value, epoch)| pb::Point {
        part: "train".to_owned(),
        metric: "loss".to_owned(),
        epoch,
        step: u64::from(epoch) * 5,
        value: *value,
    });
    let batch = pb::PointBatch { attempt: grant.attempt.clone(), sequence: 0, points: points.collect() };
    let mut acks = stub.client.points(tokio_stream::iter([batch])).await.expect("a stream").into_inner();
    let ack = acks.message().await.expect("a coordinator").expect("an answer");
    assert_eq!(ack.refused, "");
}
