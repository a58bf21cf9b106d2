//! Tests of the service for workers: grants whose plans cannot be read.

mod claims;

use std::collections::BTreeMap;
use std::sync::Arc;

use pretext_artifacts::ArtifactOptions;
use pretext_engine::fixtures::{SWEEP, submission};
use pretext_engine::{Batch, Change, GrantRecord, Snapshot, StageRecord, State};
use pretext_shared::ids::{Fence, StageId};
use pretext_shared::stage::StageKind;
use pretext_store::{RedbStore, Store};

use super::*;
use crate::metrics::Metrics;

/// A store in which a newer version wrote the plans of pretext stages.
struct Newer(RedbStore);

impl Store for Newer {
    fn load(&self) -> Result<Snapshot, StoreError> {
        self.0.load()
    }

    fn commit(&self, changes: &[Change]) -> Result<(), StoreError> {
        self.0.commit(changes)
    }

    fn reopen(&self) -> Result<(), StoreError> {
        self.0.reopen()
    }

    fn plans(&self, stages: &[StageId]) -> Result<BTreeMap<StageId, StageRecord>, StoreError> {
        let plans = self.0.plans(stages)?;
        if plans.values().any(|plan| plan.stage.spec.kind() == StageKind::Pretext) {
            return Err(StoreError::Damaged { table: "stages", cause: "unknown optimizer `newer`".to_owned() });
        }
        Ok(plans)
    }

    fn points(&self, stage: StageId) -> Result<Vec<Batch>, StoreError> {
        self.0.points(stage)
    }

    fn grants(&self, stage: StageId) -> Result<Vec<(Fence, GrantRecord)>, StoreError> {
        self.0.grants(stage)
    }
}

/// A call from this machine.
fn local<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(Peer::Open);
    request
}

/// The longest chain begins with an unreadable stage: it is tried first and fails with a reason, and the others run.
#[tokio::test]
async fn a_plan_that_cannot_be_read_fails_its_stage_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Newer(RedbStore::open(&folder.path().join("state.redb")).expect("opens"));
    let limits = Limits::default();
    let (core, thread) = Core::start(Arc::new(store), limits).expect("starts");
    let submitted = submission(SWEEP, 1);
    let pretext = submitted.stages.iter().find(|(_, plan)| plan.stage.spec.kind() == StageKind::Pretext);
    let pretext = pretext.expect("rotation has one").0;
    core.call(move |engine, _| engine.submit(submitted)).await.expect("durable");
    let artifacts = ArtifactOptions::in_folder(folder.path().join("artifacts"));
    let artifacts = Artifacts::open(&artifacts).await.expect("opens");
    let service = WorkService::new(core.clone(), artifacts, limits, Authorizer::unrestricted(Arc::new(Metrics::new())));
    let worker = Some(pb::Worker { name: "w".to_owned(), boot: uuid::Uuid::from_u128(1).to_string() });
    let device =
        pb::Device { name: "cpu".to_owned(), description: String::new(), numeric_class: "cpu".to_owned(), slots: 1 };
    let register =
        pb::RegisterRequest { protocol: PROTOCOL, worker: worker.clone(), devices: vec![device], ..Default::default() };
    service.register(local(register)).await.expect("registered");
    let mut granted = None;
    for request in ["one", "two"] {
        let ask = pb::LeaseRequest {
            worker: worker.clone(),
            device: "cpu".to_owned(),
            request_id: request.to_owned(),
            ..Default::default()
        };
        granted = granted.or(service.lease(local(ask)).await.expect("answered").into_inner().grant);
    }
    let granted = messages::attempt(granted.expect("the supervised stage").attempt).expect("an attempt");
    assert_ne!(granted.stage, pretext);
    let failed = core.call(move |engine, _| engine.progress(pretext).cloned()).await.expect("answered");
    let Some(State::Failed(failure)) = failed.map(|progress| progress.state) else { panic!("it has not failed") };
    assert_eq!(failure.code, FailureCode::Invalid);
    assert!(failure.message.contains("unknown optimizer `newer`"), "{}", failure.message);
    thread.stop();
}
