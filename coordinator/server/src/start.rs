//! The options of a coordinator, and the reasons why it does not start.

use std::net::SocketAddr;
use std::path::PathBuf;

use pretext_artifacts::{ArtifactError, ArtifactOptions};
use pretext_engine::Limits;
use pretext_shared::sweep::Build;
use pretext_store::StoreError;

use crate::grpc::DescriptorError;
use crate::http::WebError;
use crate::listen::{Listen, SecurityError};
use crate::on_final::ToldError;

/// How to start a coordinator.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen, and how callers connect.
    pub listen: Listen,
    /// The state directory.
    pub state_dir: PathBuf,
    /// Location and limits of the artifacts.
    pub artifacts: ArtifactOptions,
    /// Times and limits.
    pub limits: Limits,
    /// What this program was built from, for the provenance of sweeps.
    pub build: Option<Build>,
    /// The program that is run when a sweep has finished.
    pub on_final: Option<PathBuf>,
}

/// The reason why a coordinator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is in use, or does not belong to this machine.
    #[error("cannot listen on {address}: {cause}{hint}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The cause.
        cause: std::io::Error,
        /// What to do.
        hint: &'static str,
    },
    /// The state directory cannot be made.
    #[error("cannot make the state directory {path}: {cause}", path = path.display())]
    StateDir {
        /// The directory.
        path: PathBuf,
        /// The cause.
        cause: std::io::Error,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The artifact store cannot be opened.
    #[error(transparent)]
    Artifacts(#[from] ArtifactError),
    /// TLS or identities cannot be set up.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// The program for sweeps that have finished cannot be used.
    #[error(transparent)]
    OnFinal(#[from] ToldError),
    /// The web page cannot be served.
    #[error(transparent)]
    Web(#[from] WebError),
    /// A thread panicked: a defect of the program.
    #[error("a thread of the coordinator ended: {0}")]
    Thread(String),
    /// The descriptors are damaged: a defect of the build.
    #[error(transparent)]
    Descriptors(#[from] DescriptorError),
}
