//! Compares encoders with torchvision's: the same weights give the same features, and written weights equal the weights
//! that were read.

use std::path::PathBuf;

use burn::module::Module;
use burn::tensor::Device;
use pretext_data::root::{Folder, RootError};
use pretext_shared::ids::WeightsHash;
use pretext_shared::stage::{EncoderSpec, Stem};
use serde::Deserialize;

use super::file::{BATCHES, HostTensor, Tensors};
use super::picture::{noise, pictures};
use super::{WeightsError, Written, file, load, names, write};
use crate::models::{Encoder, HeadSpec, Network};

/// As tests/golden/weights.py writes it.
#[derive(Deserialize)]
struct Golden {
    resnet18: Model,
    resnet50: Model,
}

#[derive(Deserialize)]
struct Model {
    /// In torchvision's order, without the classifier.
    tensors: Vec<(String, Vec<usize>)>,
    /// A sample of the features of two images.
    features: Vec<f32>,
}

fn golden_file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name)
}

fn golden() -> Golden {
    let text = std::fs::read(golden_file("weights.json")).expect("the golden file is committed");
    serde_json::from_slice(&text).expect("as the script writes it")
}

/// The script's `values`.
fn values(name: &str, shape: &[usize], stream: usize) -> HostTensor {
    let scale = |x: f64| match shape {
        [_, inputs, height, width] => x * (6.0 / (inputs * height * width) as f64).sqrt(),
        _ if name.ends_with("running_var") => 1.0 + 0.5 * x,
        _ if name.ends_with("weight") => 1.0 + 0.2 * x,
        _ => 0.1 * x,
    };
    let values = noise(shape.iter().product(), stream as u32).map(|x| scale(x) as f32).collect();
    HostTensor { shape: shape.to_vec(), values }
}

/// Returns the tensors of a golden model, without counters.
fn filled(model: &Model) -> Tensors {
    let floats = model.tensors.iter().filter(|(name, _)| !name.ends_with(BATCHES));
    floats.enumerate().map(|(i, (name, shape))| (name.clone(), values(name, shape, i))).collect()
}

fn encoder(spec: &EncoderSpec, device: &Device) -> Encoder {
    Network::new(spec, &HeadSpec::Linear { outputs: 2 }, 1, device).encoder
}

/// Returns the largest difference, as a share of the largest value.
fn difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0f32, |largest, x| largest.max(x.abs()));
    found.iter().zip(expected).fold(0f32, |most, (a, b)| most.max((a - b).abs())) / largest
}

#[test]
fn torchvisions_weights_give_torchvisions_features() {
    let Golden { resnet18, resnet50 } = golden();
    let stem = Stem::Large;
    for (spec, golden, stride) in
        [(EncoderSpec::Resnet18 { stem }, resnet18, 1), (EncoderSpec::Resnet50 { stem }, resnet50, 8)]
    {
        // Loaded on a training device, as stages do, and then evaluated.
        let tensors = filled(&golden);
        let loaded =
            names::assign(encoder(&spec, &Device::flex().autodiff()), tensors.clone()).expect("every tensor fits");
        let loaded = loaded.valid();
        let features: Vec<f32> = loaded.forward(pictures(2)).try_into_vec_as().expect("f32");
        let features: Vec<f32> = features.into_iter().step_by(stride).collect();
        let difference = difference(&features, &golden.features);
        assert!(difference < 1e-5, "{spec:?}: {difference}");

        // The written file has torchvision's names and shapes, including counters, and the bits that were read.
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out.safetensors");
        let Written { tensors: count, sha256 } = write(&path, &loaded).expect("written");
        assert_eq!(count, golden.tensors.len());
        let content = std::fs::read(&path).expect("readable");
        let file = safetensors::SafeTensors::deserialize(&content).expect("a safetensors file");
        for (name, shape) in &golden.tensors {
            assert_eq!(file.tensor(name).expect("torchvision has it").shape(), shape, "{name}");
        }
        let root = Folder::root(folder.path()).expect("a folder");
        assert!(file::read(&root, "out.safetensors", sha256).expect("readable") == tensors, "{spec:?}");
    }
}

#[test]
fn a_checkpoint_of_torch_save_loads() {
    let spec = EncoderSpec::SmallCnn { width: 4, blocks: 2 };
    let content = std::fs::read(golden_file("weights.pth")).expect("the golden file is committed");
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("w.pth"), &content).expect("writable");
    let here = match load(encoder(&spec, &Device::flex()), folder.path(), "w.pth", zero()) {
        Err(WeightsError::OtherCopy { here, .. }) => here,
        other => panic!("a wrong hash was accepted: {other:?}"),
    };
    let loaded = load(encoder(&spec, &Device::flex()), folder.path(), "w.pth", here).expect("every tensor fits");
    let tensors = names::collect(&loaded).expect("readable");
    assert_eq!(tensors["stem.conv.weight"], values("stem.conv.weight", &[4, 3, 3, 3], 0));
    assert_eq!(tensors["blocks.1.shortcut.bn.running_var"], values("running_var", &[8], 29));
    assert_eq!(tensors.len(), 30);
}

fn zero() -> WeightsHash {
    "0".repeat(64).parse().expect("64 digits")
}

#[test]
fn every_tensor_that_does_not_fit_is_named() {
    let spec = EncoderSpec::SmallCnn { width: 4, blocks: 1 };
    let blank = || encoder(&spec, &Device::flex());
    let mut tensors = names::collect(&blank()).expect("readable");
    tensors.insert("fc.bias".to_owned(), values("fc.bias", &[2], 0));
    assert!(names::assign(blank(), tensors.clone()).is_ok(), "a classifier is skipped");
    let moved = tensors.remove("stem.bn.running_mean").expect("it is there");
    tensors.insert("module.stem.bn.running_mean".to_owned(), moved);
    tensors.insert("blocks.0.a.conv.weight".to_owned(), values("", &[4, 4, 1, 1], 0));
    let misfit = names::assign(blank(), tensors).expect_err("three do not fit");
    assert_eq!(
        misfit.to_string(),
        "1 missing: stem.bn.running_mean; 1 unexpected: module.stem.bn.running_mean; \
         1 of another shape: blocks.0.a.conv.weight ([4, 4, 1, 1], expected [4, 4, 3, 3])"
    );
    // A path that leaves the data root is refused before anything is read.
    let error = load(blank(), std::path::Path::new("."), "../w.pth", zero()).expect_err("refused");
    assert!(matches!(error, WeightsError::Root(RootError::Outside { .. })), "{error}");
}
