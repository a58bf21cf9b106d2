//! The binary files of CIFAR and of the MNIST family as a target, from listing to pixels.

use std::path::Path;

use pretext_data::{DataError, Dataset, scan};
use pretext_shared::dataset::{DataSpec, Fit, Normalize, Source};

use super::target::{Fate, Target};

/// See the module.
pub(crate) struct Records {
    root: tempfile::TempDir,
}

const IDX: [&str; 4] =
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];
const CIFAR: [&str; 6] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
    "test_batch.bin",
];

fn idx_images() -> Vec<u8> {
    let head = [0x0803u32, 3, 4, 4].map(u32::to_be_bytes).concat();
    [head, vec![7; 48]].concat()
}

fn idx_labels() -> Vec<u8> {
    let head = [0x0801u32, 3].map(u32::to_be_bytes).concat();
    [head, vec![0, 1, 2]].concat()
}

fn cifar_batch() -> Vec<u8> {
    (0..2u8).flat_map(|label| std::iter::once(label).chain([9; 3072])).collect()
}

impl Records {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary folder");
        for folder in ["idx", "cifar"] {
            std::fs::create_dir(root.path().join(folder)).expect("a folder");
        }
        let write = |name: &str, content: &[u8]| std::fs::write(root.path().join(name), content).expect("a file");
        for (name, content) in IDX.iter().zip([idx_images(), idx_labels(), idx_images(), idx_labels()]) {
            write(&format!("idx/{name}"), &content);
        }
        CIFAR.iter().for_each(|name| write(&format!("cifar/{name}"), &cifar_batch()));
        Self { root }
    }

    /// Loads the data set with `content` as one of its files, and then restores the file.
    pub(crate) fn read(&self, which: u8, content: &[u8]) -> Result<Fate, String> {
        let place = usize::from(which) % (IDX.len() + 1);
        let (source, name, good) = match IDX.get(place) {
            Some(name) => {
                let good = if place.is_multiple_of(2) { idx_images() } else { idx_labels() };
                (Source::Idx { path: "idx".to_owned() }, format!("idx/{name}"), good)
            }
            None => (Source::Cifar10 { path: "cifar".to_owned() }, format!("cifar/{}", CIFAR[2]), cifar_batch()),
        };
        let path = self.root.path().join(name);
        std::fs::write(&path, content).map_err(|error| error.to_string())?;
        let loaded = load(self.root.path(), &source);
        std::fs::write(&path, good).map_err(|error| error.to_string())?;
        match loaded {
            Ok(_) => Ok(Fate::Taken),
            Err(error) if error.to_string().is_empty() => Err("refused without a reason".to_owned()),
            Err(_) => Ok(Fate::Refused),
        }
    }
}

fn load(root: &Path, source: &Source) -> Result<Dataset, DataError> {
    let manifest = scan(root, source, None)?;
    let spec = DataSpec {
        fingerprint: manifest.facts.fingerprint,
        classes: manifest.facts.classes.len() as u32,
        image_size: 8,
        normalize: Normalize::Train,
        test_fraction: None,
        fit: Fit::default(),
    };
    Dataset::load(root, source, &spec, None)
}

impl Target for Records {
    fn name(&self) -> &'static str {
        "CIFAR and IDX files"
    }

    fn corpus(&self) -> Vec<Vec<u8>> {
        let files = [idx_images(), idx_labels(), idx_images(), idx_labels(), cifar_batch()];
        (0u8..).zip(files).map(|(which, content)| [vec![which], content].concat()).collect()
    }

    fn bound(&self) -> usize {
        16 << 20
    }

    fn feed(&mut self, input: &[u8]) -> Result<Fate, String> {
        let (which, content) = input.split_first().map_or((0, input), |(which, content)| (*which, content));
        self.read(which, content)
    }
}
