//! Every procedure of the descriptors × every kind of caller, over real connections to a real server.

mod foreign;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pretext_artifacts::ArtifactOptions;
use pretext_engine::Limits;
use pretext_identity::{Credentials, Enrollment, Folder, JoinError, JoinToken, Role, TlsSession, Wire};
use pretext_proto::v1 as pb;
use pretext_proto::v1::work_client::WorkClient;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use super::*;
use crate::authorization::table::{Access, TABLE};
use crate::listen::{Listen, Security};
use crate::serve::Coordinator;
use crate::start::Options;

struct Cluster {
    home: tempfile::TempDir,
    coordinator: Coordinator,
    register: Register,
    pin: pretext_identity::Pin,
}

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Cluster {
    async fn start() -> Self {
        Self::with_life(DAY).await
    }

    async fn with_life(life: Duration) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let folder = home.path().join("identity");
        let pin = Authority::create(&folder).expect("a new authority");
        let security = Security::Tls { folder: folder.clone(), names: vec![], life };
        let here = "127.0.0.1:0".parse().expect("an address");
        let options = Options {
            build: None,
            listen: Listen { security, ..Listen::plaintext(here) },
            state_dir: home.path().join("state"),
            artifacts: ArtifactOptions::in_folder(home.path().join("artifacts")),
            limits: Limits::default(),
            on_final: None,
        };
        let coordinator = Coordinator::start(options).await.expect("a free port");
        let register = Register::open(&folder).expect("the register");
        Self { home, coordinator, register, pin }
    }

    fn url(&self) -> String {
        format!("https://{}", self.coordinator.address())
    }

    fn token(&self, role: Role, uses: Uses) -> JoinToken {
        self.register.create(self.pin, role, Duration::from_secs(60), uses).expect("a token")
    }

    async fn join(&self, token: JoinToken, name: &str) -> Result<Credentials, JoinError> {
        let folder = Folder::new(self.home.path().join("clients").join(name));
        Enrollment::new(token, name).expect("a key").attempt(&self.url(), &folder).await
    }

    async fn member(&self, role: Role, name: &str) -> Channel {
        let credentials = self.join(self.token(role, Uses::Left(1)), name).await.expect("a good token");
        assert_eq!((credentials.role, credentials.name.as_str()), (role, name));
        self.channel(credentials)
    }

    fn channel(&self, credentials: Credentials) -> Channel {
        let session = TlsSession::new(Folder::new(self.home.path().join("unused")), credentials).expect("good");
        Wire::Tls(Arc::new(session)).connect_lazy(&endpoint(&self.url()))
    }
}

fn endpoint(url: &str) -> Endpoint {
    Endpoint::from_shared(url.to_owned()).expect("a URL").timeout(Duration::from_secs(20))
}

/// Calls a procedure with an empty message, and returns the first answer.
async fn call(channel: &Channel, rpc: &str) -> Result<(), Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let path = format!("/{rpc}").parse().expect("a path");
    // Empty messages are the same bytes for every type.
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    client.server_streaming(Request::new(()), path, codec).await.map(drop)
}

/// Returns whether a call passed the authorizer. The service's answer to an empty message does not matter.
fn passed(answer: &Result<(), Status>) -> bool {
    !answer.as_ref().is_err_and(|status| {
        // If a connection fails, there is no answer: the status is made by the client, and has a cause.
        let cut = std::error::Error::source(status).is_some();
        cut || matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied)
    })
}

#[tokio::test]
async fn every_procedure_refuses_everybody_whom_the_table_does_not_name() {
    let cluster = Cluster::start().await;
    let mut callers: BTreeMap<&str, (Option<Role>, Channel)> = BTreeMap::new();
    for role in Role::ALL {
        callers.insert(role.as_str(), (Some(role), cluster.member(role, &format!("a-{role}")).await));
    }
    let another = Cluster::start().await;
    // A certificate and key of another authority; this one is believed.
    let stranger = another.join(another.token(Role::Submit, Uses::Left(1)), "y").await.expect("good");
    let believed = cluster.join(cluster.token(Role::Read, Uses::Left(1)), "x").await.expect("good").authority;
    let forged = Credentials { authority: believed, ..stranger };
    for rpc in TABLE {
        for (caller, (role, channel)) in &callers {
            let allowed = match rpc.access {
                Access::Public | Access::Known => true,
                Access::Roles(roles) => role.is_some_and(|role| roles.contains(&role)),
            };
            let answer = call(channel, rpc.name).await;
            assert_eq!(passed(&answer), allowed, "{caller} {}: {answer:?}", rpc.name);
            if !allowed {
                assert_eq!(answer.expect_err("refused").code(), Code::PermissionDenied, "{caller} {}", rpc.name);
            }
        }
        // Another authority's certificate does not get as far as a call, whatever the procedure.
        let answer = call(&cluster.channel(forged.clone()), rpc.name).await;
        assert!(!passed(&answer), "wrong CA {}: {answer:?}", rpc.name);
        // Plain text: the same.
        let plain = endpoint(&cluster.url().replace("https", "http")).connect_lazy();
        let answer = call(&plain, rpc.name).await;
        assert!(!passed(&answer), "plain text {}: {answer:?}", rpc.name);
        // No certificate: only what is public.
        let answer = call(&bare(&cluster).await, rpc.name).await;
        assert_eq!(passed(&answer), rpc.access == Access::Public, "no certificate {}: {answer:?}", rpc.name);
        if rpc.access != Access::Public {
            assert_eq!(answer.expect_err("refused").code(), Code::Unauthenticated, "{}", rpc.name);
        }
    }
    let unknown = call(&callers["submit"].1, "pretext.v1.Sweeps/Drop").await;
    assert_eq!(unknown.expect_err("not in the table").code(), Code::Unimplemented);
    cluster.coordinator.stop().await;
    another.coordinator.stop().await;
}

/// A channel that believes the authority and shows no certificate.
async fn bare(cluster: &Cluster) -> Channel {
    pretext_identity::stranger(cluster.pin, &endpoint(&cluster.url())).await.expect("the authority is the pinned one")
}

#[tokio::test]
async fn a_certificate_that_has_ended_opens_nothing_and_cuts_what_is_open() {
    let cluster = Cluster::with_life(Duration::from_secs(4)).await;
    let credentials = cluster.join(cluster.token(Role::Read, Uses::Left(1)), "short").await.expect("good");
    let open = cluster.channel(credentials.clone());
    call(&open, "pretext.v1.Sweeps/List").await.expect("good for some seconds");
    // Waits for the end of the certificate, which is what is tested.
    while !credentials.has_ended(SystemTime::now()) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    for rpc in TABLE {
        let answer = call(&open, rpc.name).await;
        assert!(!passed(&answer), "{} on an open connection: {answer:?}", rpc.name);
        let answer = call(&cluster.channel(credentials.clone()), rpc.name).await;
        assert!(!passed(&answer), "{}: {answer:?}", rpc.name);
    }
    cluster.coordinator.stop().await;
}

#[tokio::test]
async fn a_token_is_for_its_authority_its_uses_its_time_and_one_holder_of_a_name() {
    let cluster = Cluster::start().await;
    let once = cluster.token(Role::Worker, Uses::Left(1));
    cluster.join(once.clone(), "gpu-1").await.expect("the first use");
    let refused = |result: Result<Credentials, JoinError>| match result {
        Err(JoinError::Refused(message)) => message,
        other => panic!("not refused: {other:?}"),
    };
    assert!(refused(cluster.join(once, "gpu-2").await).contains("not valid"));
    // The answer was lost and the same request comes again: no second use.
    let twice = cluster.token(Role::Worker, Uses::Left(1));
    let enrollment = Enrollment::new(twice, "gpu-3").expect("a key");
    let folder = Folder::new(cluster.home.path().join("gpu-3"));
    for _ in 0..2 {
        enrollment.attempt(&cluster.url(), &folder).await.expect("the same request");
    }
    // Another key in the same name.
    let many = cluster.token(Role::Worker, Uses::Unlimited);
    assert!(refused(cluster.join(many.clone(), "gpu-1").await).contains("is in use"));
    assert!(refused(cluster.join(many.clone(), "../x").await).contains("name"));
    // A changed secret, an id that is a path, a token that has ended.
    let changed = JoinToken { credentials: format!("{}0", many.credentials), ..many.clone() };
    assert!(refused(cluster.join(changed, "gpu-4").await).contains("not valid"));
    let path = JoinToken { credentials: "../../etc/passwd.00".to_owned(), ..many.clone() };
    assert!(refused(cluster.join(path, "gpu-4").await).contains("not valid"));
    let ended = cluster.register.create(cluster.pin, Role::Worker, Duration::ZERO, Uses::Unlimited).expect("made");
    assert!(refused(cluster.join(ended, "gpu-4").await).contains("not valid"));
    // A revoked one.
    let id = many.credentials.split('.').next().expect("an id").to_owned();
    cluster.register.revoke_token(&id).expect("there");
    assert!(refused(cluster.join(many.clone(), "gpu-4").await).contains("not valid"));
    // Another authority's token is not even sent.
    let foreign = JoinToken { pin: pretext_identity::Pin::of(b"another"), ..many };
    assert!(matches!(cluster.join(foreign, "gpu-4").await, Err(JoinError::Unreachable { .. })));
    // Secrets are not kept.
    let kept = std::fs::read_dir(cluster.home.path().join("identity/tokens")).expect("there");
    let secret = cluster.token(Role::Read, Uses::Left(1)).credentials.split('.').nth(1).expect("a secret").to_owned();
    assert!(kept.flatten().all(|file| !std::fs::read_to_string(file.path()).expect("text").contains(&secret)));
    cluster.coordinator.stop().await;
}

#[tokio::test]
async fn a_worker_speaks_for_itself_alone() {
    let cluster = Cluster::start().await;
    let mut own = WorkClient::new(cluster.member(Role::Worker, "own").await);
    let mut other = WorkClient::new(cluster.member(Role::Worker, "other").await);
    let worker = |name: &str| Some(pb::Worker { name: name.to_owned(), boot: uuid::Uuid::nil().to_string() });
    let device =
        pb::Device { name: "cpu".to_owned(), description: String::new(), numeric_class: "cpu".to_owned(), slots: 1 };
    let register = |name: &str| pb::RegisterRequest {
        protocol: pretext_proto::PROTOCOL,
        worker: worker(name),
        version: "0".to_owned(),
        devices: vec![device.clone()],
        datasets: vec![],
        data_cache: 0,
    };
    let denied = |status: Status| assert_eq!(status.code(), Code::PermissionDenied, "{status}");
    own.register(register("own")).await.expect("its own name");
    other.register(register("other")).await.expect("its own name");
    denied(other.register(register("own")).await.expect_err("another's name"));

    let mut submit = pb::sweeps_client::SweepsClient::new(cluster.member(Role::Submit, "someone").await);
    let spec = pretext_engine::fixtures::SWEEP.to_owned();
    submit.submit(pb::SubmitRequest { spec, smoke: true, request_id: String::new() }).await.expect("a good sweep");
    let lease = |name: &str| pb::LeaseRequest {
        worker: worker(name),
        device: "cpu".to_owned(),
        wait_ms: 0,
        request_id: "1".to_owned(),
    };
    denied(other.lease(lease("own")).await.expect_err("another's name"));
    let grant = own.lease(lease("own")).await.expect("its own").into_inner().grant.expect("work");
    let attempt = grant.attempt.clone();

    // Everything that carries an attempt, by somebody whose attempt it is not.
    let held = |held| vec![pb::Held { attempt: held, step: 1, images: 1, device: "cpu".to_owned() }];
    let beat = pb::HeartbeatRequest { worker: worker("other"), held: held(attempt.clone()) };
    denied(other.heartbeat(beat).await.expect_err("another's lease"));
    let batch = pb::PointBatch { attempt: attempt.clone(), sequence: 0, points: vec![] };
    let mut acks = other.points(tokio_stream::iter([batch])).await.expect("a stream").into_inner();
    denied(acks.message().await.expect_err("another's lease"));
    let header =
        pb::UploadHeader { attempt: attempt.clone(), kind: "model".to_owned(), artifact: "0".repeat(64), length: 0 };
    let part = pb::UploadPart { part: Some(pb::upload_part::Part::Header(header)) };
    denied(other.upload(tokio_stream::iter([part])).await.expect_err("another's lease"));
    let checkpoint =
        pb::RegisterCheckpointRequest { attempt: attempt.clone(), artifact: "0".repeat(64), step: 1, next_sequence: 0 };
    denied(other.register_checkpoint(checkpoint).await.expect_err("another's lease"));
    let complete = pb::CompleteRequest { attempt: attempt.clone(), result_json: "{}".to_owned(), next_sequence: 0 };
    denied(other.complete(complete).await.expect_err("another's lease"));
    let fail =
        pb::FailRequest { attempt: attempt.clone(), code: "crashed".to_owned(), message: String::new(), log: vec![] };
    denied(other.fail(fail).await.expect_err("another's lease"));
    denied(other.release(pb::ReleaseRequest { attempt: attempt.clone() }).await.expect_err("another's lease"));

    // Nothing of that reached the stage: its holder goes on, and gives it back itself.
    let beat = pb::HeartbeatRequest { worker: worker("own"), held: held(attempt.clone()) };
    let directives = own.heartbeat(beat).await.expect("its own").into_inner().directives;
    assert_eq!(directives, [pb::Directive::Continue as i32]);
    own.release(pb::ReleaseRequest { attempt }).await.expect("its own");
    cluster.coordinator.stop().await;
}

#[tokio::test]
async fn a_certificate_is_renewed_while_it_is_good_and_not_once_its_holder_is_shut_out() {
    let cluster = Cluster::start().await;
    let credentials = cluster.join(cluster.token(Role::Submit, Uses::Left(1)), "someone").await.expect("good");
    let folder = Folder::new(cluster.home.path().join("renewed"));
    let session = Arc::new(TlsSession::new(folder.clone(), credentials.clone()).expect("good"));
    let channel = || Wire::Tls(session.clone()).connect_lazy(&endpoint(&cluster.url()));
    let open = channel();
    pretext_identity::renew(&session, open.clone()).await.expect("a good certificate");
    let renewed = session.credentials();
    assert_eq!(folder.load().expect("kept"), Some(renewed.clone()));
    assert_ne!((&renewed.certificate, &renewed.key), (&credentials.certificate, &credentials.key));
    assert_eq!((renewed.role, renewed.name.as_str()), (Role::Submit, "someone"));
    call(&channel(), "pretext.v1.Sweeps/List").await.expect("the new one is good");

    cluster.register.revoke_name(Role::Submit, "someone", SystemTime::now()).expect("kept");
    for channel in [open, channel()] {
        let answer = call(&channel, "pretext.v1.Sweeps/List").await;
        assert_eq!(answer.expect_err("shut out").code(), Code::Unauthenticated);
        let status = pretext_identity::renew(&session, channel).await;
        assert!(matches!(status, Err(JoinError::Refused(_))), "{status:?}");
    }
    cluster.coordinator.stop().await;
}

#[test]
fn an_authority_is_made_once_and_its_key_is_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("identity");
    assert!(matches!(Authority::open(&folder, DAY), Err(AuthorityError::Missing(_))));
    let pin = Authority::create(&folder).expect("new");
    assert!(matches!(Authority::create(&folder), Err(AuthorityError::Exists(_))));
    assert_eq!(Authority::open(&folder, DAY).expect("there").pin(), pin);
    let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&folder.join("ca.key"))), (0o700, 0o600));
}
