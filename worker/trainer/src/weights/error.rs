//! What can be wrong with a file of weights, in sentences that name the file and the remedy.

use std::fmt;
use std::path::PathBuf;

use pretext_data::root::RootError;
use pretext_shared::ids::WeightsHash;

/// The most names of one kind of misfit that are listed: a ResNet-50 has 265 tensors.
const LISTED: usize = 400;

/// A file of weights that cannot be used. Nothing here is worth a retry: the file has to change.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// A place that cannot be read, or that is outside the data root.
    #[error("{0}; `encoder.weights.path` is relative to the worker's --data-root")]
    Root(#[from] RootError),
    /// The coordinator did not say where the file is.
    #[error("the stage starts from a weights file and its place was not handed over: submit the sweep again")]
    NoPath,
    /// More than a trainer should hold.
    #[error("the weights file {} has {bytes} bytes, more than {} MiB: keep the encoder's weights alone in it", path.display(), limit >> 20)]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
        /// The most that is read.
        limit: u64,
    },
    /// The copy here is not the one that the sweep names.
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
    /// A content that is neither of the formats.
    #[error("{} is neither a safetensors file nor one of PyTorch's: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// Numbers that are not read.
    #[error("tensor `{tensor}` of {} holds {found}: 32 or 64 bit floats are read; save it after `.float()`", path.display())]
    Numbers {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The type of its numbers.
        found: String,
    },
    /// Tensors that are not those of the encoder.
    #[error("the tensors of {path} are not the encoder's: {misfit}")]
    Misfit {
        /// As written in the sweep file.
        path: String,
        /// Which, and why.
        misfit: Misfit,
    },
    /// The file cannot be written.
    #[error("cannot write {}: {reason}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// How the tensors of a file differ from those of an encoder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Misfit {
    /// In the encoder and not in the file.
    pub missing: Vec<String>,
    /// In the file and not in the encoder.
    pub unexpected: Vec<String>,
    /// In both, with different shapes: name, shape in the file, shape in the encoder.
    pub shapes: Vec<(String, Vec<usize>, Vec<usize>)>,
}

impl Misfit {
    /// Whether there is no difference.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.shapes.is_empty()
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shapes = self.shapes.iter().map(|(name, file, encoder)| format!("{name} ({file:?} and not {encoder:?})"));
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
