//! Conversions for the service of workers: their requests, and the answers to them.

use pretext_engine::{Announcement, Directive, Grant, Offer, StageRecord};
use pretext_proto::v1 as pb;
use pretext_shared::claim::{Claim, Proof};
use pretext_shared::dataset::{DatasetFacts, Note};
use pretext_shared::device::DeviceFacts;
use pretext_shared::ids::{AttemptId, Fence, WorkerId, is_valid_name};
use pretext_shared::outcome::{Failure, FailureCode, StageResult};
use pretext_shared::point::{Metric, Part, Point};
use tonic::Status;

use super::{invalid, parsed, required, shown};

/// Most log lines of a failure, and most characters of each.
const MAX_LOG: (usize, usize) = (200, 1000);

/// Converts an attempt.
///
/// # Errors
/// If the attempt is missing or names no stage.
pub fn attempt(message: Option<pb::Attempt>) -> Result<AttemptId, Status> {
    let message = required(message, "attempt")?;
    Ok(AttemptId { stage: parsed(&message.stage, "attempt.stage")?, fence: Fence(message.fence) })
}

/// Converts an attempt with the proof that its worker presents.
///
/// # Errors
/// If the attempt is missing or names no stage.
pub fn claim(message: Option<pb::Attempt>) -> Result<Claim, Status> {
    let mut message = required(message, "attempt")?;
    let proof = Proof(std::mem::take(&mut message.proof));
    Ok(Claim { attempt: attempt(Some(message))?, proof })
}

/// Returns the message of an [`attempt`], without a proof.
pub fn attempt_message(attempt: AttemptId) -> pb::Attempt {
    claim_message(Claim { attempt, proof: Proof::default() })
}

/// Returns the message of a [`claim`].
pub fn claim_message(Claim { attempt, proof: Proof(proof) }: Claim) -> pb::Attempt {
    pb::Attempt { stage: attempt.stage.to_string(), fence: attempt.fence.0, proof }
}

/// Converts the identity of the calling worker.
///
/// # Errors
/// If it is missing, or if its name or boot id is not valid.
pub fn worker(message: Option<pb::Worker>) -> Result<WorkerId, Status> {
    let message = required(message, "worker")?;
    if !is_valid_name(&message.name) {
        return Err(invalid(format!(
            "`{}` is not a worker name: at most 64 of A-Z a-z 0-9 . _ -, no leading dot",
            shown(&message.name)
        )));
    }
    Ok(WorkerId { name: message.name, boot: parsed(&message.boot, "worker.boot")? })
}

/// Returns the message of a [`worker`].
pub fn worker_message(worker: WorkerId) -> pb::Worker {
    pb::Worker { name: worker.name, boot: worker.boot.to_string() }
}

/// Converts what a worker offers.
///
/// # Errors
/// If a device or a data set cannot be converted.
pub fn offer(message: pb::RegisterRequest) -> Result<Offer, Status> {
    let devices = message.devices.into_iter().map(device).collect::<Result<_, _>>()?;
    let datasets = message.datasets.into_iter().map(dataset).collect::<Result<_, _>>()?;
    Ok(Offer { devices, datasets, version: message.version, data_cache: message.data_cache })
}

fn device(message: pb::Device) -> Result<DeviceFacts, Status> {
    Ok(DeviceFacts {
        class: parsed(&message.numeric_class, "device.numeric_class")?,
        name: message.name,
        description: message.description,
        slots: message.slots,
    })
}

/// Returns the message of a device.
pub(super) fn device_message(device: DeviceFacts) -> pb::Device {
    pb::Device {
        name: device.name,
        description: device.description,
        numeric_class: device.class.to_string(),
        slots: device.slots,
    }
}

/// Converts what is known of a data set.
///
/// # Errors
/// If its fingerprint is not valid.
pub fn dataset(message: pb::Dataset) -> Result<Announcement, Status> {
    let facts = if message.problem.is_empty() {
        Ok(DatasetFacts {
            key: message.key.clone(),
            fingerprint: parsed(&message.fingerprint, "dataset.fingerprint")?,
            classes: message.classes,
            train: message.train,
            test: message.test,
            groups: message.groups.into_iter().map(|group| group.train).collect(),
            validation: message.validation,
            notes: message.notes.iter().map(|text| Note::decoded(text)).collect(),
        })
    } else {
        Err(message.problem)
    };
    Ok(Announcement { key: message.key, facts })
}

/// Returns the message of a data set.
pub fn dataset_message(data: Announcement) -> pb::Dataset {
    match data.facts {
        Ok(facts) => pb::Dataset {
            key: data.key,
            fingerprint: facts.fingerprint.to_string(),
            classes: facts.classes,
            train: facts.train,
            test: facts.test,
            groups: facts.groups.into_iter().map(|train| pb::Group { train }).collect(),
            validation: facts.validation,
            notes: facts.notes.iter().map(Note::encoded).collect(),
            problem: String::new(),
        },
        Err(problem) => pb::Dataset { key: data.key, problem, ..Default::default() },
    }
}

/// Converts a value of a curve.
///
/// # Errors
/// If its part or metric is unknown, or its value is not finite.
pub fn point(message: &pb::Point) -> Result<Point, Status> {
    let part = match message.part.as_str() {
        "train" => Part::Train,
        "validation" => Part::Validation,
        "test" => Part::Test,
        other => return Err(invalid(format!("`{}` is not a part", shown(other)))),
    };
    let metric = match message.metric.as_str() {
        "loss" => Metric::Loss,
        "accuracy" => Metric::Accuracy,
        "step-loss" => Metric::StepLoss,
        "learning-rate" => Metric::LearningRate,
        "knn-accuracy" => Metric::KnnAccuracy,
        other => return Err(invalid(format!("`{}` is not a metric", shown(other)))),
    };
    if !message.value.is_finite() {
        return Err(invalid("a point's value must be finite"));
    }
    Ok(Point { part, metric, epoch: message.epoch, step: message.step, value: message.value })
}

/// Converts the attempts that a worker holds, each with its step and images.
///
/// # Errors
/// If an attempt names no stage.
pub fn held(messages: Vec<pb::Held>) -> Result<Vec<(Claim, u64, u64)>, Status> {
    messages.into_iter().map(|held| Ok((claim(held.attempt)?, held.step, held.images))).collect()
}

/// Converts an instruction to a worker about an attempt.
pub fn directive(directive: Directive) -> pb::Directive {
    match directive {
        Directive::Continue => pb::Directive::Continue,
        Directive::Cancel => pb::Directive::Cancel,
        Directive::Superseded => pb::Directive::Superseded,
    }
}

/// Converts a granted stage with its plan and the proof of the grant into the worker's order.
///
/// # Errors
/// Never for a stage of a plan: its numbers are finite.
pub fn grant_message(grant: Grant, plan: StageRecord, proof: Proof) -> Result<pb::Grant, Status> {
    let source = match &grant.place {
        Some(key) => plan.source.relocated(key),
        None => plan.source,
    };
    let json = |value: Result<String, serde_json::Error>| value.map_err(|error| Status::internal(error.to_string()));
    Ok(pb::Grant {
        attempt: Some(claim_message(Claim { attempt: grant.attempt, proof })),
        stage_json: json(serde_json::to_string(&plan.stage))?,
        source_json: json(serde_json::to_string(&source))?,
        weights_path: plan.weights.unwrap_or_default(),
        packing: grant.packing.map(|packing| packing.to_string()).unwrap_or_default(),
        parent_model: grant.parent_model.map(|model| model.to_string()).unwrap_or_default(),
        checkpoint_json: json(serde_json::to_string(&plan.checkpoint))?,
        resume_step: grant.resume_from.as_ref().map(|checkpoint| checkpoint.step).unwrap_or_default(),
        resume_from: grant.resume_from.map(|checkpoint| checkpoint.artifact.to_string()).unwrap_or_default(),
        predecessors: grant
            .predecessors
            .iter()
            .map(|older| pb::Predecessor { artifact: older.artifact.to_string(), step: older.step })
            .collect(),
    })
}

/// Parses the result of a stage.
///
/// # Errors
/// If it cannot be parsed, for example because its loss is not a number.
pub fn result(json: &str) -> Result<StageResult, Status> {
    serde_json::from_str(json).map_err(|error| invalid(format!("`result_json`: {}", shown(&error.to_string()))))
}

/// Converts a failure with its evidence: the last log lines and the message, each shortened.
///
/// # Errors
/// If its code is unknown.
pub fn failure(message: pb::FailRequest) -> Result<Failure, Status> {
    let code = FailureCode::parse(&message.code)
        .ok_or_else(|| invalid(format!("`{}` is not a failure code", shown(&message.code))))?;
    let surplus = message.log.len().saturating_sub(MAX_LOG.0);
    let log = message.log.into_iter().skip(surplus).map(|line| line.chars().take(MAX_LOG.1).collect()).collect();
    Ok(Failure { code, message: message.message.chars().take(4 * MAX_LOG.1).collect(), log })
}
