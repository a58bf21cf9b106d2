//! Encoder weights in files of other programs: reads them as initial weights, and writes them for other programs.
//!
//! Tensors have the names and the layout of PyTorch's modules. The ResNets have torchvision's names, so its published
//! weights load here and ours load there. torchvision's classifier, `fc.*`, is not part of an encoder: it is skipped
//! when read and absent when written.

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

/// Returns `encoder` with the weights of the file `path` below `data_root`, whose content must have the hash `sha256`.
/// The file must have every tensor of the encoder in its shape, and no other tensor except a classifier.
pub fn load(encoder: Encoder, data_root: &Path, path: &str, sha256: WeightsHash) -> Result<Encoder, WeightsError> {
    let tensors = file::read(&Folder::root(data_root)?, path, sha256)?;
    names::assign(encoder, tensors).map_err(|misfit| WeightsError::Misfit { path: path.to_owned(), misfit })
}
