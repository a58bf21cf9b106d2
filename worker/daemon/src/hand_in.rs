//! Hands in a copy of what a coordinator refused as invalid ([`crate::kept`]), once its defect is mended. The calls are
//! those of the daemon, with the fence and the proof of the attempt's grant. The coordinator takes a result as long as
//! nobody else was granted the stage.

use std::collections::BTreeMap;

use pretext_client::Backoff;
use pretext_proto::refusal::{self, Kind};
use pretext_shared::claim::Claim;
use pretext_shared::trainer::Finished;
use tonic::Status;

use crate::kept::Kept;
use crate::refusal::Refused;
use crate::spool::{Batch, Ending};
use crate::transfer::{self, TransferError};
use crate::{Link, messages, pb};

/// Why a copy was not handed in. It stays on this machine.
#[derive(Debug, thiserror::Error)]
pub enum HandInError {
    /// The copy has no end of an attempt.
    #[error("it has no result: its attempt was stopped when points were refused, or an earlier version kept it")]
    NoResult,
    /// The coordinator refused it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A file of the copy could not be sent.
    #[error("a file could not be sent: {0}")]
    File(String),
    /// The result cannot be written as a message.
    #[error("the result is damaged: {0}")]
    Damaged(String),
}

impl From<TransferError> for HandInError {
    fn from(error: TransferError) -> Self {
        match error {
            TransferError::Refused(refused) => HandInError::Refused(refused),
            other => HandInError::File(other.to_string()),
        }
    }
}

/// Hands in the points of `copy`, its files and its end. Waits for a coordinator as long as it takes.
///
/// # Errors
/// If there is nothing to hand in, or the coordinator refuses it.
pub async fn hand_in(link: &Link, copy: &Kept) -> Result<(), HandInError> {
    let ending = copy.record.ending.as_ref().ok_or(HandInError::NoResult)?;
    let claim = copy.claim();
    points(link, &claim, &copy.record.batches).await?;
    match ending {
        Ending::Finished { finished, next_sequence } => complete(link, copy, finished, *next_sequence).await,
        Ending::Failed { failure } => {
            let request = messages::fail(&claim, failure.clone());
            let told = link.persist("fail", |mut client| {
                let request = request.clone();
                async move { client.fail(request).await }
            });
            told.await.map(drop).map_err(|status| Refused::of(&status).into())
        }
    }
}

/// Sends points until all of them are durable.
async fn points(link: &Link, claim: &Claim, batches: &[Batch]) -> Result<(), Refused> {
    let sent = link.persist("points", |mut client| {
        let messages: Vec<pb::PointBatch> = batches.iter().map(|batch| messages::batch(claim, batch)).collect();
        async move {
            let Some(last) = messages.last().map(|batch| batch.sequence) else { return Ok(()) };
            let mut acks = client.points(tokio_stream::iter(messages)).await?.into_inner();
            while let Some(ack) = acks.message().await? {
                match messages::durable(ack) {
                    Ok(below) if below > last => return Ok(()),
                    Ok(_) => {}
                    Err(None) => break,
                    Err(Some(refused)) => return Err(refused.status()),
                }
            }
            Err(Status::unavailable("the coordinator has not acknowledged all points"))
        }
    });
    sent.await.map_err(|status| Refused::of(&status))
}

async fn complete(link: &Link, copy: &Kept, finished: &Finished, next_sequence: u64) -> Result<(), HandInError> {
    let claim = copy.claim();
    let mut backoff = Backoff::default();
    loop {
        let mut artifacts = BTreeMap::new();
        for kind in &copy.record.files {
            artifacts.insert(*kind, transfer::upload(link, &claim, *kind, &copy.file(*kind)).await?);
        }
        let result = finished.result(artifacts, copy.record.device.clone());
        let request = messages::complete(&claim, &result, next_sequence)
            .map_err(|error| HandInError::Damaged(error.to_string()))?;
        let told = link.persist("complete", |mut client| {
            let request = request.clone();
            async move { client.complete(request).await }
        });
        match told.await {
            Ok(_) => return Ok(()),
            // A garbage collection came between the upload and the result.
            Err(status) if refusal::kind(&status) == Kind::Precondition => tokio::time::sleep(backoff.pause()).await,
            Err(status) => return Err(Refused::of(&status).into()),
        }
    }
}
