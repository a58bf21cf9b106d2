//! The service for pushed data sets: a client uploads packs as artifacts, then registers a list of them.

use pretext_artifacts::Artifacts;
use pretext_engine::{Announcement, PushedData, RemovalRefused};
use pretext_messages::{self as messages, parsed, required};
use pretext_proto::v1 as pb;
use pretext_proto::v1::data_server::Data;
use pretext_shared::dataset::{DatasetFacts, Source};
use pretext_shared::ids::{ArtifactId, ContentHash, is_valid_name};
use pretext_shared::packing::{MAX_PACKING_BYTES, Packing};
use tonic::{Request, Response, Status, Streaming};

use super::limits::MAX_ASKED;
use super::transfer::receive_artifact;
use super::{artifact_failed, unavailable};
use crate::core::Core;
use crate::gc;

/// See the module.
pub struct DataService {
    core: Core,
    artifacts: Artifacts,
}

impl DataService {
    /// Returns the service for this core and these artifacts.
    pub fn new(core: Core, artifacts: Artifacts) -> Self {
        Self { core, artifacts }
    }
}

/// Returns the facts of a data set, if it can be kept under its name.
fn facts(message: Option<pb::Dataset>) -> Result<DatasetFacts, Status> {
    let announcement = messages::dataset(required(message, "dataset")?)?;
    let facts =
        announcement.facts.map_err(|problem| Status::invalid_argument(format!("`dataset.problem`: {problem}")))?;
    let source: Source = parsed(&facts.key, "dataset.key")?;
    if !source.path().is_some_and(is_valid_name) {
        return Err(Status::invalid_argument(format!(
            "`{}` is not the name of a data set: at most 64 of A-Z a-z 0-9 . _ -, no leading dot",
            messages::shown(source.path().unwrap_or_default())
        )));
    }
    let classes = facts.classes.len();
    let fits = |counts: &Vec<u32>| counts.len() == classes;
    if classes < 2 || !fits(&facts.train) || !(facts.test.is_empty() || fits(&facts.test)) {
        return Err(Status::invalid_argument(
            "`dataset`: there must be at least two classes, with one count of images for each",
        ));
    }
    if !facts.validation.is_empty() && !fits(&facts.validation) {
        return Err(Status::invalid_argument("`dataset.validation`: there must be one count of images for each class"));
    }
    if !facts.groups.iter().all(fits) {
        return Err(Status::invalid_argument("`dataset.groups`: there must be one count of groups for each class"));
    }
    Ok(facts)
}

/// Returns the list of packs `id`, if all packs are stored.
async fn packing(artifacts: &Artifacts, id: ArtifactId) -> Result<Packing, Status> {
    let mut content = artifacts.pieces(id).await.map_err(artifact_failed)?;
    let mut text = Vec::new();
    while let Some(piece) = content.next().await.map_err(artifact_failed)? {
        text.extend_from_slice(&piece);
        if text.len() as u64 > MAX_PACKING_BYTES {
            return Err(Status::invalid_argument(format!("a list of packs has at most {MAX_PACKING_BYTES} bytes")));
        }
    }
    if ArtifactId(ContentHash::of(&text)) != id {
        return Err(Status::data_loss(format!("the list of packs {} is damaged", id.short())));
    }
    let packing = Packing::parse(&text).map_err(|error| Status::invalid_argument(error.to_string()))?;
    for pack in packing.packs() {
        if !artifacts.has(*pack).await.map_err(artifact_failed)? {
            return Err(Status::failed_precondition(format!(
                "pack {} was not uploaded, or was removed since: push again",
                pack.short()
            )));
        }
    }
    Ok(packing)
}

#[tonic::async_trait]
impl Data for DataService {
    async fn missing(&self, request: Request<pb::MissingRequest>) -> Result<Response<pb::MissingReply>, Status> {
        let asked = request.into_inner().artifacts;
        if asked.len() > MAX_ASKED {
            return Err(Status::invalid_argument(format!("a request names at most {MAX_ASKED} artifacts")));
        }
        let asked = asked.iter().map(|text| parsed(text, "artifacts")).collect::<Result<Vec<ArtifactId>, _>>()?;
        let mut missing = Vec::new();
        for artifact in asked {
            if !self.artifacts.has(artifact).await.map_err(artifact_failed)? {
                missing.push(artifact.to_string());
            }
        }
        Ok(Response::new(pb::MissingReply { artifacts: missing }))
    }

    async fn upload(&self, request: Request<Streaming<pb::PackPart>>) -> Result<Response<pb::PackReply>, Status> {
        let mut parts = request.into_inner();
        let first = parts.message().await?.and_then(|part| part.part);
        let Some(pb::pack_part::Part::Header(header)) = first else {
            return Err(Status::invalid_argument("an upload must begin with its header"));
        };
        let artifact: ArtifactId = parsed(&header.artifact, "artifact")?;
        if header.length > MAX_PACKING_BYTES {
            return Err(Status::invalid_argument(format!("a pack has at most {MAX_PACKING_BYTES} bytes")));
        }
        if self.artifacts.has(artifact).await.map_err(artifact_failed)? {
            return Ok(Response::new(pb::PackReply { existed: true }));
        }
        let chunk = |part: pb::PackPart| match part.part {
            Some(pb::pack_part::Part::Chunk(chunk)) => Some(chunk),
            _ => None,
        };
        receive_artifact(&self.artifacts, artifact, header.length, &mut parts, chunk).await?;
        Ok(Response::new(pb::PackReply { existed: false }))
    }

    async fn push(&self, request: Request<pb::PushRequest>) -> Result<Response<pb::PushReply>, Status> {
        let pb::PushRequest { dataset, packing: id } = request.into_inner();
        let facts = facts(dataset)?;
        let id: ArtifactId = parsed(&id, "packing")?;
        let referring = self.artifacts.referring().await;
        let packing = packing(&self.artifacts, id).await?;
        let data = PushedData {
            packing: id,
            packs: packing.packs().to_vec(),
            files: packing.files().len() as u64,
            bytes: packing.bytes(),
            pushed_ms: 0,
            facts,
        };
        tracing::info!(key = %data.facts.key, fingerprint = %data.facts.fingerprint.short(), bytes = data.bytes, "data set pushed");
        let old = self
            .core
            .call(move |engine, now| engine.push_data(PushedData { pushed_ms: now.wall, ..data }))
            .await
            .map_err(unavailable)?
            .map_err(|kept| Status::already_exists(kept.to_string()))?;
        drop(referring);
        Ok(Response::new(pb::PushReply { existed: old.is_some() }))
    }

    async fn list(&self, _: Request<pb::ListDataRequest>) -> Result<Response<pb::ListDataReply>, Status> {
        let pushed = self.core.call(|engine, _| engine.pushed_data().clone()).await.map_err(unavailable)?;
        let mut datasets: Vec<pb::PushedDataset> = pushed
            .into_values()
            .map(|data| pb::PushedDataset {
                files: data.files,
                bytes: data.bytes,
                packs: data.packs.len() as u64,
                pushed_ms: data.pushed_ms,
                dataset: Some(messages::dataset_message(Announcement {
                    key: data.facts.key.clone(),
                    facts: Ok(data.facts),
                })),
            })
            .collect();
        let name = |data: &pb::PushedDataset| data.dataset.as_ref().map(|dataset| dataset.key.clone());
        datasets.sort_by_cached_key(|data| (name(data), data.pushed_ms));
        Ok(Response::new(pb::ListDataReply { datasets }))
    }

    async fn remove(&self, request: Request<pb::RemoveDataRequest>) -> Result<Response<pb::RemoveDataReply>, Status> {
        let asked = request.into_inner().fingerprint;
        if asked.is_empty() || asked.len() > 64 || !asked.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Status::invalid_argument("a fingerprint has at most 64 hexadecimal digits"));
        }
        let removed = self.core.call(move |engine, _| engine.remove_data(&asked)).await.map_err(unavailable)?;
        let removed = removed.map_err(|refused| {
            let message = refused.to_string();
            match refused {
                RemovalRefused::Unknown(_) => Status::not_found(message),
                RemovalRefused::Ambiguous { .. } => Status::invalid_argument(message),
                RemovalRefused::Needed { .. } => Status::failed_precondition(message),
            }
        })?;
        tracing::info!(key = %removed.key, fingerprint = %removed.fingerprint.short(), "data set removed");
        let count = match gc::discard(&self.core, &self.artifacts, removed.artifacts).await {
            Ok(gone) => gone.len() as u64,
            Err(error) => {
                tracing::warn!(%error, "unused packs could not be removed; garbage collection will remove them");
                0
            }
        };
        let (fingerprint, key) = (removed.fingerprint.to_string(), removed.key);
        Ok(Response::new(pb::RemoveDataReply { fingerprint, key, artifacts: count }))
    }
}
