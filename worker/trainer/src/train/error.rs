//! Why a stage fails.

use std::path::PathBuf;

use burn::store::RecordError;
use burn::tensor::TensorReadError;
use pretext_checkpoint::BundleError;
use pretext_data::DataError;
use pretext_shared::device::NumericClass;
use pretext_shared::outcome::{Failure, FailureCode};
use pretext_shared::split::SplitError;

use crate::weights::WeightsError;

/// Why a stage fails, in a sentence that a person can act on.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The loss of a step is no number, infinite or hopeless.
    #[error(
        "training diverged: the loss was {loss} at step {step} (epoch {epoch}) with learning rate {rate:e}; \
         try a smaller learning rate or a longer warm-up"
    )]
    Diverged {
        /// The loss.
        loss: f32,
        /// Steps taken, this one included.
        step: u64,
        /// Its epoch.
        epoch: u32,
        /// The rate of the step.
        rate: f64,
    },
    /// The same, seen on the validation images.
    #[error(
        "training diverged: the validation loss was {loss} after step {step} (epoch {epoch}), whose learning rate was {rate:e}; \
         try a smaller learning rate or a longer warm-up"
    )]
    ValidationDiverged {
        /// The loss.
        loss: f64,
        /// Steps taken.
        step: u64,
        /// The epoch.
        epoch: u32,
        /// The rate of the last step.
        rate: f64,
    },
    /// A data set that cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file of weights that cannot be used.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A fraction that leaves a class without images on one side.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// The budget comes to no step.
    #[error(
        "the stage would take no step: {images} training images, batches of {batch}{}, a budget of {budget}; \
         take a smaller batch, a larger fraction or a larger budget",
        if *full_batches_only { " (full ones only)" } else { "" }
    )]
    NoSteps {
        /// Training images.
        images: usize,
        /// Images per step.
        batch: u32,
        /// Whether short batches are left out.
        full_batches_only: bool,
        /// The budget, in words.
        budget: String,
    },
    /// No validation image.
    #[error("the split leaves no validation image, so no model can be selected; take a larger fraction")]
    NoValidation,
    /// The stage was planned for numbers of another class.
    #[error("the stage is planned for {planned} numbers and this device ({device}) produces {here}")]
    OtherClass {
        /// As planned.
        planned: NumericClass,
        /// The device's name.
        device: String,
        /// Its class.
        here: NumericClass,
    },
    /// The data set has other classes than planned.
    #[error("the stage is planned for {planned} classes and the data set has {found}")]
    OtherClasses {
        /// As planned.
        planned: u32,
        /// In the data.
        found: usize,
    },
    /// The parent's model was not handed over.
    #[error("the stage starts from the model of stage {parent}, which was not handed over")]
    NoParent {
        /// The parent.
        parent: String,
    },
    /// The parent's model is not the one the stage needs.
    #[error("model {} does not fit: {what}", path.display())]
    Misfit {
        /// The model file.
        path: PathBuf,
        /// What was expected and what was found.
        what: String,
    },
    /// A record that burn cannot write or apply.
    #[error("the {what} cannot be written or loaded: {source}")]
    Record {
        /// Model, best model or optimizer.
        what: &'static str,
        /// burn's reason.
        source: RecordError,
    },
    /// The disk.
    #[error(transparent)]
    Storage(#[from] BundleError),
    /// The device did not give a value back.
    #[error("the device failed: {0}")]
    Device(#[from] TensorReadError),
}

impl StageError {
    /// The class of the failure.
    pub fn code(&self) -> FailureCode {
        match self {
            StageError::Diverged { .. } | StageError::ValidationDiverged { .. } => FailureCode::Diverged,
            StageError::Data(_) | StageError::Weights(_) => FailureCode::Data,
            StageError::Split(_)
            | StageError::NoSteps { .. }
            | StageError::NoValidation
            | StageError::OtherClass { .. }
            | StageError::OtherClasses { .. }
            | StageError::NoParent { .. }
            | StageError::Misfit { .. }
            | StageError::Record { .. } => FailureCode::Invalid,
            StageError::Storage(_) => FailureCode::Storage,
            StageError::Device(_) => FailureCode::Device,
        }
    }

    /// The failure as it is reported. The daemon adds the last lines of the log.
    pub fn into_failure(self) -> Failure {
        Failure { code: self.code(), message: self.to_string(), log: Vec::new() }
    }
}
