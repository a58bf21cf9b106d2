//! Data sets as the plan sees them: their location, classes and counts, but never their pixels.

mod group_pattern;
mod policy;

use serde::{Deserialize, Serialize};

pub use group_pattern::{GroupPattern, PatternError};
pub use policy::{DuplicatePolicy, Fit, Policies, Unreadable};

use crate::ids::Fingerprint;

/// The source of images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Source {
    /// One folder per class below `train/` and `test/`, with pictures of any format that is read; or class folders
    /// directly below `path` together with `test_fraction`.
    ImageFolder {
        /// Relative to the worker's data root.
        path: String,
        /// Share of each class set apart for testing if there is no `test/` folder.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        test_fraction: Option<f64>,
        /// The pattern that finds an image's group (slide, patient) in its name; `None` if `groups.csv` names the
        /// groups, or if there are none.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        groups: Option<GroupPattern>,
        /// What to do with unreadable and with identical pictures.
        #[serde(skip_serializing_if = "Policies::are_default", default)]
        policies: Policies,
    },
    /// The binary release of CIFAR-10 (`data_batch_1.bin` … `test_batch.bin`).
    Cifar10 {
        /// Relative to the worker's data root.
        path: String,
    },
    /// The binary release of CIFAR-100 (`train.bin`, `test.bin`), fine labels.
    Cifar100 {
        /// Relative to the worker's data root.
        path: String,
    },
    /// IDX files of the MNIST family (`train-images-idx3-ubyte` …), not compressed.
    Idx {
        /// Relative to the worker's data root.
        path: String,
    },
    /// Pictures that the program draws itself; see [`Procedural`].
    Procedural(Procedural),
}

/// The size of a drawn data set. Three classes, upright, the same number of images in each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Procedural {
    /// Training images per class.
    pub train_per_class: u32,
    /// Test images per class.
    pub test_per_class: u32,
    /// Seed of the pictures.
    pub seed: u64,
}

/// The names of the procedural classes, in label order.
pub const PROCEDURAL_CLASSES: [&str; 3] = ["house", "tree", "boat"];

/// Raised by hand whenever the procedural pictures change.
pub const PROCEDURAL_VERSION: u32 = 1;

/// Separates the path of a key from the pattern of its groups.
const GROUPS: &str = "?groups=";

impl Source {
    /// Returns the kind as written in a sweep file.
    pub fn kind(&self) -> &'static str {
        match self {
            Source::ImageFolder { .. } => "image-folder",
            Source::Cifar10 { .. } => "cifar10",
            Source::Cifar100 { .. } => "cifar100",
            Source::Idx { .. } => "idx",
            Source::Procedural(_) => "procedural",
        }
    }

    /// Returns the path below the data root; `None` for the procedural set.
    pub fn path(&self) -> Option<&str> {
        match self {
            Source::ImageFolder { path, .. }
            | Source::Cifar10 { path }
            | Source::Cifar100 { path }
            | Source::Idx { path } => Some(path),
            Source::Procedural(_) => None,
        }
    }

    /// Returns the same source at another path; drawn pictures have no path.
    pub fn at(&self, there: &str) -> Self {
        let mut source = self.clone();
        match &mut source {
            Source::ImageFolder { path, .. }
            | Source::Cifar10 { path }
            | Source::Cifar100 { path }
            | Source::Idx { path } => there.clone_into(path),
            Source::Procedural(_) => {}
        }
        source
    }

    /// Returns the pattern that finds groups in the names of images.
    pub fn groups(&self) -> Option<&GroupPattern> {
        match self {
            Source::ImageFolder { groups, .. } => groups.as_ref(),
            _ => None,
        }
    }

    /// Returns the choices about unreadable and identical pictures.
    pub fn policies(&self) -> Policies {
        match self {
            Source::ImageFolder { policies, .. } => *policies,
            _ => Policies::default(),
        }
    }

    /// Returns the same source with other choices, if its kind has any.
    #[must_use]
    pub fn with_policies(&self, choices: Policies) -> Self {
        let mut source = self.clone();
        if let Source::ImageFolder { policies, .. } = &mut source {
            *policies = choices;
        }
        source
    }

    /// Returns the share of training images that is set apart for testing, if any.
    pub fn test_fraction(&self) -> Option<f64> {
        match self {
            Source::ImageFolder { test_fraction, .. } => *test_fraction,
            _ => None,
        }
    }

    /// Returns whether one source is the other or lies in it: they may then share images.
    pub fn overlaps(&self, other: &Self) -> bool {
        let within = |inner: &str, outer: &str| {
            outer == "." || inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        match (self, other) {
            // Another seed draws other pictures.
            (Source::Procedural(one), Source::Procedural(two)) => one.seed == two.seed,
            _ => match (self.path(), other.path()) {
                (Some(one), Some(two)) => within(one, two) || within(two, one),
                _ => false,
            },
        }
    }

    /// Returns the name of this source in announcements and messages: `KIND:PATH`, with options for what decides its
    /// pictures and groups: `KIND:PATH?unreadable=skip?groups=PATTERN`.
    pub fn key(&self) -> String {
        let Some(path) = self.path() else { return self.kind().to_owned() };
        let policies = self.policies().suffix();
        let groups = self.groups().map(|groups| format!("{GROUPS}{groups}")).unwrap_or_default();
        format!("{}:{path}{policies}{groups}", self.kind())
    }
}

impl Procedural {
    /// Returns what a worker would announce, which for drawn pictures is known without reading anything.
    pub fn facts(&self) -> DatasetFacts {
        let content =
            format!("procedural v{PROCEDURAL_VERSION} {} {} {}", self.train_per_class, self.test_per_class, self.seed);
        DatasetFacts {
            key: "procedural".to_owned(),
            fingerprint: Fingerprint(crate::ids::ContentHash::of(content.as_bytes())),
            classes: PROCEDURAL_CLASSES.map(str::to_owned).to_vec(),
            train: vec![self.train_per_class; PROCEDURAL_CLASSES.len()],
            test: vec![self.test_per_class; PROCEDURAL_CLASSES.len()],
            groups: Vec::new(),
        }
    }
}

/// What a worker announces of a data set: enough for a plan, and only a hash of its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetFacts {
    /// The key, see [`Source::key`].
    pub key: String,
    /// The hash of the manifest (path, class, bytes, hash of every file).
    pub fingerprint: Fingerprint,
    /// Class names in label order.
    pub classes: Vec<String>,
    /// Training images of each class.
    pub train: Vec<u32>,
    /// Test images of each class. Empty if the data set has no test part.
    pub test: Vec<u32>,
    /// Training images of each class in each group, with groups ordered by name. Empty if there are no groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Vec<u32>>,
}

/// The known facts about the data of a sweep.
#[derive(Debug, Clone, Copy)]
pub struct SweepFacts<'a> {
    /// Facts of the sweep's data set.
    pub dataset: &'a DatasetFacts,
    /// Facts of the data set for pretext training, if it is a separate one.
    pub pretext: Option<&'a DatasetFacts>,
}

impl<'a> From<&'a DatasetFacts> for SweepFacts<'a> {
    /// Returns the facts for a sweep with one data set.
    fn from(dataset: &'a DatasetFacts) -> Self {
        Self { dataset, pretext: None }
    }
}

impl DatasetFacts {
    /// Returns the number of all training images.
    pub fn train_total(&self) -> u64 {
        self.train.iter().map(|n| u64::from(*n)).sum()
    }

    /// Returns the number of all test images.
    pub fn test_total(&self) -> u64 {
        self.test.iter().map(|n| u64::from(*n)).sum()
    }
}

/// How pixel values become network inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum Normalize {
    /// Mean and standard deviation of each channel over all training images (never test images).
    Train,
    /// Given numbers, for pixels in [0, 1].
    Given {
        /// Mean of each channel.
        mean: [f32; 3],
        /// Standard deviation of each channel.
        std: [f32; 3],
    },
    /// Pixels in [0, 1] as they are.
    None,
}

/// The data that a stage reads: a fingerprint of the content, and how it becomes tensors. The path is not part of it
/// (see [`crate::stage`]): the same data in another place give the same stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataSpec {
    /// The manifest's hash.
    pub fingerprint: Fingerprint,
    /// Number of classes.
    pub classes: u32,
    /// Height and width of the images that enter the network, in pixels.
    pub image_size: u32,
    /// Normalisation.
    pub normalize: Normalize,
    /// Set if test images are taken out of the training folder.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub test_fraction: Option<f64>,
    /// How pictures that are not square become square.
    #[serde(skip_serializing_if = "Fit::is_default", default)]
    pub fit: Fit,
}

impl Source {
    /// Returns this source as the worker that announced `key` has it: the groups may be named in the other way there, and
    /// pictures that are left out here may be absent there.
    pub fn relocated(&self, key: &str) -> Self {
        match (self, key.parse()) {
            (
                Source::ImageFolder { test_fraction, policies, .. },
                Ok(Source::ImageFolder { path, groups, policies: there, .. }),
            ) => {
                let policies = policies.or_stronger(there);
                Source::ImageFolder { path, test_fraction: *test_fraction, groups, policies }
            }
            (Source::Procedural(_), _) | (_, Err(_)) => self.clone(),
            (_, Ok(there)) => there,
        }
    }
}

impl std::str::FromStr for Source {
    type Err = String;

    /// Returns the source of a key (`KIND:PATH`); the procedural set has no key.
    fn from_str(key: &str) -> Result<Self, String> {
        let (kind, path) = key.split_once(':').ok_or_else(|| format!("`{key}` is not KIND:PATH"))?;
        let path = path.to_owned();
        match kind {
            "image-folder" => {
                let (path, groups) = match path.split_once(GROUPS) {
                    Some((path, pattern)) => {
                        let parsed = pattern.parse().map_err(|error| format!("groups `{pattern}`: {error}"))?;
                        (path.to_owned(), Some(parsed))
                    }
                    None => (path, None),
                };
                let (path, policies) = Policies::split_off(&path)?;
                Ok(Source::ImageFolder { path: path.to_owned(), test_fraction: None, groups, policies })
            }
            "cifar10" => Ok(Source::Cifar10 { path }),
            "cifar100" => Ok(Source::Cifar100 { path }),
            "idx" => Ok(Source::Idx { path }),
            other => Err(format!("`{other}` is not a kind of data set: image-folder, cifar10, cifar100 or idx")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        let parsed = |key: &str| key.parse::<Source>().expect("a key");
        let keys = [
            "image-folder:a/b",
            "image-folder:a?groups={*}_*",
            "image-folder:why?/a?unreadable=skip",
            "image-folder:a?unreadable=skip?duplicates=drop-from-train?groups={*}?unreadable=*",
            "image-folder:a?duplicates=keep",
            "idx:a",
            "cifar10:.",
            "cifar100:c",
        ];
        for key in keys {
            assert_eq!(parsed(key).key(), key);
        }
        assert_eq!(parsed("image-folder:a?groups={*}_*").path(), Some("a"));
        let error = "image-folder:a?groups=*".parse::<Source>().expect_err("a mistake");
        assert!(error.contains("groups `*`: it must have one part in braces"), "{error}");
        let error = "image-folder:a?unreadable=maybe".parse::<Source>().expect_err("a mistake");
        assert!(error.contains("`unreadable=maybe` is not one of refuse, skip"), "{error}");
    }

    #[test]
    fn a_source_is_read_where_and_as_it_was_announced() {
        let policies = Policies::default();
        let folder = |path: &str, groups: Option<GroupPattern>, policies: Policies| Source::ImageFolder {
            path: path.to_owned(),
            test_fraction: Some(0.2),
            groups,
            policies,
        };
        let by_name = folder("a", "{*}_*".parse().ok(), policies);
        let listed = folder("b", None, policies);
        assert_eq!(by_name.relocated("image-folder:b"), listed);
        assert_eq!(listed.relocated("image-folder:a?groups={*}_*"), by_name);
        // What one leaves out is absent from the other: both choices together read either.
        let skip = Policies { unreadable: Unreadable::Skip, ..policies };
        let both = Policies { duplicates: DuplicatePolicy::Keep, ..skip };
        assert_eq!(folder("a", None, skip).relocated("image-folder:b?duplicates=keep"), folder("b", None, both));
        let idx = Source::Idx { path: "m".to_owned() };
        assert_eq!(idx.relocated("idx:n/m").path(), Some("n/m"));
    }
}
