//! Problems of a valid sweep file with the available data.

use std::fmt;

use serde::Serialize;

use crate::split::Fraction;
use crate::stage::Method;
use crate::text::counted;

/// All problems of a sweep with its data.
#[derive(Debug, Clone, PartialEq, Serialize, thiserror::Error)]
pub struct PlanErrors(
    /// The problems; at least one.
    pub Vec<PlanError>,
);

impl fmt::Display for PlanErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

/// One problem of a sweep with its data.
#[derive(Debug, Clone, PartialEq, Serialize, thiserror::Error)]
#[serde(tag = "error", rename_all = "kebab-case")]
pub enum PlanError {
    /// The facts describe another data set.
    #[error("the sweep needs the data set {asked}, but was planned with {found}")]
    OtherData {
        /// The data set that the sweep names.
        asked: String,
        /// The data set of the facts.
        found: String,
    },
    /// The numbers of class names and of counts differ.
    #[error(
        "{key} was announced with {}, but training counts of {} and test counts of {}: update the worker that announces it",
        counted(*classes, "class name"), counted(*train, "class"), counted(*test, "class")
    )]
    Contradiction {
        /// Data set.
        key: String,
        /// Class names.
        classes: usize,
        /// Training counts.
        train: usize,
        /// Test counts.
        test: usize,
    },
    /// Fewer than two classes.
    #[error("{key} has {classes} class(es): a classifier needs at least 2")]
    TooFewClasses {
        /// Data set.
        key: String,
        /// Classes.
        classes: usize,
    },
    /// No test image.
    #[error("{key} has no test images: fill its test part, or raise `dataset.test_fraction`")]
    NoTestImages {
        /// Data set.
        key: String,
    },
    /// A test folder and `test_fraction`.
    #[error("{key} has a test part of its own ({images} images): remove `dataset.test_fraction`")]
    TestPartExists {
        /// Data set.
        key: String,
        /// Its test images.
        images: u64,
    },
    /// Neither a test folder nor `test_fraction`.
    #[error(
        "{key} has no test part: add a `test/` folder, or set `dataset.test_fraction` (for example 0.2) to take test images out of the training images{}", other_part(.unread)
    )]
    TestPartMissing {
        /// Data set.
        key: String,
        /// A folder that looks like a part and is not read.
        unread: Option<String>,
    },
    /// A class without training images.
    #[error("class `{class}` has {} and no training images: add some, or remove its test images", counted(*images, "test image"))]
    ClassOnlyInTest {
        /// Name of the class.
        class: String,
        /// Its test images.
        images: usize,
    },
    /// A fraction leaves a class without a training or a validation image.
    #[error("fraction {fraction} takes {taken} of the {} of class `{class}`{}: a class needs at least one training and one validation image, so at least 2{}", counted(*available, "training image"), and_others(.others), remedy(.smallest))]
    TooFew {
        /// The fraction.
        fraction: Fraction,
        /// The smallest class that is left with too few.
        class: String,
        /// Its training images.
        available: usize,
        /// How many of them the fraction takes.
        taken: usize,
        /// Other classes that are left with too few.
        others: usize,
        /// The smallest fraction that suffices; `None` if none does.
        smallest: Option<Fraction>,
    },
    /// A fraction of whole groups leaves a class without training or validation images.
    #[error(
        "fraction {fraction} takes whole groups and leaves class `{class}` without {missing} images: use a larger fraction, or more groups with the class (at least two; three with `test_fraction`)"
    )]
    OneSided {
        /// The fraction.
        fraction: Fraction,
        /// The class.
        class: String,
        /// `training` or `validation`.
        missing: &'static str,
    },
    /// A fraction leaves a class without training images beside a validation part.
    #[error(
        "fraction {fraction} takes none of the {} of class `{class}`: use a larger fraction, or add images to the class",
        counted(*available, "training image")
    )]
    Untrained {
        /// The fraction.
        fraction: Fraction,
        /// The class.
        class: String,
        /// Its training images.
        available: usize,
    },
    /// A contrastive stage has less than one batch.
    #[error("{method} at fraction {fraction} has {}, less than one batch of {batch}", counted(*images, "training image"))]
    NoStep {
        /// Method.
        method: Method,
        /// The fraction that pretext training sees.
        fraction: Fraction,
        /// Its training images.
        images: u64,
        /// Batch.
        batch: u32,
    },
    /// A stage that compares images with each other has too few validation images.
    #[error(
        "{method} at fraction {fraction} has {}, but {loss} needs at least {least}",
        counted(*images, "validation image")
    )]
    NoContrast {
        /// Method.
        method: Method,
        /// The fraction that pretext training sees.
        fraction: Fraction,
        /// Its validation images.
        images: u64,
        /// The kind of loss.
        loss: &'static str,
        /// The fewest images that such a loss is defined for.
        least: u32,
    },
}

fn other_part(unread: &Option<String>) -> String {
    match unread {
        Some(folder) => format!(
            "; the folder `{folder}` is not read: write `dataset.test: {folder}` to test with it, or `dataset.validation: {folder}` to validate with it"
        ),
        None => String::new(),
    }
}

fn and_others(others: &usize) -> String {
    match others {
        0 => String::new(),
        n => format!(" (and too few of {})", counted(*n, "other class")),
    }
}

fn remedy(smallest: &Option<Fraction>) -> String {
    match smallest {
        Some(fraction) => format!("; the smallest fraction that does is {fraction}"),
        None => "; no fraction does: add images to the class or remove it".to_owned(),
    }
}
