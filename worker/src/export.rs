//! The command `worker export`: writes a trained encoder for other programs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use burn::tensor::Device;
use pretext_shared::ids::{ArtifactId, WeightsHash};
use pretext_shared::stage::EncoderSpec;
use pretext_shared::text::counted;
use pretext_trainer::train::load_any;
use pretext_trainer::weights::{self, Written};
use serde::Serialize;

use crate::daemon::{BAD_INPUT, ENVIRONMENT, give_up};

#[derive(Serialize)]
struct Exported<'a> {
    file: &'a Path,
    encoder: EncoderSpec,
    tensors: usize,
    sha256: WeightsHash,
    /// Features of the picture that `tests/golden/weights.py` makes, to compare with those of another program.
    first_features: Vec<f32>,
}

/// Writes the encoder of `model`, a file or the id of an artifact below `state_dir`, to `out`.
pub(crate) fn export(model: &str, state_dir: &Path, out: &Path, json: bool) -> ExitCode {
    let Some(path) = find(model, state_dir) else {
        let place = state_dir.join("artifacts");
        let sentence =
            format!("there is no model `{model}`: give a model file, or the id of an artifact in {}", place.display());
        return give_up(BAD_INPUT, sentence);
    };
    let (description, network) = match load_any(&path, &Device::flex()) {
        Ok(loaded) => loaded,
        Err(error) => return give_up(BAD_INPUT, error),
    };
    let Written { tensors, sha256 } = match weights::write(out, &network.encoder) {
        Ok(written) => written,
        Err(error) => return give_up(ENVIRONMENT, error),
    };
    let first_features = match weights::first_features(&network.encoder) {
        Ok(features) => features,
        Err(error) => return give_up(ENVIRONMENT, error),
    };
    let exported = Exported { file: out, encoder: description.encoder, tensors, sha256, first_features };
    let text = if json {
        match serde_json::to_string_pretty(&exported) {
            Ok(text) => text,
            Err(error) => return give_up(ENVIRONMENT, error),
        }
    } else {
        format!("{}: {}, sha256 {sha256}", out.display(), counted(tensors, "tensor"))
    };
    match writeln!(std::io::stdout(), "{text}") {
        // A reader that closes the pipe early is not an error.
        Ok(()) | Err(_) => ExitCode::SUCCESS,
    }
}

/// Returns the path of a model: a file, or an artifact, whose folder is named by the first two digits of its id.
fn find(model: &str, state_dir: &Path) -> Option<PathBuf> {
    let file = PathBuf::from(model);
    if file.is_file() {
        return Some(file);
    }
    let id = model.parse::<ArtifactId>().ok()?.to_string();
    let artifact = state_dir.join("artifacts").join(&id[..2]).join(&id[2..]);
    artifact.is_file().then_some(artifact)
}
