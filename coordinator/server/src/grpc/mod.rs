//! The gRPC services: each call turns a message into an operation of the engine, and its answer into a message. No
//! decision is made here.

mod data;
pub mod limits;
mod server;
mod sweeps;
mod transfer;
mod work;

pub use data::DataService;
pub use server::{DescriptorError, Parts, guarded, serve, services};
pub use sweeps::SweepsService;
pub use work::WorkService;

use std::pin::Pin;

use pretext_artifacts::ArtifactError;
use pretext_engine::Refusal;
use tokio_stream::Stream;

use crate::core::CoreError;

/// Size of the pieces in which artifacts and views are sent.
const PIECE: usize = 256 << 10;

/// A stream of answers.
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, tonic::Status>> + Send>>;

fn refused(refusal: Refusal) -> tonic::Status {
    let message = pretext_messages::words(&refusal);
    match refusal {
        Refusal::Superseded { .. } | Refusal::FromTheFuture { .. } => tonic::Status::aborted(message),
        Refusal::UnknownStage(_) | Refusal::UnknownSweep(_) | Refusal::UnknownCell(_) => {
            tonic::Status::not_found(message)
        }
        Refusal::Gap { .. } => tonic::Status::out_of_range(message),
        Refusal::AmbiguousSweep { .. } | Refusal::UnknownDevice { .. } => tonic::Status::invalid_argument(message),
        Refusal::UnknownWorker(_) | Refusal::NothingKnown => tonic::Status::failed_precondition(message),
    }
}

fn unavailable(error: CoreError) -> tonic::Status {
    tonic::Status::unavailable(error.to_string())
}

fn artifact_failed(error: ArtifactError) -> tonic::Status {
    let message = error.to_string();
    if error.can_be_retried() {
        tracing::warn!(code = error.code(), %message, "the artifact store fails; the caller will try again");
    }
    match error {
        ArtifactError::Missing(_) => tonic::Status::not_found(message),
        ArtifactError::Mismatch { .. } => tonic::Status::data_loss(message),
        ArtifactError::Length { .. } => tonic::Status::invalid_argument(message),
        ArtifactError::Disk { .. } | ArtifactError::TooLarge { .. } | ArtifactError::Full { .. } => {
            tonic::Status::resource_exhausted(message)
        }
        ArtifactError::Bucket { .. } => tonic::Status::unavailable(message),
        ArtifactError::Settings(_) => tonic::Status::failed_precondition(message),
    }
}
