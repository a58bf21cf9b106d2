//! Data sets as the plan sees them: their location, classes and counts, but never their pixels.

mod folders;
mod group_pattern;
mod note;
mod policy;
mod tensors;

use serde::{Deserialize, Serialize};

pub use folders::PartFolders;
pub use group_pattern::{GroupPattern, PatternError};
pub use note::{Note, Role};
pub use policy::{DuplicatePolicy, Fit, Policies, Unreadable};
pub use tensors::{DataSpec, Normalize};

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
        /// The folders of the parts, if they are named.
        #[serde(skip_serializing_if = "PartFolders::are_default", default)]
        folders: PartFolders,
    },
    /// Image files that a CSV or TSV file lists: `path,label[,split][,group]`.
    List {
        /// The list, or a folder with one list in it; relative to the worker's data root.
        path: String,
        /// Share of each class set apart for testing if the list has no test images.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        test_fraction: Option<f64>,
        /// Its choices about unreadable and about identical pictures.
        #[serde(skip_serializing_if = "Policies::are_default", default)]
        policies: Policies,
    },
    /// Arrays of NumPy in one `.npz` file or several `.npy` files, named as MedMNIST names them (`train_images`,
    /// `train_labels`, `val_…`, `test_…`).
    Arrays {
        /// The `.npz` file, or the folder of the arrays; relative to the worker's data root.
        path: String,
        /// Share of each class set apart for testing if there are no test arrays.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        test_fraction: Option<f64>,
    },
    /// Parquet files with encoded images, as the hub of Hugging Face keeps them.
    Parquet {
        /// The folder of the files, or one file; relative to the worker's data root.
        path: String,
        /// Share of each class set apart for testing if no file is named `test-…`.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        test_fraction: Option<f64>,
    },
    /// Tar files with images and labels, in the format of WebDataset.
    Webdataset {
        /// The folder of the files, or one file; relative to the worker's data root.
        path: String,
        /// Share of each class set apart for testing if no file is named `test-…`.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        test_fraction: Option<f64>,
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

/// Begins the pattern of the groups in a key, after all other options.
const GROUPS: &str = "groups=";

impl Source {
    /// Returns the kind as written in a sweep file.
    pub fn kind(&self) -> &'static str {
        match self {
            Source::ImageFolder { .. } => "image-folder",
            Source::List { .. } => "list",
            Source::Arrays { .. } => "arrays",
            Source::Parquet { .. } => "parquet",
            Source::Webdataset { .. } => "webdataset",
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
            | Source::List { path, .. }
            | Source::Arrays { path, .. }
            | Source::Parquet { path, .. }
            | Source::Webdataset { path, .. }
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
            | Source::List { path, .. }
            | Source::Arrays { path, .. }
            | Source::Parquet { path, .. }
            | Source::Webdataset { path, .. }
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
            Source::ImageFolder { policies, .. } | Source::List { policies, .. } => *policies,
            _ => Policies::default(),
        }
    }

    /// Returns whether its kind has choices about pictures: whether each of its files is one picture.
    pub fn has_policies(&self) -> bool {
        matches!(self, Source::ImageFolder { .. } | Source::List { .. })
    }

    /// Returns the same source with other choices, if its kind has any.
    #[must_use]
    pub fn with_policies(&self, choices: Policies) -> Self {
        let mut source = self.clone();
        if let Source::ImageFolder { policies, .. } | Source::List { policies, .. } = &mut source {
            *policies = choices;
        }
        source
    }

    /// Returns the share of training images that is set apart for testing, if any.
    pub fn test_fraction(&self) -> Option<f64> {
        match self {
            Source::ImageFolder { test_fraction, .. }
            | Source::List { test_fraction, .. }
            | Source::Arrays { test_fraction, .. }
            | Source::Parquet { test_fraction, .. }
            | Source::Webdataset { test_fraction, .. } => *test_fraction,
            Source::Cifar10 { .. } | Source::Cifar100 { .. } | Source::Idx { .. } | Source::Procedural(_) => None,
        }
    }

    /// Returns the same source with another share for testing, if its kind has one.
    #[must_use]
    pub fn with_test_fraction(mut self, share: Option<f64>) -> Self {
        match &mut self {
            Source::ImageFolder { test_fraction, .. }
            | Source::List { test_fraction, .. }
            | Source::Arrays { test_fraction, .. }
            | Source::Parquet { test_fraction, .. }
            | Source::Webdataset { test_fraction, .. } => *test_fraction = share,
            Source::Cifar10 { .. } | Source::Cifar100 { .. } | Source::Idx { .. } | Source::Procedural(_) => {}
        }
        self
    }

    /// Returns the folder, or the file, below which all images are. The images of a list are below the list's folder.
    fn scope(&self) -> Option<&str> {
        match self {
            Source::List { path, .. } if has_extension(path, &["csv", "tsv", "txt"]) => {
                Some(path.rsplit_once('/').map_or(".", |(folder, _)| folder))
            }
            _ => self.path(),
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
            _ => match (self.scope(), other.scope()) {
                (Some(one), Some(two)) => within(one, two) || within(two, one),
                _ => false,
            },
        }
    }

    /// Returns the names of the parts' folders; they are empty for other sources than image folders.
    pub fn folders(&self) -> PartFolders {
        match self {
            Source::ImageFolder { folders, .. } => folders.clone(),
            _ => PartFolders::default(),
        }
    }

    /// Returns the name of this source in announcements and messages: `KIND:PATH`, then what leaves pictures out, the
    /// named folders of parts and the pattern of the groups: `KIND:PATH?unreadable=skip&train=FOLDER&groups=PATTERN`.
    pub fn key(&self) -> String {
        let Some(path) = self.path() else { return self.kind().to_owned() };
        let (policies, folders) = (self.policies(), self.folders());
        let policies = (!policies.are_default()).then(|| policies.to_string());
        let folders = (!folders.are_default()).then(|| folders.to_string());
        let groups = self.groups().map(|groups| format!("{GROUPS}{groups}"));
        let options: Vec<String> = policies.into_iter().chain(folders).chain(groups).collect();
        let mark = if options.is_empty() { "" } else { "?" };
        format!("{}:{path}{mark}{}", self.kind(), options.join("&"))
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
            validation: Vec::new(),
            notes: Vec::new(),
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
    /// Validation images of each class, if the data set has a validation part. They are not among the training images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub validation: Vec<u32>,
    /// What a person should know about the way in which the data set was read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
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

    /// Returns the number of all images of the validation part.
    pub fn validation_total(&self) -> u64 {
        self.validation.iter().map(|n| u64::from(*n)).sum()
    }

    /// Returns whether a plan is the same with both: notes decide nothing.
    pub fn is_same_data(&self, other: &Self) -> bool {
        let Self { key, fingerprint, classes, train, test, groups, validation, notes: _ } = self;
        (key, fingerprint, classes, train, test, groups, validation)
            == (
                &other.key,
                &other.fingerprint,
                &other.classes,
                &other.train,
                &other.test,
                &other.groups,
                &other.validation,
            )
    }
}

/// Returns whether the name of `path` ends in one of `extensions`, in any case.
fn has_extension(path: &str, extensions: &[&str]) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').is_some_and(|(_, found)| extensions.iter().any(|known| found.eq_ignore_ascii_case(known)))
}

impl Source {
    /// Returns this source as the worker that announced `key` has it: the groups may be named in the other way there, and
    /// pictures that are left out here may be absent there.
    pub fn relocated(&self, key: &str) -> Self {
        match (self, key.parse::<Self>()) {
            (Source::Procedural(_), _) | (_, Err(_)) => self.clone(),
            (_, Ok(there)) => {
                let policies = self.policies().or_stronger(there.policies());
                there.with_policies(policies).with_test_fraction(self.test_fraction())
            }
        }
    }
}

impl std::str::FromStr for Source {
    type Err = String;

    /// Returns the source of a key (`KIND:PATH`); the procedural set has no key.
    fn from_str(key: &str) -> Result<Self, String> {
        let (kind, path) = key.split_once(':').ok_or_else(|| format!("`{key}` is not KIND:PATH"))?;
        let path = path.to_owned();
        let test_fraction = None;
        match kind {
            "image-folder" => {
                let (path, options) = split_options(&path);
                let (policies, rest) = options.map_or(Ok((Policies::default(), None)), Policies::split_off)?;
                let (folders, rest) = rest.map_or((PartFolders::default(), None), PartFolders::split_off);
                let groups = rest.map(|rest| {
                    let pattern =
                        rest.strip_prefix(GROUPS).ok_or_else(|| format!("`{rest}` is not an option of a key"))?;
                    pattern.parse::<GroupPattern>().map_err(|error| format!("groups `{pattern}`: {error}"))
                });
                let groups = groups.transpose()?;
                Ok(Source::ImageFolder { path: path.to_owned(), test_fraction, groups, folders, policies })
            }
            "list" => {
                let (path, options) = split_options(&path);
                let (policies, rest) = options.map_or(Ok((Policies::default(), None)), Policies::split_off)?;
                match rest {
                    None => Ok(Source::List { path: path.to_owned(), test_fraction, policies }),
                    Some(rest) => Err(format!("`{rest}` is not an option of a list's key")),
                }
            }
            "arrays" => Ok(Source::Arrays { path, test_fraction }),
            "parquet" => Ok(Source::Parquet { path, test_fraction }),
            "webdataset" => Ok(Source::Webdataset { path, test_fraction }),
            "cifar10" => Ok(Source::Cifar10 { path }),
            "cifar100" => Ok(Source::Cifar100 { path }),
            "idx" => Ok(Source::Idx { path }),
            other => Err(format!(
                "`{other}` is not a kind of data set: image-folder, list, arrays, parquet, webdataset, cifar10, cifar100 \
                 or idx"
            )),
        }
    }
}

/// Splits a path from the options behind it. A `?` in the path itself begins no option.
fn split_options(path: &str) -> (&str, Option<&str>) {
    let begins = |mark: &&str| path.find(&format!("?{mark}"));
    let marks = Policies::MARKS.into_iter().chain(PartFolders::MARKS).chain([GROUPS]);
    let begin = marks.filter_map(|mark| begins(&mark)).min();
    begin.map_or((path, None), |at| (&path[..at], Some(&path[at + 1..])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        let parsed = |key: &str| key.parse::<Source>().expect("a key");
        for key in [
            "image-folder:why?/a?unreadable=skip",
            "image-folder:a?unreadable=skip&duplicates=drop-from-train&train=b&groups={*}&?unreadable=*",
            "image-folder:a?duplicates=keep",
            "list:a/labels.csv?unreadable=skip&duplicates=keep",
            "image-folder:a/b",
            "image-folder:a?groups={*}_*",
            "image-folder:a?train=x/Training&test=y",
            "image-folder:a?validation=val&groups={*}_*",
            "image-folder:why?/a?test=y&groups={*}&?train=*",
            "list:a/labels.csv",
            "arrays:m.npz",
            "parquet:p",
            "webdataset:w",
            "idx:a",
            "cifar10:.",
            "cifar100:c",
        ] {
            assert_eq!(parsed(key).key(), key);
        }
        let folders = parsed("image-folder:a?train=x/Training&test=y").folders();
        assert_eq!((folders.train.as_deref(), folders.test.as_deref()), (Some("x/Training"), Some("y")));
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
            folders: PartFolders::default(),
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
        let list = |path: &str, policies| Source::List { path: path.to_owned(), test_fraction: Some(0.5), policies };
        assert_eq!(list("a.csv", policies).relocated("list:b?unreadable=skip"), list("b", skip));
        assert!("list:a?groups={*}_*".parse::<Source>().is_err_and(|error| error.contains("not an option")));
    }

    #[test]
    fn a_list_may_share_images_with_everything_in_its_folder() {
        let source = |key: &str| key.parse::<Source>().expect("a key");
        assert!(source("list:set/labels.csv").overlaps(&source("image-folder:set/train")));
        assert!(!source("list:set/labels.csv").overlaps(&source("image-folder:other")));
        assert!(!source("arrays:a.npz").overlaps(&source("arrays:b.npz")));
    }
}
