//! The gRPC services: each call turns a message into an operation of the engine, and its answer into a message. No
//! decision is made here.

mod data;
mod large;
pub mod limits;
mod server;
mod submit;
mod sweeps;
mod transfer;
mod work;

pub use data::DataService;
pub use server::{DescriptorError, Parts, guarded, serve, services};
pub use sweeps::SweepsService;
pub use work::WorkService;

use std::pin::Pin;
use std::time::Duration;

use pretext_artifacts::ArtifactError;
use pretext_engine::Refusal;
use pretext_messages as messages;
use pretext_proto::refusal::{self, Kind};
use tokio_stream::Stream;
use tonic::Code;

use crate::core::CoreError;

/// Size of the pieces in which artifacts and views are sent.
const PIECE: usize = 256 << 10;

/// Time after which a client tries again to store an artifact for which there was no room.
const NO_ROOM: Duration = Duration::from_secs(5);

/// A stream of answers.
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, tonic::Status>> + Send>>;

/// Returns the status of an operation that the engine refused.
fn refused(refusal: Refusal) -> tonic::Status {
    let message = messages::words(&refusal);
    let (code, kind) = match refusal {
        Refusal::Superseded { .. } | Refusal::FromTheFuture { .. } => (Code::Aborted, Kind::Superseded),
        Refusal::UnknownStage(_) => (Code::NotFound, Kind::Superseded),
        Refusal::UnknownSweep(_) | Refusal::UnknownCell(_) => (Code::NotFound, Kind::Invalid),
        // The store lost points that it had acknowledged: the attempt cannot continue.
        Refusal::Gap { .. } => (Code::OutOfRange, Kind::Superseded),
        Refusal::AmbiguousSweep { .. } | Refusal::UnknownDevice { .. } => (Code::InvalidArgument, Kind::Invalid),
        Refusal::StillRuns(_) => (Code::FailedPrecondition, Kind::Invalid),
        Refusal::UnknownWorker(_) | Refusal::NothingKnown => (Code::FailedPrecondition, Kind::Precondition),
    };
    refusal::status(code, kind, message)
}

fn unavailable(error: CoreError) -> tonic::Status {
    refusal::status(Code::Unavailable, Kind::Retryable(None), error.to_string())
}

fn artifact_failed(error: ArtifactError) -> tonic::Status {
    let message = error.to_string();
    if error.can_be_retried() {
        tracing::warn!(code = error.code(), %message, "the artifact store fails; the caller will try again");
    }
    let (code, kind) = match error {
        ArtifactError::Missing(_) => (Code::NotFound, Kind::Invalid),
        // Damage on the way: the sender sends it again.
        ArtifactError::Mismatch { .. } => (Code::DataLoss, Kind::Retryable(None)),
        ArtifactError::Length { .. } => (Code::InvalidArgument, Kind::Invalid),
        ArtifactError::TooLarge { .. } => (Code::ResourceExhausted, Kind::Invalid),
        ArtifactError::Disk { .. } | ArtifactError::Full { .. } => (Code::Unavailable, Kind::Retryable(Some(NO_ROOM))),
        ArtifactError::Bucket { .. } => (Code::Unavailable, Kind::Retryable(None)),
        ArtifactError::Settings(_) => (Code::FailedPrecondition, Kind::Invalid),
    };
    refusal::status(code, kind, message)
}
