//! Errors of a stage.

use std::path::PathBuf;

use burn::store::RecordError;
use burn::tensor::TensorReadError;
use pretext_checkpoint::BundleError;
use pretext_data::{DataError, Fault};
use pretext_shared::device::NumericClass;
use pretext_shared::inventory::MOST_PIXELS;
use pretext_shared::outcome::{Failure, FailureCode};
use pretext_shared::split::SplitError;
use pretext_shared::stage::LastBatch;
use pretext_shared::text::counted;

use crate::weights::WeightsError;

/// Why a stage failed, in a message that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The loss of a step is NaN, infinite or too large.
    #[error(
        "training diverged: the loss was {loss} at step {step} (epoch {epoch}) with learning rate {rate:e}; \
         try a smaller learning rate or a longer warm-up"
    )]
    Diverged {
        /// The loss.
        loss: f32,
        /// Steps taken, including this one.
        step: u64,
        /// Its epoch.
        epoch: u32,
        /// The learning rate of the step.
        rate: f64,
    },
    /// The loss on the validation images is NaN, infinite or too large.
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
        /// The learning rate of the last step.
        rate: f64,
    },
    /// A data set that cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file of weights that cannot be used.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The fraction leaves a class without images in one part.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// The budget is less than one step.
    #[error(
        "the stage would take no step: {}, batches of {batch}{}, a budget of {budget}; \
         take a smaller batch, a larger fraction or a larger budget",
        counted(*images, "training image"),
        match last { LastBatch::Dropped => " (full ones only)", LastBatch::Kept => "" }
    )]
    NoSteps {
        /// Training images.
        images: usize,
        /// Images per step.
        batch: u32,
        /// What becomes of a last batch that is not full.
        last: LastBatch,
        /// The budget, as messages show it.
        budget: String,
    },
    /// There is no validation image.
    #[error("the split leaves no validation image, so no model can be selected: use a larger fraction")]
    NoValidation,
    /// The stage was planned for another numeric class.
    #[error("the stage is planned for numeric class `{planned}`, but device `{device}` has class `{here}`")]
    OtherClass {
        /// The planned class.
        planned: NumericClass,
        /// The device's name.
        device: String,
        /// The device's class.
        here: NumericClass,
    },
    /// The data set does not have the planned number of classes.
    #[error("the stage is planned for {}, but the data set has {found}", counted(*planned, "class"))]
    OtherClasses {
        /// The planned number.
        planned: u32,
        /// The number in the data set.
        found: usize,
    },
    /// The parent's model is missing.
    #[error("the stage starts from the model of stage {parent}, which was not handed over")]
    NoParent {
        /// The parent stage.
        parent: String,
    },
    /// The parent's model is not the one that the stage needs.
    #[error("model {} does not fit: {what}", path.display())]
    Misfit {
        /// The model file.
        path: PathBuf,
        /// The expected and the found content.
        what: String,
    },
    /// burn cannot write or load a record.
    #[error("the {what} cannot be written or loaded: {source}")]
    Record {
        /// The record: model, best model or optimizer.
        what: &'static str,
        /// burn's error.
        source: RecordError,
    },
    /// The disk failed.
    #[error(transparent)]
    Storage(#[from] BundleError),
    /// The device did not return a value.
    #[error("the device failed: {0}")]
    Device(#[from] TensorReadError),
}

impl StageError {
    /// Returns whether the disk has no room: the same write may succeed later.
    pub(super) fn is_full(&self) -> bool {
        matches!(self, StageError::Storage(error) if error.is_full())
    }

    /// Returns the class of the failure.
    pub fn code(&self) -> FailureCode {
        match self {
            StageError::Diverged { .. } | StageError::ValidationDiverged { .. } => FailureCode::Diverged,
            // It may fit on a machine with more memory.
            StageError::Data(DataError::TooLarge { bytes, .. }) if *bytes <= MOST_PIXELS => FailureCode::OutOfMemory,
            StageError::Data(error) => match error.fault() {
                Fault::Copy => FailureCode::DataCopy,
                Fault::Data => FailureCode::Data,
            },
            StageError::Weights(WeightsError::Root(_) | WeightsError::OtherCopy { .. }) => FailureCode::DataCopy,
            StageError::Weights(_) => FailureCode::Data,
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

    /// Returns the failure as it is reported. The daemon adds the last lines of the log.
    pub fn into_failure(self) -> Failure {
        Failure { code: self.code(), message: self.to_string(), log: Vec::new() }
    }
}
