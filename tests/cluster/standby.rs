//! Two coordinators on one Redis server: one leads, and the standby takes over. The worker is a stub, so that the test
//! controls every call.

use std::path::Path;

use pretext_proto::PROTOCOL;
use pretext_proto::v1 as pb;
use pretext_proto::v1::sweeps_client::SweepsClient;
use pretext_proto::v1::work_client::WorkClient;
use pretext_tests::processes::{get, read};
use pretext_tests::redis::Redis;
use pretext_tests::{Daemon, Scratch, Server, coordinator, members, until};
use rustix::process::Signal;
use serde_json::Value;
use tokio::runtime::Runtime;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

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

    /// Returns a stub with TLS, as the identity `stub`.
    fn certified(url: &str, credentials: &Path) -> Self {
        let runtime = Runtime::new().expect("threads");
        let client = runtime.block_on(async { WorkClient::new(members::channel(url, credentials)) });
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
            data_cache: 0,
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

fn serve(folder: &Scratch, redis: &Redis) -> Server {
    Server::start(folder, &["--store", &redis.url(), "--lead-ms", "2000"])
}

#[test]
fn a_second_coordinator_takes_over_and_the_paused_one_ends_itself() {
    let folder = Scratch::new();
    let redis = Redis::start(&folder);
    let mut first = serve(&folder, &redis);
    until("the first leads", || Stub::connect(&first.url).register().ok());
    let second = serve(&folder, &redis);

    // A standby names itself as such, and names the coordinator that leads.
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
    // With several addresses, users need not know which coordinator leads.
    let both = format!("{},{}", second.url, first.url);
    coordinator(&folder, &["status", "--coordinator", &both]).expect(0);

    let mut stub = Stub::connect(&first.url);
    stub.register().expect("it leads");
    let file = folder.file("sweep.yaml", SWEEP);
    let file = file.to_str().expect("a text path");
    first.ask(&folder, &["submit", file]).expect(0);
    let attempt = stub.lease().expect("it leads").expect("a stage is ready").attempt.expect("an attempt");

    first.process.signal(Signal::STOP);
    let mut elsewhere = Stub::connect(&second.url);
    until("the second leads", || elsewhere.register().ok());
    // The holder continues with the same fence.
    assert_eq!(elsewhere.heartbeat(&attempt).expect("it leads"), pb::Directive::Continue as i32);
    let status = second.ask(&folder, &["status", "--json"]).expect(0);
    assert!(status.stdout.contains("handed-over"), "{status:?}");

    first.process.signal(Signal::CONT);
    // A call that waited for the paused coordinator is not answered as if it still led.
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
    // A lease longer than the test.
    let extra = ["--store", store.as_str(), "--lead-ms", "3600000"];
    let mut first = Server::start(&folder, &extra);
    until("the first leads", || Stub::connect(&first.url).register().ok());
    first.process.signal(Signal::TERM);
    assert_eq!(first.process.ended(), 0);
    let second = Server::start(&folder, &extra);
    until("the second leads", || Stub::connect(&second.url).register().ok());
}

/// Returns the health of the coordinator's service and of the process, at `channel`.
async fn health(channel: Channel) -> [ServingStatus; 2] {
    let mut client = HealthClient::new(channel);
    let mut found = Vec::new();
    for service in ["pretext.v1.Sweeps", ""] {
        let request = HealthCheckRequest { service: service.to_owned() };
        found.push(client.check(request).await.expect("anybody may ask").into_inner().status());
    }
    [found[0], found[1]]
}

#[test]
fn with_tls_one_that_stands_by_answers_in_words_and_serves_on_the_same_connection_once_it_leads() {
    use ServingStatus::{NotServing, Serving};
    let folder = Scratch::new();
    let redis = Redis::start(&folder);
    members::authority(&folder);
    let extra = ["--tls", "--monitor", "127.0.0.1:0", "--store", &redis.url(), "--lead-ms", "2000"];
    let mut first = Server::start(&folder, &extra);
    until("the first leads", || (get(first.monitoring.as_ref()?, "/ready").0 == 200).then_some(()));
    let credentials = members::join(&folder, &first.url, "worker", "stub");
    let mut elsewhere = Stub::certified(&first.url, &credentials);
    elsewhere.register().expect("it leads");

    // A known caller hears which coordinator leads; an unknown caller does not.
    let second = Server::start(&folder, &extra);
    let mut stub = Stub::certified(&second.url, &credentials);
    let address = first.address().to_string();
    until("the one that stands by knows the leader", || {
        let refused = stub.register().expect_err("it stands by");
        assert_eq!(refused.code(), Code::Unavailable, "{refused}");
        (refused.message() == format!("this coordinator stands by: the coordinator at {address} leads")).then_some(())
    });
    let runtime = Runtime::new().expect("threads");
    let token = members::token(&folder, "read", "nobody");
    let stranger = runtime.block_on(members::stranger(&second.url, &token));
    let refused = runtime.block_on(SweepsClient::new(stranger.clone()).list(pb::ListRequest {}));
    assert_eq!(refused.expect_err("no certificate").code(), Code::Unauthenticated);

    // Health checks on both ports, and pages for clients without gRPC.
    let monitoring = second.monitoring.clone().expect("asked for");
    let probe = || runtime.block_on(async { Channel::from_shared(monitoring.clone()).expect("a URL").connect_lazy() });
    assert_eq!(runtime.block_on(health(stranger)), [NotServing, Serving]);
    assert_eq!(runtime.block_on(health(probe())), [NotServing, Serving]);
    let (status, answer) = get(&monitoring, "/ready");
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!((status, &answer["ready"]), (503, &Value::Bool(false)));
    assert!(answer["reason"].as_str().is_some_and(|reason| reason.contains(&address)), "{answer}");
    let (status, metrics) = get(&monitoring, "/metrics");
    assert!(status == 200 && metrics.contains("pretext_leading 0\n"), "{metrics}");
    assert!(!metrics.contains("pretext_stages{"), "it knows nothing of stages: {metrics}");

    // A worker that finds the standby first turns to the leader, to join and to work.
    let both = format!("{},{}", second.url, first.url);
    let token = members::token(&folder, "worker", "real");
    let token = token.to_str().expect("a text path");
    let _worker = Daemon::start(&folder, &both, "real", &["--slots", "1", "--no-datasets", "--token-file", token]);
    until("the worker has registered", || {
        read(&folder.path("serve.log")).contains("worker registered worker=real").then_some(())
    });

    first.process.signal(Signal::TERM);
    assert_eq!(first.process.ended(), 0);
    until("the second serves", || stub.register().ok());
    until("probes see it", || (get(&monitoring, "/ready") == (200, "{\"ready\":true}".to_owned())).then_some(()));
    assert_eq!(runtime.block_on(health(probe())), [Serving, Serving]);
    assert!(get(&monitoring, "/metrics").1.contains("pretext_leading 1\n"));
}

#[test]
fn the_password_of_the_store_is_replaced_without_a_restart() {
    let folder = Scratch::new();
    let mut redis = Redis::guarded(&folder, "old");
    let file = folder.file("password", "old\n");
    let server =
        Server::start(&folder, &["--store", &redis.url(), "--store-password-file", file.to_str().expect("text")]);
    until("it leads", || (server.ask(&folder, &["status"]).code == 0).then_some(()));
    redis.restart_with("new");
    let log = || read(&folder.path("serve.log"));
    until("the connection is gone", || log().contains("the store fails; retrying").then_some(()));
    // The server now refuses the old password. It had the new one first, and the coordinator did not give up.
    folder.file("password", "new\n");
    until("the store answers again", || log().contains("the store answers again").then_some(()));
    server.ask(&folder, &["status"]).expect(0);
}
