//! The limits of docs/limits.md, each at its edge.

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use pretext_proto::v1 as pb;
use pretext_proto::v1::sweeps_client::SweepsClient;
use pretext_proto::v1::work_client::WorkClient;
use pretext_tests::{Scratch, Server, until};
use tonic::{Code, Request, Status};

async fn plan(url: &str, bytes: usize) -> Status {
    let mut client = SweepsClient::connect(url.to_owned()).await.expect("a coordinator");
    let request = pb::PlanRequest { spec: "#".repeat(bytes), smoke: false };
    client.plan(request).await.expect_err("a comment is no sweep")
}

#[tokio::test]
async fn a_sweep_file_at_the_edge() {
    let folder = Scratch::new();
    let server = Server::start(&folder, &[]);
    let good = plan(&server.url, 1 << 20).await;
    assert!(!good.message().contains("at most 1048576"), "{good}");
    let long = plan(&server.url, (1 << 20) + 1).await;
    assert!(long.code() == Code::InvalidArgument && long.message().contains("at most 1048576"), "{long}");
}

#[tokio::test]
async fn a_message_at_the_edge() {
    let folder = Scratch::new();
    let server = Server::start(&folder, &[]);
    // 5 bytes of tag and length go with the text.
    assert_eq!(plan(&server.url, (4 << 20) - 5).await.code(), Code::InvalidArgument);
    assert_eq!(plan(&server.url, (4 << 20) - 4).await.code(), Code::OutOfRange);
    let mut client = WorkClient::connect(server.url.clone()).await.expect("a coordinator");
    let mut lease = async |bytes| {
        let request = pb::LeaseRequest { device: "d".repeat(bytes), ..Default::default() };
        client.lease(request).await.expect_err("nobody's request").code()
    };
    // 4 bytes here.
    assert_eq!(lease((2 << 20) - 4).await, Code::InvalidArgument);
    assert_eq!(lease((2 << 20) - 3).await, Code::OutOfRange);
}

#[tokio::test]
async fn a_batch_at_the_edge() {
    let folder = Scratch::new();
    let server = Server::start(&folder, &[]);
    let mut client = WorkClient::connect(server.url.clone()).await.expect("a coordinator");
    let batch = |count: usize| pb::PointBatch {
        attempt: Some(pb::Attempt { stage: "0".repeat(64), fence: 1 }),
        sequence: 0,
        points: vec![
            pb::Point { part: "train".to_owned(), metric: "loss".to_owned(), epoch: 1, step: 1, value: 1.0 };
            count
        ],
    };
    let mut ask = async |count| {
        let acks = client.points(tokio_stream::iter([batch(count)])).await.expect("a stream");
        acks.into_inner().message().await
    };
    let ack = ask(1000).await.expect("read").expect("an answer");
    assert!(ack.refused.contains("no stage"), "{ack:?}");
    assert_eq!(ask(1001).await.expect_err("too many").code(), Code::InvalidArgument);
}

#[tokio::test]
async fn headers_at_the_edge() {
    let folder = Scratch::new();
    let server = Server::start(&folder, &[]);
    let mut client = SweepsClient::connect(server.url.clone()).await.expect("a coordinator");
    let mut ask = async |bytes: usize| {
        let mut request = Request::new(pb::ListRequest {});
        request.metadata_mut().insert("x-long", "a".repeat(bytes).parse().expect("a header"));
        client.list(request).await
    };
    ask(15 << 10).await.expect("below 16 KiB with all others");
    ask(16 << 10).await.expect_err("above it");
    ask(0).await.expect("the connection goes on");
}

#[test]
fn connections_at_the_edge() {
    let folder = Scratch::new();
    let server = Server::start(&folder, &["--max-connections", "2"]);
    let connect = || {
        let stream = TcpStream::connect(server.url.trim_start_matches("http://")).expect("a port");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
        stream
    };
    /// The server speaks first in HTTP/2: a served connection gets bytes, a refused one its end.
    fn is_served(stream: &mut TcpStream) -> bool {
        let mut byte = [0];
        std::io::Write::write_all(stream, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").is_ok()
            && stream.read(&mut byte).is_ok_and(|count| count == 1)
    }
    let (mut one, mut two) = (connect(), connect());
    assert!(is_served(&mut one) && is_served(&mut two));
    assert!(!is_served(&mut connect()), "all places are taken");
    drop(one);
    until("a place is free again", || is_served(&mut connect()).then_some(()));
}
