//! Every message in a request or an answer, and its reader.

use std::time::SystemTime;

use pretext_daemon::spool::{Batch, Saved};
use pretext_daemon::{Verdict, messages};
use pretext_engine::demand::Trigger;
use pretext_identity::{Credentials, Folder, Role, TlsSession};
use pretext_messages as convert;
use pretext_proto::externalscaler as scaler;
use pretext_proto::v1 as pb;
use pretext_shared::claim::Claim;
use pretext_shared::ids::ArtifactId;
use pretext_shared::outcome::ArtifactKind;
use pretext_shared::sweep::Cost;
use pretext_shared::verification::Verification;
use prost::Message;
use tonic::Status;

/// What happened to bytes.
pub(crate) enum Fate {
    /// They became a value, and the value came back the same.
    Taken,
    /// They are a message that was refused, with this reason.
    Refused(String),
    /// They are not a message, which gRPC reports itself.
    Undecodable,
}

/// The reader of a message.
pub(crate) enum Reader {
    /// This function, which reads it as the programs do.
    Read(fn(&[u8]) -> Fate),
    /// The reader of the message that contains it.
    Within(&'static str),
    /// None, for this reason.
    Plain(&'static str),
}

use Reader::{Plain, Read, Within};

const EMPTY: Reader = Plain("it has no fields");
const SHOWN: Reader = Plain("shown as it is: `coordinator/src/answers.rs`");
const LOOKED_UP: Reader = Plain("text that is looked up, never taken apart into a type: fuzz target `requests`");
const PARSED: Reader = Plain("the text of a sweep file: fuzz target `sweep`");
const COUNTED: Reader = Plain("numbers and text that stay what they are");

/// See the module.
pub(crate) const CATALOGUE: &[(&str, Reader)] = &[
    // Messages of both services.
    ("pretext.v1.Attempt", Read(attempt)),
    ("pretext.v1.Worker", Read(worker)),
    ("pretext.v1.Device", Within("RegisterRequest, WorkerSummary")),
    ("pretext.v1.Dataset", Within("RegisterRequest, PushRequest, WorkerSummary")),
    ("pretext.v1.Group", Within("RegisterRequest, WorkerSummary")),
    ("pretext.v1.Point", Read(point)),
    ("pretext.v1.Chunk", Plain("bytes of an artifact, whose hash is checked when all have come")),
    // Work.
    ("pretext.v1.RegisterRequest", Read(register)),
    ("pretext.v1.RegisterReply", Read(registered)),
    ("pretext.v1.LeaseRequest", Within("Worker; the device is looked up, the wait has an upper bound")),
    ("pretext.v1.LeaseReply", Within("Grant")),
    ("pretext.v1.Grant", Read(grant)),
    ("pretext.v1.Predecessor", Within("Grant")),
    ("pretext.v1.HeartbeatRequest", Read(heartbeat)),
    ("pretext.v1.Held", Within("HeartbeatRequest")),
    ("pretext.v1.HeartbeatReply", Read(directives)),
    ("pretext.v1.PointBatch", Read(batch)),
    ("pretext.v1.PointAck", Read(ack)),
    ("pretext.v1.UploadPart", Within("UploadHeader, Chunk")),
    ("pretext.v1.UploadHeader", Read(upload)),
    ("pretext.v1.UploadReply", Plain("nobody asks whether it had been there")),
    ("pretext.v1.DownloadRequest", Read(download)),
    ("pretext.v1.RegisterCheckpointRequest", Read(checkpoint)),
    ("pretext.v1.RegisterCheckpointReply", EMPTY),
    ("pretext.v1.CompleteRequest", Read(complete)),
    ("pretext.v1.CompleteReply", EMPTY),
    ("pretext.v1.FailRequest", Read(fail)),
    ("pretext.v1.FailReply", EMPTY),
    ("pretext.v1.ReleaseRequest", Read(release)),
    ("pretext.v1.ReleaseReply", EMPTY),
    // Sweeps.
    ("pretext.v1.SubmitRequest", PARSED),
    ("pretext.v1.SubmitReply", SHOWN),
    ("pretext.v1.PlanRequest", PARSED),
    ("pretext.v1.PlanReply", Plain("the JSON of a plan, printed as it is")),
    ("pretext.v1.Estimate", Plain("four counts, which a plan shows")),
    ("pretext.v1.ListRequest", EMPTY),
    ("pretext.v1.ListReply", SHOWN),
    ("pretext.v1.SweepSummary", SHOWN),
    ("pretext.v1.CellCounts", SHOWN),
    ("pretext.v1.GetRequest", LOOKED_UP),
    ("pretext.v1.WatchRequest", LOOKED_UP),
    ("pretext.v1.WatchEvent", SHOWN),
    ("pretext.v1.RunningStage", SHOWN),
    ("pretext.v1.TimeLeft", SHOWN),
    ("pretext.v1.CancelRequest", LOOKED_UP),
    ("pretext.v1.CancelReply", COUNTED),
    ("pretext.v1.RetryRequest", LOOKED_UP),
    ("pretext.v1.RetryReply", COUNTED),
    ("pretext.v1.DeleteRequest", LOOKED_UP),
    ("pretext.v1.DeleteReply", COUNTED),
    ("pretext.v1.ExplainRequest", LOOKED_UP),
    ("pretext.v1.ExplainReply", Plain("lines that lose what a terminal would obey when they are printed")),
    ("pretext.v1.WorkersRequest", EMPTY),
    ("pretext.v1.WorkersReply", SHOWN),
    ("pretext.v1.WorkerSummary", SHOWN),
    ("pretext.v1.UnwellDevice", SHOWN),
    ("pretext.v1.HeldStage", SHOWN),
    ("pretext.v1.VerifyRequest", LOOKED_UP),
    ("pretext.v1.VerifyReply", Read(verification)),
    ("pretext.v1.BackupRequest", EMPTY),
    ("pretext.v1.FetchRequest", Read(fetch)),
    ("pretext.v1.CollectRequest", COUNTED),
    ("pretext.v1.Collected", COUNTED),
    ("pretext.v1.CollectedArtifact", COUNTED),
    ("pretext.v1.CollectSummary", COUNTED),
    // Pushed data sets.
    ("pretext.v1.MissingRequest", Read(missing)),
    ("pretext.v1.MissingReply", COUNTED),
    ("pretext.v1.PackPart", Within("PackHeader, Chunk")),
    ("pretext.v1.PackHeader", Read(pack)),
    ("pretext.v1.PackReply", Plain("nobody asks whether it had been there")),
    ("pretext.v1.PushRequest", Read(push)),
    ("pretext.v1.PushReply", COUNTED),
    ("pretext.v1.ListDataRequest", EMPTY),
    ("pretext.v1.ListDataReply", SHOWN),
    ("pretext.v1.PushedDataset", SHOWN),
    ("pretext.v1.RemoveDataRequest", LOOKED_UP),
    ("pretext.v1.RemoveDataReply", SHOWN),
    // Identity.
    (
        "pretext.v1.JoinRequest",
        Plain("secrets are compared and requests certified: `coordinator/server/src/identity/tests.rs`"),
    ),
    ("pretext.v1.RenewRequest", Plain("as in JoinRequest")),
    ("pretext.v1.JoinReply", Read(joined)),
    // The web page.
    ("pretext.v1.LoginRequest", Read(login)),
    ("pretext.v1.LoginReply", Plain("a link, printed as it is")),
    ("pretext.v1.TokenRequest", EMPTY),
    ("pretext.v1.TokenReply", Plain("a token, printed as it is")),
    // The autoscaler.
    ("externalscaler.ScaledObjectRef", Read(trigger)),
    ("externalscaler.IsActiveResponse", COUNTED),
    ("externalscaler.GetMetricSpecResponse", COUNTED),
    ("externalscaler.MetricSpec", COUNTED),
    ("externalscaler.GetMetricsRequest", Within("ScaledObjectRef; the metric's name is compared")),
    ("externalscaler.GetMetricsResponse", COUNTED),
    ("externalscaler.MetricValue", COUNTED),
];

/// Encodes and decodes a message.
pub(crate) fn sent<M: Message + Default>(message: &M) -> M {
    M::decode(message.encode_to_vec().as_slice()).expect("what was encoded decodes")
}

/// Reads bytes as the receiver does; `again` returns the message that its value is sent as.
fn read<M: Message + Default, V: PartialEq + std::fmt::Debug>(
    bytes: &[u8],
    take: impl Fn(M) -> Result<V, String>,
    back: impl Fn(&V) -> M,
) -> Fate {
    let Ok(message) = M::decode(bytes) else { return Fate::Undecodable };
    match take(message) {
        Ok(value) => {
            let again = take(sent(&back(&value)));
            assert_eq!(again.as_ref(), Ok(&value), "it does not come back as it was");
            Fate::Taken
        }
        Err(reason) => Fate::Refused(reason),
    }
}

fn words(status: Status) -> String {
    assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status:?}");
    status.message().to_owned()
}

fn attempt(bytes: &[u8]) -> Fate {
    read(bytes, |message| convert::claim(Some(message)).map_err(words), messages::attempt)
}

fn worker(bytes: &[u8]) -> Fate {
    read(bytes, |message| convert::worker(Some(message)).map_err(words), messages::worker)
}

fn point(bytes: &[u8]) -> Fate {
    let back = |point: &pretext_shared::point::Point| {
        let batch = messages::batch(&nobody(), &Batch { sequence: 0, points: vec![*point] });
        batch.points.into_iter().next().expect("one")
    };
    read(bytes, |message| convert::point(&message).map_err(words), back)
}

/// Returns a claim for messages whose attempt is not checked.
pub(crate) fn nobody() -> Claim {
    convert::claim(Some(pb::Attempt { stage: "0".repeat(64), ..Default::default() })).expect("a hash")
}

fn register(bytes: &[u8]) -> Fate {
    read(
        bytes,
        |message: pb::RegisterRequest| convert::offer(message).map_err(words),
        |offer| pb::RegisterRequest {
            devices: offer.devices.iter().map(messages::device).collect(),
            datasets: offer
                .datasets
                .iter()
                .map(|data| messages::dataset(data.key.clone(), data.facts.clone()))
                .collect(),
            version: offer.version.clone(),
            data_cache: offer.data_cache,
            ..Default::default()
        },
    )
}

fn registered(bytes: &[u8]) -> Fate {
    let back =
        |pace: &std::time::Duration| pb::RegisterReply { heartbeat_ms: pace.as_millis() as u64, ..Default::default() };
    read(bytes, |reply| Ok(messages::pace(&reply)), back)
}

fn grant(bytes: &[u8]) -> Fate {
    // Converts what the worker read back to the coordinator's message.
    let back = |granted: &messages::Granted| {
        let messages::Granted { claim, stage, source, packing, weights, policy, parent, resume_from, predecessors } =
            granted.clone();
        let Claim { attempt, proof } = claim;
        let checkpoint = |(artifact, step)| pretext_engine::Checkpoint { artifact, step };
        let resume_from = resume_from.map(checkpoint);
        let predecessors = predecessors.into_iter().map(checkpoint).collect();
        let (checkpoint, parent_model) = (policy, parent);
        let cost = Cost { train_images: 1, validation_images: 1, epochs: 1, steps: 1, images_seen: 1 };
        let kind = stage.spec.kind();
        let grant =
            pretext_engine::Grant { attempt, kind, place: None, packing, parent_model, resume_from, predecessors };
        let plan = pretext_engine::StageRecord { stage, cost, source, weights, checkpoint };
        convert::grant_message(grant, plan, proof).expect("numbers and names")
    };
    // A worker writes the reason only to its log, where control characters are escaped.
    let take =
        |message| messages::granted(message).map_err(|reason| reason.escape_debug().take(200).collect::<String>());
    read(bytes, take, back)
}

fn heartbeat(bytes: &[u8]) -> Fate {
    let back = |held: &Vec<(Claim, u64, u64)>| {
        let held = held.iter().map(|(claim, step, images)| messages::held(claim, *step, *images, "cpu")).collect();
        pb::HeartbeatRequest { worker: None, held }
    };
    read(bytes, |message: pb::HeartbeatRequest| convert::held(message.held).map_err(words), back)
}

fn directives(bytes: &[u8]) -> Fate {
    let take = |reply: pb::HeartbeatReply| Ok(reply.directives.into_iter().map(messages::verdict).collect());
    let back = |verdicts: &Vec<Verdict>| {
        use pretext_engine::Directive::{Cancel, Continue, Superseded};
        let directive = |verdict: &Verdict| match verdict {
            Verdict::Continue => Continue,
            Verdict::Cancelled => Cancel,
            Verdict::Superseded => Superseded,
        };
        let directives = verdicts.iter().map(|verdict| convert::directive(directive(verdict)).into()).collect();
        pb::HeartbeatReply { directives, register_again: false }
    };
    read(bytes, take, back)
}

fn batch(bytes: &[u8]) -> Fate {
    let take = |message: pb::PointBatch| {
        let claim = convert::claim(message.attempt).map_err(words)?;
        let points = message.points.iter().map(convert::point).collect::<Result<_, _>>().map_err(words)?;
        Ok((claim, Batch { sequence: message.sequence, points }))
    };
    read(bytes, take, |(claim, batch)| messages::batch(claim, batch))
}

fn ack(bytes: &[u8]) -> Fate {
    let back = |below: &u64| pb::PointAck { sequence: below - 1, ..Default::default() };
    // The message is the coordinator's own.
    let take = |ack| messages::durable(ack).map_err(|_| "as the coordinator says".to_owned());
    read(bytes, take, back)
}

fn upload(bytes: &[u8]) -> Fate {
    let take = |header: pb::UploadHeader| {
        let claim = convert::claim(header.attempt).map_err(words)?;
        let artifact: ArtifactId = convert::parsed(&header.artifact, "artifact").map_err(words)?;
        let kind = ArtifactKind::parse(&header.kind).ok_or("not a kind of artifact")?;
        Ok((claim, kind, artifact, header.length))
    };
    read(bytes, take, |(claim, kind, artifact, length)| messages::upload(claim, *kind, *artifact, *length))
}

fn artifact(text: &str) -> Result<ArtifactId, String> {
    convert::parsed(text, "artifact").map_err(words)
}

fn download(bytes: &[u8]) -> Fate {
    let back = |id: &ArtifactId| pb::DownloadRequest { artifact: id.to_string() };
    read(bytes, |message: pb::DownloadRequest| artifact(&message.artifact), back)
}

fn fetch(bytes: &[u8]) -> Fate {
    let back = |id: &ArtifactId| pb::FetchRequest { artifact: id.to_string() };
    read(bytes, |message: pb::FetchRequest| artifact(&message.artifact), back)
}

fn missing(bytes: &[u8]) -> Fate {
    let take = |message: pb::MissingRequest| message.artifacts.iter().map(|text| artifact(text)).collect();
    let back = |ids: &Vec<ArtifactId>| pb::MissingRequest { artifacts: ids.iter().map(ToString::to_string).collect() };
    read(bytes, take, back)
}

fn pack(bytes: &[u8]) -> Fate {
    let take = |header: pb::PackHeader| Ok((artifact(&header.artifact)?, header.length));
    read(bytes, take, |(id, length)| pb::PackHeader { artifact: id.to_string(), length: *length })
}

fn push(bytes: &[u8]) -> Fate {
    let take = |message: pb::PushRequest| {
        let data = convert::required(message.dataset, "dataset").and_then(convert::dataset).map_err(words)?;
        Ok((data, artifact(&message.packing)?))
    };
    let back = |(data, packing): &(pretext_engine::Announcement, ArtifactId)| pb::PushRequest {
        dataset: Some(convert::dataset_message(data.clone())),
        packing: packing.to_string(),
    };
    read(bytes, take, back)
}

fn checkpoint(bytes: &[u8]) -> Fate {
    let take = |message: pb::RegisterCheckpointRequest| {
        let claim = convert::claim(message.attempt).map_err(words)?;
        let saved = Saved { path: "x".into(), step: message.step, next_sequence: message.next_sequence };
        Ok((claim, artifact(&message.artifact)?, saved))
    };
    read(bytes, take, |(claim, artifact, saved)| messages::checkpoint(claim, *artifact, saved))
}

fn complete(bytes: &[u8]) -> Fate {
    let take = |message: pb::CompleteRequest| {
        let claim = convert::claim(message.attempt).map_err(words)?;
        Ok((claim, convert::result(&message.result_json).map_err(words)?, message.next_sequence))
    };
    read(bytes, take, |(claim, result, next)| messages::complete(claim, result, *next).expect("numbers and names"))
}

fn fail(bytes: &[u8]) -> Fate {
    let take = |message: pb::FailRequest| {
        let claim = convert::claim(message.attempt.clone()).map_err(words)?;
        let failure = convert::failure(message).map_err(words)?;
        assert!(failure.log.len() <= 200 && failure.log.iter().all(|line| line.chars().count() <= 1000));
        assert!(failure.message.chars().count() <= 4000);
        Ok((claim, failure))
    };
    read(bytes, take, |(claim, failure)| messages::fail(claim, failure.clone()))
}

fn release(bytes: &[u8]) -> Fate {
    let take = |message: pb::ReleaseRequest| convert::claim(message.attempt).map_err(words);
    read(bytes, take, messages::release)
}

fn verification(bytes: &[u8]) -> Fate {
    let take = |reply: pb::VerifyReply| {
        let read: Result<Verification, _> = serde_json::from_str(&reply.verification_json);
        read.map_err(|error| error.to_string().escape_debug().take(200).collect::<String>())
    };
    let back = |verification: &Verification| pb::VerifyReply {
        verification_json: serde_json::to_string(verification).expect("numbers and names"),
    };
    read(bytes, take, back)
}

fn joined(bytes: &[u8]) -> Fate {
    let (key, now) = (vec![1, 2, 3], SystemTime::UNIX_EPOCH);
    let take = |reply| {
        let credentials = Credentials::certified("w", key.clone(), reply, now)?;
        // Times far from now, and certificates that are not valid.
        let _ = (credentials.has_ended(now), credentials.renewal());
        let session = TlsSession::new(Folder::new("nowhere"), credentials.clone());
        assert!(!session.expect_err("random bytes are no certificate").is_empty());
        Ok(credentials)
    };
    let back = |credentials: &Credentials| pb::JoinReply {
        certificate: credentials.certificate.clone(),
        authority: credentials.authority.clone(),
        role: credentials.role.to_string(),
        not_after_ms: credentials.not_after_ms,
    };
    let take = |reply| take(reply).map_err(|reason: String| reason.chars().take(200).collect());
    read(bytes, take, back)
}

fn login(bytes: &[u8]) -> Fate {
    let take = |message: pb::LoginRequest| convert::parsed::<Role>(&message.role, "role").map_err(words);
    read(bytes, take, |role| pb::LoginRequest { role: role.to_string() })
}

fn trigger(bytes: &[u8]) -> Fate {
    let take =
        |object: scaler::ScaledObjectRef| Trigger::parse(&object.scaler_metadata).map_err(|error| error.to_string());
    read(bytes, take, super::round::trigger_message)
}
