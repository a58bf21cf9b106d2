//! The model file: a stage writes it, and the child stage starts from it.

use std::path::Path;

use burn::module::Module;
use burn::store::ModuleRecord;
use burn::tensor::{Bytes, Device};
use pretext_checkpoint::{Bundle, BundleError};
use pretext_shared::stage::EncoderSpec;
use serde::{Deserialize, Serialize};

use super::StageError;
use crate::models::{Encoder, HeadSpec, Network};

const KIND: &str = "model";

/// The networks in a model file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// The encoder.
    pub encoder: EncoderSpec,
    /// The head.
    pub head: HeadSpec,
}

/// Returns the weights of a module as burn's record. Only evaluation-mode modules are recorded, because running
/// statistics lag one step behind until `valid` is called.
pub(super) fn record<M: Module>(valid: &M, what: &'static str) -> Result<Vec<u8>, StageError> {
    let bytes = valid.clone().into_record().into_bytes().map_err(|source| StageError::Record { what, source })?;
    Ok(bytes.to_vec())
}

/// Returns `module` with the weights that [`record`] wrote.
pub(super) fn apply<M: Module>(module: M, bytes: Vec<u8>, what: &'static str) -> Result<M, StageError> {
    ModuleRecord::from_bytes(Bytes::from_bytes_vec(bytes))
        .and_then(|record| module.try_load_record(record))
        .map_err(|source| StageError::Record { what, source })
}

/// Writes the evaluation-mode network `valid` to `path`. The bytes depend on the weights only: equal models are equal
/// files.
pub fn save(path: &Path, description: &Description, valid: &Network) -> Result<(), StageError> {
    let text = serde_json::to_vec(description).expect("a description has only strings and integers");
    let sections = vec![("description".to_owned(), text), ("weights".to_owned(), record(valid, "model")?)];
    Ok(Bundle { kind: KIND.to_owned(), sections }.write(path)?)
}

/// Reads the network of `path` onto `device`. Refused if its encoder is not `encoder`.
pub fn load(path: &Path, encoder: &EncoderSpec, device: &Device) -> Result<(Description, Network), StageError> {
    read(path, encoder, device, |found| found == encoder)
}

/// Reads only the encoder of `path`, up to the block that `encoder` ends with.
pub fn load_encoder(path: &Path, encoder: &EncoderSpec, device: &Device) -> Result<Encoder, StageError> {
    let (_, network) = read(path, encoder, device, |found| encoder.begins(found))?;
    Ok(network.encoder.beginning(encoder))
}

/// Reads the network of `path`, whose encoder must pass `fits`.
fn read(
    path: &Path,
    wanted: &EncoderSpec,
    device: &Device,
    fits: impl FnOnce(&EncoderSpec) -> bool,
) -> Result<(Description, Network), StageError> {
    let (description, weights) = sections(path)?;
    if !fits(&description.encoder) {
        let what = format!("its encoder is {:?}, but the stage needs {wanted:?}", description.encoder);
        return Err(StageError::Misfit { path: path.to_owned(), what });
    }
    network(path, description, weights, device)
}

/// Reads the network of `path` onto `device`, whatever its encoder is.
pub fn load_any(path: &Path, device: &Device) -> Result<(Description, Network), StageError> {
    let (description, weights) = sections(path)?;
    network(path, description, weights, device)
}

/// Returns the description in `path`, and its weights as they were recorded.
fn sections(path: &Path) -> Result<(Description, Vec<u8>), StageError> {
    let mut bundle = Bundle::read(path, KIND)?;
    let mut take = |name: &str| {
        bundle.take(name).ok_or_else(|| BundleError::damaged(path, format!("section `{name}` is missing")))
    };
    let (description, weights) = (take("description")?, take("weights")?);
    let description = serde_json::from_slice(&description).map_err(|error| StageError::Misfit {
        path: path.to_owned(),
        what: format!("its description cannot be parsed ({error}): another version wrote it"),
    })?;
    Ok((description, weights))
}

fn network(
    path: &Path,
    description: Description,
    weights: Vec<u8>,
    device: &Device,
) -> Result<(Description, Network), StageError> {
    let blank = Network::blank(&description.encoder, &description.head, device);
    let network = apply(blank, weights, "model")
        .map_err(|error| StageError::Misfit { path: path.to_owned(), what: error.to_string() })?;
    Ok((description, network))
}

#[cfg(test)]
mod tests {
    use pretext_shared::stage::Stem;

    use super::*;

    #[test]
    fn a_model_comes_back_and_another_encoder_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("model.bin");
        let description = Description {
            encoder: EncoderSpec::SmallCnn { width: 4, blocks: 2 },
            head: HeadSpec::Projection { outputs: 5 },
        };
        let network = Network::new(&description.encoder, &description.head, 3, &Device::flex());
        save(&path, &description, &network).expect("saved");
        let (found, loaded) = load(&path, &description.encoder, &Device::flex().autodiff()).expect("loaded");
        assert_eq!(found, description);
        let again = folder.path().join("again.bin");
        save(&again, &found, &loaded.valid()).expect("saved");
        assert_eq!(std::fs::read(&again).expect("read"), std::fs::read(&path).expect("read"), "equal files");
        let wanted = EncoderSpec::Resnet18 { stem: Stem::Small };
        let error = load(&path, &wanted, &Device::flex()).expect_err("another encoder").to_string();
        assert!(error.contains("SmallCnn") && error.contains("Resnet18") && error.contains("model.bin"), "{error}");
    }
}
