//! Transfers artifacts in chunks.

use pretext_artifacts::Artifacts;
use pretext_proto::v1 as pb;
use pretext_shared::ids::ArtifactId;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::limits::UPLOAD_SILENCE;
use super::{Answers, PIECE, artifact_failed};

/// Receives an artifact of `length` bytes. Every part after the header must have a `chunk`.
///
/// # Errors
/// If the content does not match the artifact's id, if the sender is silent for too long, or if the store fails.
pub(super) async fn receive_artifact<P>(
    artifacts: &Artifacts,
    artifact: ArtifactId,
    length: u64,
    parts: &mut Streaming<P>,
    chunk: impl Fn(P) -> Option<pb::Chunk>,
) -> Result<(), Status> {
    let mut incoming = artifacts.receive(artifact, length).await.map_err(artifact_failed)?;
    loop {
        let silent = |_| Status::deadline_exceeded(format!("the upload was silent for {} s", UPLOAD_SILENCE.as_secs()));
        let part = tokio::time::timeout(UPLOAD_SILENCE, parts.message()).await.map_err(silent)??;
        let Some(part) = part else { break };
        let chunk = chunk(part).ok_or_else(|| Status::invalid_argument("an upload has only one header"))?;
        incoming.write(&chunk.data).await.map_err(artifact_failed)?;
    }
    incoming.finish().await.map_err(artifact_failed)
}

/// Returns an artifact in pieces, with a few of them read ahead.
pub(super) async fn send_artifact(artifacts: &Artifacts, artifact: ArtifactId) -> Result<Answers<pb::Chunk>, Status> {
    let mut content = artifacts.pieces(artifact).await.map_err(artifact_failed)?;
    let (pieces, stream) = tokio::sync::mpsc::channel(4);
    tokio::spawn(async move {
        loop {
            let piece = match content.next().await {
                Ok(None) => return,
                Ok(Some(piece)) => piece,
                Err(error) => {
                    // If the receiver has gone away, the rest is dropped.
                    let _ = pieces.send(Err(artifact_failed(error))).await;
                    return;
                }
            };
            for data in piece.chunks(PIECE) {
                if pieces.send(Ok(pb::Chunk { data: data.to_vec() })).await.is_err() {
                    return;
                }
            }
        }
    });
    Ok(Box::pin(ReceiverStream::new(stream)))
}
