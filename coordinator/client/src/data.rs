//! Requests about pushed data sets, over the client's connection.

use std::sync::Arc;

use pretext_proto::v1 as pb;
use pretext_shared::ids::ArtifactId;

use crate::client::Client;
use crate::error::ClientError;

/// Size of the pieces of an upload.
const PIECE: usize = 256 << 10;

/// Whether a pack had to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// The pack was sent.
    Now,
    /// The coordinator already had it.
    Before,
}

impl Client {
    /// Sends an artifact, unless the coordinator already has it.
    pub async fn send(&self, artifact: ArtifactId, content: Arc<Vec<u8>>) -> Result<Sent, ClientError> {
        let asked = pb::MissingRequest { artifacts: vec![artifact.to_string()] };
        let missing = self.data().missing(asked).await.map_err(|status| self.failed(&status))?;
        if missing.into_inner().artifacts.is_empty() {
            return Ok(Sent::Before);
        }
        let header = pb::PackHeader { artifact: artifact.to_string(), length: content.len() as u64 };
        let header = std::iter::once(pb::pack_part::Part::Header(header));
        let pieces = (0..content.len()).step_by(PIECE).map(move |begin| {
            let end = content.len().min(begin + PIECE);
            pb::pack_part::Part::Chunk(pb::Chunk { data: content[begin..end].to_vec() })
        });
        let parts = header.chain(pieces).map(|part| pb::PackPart { part: Some(part) });
        self.data().upload(tokio_stream::iter(parts)).await.map_err(|status| self.failed(&status))?;
        Ok(Sent::Now)
    }

    /// Registers a data set; returns whether it was known before.
    pub async fn push(&self, dataset: pb::Dataset, packing: ArtifactId) -> Result<bool, ClientError> {
        let request = pb::PushRequest { dataset: Some(dataset), packing: packing.to_string() };
        let reply = self.data().push(request).await.map_err(|status| self.failed(&status))?;
        Ok(reply.into_inner().existed)
    }

    /// Returns all pushed data sets, by name.
    pub async fn pushed(&self) -> Result<Vec<pb::PushedDataset>, ClientError> {
        let reply = self.data().list(pb::ListDataRequest {}).await.map_err(|status| self.failed(&status))?;
        Ok(reply.into_inner().datasets)
    }

    /// Removes a pushed data set.
    pub async fn remove_pushed(&self, fingerprint: &str) -> Result<pb::RemoveDataReply, ClientError> {
        let request = pb::RemoveDataRequest { fingerprint: fingerprint.to_owned() };
        Ok(self.data().remove(request).await.map_err(|status| self.failed(&status))?.into_inner())
    }
}
