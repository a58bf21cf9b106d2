//! The limits of docs/limits.md, each tested at its edge.

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use pretext_proto::v1 as pb;
use pretext_proto::v1::data_client::DataClient;
use pretext_proto::v1::sweeps_client::SweepsClient;
use pretext_proto::v1::work_client::WorkClient;
use pretext_tests::stub::Stub;
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
    // Tag and length take 5 bytes besides the text.
    assert_eq!(plan(&server.url, (4 << 20) - 5).await.code(), Code::InvalidArgument);
    assert_eq!(plan(&server.url, (4 << 20) - 4).await.code(), Code::OutOfRange);
    let mut client = WorkClient::connect(server.url.clone()).await.expect("a coordinator");
    let mut lease = async |bytes| {
        let request = pb::LeaseRequest { device: "d".repeat(bytes), ..Default::default() };
        client.lease(request).await.expect_err("nobody's request").code()
    };
    // Here they take 4 bytes.
    assert_eq!(lease((2 << 20) - 4).await, Code::InvalidArgument);
    assert_eq!(lease((2 << 20) - 3).await, Code::OutOfRange);
}

#[tokio::test]
async fn a_batch_at_the_edge() {
    let folder = Scratch::new();
    let server = Server::start(&folder, &[]);
    let mut client = WorkClient::connect(server.url.clone()).await.expect("a coordinator");
    let batch = |count: usize| pb::PointBatch {
        attempt: Some(pb::Attempt { stage: "0".repeat(64), fence: 1, ..Default::default() }),
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
async fn packs_at_the_edge() {
    let folder = Scratch::new();
    let server = Server::start(&folder, &[]);
    let mut client = DataClient::connect(server.url.clone()).await.expect("a coordinator");
    let unknown = |count| pb::MissingRequest { artifacts: vec!["0".repeat(64); count] };
    let missing = client.missing(unknown(10_000)).await.expect("not too many").into_inner();
    assert_eq!(missing.artifacts.len(), 10_000);
    assert_eq!(client.missing(unknown(10_001)).await.expect_err("too many").code(), Code::InvalidArgument);
    let mut upload = async |length: u64| {
        let header = pb::pack_part::Part::Header(pb::PackHeader { artifact: "0".repeat(64), length });
        let part = pb::PackPart { part: Some(header) };
        client.upload(tokio_stream::iter([part])).await.expect_err("nothing comes").message().to_owned()
    };
    assert_eq!(upload(256 << 20).await, "0 bytes arrived, the header announced 268435456");
    assert!(upload((256 << 20) + 1).await.contains("at most"));
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
    /// In HTTP/2 the server speaks first: a served connection gets bytes, a refused one is closed.
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

#[tokio::test]
async fn artifacts_at_the_edge() {
    const SWEEP: &str = "
name: limited
dataset: {kind: procedural, train_per_class: 40, test_per_class: 10, seed: 0, image_size: 16}
encoder: {kind: small-cnn, width: 4, blocks: 2}
methods: [supervised]
fractions: [50%]
lr: {fixed: {kind: constant, base: 0.01}}
seeds: [0]
downstream: {epochs: 1, batch: 8}
";
    let folder = Scratch::new();
    let server = Server::start(&folder, &["--artifact-limit", "1MiB", "--artifact-quota", "1049076"]);
    let mut stub = Stub::register(&server.url, "stub", 1).await;
    server.submit(&folder, SWEEP);
    let grant = stub.lease("0193f2a0-0000-7000-8000-000000000001").await.expect("work");
    let large = stub.upload(&grant, &vec![1; (1 << 20) + 1]).await.expect_err("one byte too many");
    assert!(large.code() == Code::ResourceExhausted && large.message().contains("--artifact-limit"), "{large}");
    stub.upload(&grant, &vec![1; 1 << 20]).await.expect("exactly as large as allowed");
    stub.upload(&grant, &vec![1; 1 << 20]).await.expect("the same again takes no room");
    // 500 bytes are left.
    let full = stub.upload(&grant, &[2; 501]).await.expect_err("one byte too many");
    // Garbage collection may make room: the worker tries again, and its result is not lost.
    assert!(full.code() == Code::Unavailable && full.message().contains("--artifact-quota"), "{full}");
    stub.upload(&grant, &[2; 500]).await.expect("exactly what is left");
    // A result makes room: the checkpoints of its stage are removed.
    stub.register_checkpoint(&grant, &[2; 500], 1).await.expect("it is there");
    stub.complete(grant).await;
    let next = stub.lease("0193f2a0-0000-7000-8000-000000000002").await.expect("work");
    while let Err(full) = stub.upload(&next, &[3; 500]).await {
        assert_eq!(full.code(), Code::Unavailable, "{full}");
    }
}
