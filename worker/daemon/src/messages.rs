//! Converts between domain types and the messages that the daemon exchanges with a coordinator. The functions are pure.
//! Every incoming message is accepted or refused with a reason; `tests/fast/tests/conversions` checks each.

use std::time::Duration;

use pretext_proto::v1 as pb;
use pretext_shared::claim::{Claim, Proof};
use pretext_shared::dataset::{DatasetFacts, Note, Source};
use pretext_shared::device::DeviceFacts;
use pretext_shared::ids::{ArtifactId, AttemptId, Fence, WorkerId};
use pretext_shared::outcome::{ArtifactKind, Failure, StageResult};
use pretext_shared::point::Point;
use pretext_shared::stage::Stage;
use pretext_shared::trainer::CheckpointPolicy;

use super::Verdict;
use crate::refusal::Refused;
use crate::spool::{Batch, Saved};

/// Shortest and longest time between heartbeats, whatever a coordinator asks for.
const PACES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(3600));

/// Returns the attempt under which the daemon writes, with the proof of its grant.
pub fn attempt(Claim { attempt, proof: Proof(proof) }: &Claim) -> pb::Attempt {
    pb::Attempt { stage: attempt.stage.to_string(), fence: attempt.fence.0, proof: proof.clone() }
}

/// Returns the worker's name and boot id.
pub fn worker(worker: &WorkerId) -> pb::Worker {
    pb::Worker { name: worker.name.clone(), boot: worker.boot.to_string() }
}

/// Returns a device that the worker offers.
pub fn device(device: &DeviceFacts) -> pb::Device {
    pb::Device {
        name: device.name.clone(),
        description: device.description.clone(),
        numeric_class: device.class.to_string(),
        slots: device.slots,
    }
}

/// Returns a data set below the data root, or why it cannot be used.
pub fn dataset(key: String, facts: Result<DatasetFacts, String>) -> pb::Dataset {
    match facts {
        Ok(facts) => pb::Dataset {
            key,
            fingerprint: facts.fingerprint.to_string(),
            classes: facts.classes,
            train: facts.train,
            test: facts.test,
            groups: facts.groups.into_iter().map(|train| pb::Group { train }).collect(),
            validation: facts.validation,
            notes: facts.notes.iter().map(Note::encoded).collect(),
            problem: String::new(),
        },
        Err(problem) => pb::Dataset { key, problem, ..Default::default() },
    }
}

/// Returns an attempt that the worker continues.
pub fn held(claim: &Claim, step: u64, images: u64, device: &str) -> pb::Held {
    pb::Held { attempt: Some(attempt(claim)), step, images, device: device.to_owned() }
}

/// Returns points of an attempt.
pub fn batch(claim: &Claim, batch: &Batch) -> pb::PointBatch {
    let points = batch.points.iter().map(point).collect();
    pb::PointBatch { attempt: Some(attempt(claim)), sequence: batch.sequence, points }
}

fn point(point: &Point) -> pb::Point {
    pb::Point {
        part: point.part.as_str().to_owned(),
        metric: point.metric.as_str().to_owned(),
        epoch: point.epoch,
        step: point.step,
        value: point.value,
    }
}

/// Returns the head of an upload of `length` bytes.
pub fn upload(claim: &Claim, kind: ArtifactKind, artifact: ArtifactId, length: u64) -> pb::UploadHeader {
    let (kind, artifact) = (kind.as_str().to_owned(), artifact.to_string());
    pb::UploadHeader { attempt: Some(attempt(claim)), kind, artifact, length }
}

/// Returns the registration of a checkpoint that was uploaded as `artifact`.
pub fn checkpoint(claim: &Claim, artifact: ArtifactId, saved: &Saved) -> pb::RegisterCheckpointRequest {
    pb::RegisterCheckpointRequest {
        attempt: Some(attempt(claim)),
        artifact: artifact.to_string(),
        step: saved.step,
        next_sequence: saved.next_sequence,
    }
}

/// Returns the result of a stage.
///
/// # Errors
/// Never for numbers and names.
pub fn complete(
    claim: &Claim,
    result: &StageResult,
    next_sequence: u64,
) -> Result<pb::CompleteRequest, serde_json::Error> {
    let result_json = serde_json::to_string(result)?;
    Ok(pb::CompleteRequest { attempt: Some(attempt(claim)), result_json, next_sequence })
}

/// Returns a failed attempt with its evidence.
pub fn fail(claim: &Claim, failure: Failure) -> pb::FailRequest {
    let Failure { code, message, log } = failure;
    pb::FailRequest { attempt: Some(attempt(claim)), code: code.as_str().to_owned(), message, log }
}

/// Returns the release of a lease.
pub fn release(claim: &Claim) -> pb::ReleaseRequest {
    pb::ReleaseRequest { attempt: Some(attempt(claim)) }
}

/// A grant, parsed.
#[derive(Debug, Clone, PartialEq)]
pub struct Granted {
    /// The attempt under which the worker writes, with the proof of its grant.
    pub claim: Claim,
    /// The stage to run.
    pub stage: Stage,
    /// The source of the data.
    pub source: Source,
    /// The list of packs, if the data set must be fetched.
    pub packing: Option<ArtifactId>,
    /// Path of the weights file below the data root.
    pub weights: Option<String>,
    /// When to write checkpoints.
    pub policy: CheckpointPolicy,
    /// The parent stage's model.
    pub parent: Option<ArtifactId>,
    /// The newest registered checkpoint, with its step.
    pub resume_from: Option<(ArtifactId, u64)>,
    /// The registered checkpoints before it, newest first.
    pub predecessors: Vec<(ArtifactId, u64)>,
}

/// Parses a grant.
///
/// # Errors
/// The name of the part that cannot be parsed.
pub fn granted(grant: pb::Grant) -> Result<Granted, String> {
    let attempt = grant.attempt.ok_or("no attempt")?;
    let artifact = |name: &str, text: &str| match text {
        "" => Ok(None),
        text => text.parse::<ArtifactId>().map(Some).map_err(|error| format!("{name}: {error}")),
    };
    let predecessor = |older: &pb::Predecessor| {
        let artifact = older.artifact.parse().map_err(|error| format!("checkpoint: {error}"))?;
        Ok::<_, String>((artifact, older.step))
    };
    Ok(Granted {
        claim: Claim {
            attempt: AttemptId {
                stage: attempt.stage.parse().map_err(|error| format!("stage id: {error}"))?,
                fence: Fence(attempt.fence),
            },
            proof: Proof(attempt.proof),
        },
        stage: serde_json::from_str(&grant.stage_json).map_err(|error| format!("stage: {error}"))?,
        source: serde_json::from_str(&grant.source_json).map_err(|error| format!("source: {error}"))?,
        packing: artifact("list of packs", &grant.packing)?,
        weights: (!grant.weights_path.is_empty()).then_some(grant.weights_path),
        policy: serde_json::from_str(&grant.checkpoint_json).map_err(|error| format!("checkpoint: {error}"))?,
        parent: artifact("parent model", &grant.parent_model)?,
        resume_from: artifact("checkpoint", &grant.resume_from)?.map(|artifact| (artifact, grant.resume_step)),
        predecessors: grant.predecessors.iter().map(predecessor).collect::<Result<_, _>>()?,
    })
}

/// Returns the coordinator's verdict on an attempt. A directive that this version does not know means `Continue`.
pub fn verdict(directive: i32) -> Verdict {
    match pb::Directive::try_from(directive) {
        Ok(pb::Directive::Cancel) => Verdict::Cancelled,
        Ok(pb::Directive::Superseded) => Verdict::Superseded,
        Ok(pb::Directive::Continue | pb::Directive::Unspecified) | Err(_) => Verdict::Continue,
    }
}

/// Returns the sequence number below which every batch is durable.
///
/// # Errors
/// The refusal; `None` if the batch must be sent again.
pub fn durable(ack: pb::PointAck) -> Result<u64, Option<Refused>> {
    if ack.refused.is_empty() {
        return Ok(ack.sequence.saturating_add(1));
    }
    Err(match pb::RefusalKind::try_from(ack.kind) {
        // An older coordinator states no kind: it refuses only what is superseded.
        Ok(pb::RefusalKind::Superseded | pb::RefusalKind::Unspecified) => Some(Refused::Superseded(ack.refused)),
        Ok(pb::RefusalKind::Invalid) => Some(Refused::Invalid(ack.refused)),
        Ok(pb::RefusalKind::Retryable) | Err(_) => None,
    })
}

/// Returns the time between heartbeats.
pub fn pace(reply: &pb::RegisterReply) -> Duration {
    Duration::from_millis(reply.heartbeat_ms).clamp(PACES.0, PACES.1)
}
