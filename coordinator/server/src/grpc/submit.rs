//! Plans and submissions. Planning happens outside the core, and a large sweep goes to the core in pieces, so that other
//! requests are answered in between.

use std::collections::BTreeSet;
use std::time::Duration;

use pretext_engine::drafts::{Begun, Pieces};
use pretext_engine::submission::{Assumed, Basis, Planned, SubmissionError};
use pretext_engine::{Outline, Submitted};
use pretext_proto::refusal;
use pretext_proto::v1 as pb;
use pretext_shared::ids::StageId;
use pretext_shared::plan::Plan;
use pretext_shared::stage::Extent;
use pretext_shared::sweep::Build;
use pretext_store::StoreError;
use tonic::Status;

use super::unavailable;
use crate::core::{Core, CoreError};
use crate::estimate::Measures;

/// Most stages that one request to the core adds. The core writes a piece within a few tens of milliseconds.
const PIECE: usize = 500;
/// Most stages that one request to the core looks up.
const LOOK: usize = 20_000;
/// Number of sweeps, the newest first, whose finished stages tell how long others take.
const MEASURED: usize = 20;
/// How often a sweep is planned again because workers announced other data meanwhile.
const PLANS: usize = 3;
/// Time between two looks at another submission of the same sweep.
const UNDERWAY: Duration = Duration::from_millis(50);

/// What a caller submits.
pub(super) struct Asked {
    /// The sweep file.
    pub(super) spec: String,
    pub(super) extent: Extent,
    /// What this program was built from.
    pub(super) build: Option<Build>,
}

/// Why a sweep was not submitted.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("{0}")]
    Refused(#[from] SubmissionError),
    #[error("{0}")]
    Core(#[from] CoreError),
    #[error("workers announced other data for the sweep while it was planned: submit it again")]
    DataChange,
    #[error("the plan cannot be written: {0}")]
    Text(String),
    #[error("{0}")]
    Unread(#[from] StoreError),
    #[error("planning ended early: {0}")]
    Planning(#[from] tokio::task::JoinError),
}

impl From<Failed> for Status {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Refused(error) => not_planned(&error),
            Failed::Core(error) => unavailable(error),
            Failed::DataChange | Failed::Unread(_) => Status::unavailable(failed.to_string()),
            Failed::Planning(_) | Failed::Text(_) => Status::internal(failed.to_string()),
        }
    }
}

/// Bytes of a refusal's message and of its problems. Both are headers, and clients take 16 KiB of headers.
const MOST_REFUSAL: usize = 4 << 10;

/// Returns the status of a sweep that cannot be planned, with its problems for a program that has the file.
fn not_planned(error: &SubmissionError) -> Status {
    let Some(problems) = error.problems() else { return Status::invalid_argument(error.to_string()) };
    let mut problems = problems.clone();
    while let Some(last) = problems.issues.pop() {
        problems.issues.push(last);
        let message = problems.render("sweep.yaml", "");
        let json = serde_json::to_string(&problems).unwrap_or_default();
        if message.len() <= MOST_REFUSAL && json.len() <= MOST_REFUSAL {
            return refusal::of_sweep(message.trim_end(), json);
        }
        problems.issues.pop();
        problems.omitted += 1;
    }
    Status::invalid_argument("the sweep does not fit the data: run `coordinator plan` to see why")
}

/// Submits a sweep. It is submitted whole even if the caller goes away meanwhile.
pub(super) async fn submit(core: Core, asked: Asked) -> Result<pb::SubmitReply, Status> {
    let submitted = tokio::spawn(async move { submit_whole(&core, asked).await });
    Ok(submitted.await.map_err(Failed::Planning)??)
}

async fn submit_whole(core: &Core, asked: Asked) -> Result<pb::SubmitReply, Failed> {
    let Asked { spec, extent, build } = asked;
    for _ in 0..PLANS {
        let (basis, wall) = core.call(|engine, now| (Basis::of(engine, now.mono), now.wall)).await?;
        let (text, build) = (spec.clone(), build.clone());
        let (pieces, assumed) = tokio::task::spawn_blocking(move || {
            let planned = basis.plan(&text, extent)?;
            let assumed = planned.assumed();
            Ok::<_, SubmissionError>((planned.submission(text, wall, build).in_pieces(PIECE), assumed))
        })
        .await??;
        let (cells, stages) = (pieces.record.cells.len() as u32, pieces.draft.stages() as u32);
        let sweep = pieces.record.id.to_string();
        if let Some(Submitted { existed, cancelled, cached }) = hand_over(core, pieces, assumed).await? {
            return Ok(pb::SubmitReply { sweep, existed, cells, stages, cached: cached as u32, cancelled });
        }
    }
    Err(Failed::DataChange)
}

/// Hands a planned sweep to the core. Returns nothing if the sweep must be planned again: the data have changed, or the
/// core was restored from its store meanwhile.
async fn hand_over(core: &Core, pieces: Pieces, assumed: Assumed) -> Result<Option<Submitted>, CoreError> {
    let Pieces { mut draft, mut pieces, record } = pieces;
    loop {
        match core.call(move |engine, _| engine.begin(draft)).await? {
            Begun::Draft => break,
            Begun::Existed(submitted) => return Ok(Some(submitted)),
            Begun::Underway(same) => draft = *same,
        }
        tokio::time::sleep(UNDERWAY).await;
    }
    let last = pieces.pop();
    for piece in pieces {
        core.call(move |engine, _| engine.add(piece)).await?;
    }
    core.call(move |engine, now| {
        if !assumed.hold(engine, now.mono) {
            engine.withdraw(&record.id);
            return None;
        }
        last.into_iter().for_each(|piece| engine.add(piece));
        engine.publish(record)
    })
    .await
}

/// Plans a sweep, and says which of its stages have a result.
pub(super) async fn plan(core: &Core, spec: String, extent: Extent) -> Result<pb::PlanReply, Status> {
    Ok(plan_whole(core, spec, extent).await?)
}

async fn plan_whole(core: &Core, spec: String, extent: Extent) -> Result<pb::PlanReply, Failed> {
    let basis = core.call(|engine, now| Basis::of(engine, now.mono)).await?;
    let planned = tokio::task::spawn_blocking(move || {
        let planned = basis.plan(&spec, extent)?;
        let outlines = outlines(&planned);
        let facts: Vec<_> = std::iter::once(planned.facts).chain(planned.pretext_facts).collect();
        let unwritten = |error: serde_json::Error| Failed::Text(error.to_string());
        let plan_json = serde_json::to_string(&planned.plan).map_err(unwritten)?;
        let data_json = serde_json::to_string(&facts).map_err(unwritten)?;
        let stages: Vec<StageId> = planned.plan.stages.iter().map(|stage| stage.id).collect();
        Ok::<_, Failed>((plan_json, data_json, stages, planned.plan, outlines))
    });
    let (plan_json, data_json, stages, plan, outlines) = planned.await??;
    let mut cached = BTreeSet::new();
    for some in stages.chunks(LOOK) {
        let some = some.to_vec();
        cached.extend(core.call(move |engine, _| engine.cached(some)).await?);
    }
    let estimate = estimate(core, plan, &cached, outlines).await?;
    let cached = cached.iter().map(StageId::to_string).collect();
    Ok(pb::PlanReply { plan_json, cached, data_json, estimate: Some(estimate) })
}

/// Returns an outline for each thing that the stages of a plan demand of a device.
fn outlines(planned: &Planned) -> Vec<Outline> {
    let mut kinds = BTreeSet::new();
    let first = planned.plan.stages.iter().filter(|stage| kinds.insert(stage.stage.spec.kind()));
    first
        .map(|stage| Outline::planned(&stage.stage, planned.sweep.source_of(stage.stage.spec.kind()), stage.cost))
        .collect()
}

/// Returns how long the stages of a plan that have no result will take.
async fn estimate(
    core: &Core,
    plan: Plan,
    cached: &BTreeSet<StageId>,
    outlines: Vec<Outline>,
) -> Result<pb::Estimate, Failed> {
    let (sweeps, slots) = core
        .call(move |engine, now| {
            let newest = engine.list(now.mono).into_iter().take(MEASURED).map(|sweep| sweep.id);
            (newest.collect::<Vec<_>>(), engine.slots_for(&outlines, now.mono))
        })
        .await?;
    let mut measured = Vec::new();
    for sweep in sweeps {
        measured.extend(core.call(move |engine, _| engine.measures(&sweep)).await?);
    }
    let (store, cached) = (core.store().clone(), cached.clone());
    let estimated = tokio::task::spawn_blocking(move || {
        let ids: Vec<StageId> = measured.iter().map(|(id, _)| *id).collect();
        let records = store.plans(&ids)?;
        let mut measures = Measures::default();
        for (id, pace) in measured {
            if let Some(record) = records.get(&id) {
                measures.add(record, pace);
            }
        }
        Ok::<_, StoreError>(measures.estimate(&plan, &cached, slots))
    });
    Ok(estimated.await??)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pretext_engine::Limits;
    use pretext_engine::fixtures::{SWEEP, offer, worker};
    use pretext_shared::dataset::{DatasetFacts, Procedural};
    use pretext_shared::ids::{ContentHash, Fingerprint};
    use pretext_store::RedbStore;

    use super::*;

    /// A core with one worker that announces these data, and its thread.
    async fn core(folder: &tempfile::TempDir, data: Vec<DatasetFacts>) -> (Core, crate::core::CoreThread) {
        let store = RedbStore::open(&folder.path().join("state.redb")).expect("a new store");
        let (core, thread) = Core::start(Arc::new(store), Limits::default()).expect("an empty store");
        announce(&core, data).await;
        (core, thread)
    }

    async fn announce(core: &Core, data: Vec<DatasetFacts>) {
        let datasets =
            data.into_iter().map(|facts| pretext_engine::Announcement { key: facts.key.clone(), facts: Ok(facts) });
        let datasets = datasets.collect();
        let registered = core.call(move |engine, now| {
            engine.register(worker("w"), pretext_engine::Offer { datasets, ..offer(0) }, now.mono);
        });
        registered.await.expect("durable");
    }

    fn asked(spec: String) -> Asked {
        Asked { spec, extent: Extent::Whole, build: None }
    }

    /// A sweep of more stages than one piece has.
    fn large() -> String {
        let seeds: Vec<String> = (0..150).map(|seed| seed.to_string()).collect();
        SWEEP.replace("seeds: [0]", &format!("seeds: [{}]", seeds.join(", ")))
    }

    fn folder_facts(content: &str) -> DatasetFacts {
        let mut facts = Procedural { train_per_class: 40, test_per_class: 10, seed: 0 }.facts();
        facts.key = "image-folder:cells".to_owned();
        facts.fingerprint = Fingerprint(ContentHash::of(content.as_bytes()));
        facts
    }

    #[tokio::test]
    async fn a_sweep_of_several_pieces_is_submitted_once_however_often_it_is_asked_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let (core, thread) = core(&folder, vec![]).await;
        // All at once: the others wait for the first.
        let all: Vec<_> = (0..4).map(|_| tokio::spawn(submit(core.clone(), asked(large())))).collect();
        let mut new = 0;
        for one in all {
            let reply = one.await.expect("no panic").expect("submitted");
            assert_eq!((reply.cells, reply.stages, reply.cached), (300, 750, 0));
            new += usize::from(!reply.existed);
        }
        assert_eq!(new, 1);
        let stored = core.store().load().expect("reads");
        assert_eq!((stored.sweeps.len(), stored.stages.len()), (1, 750));
        thread.stop();
    }

    #[tokio::test]
    async fn a_plan_for_data_that_changed_meanwhile_is_made_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let (core, thread) = core(&folder, vec![folder_facts("old")]).await;
        let kind = "kind: procedural, train_per_class: 40, test_per_class: 10, seed: 0";
        let text = large().replace(kind, "kind: image-folder, path: cells");
        let planned = |basis: Basis| {
            let planned = basis.plan(&text, Extent::Whole).expect("a plan");
            let assumed = planned.assumed();
            (planned.submission(text.clone(), 1, None).in_pieces(PIECE), assumed)
        };
        let basis = core.call(|engine, now| Basis::of(engine, now.mono)).await.expect("it runs");
        let (pieces, assumed) = planned(basis);
        announce(&core, vec![folder_facts("new")]).await;
        assert_eq!(hand_over(&core, pieces, assumed).await.expect("it runs"), None);
        let (sweeps, backlog) =
            core.call(|engine, now| (engine.sweep_ids().count(), engine.backlog(now.mono))).await.expect("it runs");
        assert_eq!((sweeps, backlog.cpu.ready, backlog.cpu.blocked), (0, 0, 0), "nothing of it is left to run");
        let reply = submit(core.clone(), asked(text.clone())).await.expect("planned for the new data");
        assert!(!reply.existed);
        // Data that nobody announces any more change nothing.
        let basis = core.call(|engine, now| Basis::of(engine, now.mono)).await.expect("it runs");
        let (pieces, assumed) = planned(basis);
        announce(&core, vec![]).await;
        let again = hand_over(&core, pieces, assumed).await.expect("it runs").expect("it stands");
        assert!(again.existed);
        thread.stop();
    }
}
