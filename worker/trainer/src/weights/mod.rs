//! Weights of encoders in files of other programs: read as initial weights, written for others to load.
//!
//! Tensors have the names and the layout that PyTorch's modules give them. The ResNets' are torchvision's, so that its
//! published weights load here and ours load there; `fc.*`, its classifier, is no part of an encoder: it is skipped when
//! read and absent when written.

mod error;
mod file;
mod names;
mod picture;

#[cfg(test)]
mod golden;

use std::path::Path;

use pretext_data::root::Folder;
use pretext_shared::ids::WeightsHash;

use crate::models::Encoder;

pub use error::WeightsError;
pub use file::{Written, write};
pub use picture::first_features;

/// `encoder` with the weights of the file `path` below `data_root`, whose content must be `sha256`. Every tensor of the encoder
/// must be there in its shape, and nothing else but a classifier.
pub fn load(encoder: Encoder, data_root: &Path, path: &str, sha256: WeightsHash) -> Result<Encoder, WeightsError> {
    let tensors = file::read(&Folder::root(data_root)?, path, sha256)?;
    names::assign(encoder, tensors).map_err(|misfit| WeightsError::Misfit { path: path.to_owned(), misfit })
}
