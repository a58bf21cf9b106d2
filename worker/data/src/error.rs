//! What can be wrong with a data set, in sentences that name the place and the remedy.

use std::io;
use std::path::{Path, PathBuf};

use pretext_shared::dataset::GroupPattern;

use crate::root::RootError;

/// A data set that cannot be used. Nothing here is worth a retry: the files have to change.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A place that cannot be read, or that is outside the data root.
    #[error(transparent)]
    Root(#[from] RootError),
    /// The folder of a data set is not there.
    #[error("there is no data folder {}: check `dataset.path` and the worker's `--data-root`", path.display())]
    NoFolder {
        /// The folder.
        path: PathBuf,
    },
    /// A pattern of names that does not find the groups.
    #[error("`groups: {pattern}` does not fit the images of {}: {reason}", folder.display())]
    Pattern {
        /// As written in the sweep file.
        pattern: Box<GroupPattern>,
        /// The data set's folder.
        folder: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A pattern of names for files that hold many images.
    #[error("{} is {kind}: only the names of an image folder can say groups", folder.display())]
    NoNames {
        /// The data set's folder.
        folder: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// A list of groups that does not say what it should.
    #[error("the list of groups {} cannot be used: {reason}", path.display())]
    Groups {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A name that is not text.
    #[error("the name of {} is not UTF-8: rename it", path.display())]
    NotUtf8 {
        /// The path, with replacement characters where it is not text.
        path: PathBuf,
    },
    /// A folder that leads into itself.
    #[error("{} leads back to a folder that contains it: remove the symbolic link", path.display())]
    LinkLoop {
        /// The link.
        path: PathBuf,
    },
    /// A folder that is of no kind.
    #[error(
        "{} is no data set: expected `train/` with class folders, class folders with images, a binary release of CIFAR, or \
         the four IDX files of the MNIST family", path.display()
    )]
    NoDataSet {
        /// The folder.
        path: PathBuf,
    },
    /// Nothing to learn from.
    #[error("no images in {}: expected CLASS/NAME.jpg, .jpeg or .png below it", path.display())]
    NoImages {
        /// The folder.
        path: PathBuf,
    },
    /// A class without training images.
    #[error("class folder {} has no images (.jpg, .jpeg or .png): add some or remove the folder", path.display())]
    EmptyClass {
        /// The folder.
        path: PathBuf,
    },
    /// One class is no classification.
    #[error("{} has one class only (`{class}`): at least 2 class folders with images are needed", path.display())]
    OneClass {
        /// The folder.
        path: PathBuf,
        /// Its class.
        class: String,
    },
    /// A class that no training image has.
    #[error(
        "class `{class}` of {} has test images and no training images; the training classes are: {}",
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
    /// A file of a binary release is not there.
    #[error("{} is missing: {expected}", path.display())]
    MissingFile {
        /// The file.
        path: PathBuf,
        /// What it is and where it comes from.
        expected: String,
    },
    /// A binary file whose content does not fit its format.
    #[error("{} is damaged or of another format: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        reason: String,
    },
    /// A file that does not decode.
    #[error("{} does not decode: {reason}; replace or remove it", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file that is not what the manifest says.
    #[error("{} changed while the data set was loaded: leave the data alone during a run", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The copy here is not the one that the sweep was planned with.
    #[error(
        "the copy of {key} in {} differs from the one the sweep was planned with (here {here}, planned {planned}): \
         make the copies equal, or submit the sweep again", path.display()
    )]
    OtherCopy {
        /// `KIND:PATH`.
        key: String,
        /// The folder.
        path: PathBuf,
        /// Start of the fingerprint of the copy here.
        here: String,
        /// Start of the fingerprint that the stage asks for.
        planned: String,
    },
    /// Nothing to test with.
    #[error("{key} has no test images: add a test part, or set `test_fraction` in the sweep file")]
    NoTest {
        /// `KIND:PATH`.
        key: String,
    },
    /// Two answers to what the test images are.
    #[error("{key} has a test part of its own: remove `test_fraction` from the sweep file")]
    TwoTests {
        /// `KIND:PATH`.
        key: String,
    },
    /// More than a trainer should hold.
    #[error(
        "{key} at {size} pixels needs {} GiB of memory ({images} images), more than the limit of {} GiB: choose a smaller image_size",
        bytes.div_ceil(1 << 30), limit >> 30
    )]
    TooLarge {
        /// `KIND:PATH`.
        key: String,
        /// Images of both parts.
        images: u64,
        /// Height and width.
        size: u32,
        /// Memory for all of them.
        bytes: u64,
        /// The most that is allowed.
        limit: u64,
    },
}

impl DataError {
    /// For `map_err` on operations that concern `path`.
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| DataError::Root(RootError::Io { path: path.clone(), source })
    }
}
