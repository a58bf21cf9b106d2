//! Files of named tensors: reads and writes safetensors, and reads files of `torch.save`.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use pretext_checkpoint::write_whole;
use pretext_data::root::{Folder, RootError};
use pretext_shared::ids::{ContentHash, WeightsHash};
use pytorch_reader::PytorchReader;
use ring::digest;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::error::WeightsError;
use super::names;
use crate::models::Encoder;

/// Limit of a file's length: a ResNet-50 is 98 MiB.
const LIMIT: u64 = 2 << 30;
/// Keys under which training scripts store the weights of a model.
const NESTED: [&str; 3] = ["state_dict", "model_state_dict", "model"];
/// PyTorch's batch counter in normalisations. It has no effect on features and is not stored here.
pub(super) const BATCHES: &str = "num_batches_tracked";

/// A tensor on the host.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct HostTensor {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f32>,
}

/// The floating-point tensors of a file by name, without counters.
pub(super) type Tensors = BTreeMap<String, HostTensor>;

/// Returns the tensors of the file `name` in `folder`, whose content must have the hash `sha256`.
pub(super) fn read(folder: &Folder, name: &str, sha256: WeightsHash) -> Result<Tensors, WeightsError> {
    let path = folder.shown(name);
    let io = |source| RootError::Io { path: path.clone(), source };
    let file = folder.open(name)?;
    let bytes = file.metadata().map_err(io)?.len();
    if bytes > LIMIT {
        return Err(WeightsError::TooLarge { path, bytes, limit: LIMIT });
    }
    let mut content = Vec::with_capacity(bytes as usize);
    (&file).take(LIMIT).read_to_end(&mut content).map_err(io)?;
    let here = hash(&content);
    if here != sha256 {
        return Err(WeightsError::OtherCopy { path, here, planned: sha256 });
    }
    // A safetensors file is the length of a JSON object, then the object. PyTorch's formats never have a brace there.
    if content.get(8) == Some(&b'{') {
        from_safetensors(&path, &content)
    } else {
        from_pytorch(&path, &opened(&file, &path))
    }
}

/// Returns a path through which a reader that opens files by itself gets the file that is open here, even if its name
/// now belongs to another file.
#[cfg(target_os = "linux")]
fn opened(file: &File, _: &Path) -> PathBuf {
    use std::os::fd::AsRawFd;
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Other systems have no such path.
#[cfg(not(target_os = "linux"))]
fn opened(_: &File, path: &Path) -> PathBuf {
    path.to_owned()
}

/// The SHA-256 of `content`.
fn hash(content: &[u8]) -> WeightsHash {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, content).as_ref());
    WeightsHash(ContentHash::from_bytes(bytes))
}

fn is_counter(name: &str) -> bool {
    name.rsplit('.').next() == Some(BATCHES)
}

fn from_safetensors(path: &Path, content: &[u8]) -> Result<Tensors, WeightsError> {
    let file = SafeTensors::deserialize(content)
        .map_err(|error| WeightsError::Format { path: path.to_owned(), reason: error.to_string() })?;
    let tensors = file.iter().filter(|(name, _)| !is_counter(name)).map(|(name, view)| {
        let values = match view.dtype() {
            Dtype::F32 => floats(view.data()),
            Dtype::F64 => doubles(view.data()),
            other => return Err(numbers(path, name, format!("{other:?}"))),
        };
        Ok((name.to_owned(), HostTensor { shape: view.shape().to_vec(), values }))
    });
    tensors.collect()
}

/// Returns the tensors of the file at `path`, which is read at `place`.
fn from_pytorch(path: &Path, place: &Path) -> Result<Tensors, WeightsError> {
    let format = |reason: String| WeightsError::Format { path: path.to_owned(), reason };
    let mut file = PytorchReader::new(place).map_err(|error| format(error.to_string()))?;
    let nested = NESTED.iter().find(|key| {
        let prefix = format!("{key}.");
        !file.is_empty() && file.tensors().keys().all(|name| name.starts_with(&prefix))
    });
    if let Some(key) = nested {
        file = PytorchReader::with_top_level_key(place, key).map_err(|error| format(error.to_string()))?;
    }
    let tensors = file.tensors().iter().filter(|(name, _)| !is_counter(name)).map(|(name, tensor)| {
        let decode = match tensor.dtype() {
            pytorch_reader::DType::F32 => floats,
            pytorch_reader::DType::F64 => doubles,
            other => return Err(numbers(path, name, format!("{other:?}"))),
        };
        let bytes = tensor.read().map_err(|error| format(error.to_string()))?;
        Ok((name.clone(), HostTensor { shape: tensor.shape().to_vec(), values: decode(&bytes) }))
    });
    tensors.collect()
}

fn numbers(path: &Path, tensor: &str, found: String) -> WeightsError {
    WeightsError::Numbers { path: path.to_owned(), tensor: tensor.to_owned(), found }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn doubles(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32).collect()
}

/// A weights file that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Number of tensors in the file.
    pub tensors: usize,
    /// Hash of its content.
    pub sha256: WeightsHash,
}

/// Writes the weights of `encoder`, which must be in evaluation mode, as a safetensors file. The bytes depend on the
/// weights only.
pub fn write(path: &Path, encoder: &Encoder) -> Result<Written, WeightsError> {
    let failed = |reason: String| WeightsError::Write { path: path.to_owned(), reason };
    let tensors = names::collect(encoder).map_err(|error| failed(error.to_string()))?;
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .into_iter()
        .map(|(name, HostTensor { shape, values })| {
            (name, shape, values.iter().flat_map(|value| value.to_le_bytes()).collect())
        })
        .collect();
    let views = bytes
        .iter()
        .map(|(name, shape, bytes)| TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (name.clone(), view)));
    let mut views: Vec<(String, TensorView<'_>)> =
        views.collect::<Result<_, _>>().map_err(|error| failed(error.to_string()))?;
    // PyTorch's normalisation has a counter of batches, an integer without dimensions. This program does not count
    // them.
    let zero = 0i64.to_le_bytes();
    let counters: Vec<String> = bytes
        .iter()
        .filter_map(|(name, ..)| Some(format!("{}.{BATCHES}", name.strip_suffix(".running_mean")?)))
        .collect();
    for name in counters {
        let view = TensorView::new(Dtype::I64, Vec::new(), &zero).map_err(|error| failed(error.to_string()))?;
        views.push((name, view));
    }
    let tensors = views.len();
    let information = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let content = safetensors::serialize(views, Some(information)).map_err(|error| failed(error.to_string()))?;
    write_whole(path, |file| std::io::Write::write_all(file, &content)).map_err(|error| failed(error.to_string()))?;
    Ok(Written { tensors, sha256: hash(&content) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_what_sha256sum_prints() {
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash(b"abc").to_string(), known);
    }

    #[test]
    fn other_copies_and_other_files_are_refused_in_words() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("w.pth");
        let read = |sha256| read(&Folder::root(folder.path())?, "w.pth", sha256);
        let error = read(hash(b"")).expect_err("no file").to_string();
        assert!(error.contains("w.pth") && error.contains("--data-root"), "{error}");
        std::fs::write(&path, b"not weights").expect("writable");
        let error = read(hash(b"other")).expect_err("another file").to_string();
        assert!(error.contains(&hash(b"not weights").to_string()) && error.contains("give this worker"), "{error}");
        let error = read(hash(b"not weights")).expect_err("no format").to_string();
        assert!(error.contains("neither a safetensors file nor"), "{error}");
    }
}
