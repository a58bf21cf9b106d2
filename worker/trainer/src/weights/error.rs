//! Errors of a weights file, in messages that name the file and what to do.

use std::fmt;
use std::path::PathBuf;

use pretext_data::root::RootError;
use pretext_shared::ids::WeightsHash;

/// Largest number of names that are listed for one kind of misfit: a ResNet-50 has 265 tensors.
const LISTED: usize = 400;

/// Why a weights file cannot be used. A retry does not help: the file must change.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// A path cannot be read, or is outside the data root.
    #[error("{0}; `encoder.weights.path` is relative to the worker's --data-root")]
    Root(#[from] RootError),
    /// The coordinator did not send the file's path.
    #[error("the stage starts from a weights file, but the coordinator sent no path for it: submit the sweep again")]
    NoPath,
    /// The file is larger than a trainer may hold.
    #[error("the weights file {} has {bytes} bytes, more than {} MiB: keep only the encoder's weights in it", path.display(), limit >> 20)]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// This worker's copy is not the one that the sweep names.
    #[error(
        "the weights file {} differs from the one that the sweep names (SHA-256 here {here}, in the sweep {planned}): give this \
         worker that file, or submit the sweep with the other hash", path.display()
    )]
    OtherCopy {
        /// The file.
        path: PathBuf,
        /// The hash of the copy here.
        here: WeightsHash,
        /// The hash that the stage asks for.
        planned: WeightsHash,
    },
    /// The content is in neither of the formats.
    #[error("{} is neither a safetensors file nor one of PyTorch's: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The cause.
        reason: String,
    },
    /// A tensor has numbers of a type that cannot be read.
    #[error("tensor `{tensor}` of {} holds {found}: expected 32 or 64 bit floats; save the tensor after `.float()`", path.display())]
    Numbers {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The type of its numbers.
        found: String,
    },
    /// The tensors are not the encoder's.
    #[error("the tensors of {path} are not the encoder's: {misfit}")]
    Misfit {
        /// As written in the sweep file.
        path: String,
        /// The tensors that differ, and how.
        misfit: Misfit,
    },
    /// The file cannot be written.
    #[error("cannot write {}: {reason}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        reason: String,
    },
}

/// The differences between the tensors of a file and those of an encoder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Misfit {
    /// Tensors that only the encoder has.
    pub missing: Vec<String>,
    /// Tensors that only the file has.
    pub unexpected: Vec<String>,
    /// Tensors with different shapes: name, shape in the file, shape in the encoder.
    pub shapes: Vec<(String, Vec<usize>, Vec<usize>)>,
}

impl Misfit {
    /// Returns whether there is no difference.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.shapes.is_empty()
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shapes = self.shapes.iter().map(|(name, file, encoder)| format!("{name} ({file:?}, expected {encoder:?})"));
        let kinds = [
            ("missing", self.missing.clone()),
            ("unexpected", self.unexpected.clone()),
            ("of another shape", shapes.collect()),
        ];
        let mut separator = "";
        for (what, names) in kinds.iter().filter(|(_, names)| !names.is_empty()) {
            write!(f, "{separator}{} {what}: {}", names.len(), names[..names.len().min(LISTED)].join(", "))?;
            if names.len() > LISTED {
                write!(f, " and {} more", names.len() - LISTED)?;
            }
            separator = "; ";
        }
        Ok(())
    }
}
