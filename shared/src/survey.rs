//! What a look at every picture of a data set finds, before any training: the JSON of `worker inspect --deep`.

use serde::{Deserialize, Serialize};

/// The part of a data set that a picture belongs to, as its files are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SurveyPart {
    /// Pictures to train and validate with.
    Train,
    /// Pictures that are scored once, at the end.
    Test,
}

/// The findings of a look at a data set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Survey {
    /// Class names in label order.
    pub classes: Vec<String>,
    /// Readable training pictures of each class.
    pub train: Vec<u32>,
    /// Readable test pictures of each class. Empty if the data set has no test part.
    pub test: Vec<u32>,
    /// Pictures that cannot be decoded, in the order of the manifest.
    pub unreadable: Vec<UnreadableFile>,
    /// Files in the data set's folders that are no part of it, in the byte order of their paths. At most
    /// [`Survey::MOST_IGNORED`]; [`Survey::ignored_total`] counts all.
    pub ignored: Vec<IgnoredFile>,
    /// Number of ignored files.
    pub ignored_total: u64,
    /// Width and height of the pictures.
    pub sizes: Sizes,
    /// Number of pictures of each format, such as `JPEG`, most frequent first.
    pub formats: Vec<(String, u64)>,
    /// Pictures whose three channels are equal in every pixel.
    pub grey: u64,
    /// All other pictures.
    pub colour: u64,
    /// Pictures of files with several pages or frames, of which the first is read.
    pub several_pages: u64,
    /// Pictures that are identical.
    pub duplicates: Duplicates,
    /// Pictures that look almost the same, without the identical ones.
    pub near: Vec<NearPair>,
}

impl Survey {
    /// The most ignored files that a survey names.
    pub const MOST_IGNORED: usize = 1000;

    /// Returns the number of readable pictures.
    pub fn pictures(&self) -> u64 {
        self.grey + self.colour
    }

    /// Returns the unreadable pictures of each class, `(training, test)`.
    pub fn unreadable_by_class(&self) -> Vec<(u32, u32)> {
        let mut counts = vec![(0, 0); self.classes.len()];
        for file in &self.unreadable {
            let Some(count) = counts.get_mut(file.label as usize) else { continue };
            match file.part {
                SurveyPart::Train => count.0 += 1,
                SurveyPart::Test => count.1 += 1,
            }
        }
        counts
    }
}

/// A picture that cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreadableFile {
    /// Its part.
    pub part: SurveyPart,
    /// Path relative to the data set's folder, with `/`.
    pub path: String,
    /// Index of its class in [`Survey::classes`].
    pub label: u32,
    /// Why, in words, and what to do where that is known.
    pub reason: String,
}

/// A file that is no part of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IgnoredFile {
    /// Path relative to the data set's folder, with `/`.
    pub path: String,
    /// Why, in words.
    pub reason: String,
}

/// Width and height of pictures, in pixels.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    /// The picture with the fewest pixels.
    pub smallest: (u32, u32),
    /// The picture with the most pixels.
    pub largest: (u32, u32),
    /// The most frequent size.
    pub usual: (u32, u32),
    /// Number of pictures of the most frequent size.
    pub usual_count: u64,
    /// Number of different sizes.
    pub distinct: u64,
    /// Pictures whose longer side is more than 1.25 times the shorter one: `fit` decides what remains of them.
    pub oblong: u64,
}

/// A picture by its place in the data set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PictureName {
    /// Its part; training pictures that `test_fraction` sets apart count as test pictures.
    pub part: SurveyPart,
    /// Path relative to the data set's folder, with the record's number if the file has many.
    pub path: String,
    /// Index of its class in [`Survey::classes`].
    pub label: u32,
}

/// Pictures that are identical: as files, or after decoding.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Duplicates {
    /// Number of test pictures that are also training pictures.
    pub leaked: u64,
    /// Share of the test pictures that are also training pictures, 0 to 1.
    pub leaked_share: f64,
    /// Number of different pictures that exist under more than one label.
    pub two_labels: u64,
    /// Share of the pictures that exist under more than one label too, 0 to 1.
    pub two_labels_share: f64,
    /// Training pictures that are copies of an earlier training picture of the same class.
    pub copies: u64,
    /// A test picture, and the first training picture that is identical. At most [`Duplicates::MOST_PAIRS`].
    pub leaks: Vec<(PictureName, PictureName)>,
    /// Two identical pictures with different labels. At most [`Duplicates::MOST_PAIRS`].
    pub contradictions: Vec<(PictureName, PictureName)>,
}

impl Duplicates {
    /// The most pairs of a kind that are named; the counts cover all.
    pub const MOST_PAIRS: usize = 1000;

    /// The share of pictures above which leaks and contradictions are refused unless the sweep file decides otherwise.
    pub const REFUSED_ABOVE: f64 = 0.01;
}

/// Two pictures that look almost the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NearPair {
    /// The first by part (test before training) and path.
    pub first: PictureName,
    /// The other.
    pub second: PictureName,
    /// Bits by which the perceptual hashes differ, of 128.
    pub distance: u32,
}
