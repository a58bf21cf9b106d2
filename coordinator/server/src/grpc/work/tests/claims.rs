//! Fences that the store does not know: with the proof of their grant they quarantine, without it they change nothing.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use pretext_artifacts::ArtifactOptions;
use pretext_engine::fixtures::{SWEEP, submission};
use pretext_engine::{Progress, State};
use pretext_identity::Role;
use pretext_proto::refusal::{self, Kind};
use pretext_shared::ids::Fence;
use pretext_store::RedbStore;
use tonic::Code;

use super::super::*;
use crate::core::CoreThread;
use crate::identity::{Authority, Identity, Register};
use crate::metrics::Metrics;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A coordinator with TLS on one store.
struct Coordinator {
    service: WorkService,
    core: Core,
    _thread: CoreThread,
}

impl Coordinator {
    /// Opens the store called `store`, which has one sweep and no grants. The authority is the same for all stores.
    async fn on(folder: &Path, store: &str) -> Self {
        let identities = folder.join("identity");
        if !identities.exists() {
            Authority::create(&identities).expect("new");
        }
        let key = Authority::open(&identities, DAY).expect("there").grant_key().clone();
        let register = Register::open(&identities).expect("the register");
        let store = RedbStore::open(&folder.join(store)).expect("opens");
        let (core, thread) = Core::start(Arc::new(store), Limits::default()).expect("starts");
        core.call(|engine, _| engine.submit(submission(SWEEP, 1))).await.expect("durable");
        let artifacts = Artifacts::open(&ArtifactOptions::in_folder(folder.join("artifacts"))).await.expect("opens");
        let authorizer = Authorizer::certified(register, key, Arc::new(Metrics::new()));
        let service = WorkService::new(core.clone(), artifacts, Limits::default(), authorizer);
        let coordinator = Self { service, core, _thread: thread };
        for name in ["own", "other"] {
            let device =
                pb::Device { name: "cpu".to_owned(), numeric_class: "cpu".to_owned(), slots: 1, ..Default::default() };
            let register = pb::RegisterRequest {
                protocol: PROTOCOL,
                worker: worker(name),
                devices: vec![device],
                ..Default::default()
            };
            coordinator.service.register(by(name, register)).await.expect("registered");
        }
        coordinator
    }

    async fn lease(&self, name: &str) -> pb::Attempt {
        let ask = pb::LeaseRequest {
            worker: worker(name),
            device: "cpu".to_owned(),
            request_id: name.to_owned(),
            ..Default::default()
        };
        let grant = self.service.lease(by(name, ask)).await.expect("answered").into_inner().grant;
        grant.expect("work").attempt.expect("of a stage")
    }

    async fn release(&self, name: &str, attempt: &pb::Attempt) -> Result<(), Status> {
        self.service.release(by(name, pb::ReleaseRequest { attempt: Some(attempt.clone()) })).await.map(drop)
    }

    async fn progress(&self, attempt: &pb::Attempt) -> Progress {
        let stage = messages::attempt(Some(attempt.clone())).expect("an attempt").stage;
        self.core.call(move |engine, _| engine.progress(stage).cloned()).await.expect("answered").expect("a stage")
    }
}

fn worker(name: &str) -> Option<pb::Worker> {
    Some(pb::Worker { name: name.to_owned(), boot: uuid::Uuid::from_u128(1).to_string() })
}

/// A call with the certificate of a worker.
fn by<T>(name: &str, message: T) -> Request<T> {
    let now = SystemTime::now();
    let identity = Identity {
        role: Role::Worker,
        name: name.to_owned(),
        serial: "01".to_owned(),
        since: now,
        not_after: now + DAY,
    };
    let mut request = Request::new(message);
    request.extensions_mut().insert(Peer::Known(identity));
    request
}

fn superseded(answer: Result<(), Status>) {
    let status = answer.expect_err("refused");
    assert_eq!((status.code(), refusal::kind(&status)), (Code::Aborted, Kind::Superseded), "{status}");
}

#[tokio::test]
async fn a_fence_that_was_never_granted_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let coordinator = Coordinator::on(folder.path(), "state.redb").await;
    let granted = coordinator.lease("own").await;
    assert_eq!(granted.proof.len(), 16);
    let before = coordinator.progress(&granted).await;
    let known = Fence(granted.fence);
    for fence in [known.0 + 1, known.above().0, known.next("guessed").0, known.0 ^ 1, u64::MAX] {
        let forged = pb::Attempt { fence, ..granted.clone() };
        for proof in [granted.proof.clone(), vec![], vec![0; 16]] {
            for name in ["own", "other"] {
                superseded(coordinator.release(name, &pb::Attempt { proof: proof.clone(), ..forged.clone() }).await);
            }
        }
    }
    // A stage that nobody has submitted yet: it must not begin with a quarantine.
    let unknown = pb::Attempt { stage: "0".repeat(64), ..granted.clone() };
    let status = coordinator.release("other", &unknown).await.expect_err("refused");
    assert_eq!((status.code(), refusal::kind(&status)), (Code::NotFound, Kind::Superseded), "{status}");
    assert_eq!(coordinator.progress(&granted).await, before);

    // One such attempt costs a worker none of its other leases.
    let held = |attempt: pb::Attempt| pb::Held { attempt: Some(attempt), ..Default::default() };
    let forged = pb::Attempt { fence: known.0 + 1, ..granted.clone() };
    let beat = pb::HeartbeatRequest { worker: worker("own"), held: vec![held(forged), held(granted.clone())] };
    let told = coordinator.service.heartbeat(by("own", beat)).await.expect("answered").into_inner().directives;
    assert_eq!(told, [pb::Directive::Superseded as i32, pb::Directive::Continue as i32]);
    assert_eq!(coordinator.progress(&granted).await, before);

    // A known fence needs no proof: workers of earlier versions have none.
    coordinator.release("own", &pb::Attempt { proof: vec![], ..granted }).await.expect("its own");
}

#[tokio::test]
async fn a_grant_that_the_store_has_forgotten_quarantines_with_its_proof_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let granted = Coordinator::on(folder.path(), "state.redb").await.lease("own").await;
    // The same sweeps in a store that is older than the grant.
    let coordinator = Coordinator::on(folder.path(), "older.redb").await;
    let before = coordinator.progress(&granted).await;
    superseded(coordinator.release("other", &granted).await);
    superseded(coordinator.release("own", &pb::Attempt { proof: vec![], ..granted.clone() }).await);
    let mut wrong = granted.clone();
    wrong.proof[15] ^= 1;
    superseded(coordinator.release("own", &wrong).await);
    assert_eq!(coordinator.progress(&granted).await, before);

    superseded(coordinator.release("own", &granted).await);
    let State::Failed(failure) = coordinator.progress(&granted).await.state else { panic!("not quarantined") };
    assert_eq!(failure.code, FailureCode::RolledBack);
}
