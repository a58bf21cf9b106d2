//! Keys of `pretext` that methods read: each has its default, the values that it accepts, and its text for the
//! documents. A method's reader asks for its keys one by one. The same reader therefore serves the sweep file, the list
//! of known keys and the test of the documents.

use std::ops::RangeInclusive;

/// Augmentation by default, which depends on the kind of images.
#[derive(Debug, Clone, Copy)]
pub struct Defaults {
    /// Height and width of the images, if they are known.
    pub image_size: Option<u32>,
    /// Pixels of padding before the random crop.
    pub padding: u32,
    /// Largest padding that is accepted.
    pub max_padding: u32,
    /// Whether images are mirrored.
    pub flip: bool,
    /// Strength of the colour jitter.
    pub strength: f64,
    /// Smallest share of the image that a random resized crop takes.
    pub min_crop: f64,
    /// Probability that a view is blurred.
    pub blur: f64,
}

impl Defaults {
    /// Returns defaults for a data set that could not be read; they accept every value that may be right.
    pub fn unknown() -> Self {
        Self { image_size: None, padding: 4, max_padding: 224, flip: true, strength: 0.5, min_crop: 0.08, blur: 0.0 }
    }
}

/// The name of a key, and its row in the documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text {
    /// The key.
    pub name: &'static str,
    /// Its default.
    pub default: &'static str,
    /// Its purpose, with the source of its default.
    pub meaning: &'static str,
}

/// A key that is `true` or `false`.
#[derive(Debug)]
pub struct Switch {
    /// Its name and row.
    pub text: Text,
    /// Its value if the file does not have it.
    pub default: fn(&Defaults) -> bool,
}

/// A key with a whole number.
#[derive(Debug)]
pub struct Whole {
    /// Its name and row.
    pub text: Text,
    /// Its value if the file does not have it.
    pub default: fn(&Defaults) -> u32,
    /// The values that it accepts.
    pub range: fn(&Defaults) -> RangeInclusive<u32>,
}

/// A key with a number.
#[derive(Debug)]
pub struct Number {
    /// Its name and row.
    pub text: Text,
    /// Its value if the file does not have it.
    pub default: fn(&Defaults) -> f64,
    /// The values that it accepts, for a message.
    pub expected: &'static str,
    /// Whether it accepts a value.
    pub accepts: fn(f64) -> bool,
}

/// The place that a method's keys are read from.
pub trait Keys {
    /// Returns the value of `key`; `None` if it has a problem, which is then reported.
    fn switch(&mut self, key: &'static Switch) -> Option<bool>;

    /// Like [`Keys::switch`].
    fn whole(&mut self, key: &'static Whole) -> Option<u32>;

    /// Like [`Keys::switch`].
    fn number(&mut self, key: &'static Number) -> Option<f64>;
}

/// Collects the keys that a reader asks for, and answers with their defaults.
#[derive(Debug)]
pub struct Listing {
    /// The keys, in the order of the questions.
    pub asked: Vec<Text>,
    defaults: Defaults,
}

impl Listing {
    /// Returns an empty list that answers with `defaults`.
    pub fn new(defaults: Defaults) -> Self {
        Self { asked: Vec::new(), defaults }
    }
}

impl Keys for Listing {
    fn switch(&mut self, key: &'static Switch) -> Option<bool> {
        self.asked.push(key.text);
        Some((key.default)(&self.defaults))
    }

    fn whole(&mut self, key: &'static Whole) -> Option<u32> {
        self.asked.push(key.text);
        Some((key.default)(&self.defaults))
    }

    fn number(&mut self, key: &'static Number) -> Option<f64> {
        self.asked.push(key.text);
        Some((key.default)(&self.defaults))
    }
}
