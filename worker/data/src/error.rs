//! Errors of a data set, in messages that name the place and what to do.

use std::io;
use std::path::{Path, PathBuf};

use pretext_shared::dataset::GroupPattern;
use pretext_shared::text::{counted, size};

use super::decode::FORMATS;
use crate::root::RootError;

/// The most files that an error names.
const MOST_NAMED: usize = 10;

/// Why a data set cannot be used. The files must change, here or everywhere: see [`DataError::fault`].
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The scan of a copy failed, although the planned copy was scanned before: the two differ.
    #[error(transparent)]
    Copy(Box<DataError>),
    /// A path cannot be read, or is outside the data root.
    #[error(transparent)]
    Root(#[from] RootError),
    /// The folder of the data set does not exist.
    #[error("there is no data folder {}: check `dataset.path` and the worker's `--data-root`", path.display())]
    NoFolder {
        /// The folder.
        path: PathBuf,
    },
    /// The pattern does not match the names of the images.
    #[error("`groups: {pattern}` does not fit the images of {}: {reason}", folder.display())]
    Pattern {
        /// As written in the sweep file.
        pattern: Box<GroupPattern>,
        /// The data set's folder.
        folder: PathBuf,
        /// The cause.
        reason: String,
    },
    /// A pattern was given for files that hold many images.
    #[error("{} is {kind}: only the image names of an image folder can name groups", folder.display())]
    NoNames {
        /// The data set's folder.
        folder: PathBuf,
        /// The kind of the data set.
        kind: &'static str,
    },
    /// The list of groups is wrong.
    #[error("the list of groups {} cannot be used: {reason}", path.display())]
    Groups {
        /// The file.
        path: PathBuf,
        /// The problem, and what to do.
        reason: String,
    },
    /// A name is not text.
    #[error("the name of {} is not UTF-8: rename it", path.display())]
    NotUtf8 {
        /// The path, with replacement characters for the bytes that are not text.
        path: PathBuf,
    },
    /// A link leads to a folder that contains it.
    #[error("{} leads back to a folder that contains it: remove the symbolic link", path.display())]
    LinkLoop {
        /// The link.
        path: PathBuf,
    },
    /// The folder is not a data set of any kind.
    #[error(
        "{} is no data set: expected `train/` with class folders, class folders with images, a list `labels.csv`, arrays of \
         NumPy, Parquet files, shards of WebDataset, a binary release of CIFAR, or the four IDX files of the MNIST family{}",
        path.display(), match inside { Some(inside) => format!("; `{inside}` in it is one: name that"), None => String::new() }
    )]
    NoDataSet {
        /// The folder.
        path: PathBuf,
        /// A data set in it.
        inside: Option<String>,
    },
    /// The folders are arranged in a way that leaves parts or classes unclear.
    #[error("{}: {found}; {remedy}", path.display())]
    Arrangement {
        /// The folder.
        path: PathBuf,
        /// What is there.
        found: String,
        /// What to write or to rename.
        remedy: String,
    },
    /// Names of classes that are the same word, but not the same name.
    #[error("{}: {found}; rename one of them", path.display())]
    ClassNames {
        /// The folder.
        path: PathBuf,
        /// The names, and how they differ.
        found: String,
    },
    /// There are no training images.
    #[error("{} has no training images: add some, or correct the names of its parts", path.display())]
    NoTraining {
        /// The file or folder.
        path: PathBuf,
    },
    /// A list of images is wrong.
    #[error("the list {} cannot be used: {reason}", path.display())]
    List {
        /// The file, or the folder in which it was looked for.
        path: PathBuf,
        /// The problem, and what to do.
        reason: String,
    },
    /// A sample of a shard or a row of a table is wrong.
    #[error("{}: {reason}", path.display())]
    Shard {
        /// The file or folder.
        path: PathBuf,
        /// The problem, and what to do.
        reason: String,
    },
    /// There are no images.
    #[error("no images in {}: expected CLASS/NAME with pictures ({FORMATS}) below it", path.display())]
    NoImages {
        /// The folder.
        path: PathBuf,
    },
    /// A class has no training images.
    #[error("class folder {} has no images ({FORMATS}): add some or remove the folder", path.display())]
    EmptyClass {
        /// The folder.
        path: PathBuf,
    },
    /// There is only one class.
    #[error("{} has one class only (`{class}`): at least 2 class folders with images are needed", path.display())]
    OneClass {
        /// The folder.
        path: PathBuf,
        /// Its class.
        class: String,
    },
    /// A class has test images but no training images.
    #[error(
        "class `{class}` of {} has test images but no training images; the training classes are: {}",
        path.display(), classes.join(", ")
    )]
    TestOnlyClass {
        /// Folder or file of the test images.
        path: PathBuf,
        /// The class.
        class: String,
        /// All classes of the training part.
        classes: Vec<String>,
    },
    /// A file of a binary release is missing.
    #[error("{} is missing: {expected}", path.display())]
    MissingFile {
        /// The file.
        path: PathBuf,
        /// The expected file and its origin.
        expected: String,
    },
    /// The content of a binary file does not match its format.
    #[error("{} is damaged or of another format: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The expected and the found content.
        reason: String,
    },
    /// A file cannot be decoded.
    #[error("{} cannot be decoded: {reason}; replace or remove the file", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// The cause.
        reason: String,
    },
    /// Several files cannot be decoded.
    #[error(
        "{count} of {} in {} cannot be decoded: {listed}; replace or remove the files, or write `unreadable: skip` below \
         `dataset` to leave them out", counted(*all, "picture"), path.display()
    )]
    Unreadable {
        /// The data set's folder.
        path: PathBuf,
        /// The number of such files.
        count: usize,
        /// The number of all pictures.
        all: usize,
        /// The first of them, with the causes.
        listed: String,
    },
    /// Pictures on both sides of the test, or under two labels, are identical.
    #[error(
        "{} has identical pictures where they should differ: {findings}; remove the copies, or write below `dataset` \
         `duplicates: drop-from-train` to train without them or `duplicates: keep` to accept them", path.display()
    )]
    Identical {
        /// The data set's folder.
        path: PathBuf,
        /// What was found, with an example for each kind.
        findings: String,
    },
    /// All training pictures of a class were left out.
    #[error("no training pictures of class `{class}` in {} {reason}", path.display())]
    NoneLeft {
        /// The data set's folder.
        path: PathBuf,
        /// The class.
        class: String,
        /// Why, and what to do.
        reason: &'static str,
    },
    /// A file differs from the manifest.
    #[error("{} changed while the data set was loaded: do not change the data during a run", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// This worker's copy is not the one that the sweep was planned with.
    #[error(
        "the copy of {key} in {} differs from the copy that the sweep was planned with (here {here}, planned {planned}): \
         make the copies equal, or submit the sweep again", path.display()
    )]
    OtherCopy {
        /// `KIND:PATH`.
        key: String,
        /// The folder.
        path: PathBuf,
        /// First digits of the fingerprint of the copy here.
        here: String,
        /// First digits of the fingerprint that the stage asks for.
        planned: String,
    },
    /// There are no test images.
    #[error("{key} has no test images: add a test part, or set `test_fraction` in the sweep file")]
    NoTest {
        /// `KIND:PATH`.
        key: String,
    },
    /// The data set has test images and the sweep file sets some apart too.
    #[error("{key} has a test part of its own: remove `test_fraction` from the sweep file")]
    TwoTests {
        /// `KIND:PATH`.
        key: String,
    },
    /// The data set is larger than a trainer may hold.
    #[error(
        "{key} at {} pixels needs {} of memory ({}), and a trainer may hold {} here: choose a smaller `image_size`, or run it where there is more",
        pixels, size(*bytes), counted(*images, "image"), size(*limit)
    )]
    TooLarge {
        /// `KIND:PATH`.
        key: String,
        /// Number of images of both parts.
        images: u64,
        /// Height and width.
        pixels: u32,
        /// Memory for all of them, in bytes.
        bytes: u64,
        /// The limit, in bytes.
        limit: u64,
    },
}

/// Where the fault of a planned data set lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// In this copy: it cannot be read, or differs from the planned one. Another worker may have a good copy.
    Copy,
    /// In the data: every copy is like this one.
    Data,
}

impl DataError {
    /// Returns one error for `errors`, of which there is at least one, from the `all` pictures in `folder`: all files that
    /// cannot be decoded, or the first error of another kind.
    pub(super) fn of_all(errors: Vec<Self>, folder: &Path, all: usize) -> Self {
        let mut bad = Vec::new();
        for error in errors {
            match error {
                DataError::Decode { path, reason } => bad.push((path, reason)),
                other => return other,
            }
        }
        let name = |path: &PathBuf| path.strip_prefix(folder).unwrap_or(path).display().to_string();
        let mut listed: Vec<String> =
            bad.iter().take(MOST_NAMED).map(|(path, reason)| format!("{} ({reason})", name(path))).collect();
        if bad.len() > MOST_NAMED {
            listed.push(format!("and {} more", bad.len() - MOST_NAMED));
        }
        DataError::Unreadable { path: folder.to_owned(), count: bad.len(), all, listed: listed.join(", ") }
    }

    /// Returns where the fault lies, for the data of a stage: the sweep was planned with a copy that could be scanned.
    pub fn fault(&self) -> Fault {
        match self {
            DataError::Copy(_) | DataError::Root(_) | DataError::Changed { .. } | DataError::OtherCopy { .. } => {
                Fault::Copy
            }
            _ => Fault::Data,
        }
    }

    /// Returns a function for `map_err` on operations on `path`.
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| DataError::Root(RootError::Io { path: path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use pretext_shared::dataset::{DataSpec, Normalize, Source};

    use super::*;
    use crate::image_folder::tests::write_png;
    use crate::{Dataset, scan};

    #[test]
    fn a_copy_that_differs_blames_the_copy_and_a_planned_file_that_does_not_decode_blames_the_data() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let at = |path: &str| root.path().join("set").join(path);
        for (class, value) in [("a", 1), ("b", 2)] {
            write_png(&at(&format!("train/{class}/0.png")), [value; 3]);
            write_png(&at(&format!("test/{class}/0.png")), [value + 10; 3]);
        }
        let source = Source::ImageFolder {
            path: "set".to_owned(),
            test_fraction: None,
            groups: None,
            folders: pretext_shared::dataset::PartFolders::default(),
            policies: pretext_shared::dataset::Policies::default(),
        };
        let fault = |planned: pretext_shared::ids::Fingerprint| {
            let spec = DataSpec {
                fingerprint: planned,
                classes: 2,
                image_size: 4,
                normalize: Normalize::Train,
                test_fraction: None,
                fit: pretext_shared::dataset::Fit::default(),
            };
            Dataset::load(root.path(), &source, &spec, None).expect_err("a mistake").fault()
        };
        let planned = || scan(root.path(), &source, None).expect("a whole data set").facts.fingerprint;
        let good = planned();
        fs::write(at("train/a/bad.png"), b"\x89PNG\r\n\x1a\n not a picture").expect("a file");
        assert_eq!(fault(good), Fault::Copy, "another copy than the planned one");
        assert_eq!(fault(planned()), Fault::Data, "the planned file does not decode");
        fs::remove_dir_all(at("train/b")).expect("a folder");
        assert_eq!(fault(good), Fault::Copy, "a part is gone");
        fs::remove_dir_all(at("")).expect("a folder");
        assert_eq!(fault(good), Fault::Copy, "the folder is gone");
    }
}
