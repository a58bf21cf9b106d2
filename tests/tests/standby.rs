//! Two coordinators on one Redis server: one leads, one stands by and takes over. The worker is a stub that
//! speaks the protocol, so that every call is in the test's hand.

use pretext_proto::PROTOCOL;
use pretext_proto::v1 as pb;
use pretext_proto::v1::work_client::WorkClient;
use pretext_tests::processes::read;
use pretext_tests::{Redis, Scratch, Server, until};
use rustix::process::Signal;
use tokio::runtime::Runtime;
use tonic::transport::Channel;
use tonic::{Code, Status};

const SWEEP: &str = "
name: handed-over
dataset: {kind: procedural, train_per_class: 40, test_per_class: 10, seed: 0, image_size: 16}
encoder: {kind: small-cnn, width: 4, blocks: 2}
methods: [supervised]
fractions: [50%]
lr: {fixed: {kind: constant, base: 0.01}}
seeds: [0]
downstream: {epochs: 1, batch: 8}
";

/// A worker as the coordinator sees it, without a trainer.
struct Stub {
    runtime: Runtime,
    client: WorkClient<Channel>,
}

impl Stub {
    fn connect(url: &str) -> Self {
        let runtime = Runtime::new().expect("threads");
        let endpoint = Channel::from_shared(url.to_owned()).expect("a URL");
        let client = runtime.block_on(async { WorkClient::new(endpoint.connect_lazy()) });
        Self { runtime, client }
    }

    fn worker() -> Option<pb::Worker> {
        Some(pb::Worker { name: "stub".to_owned(), boot: "0190a0a0-0000-7000-8000-000000000001".to_owned() })
    }

    fn register(&mut self) -> Result<(), Status> {
        let device = pb::Device {
            name: "cpu".to_owned(),
            description: "cpu".to_owned(),
            numeric_class: "cpu".to_owned(),
            slots: 1,
        };
        let request = pb::RegisterRequest {
            protocol: PROTOCOL,
            worker: Self::worker(),
            version: "0".to_owned(),
            devices: vec![device],
            datasets: vec![],
        };
        self.runtime.block_on(self.client.register(request)).map(drop)
    }

    fn lease(&mut self) -> Result<Option<pb::Grant>, Status> {
        let request = pb::LeaseRequest {
            worker: Self::worker(),
            device: "cpu".to_owned(),
            wait_ms: 0,
            request_id: "0190a0a0-0000-7000-8000-000000000002".to_owned(),
        };
        Ok(self.runtime.block_on(self.client.lease(request))?.into_inner().grant)
    }

    fn heartbeat(&mut self, attempt: &pb::Attempt) -> Result<i32, Status> {
        let held = pb::Held { attempt: Some(attempt.clone()), step: 1, ..Default::default() };
        let request = pb::HeartbeatRequest { worker: Self::worker(), held: vec![held] };
        Ok(self.runtime.block_on(self.client.heartbeat(request))?.into_inner().directives[0])
    }
}

fn serve(folder: &Scratch, store: &str) -> Server {
    Server::start(folder, &["--store", store, "--lead-ms", "2000"])
}

#[test]
fn a_second_coordinator_takes_over_and_the_paused_one_ends_itself() {
    let folder = Scratch::new();
    let redis = Redis::start(&folder);
    let store = redis.url();
    let mut first = serve(&folder, &store);
    until("the first leads", || Stub::connect(&first.url).register().ok());
    let second = serve(&folder, &store);

    // Who stands by says so, and who leads.
    let refused = Stub::connect(&second.url).register().expect_err("it stands by");
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().starts_with("this coordinator stands by"), "{refused}");
    let address = first.url.trim_start_matches("http://").to_owned();
    until("the one that stands by knows the leader", || {
        let refused = Stub::connect(&second.url).register().expect_err("it stands by");
        refused.message().contains(&address).then_some(())
    });
    let asked = second.ask(&folder, &["status"]).expect(3);
    assert!(asked.stderr.contains("stands by"), "{asked:?}");

    let mut stub = Stub::connect(&first.url);
    stub.register().expect("it leads");
    let file = folder.file("sweep.yaml", SWEEP);
    let file = file.to_str().expect("a text path");
    first.ask(&folder, &["submit", file]).expect(0);
    let attempt = stub.lease().expect("it leads").expect("a stage is ready").attempt.expect("an attempt");

    first.process.signal(Signal::STOP);
    let mut elsewhere = Stub::connect(&second.url);
    until("the second leads", || elsewhere.register().ok());
    // The holder goes on with the same fence.
    assert_eq!(elsewhere.heartbeat(&attempt).expect("it leads"), pb::Directive::Continue as i32);
    let status = second.ask(&folder, &["status", "--json"]).expect(0);
    assert!(status.stdout.contains("handed-over"), "{status:?}");

    first.process.signal(Signal::CONT);
    // A call that waited for the paused one is not answered as if it still led.
    assert!(stub.heartbeat(&attempt).is_err());
    assert_eq!(first.process.ended(), 4);
    let log = read(&folder.path("serve.log"));
    assert!(log.contains("leads on the store") && log.contains("writes no more"), "{log}");
    assert_eq!(elsewhere.heartbeat(&attempt).expect("it leads"), pb::Directive::Continue as i32);
}

#[test]
fn a_coordinator_that_is_told_to_stop_hands_over_at_once() {
    let folder = Scratch::new();
    let redis = Redis::start(&folder);
    let store = redis.url();
    // A lease that no test waits for.
    let extra = ["--store", store.as_str(), "--lead-ms", "3600000"];
    let mut first = Server::start(&folder, &extra);
    until("the first leads", || Stub::connect(&first.url).register().ok());
    first.process.signal(Signal::TERM);
    assert_eq!(first.process.ended(), 0);
    let second = Server::start(&folder, &extra);
    until("the second leads", || Stub::connect(&second.url).register().ok());
}
