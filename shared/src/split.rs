//! Label fractions and train/validation splits: stratified, nested, disjoint, the same on every machine.
//!
//! Each class has one seeded permutation. A fraction takes the first round(f · n) of it, so smaller fractions are
//! subsets of larger ones. Within the permutation every fifth position, beginning with the second, is a validation
//! image. So the fraction does not decide whether an image validates, and both training and validation parts nest. If a
//! pretext stage uses more images than its downstream stage, it still never trains on the downstream stage's validation
//! images.

mod groups;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::draw::{Draw, Place, Purpose};
use crate::text::counted;

pub use groups::{GroupCounts, OneSided, Role, grouped_class_counts, roles, set_test_groups_apart, training_groups};

/// Period of the positions in the permutation that validate: one of five (8:2).
const VALIDATION_PERIOD: usize = 5;
/// Offset of these positions: the second image of a class validates, so that two images give one of each part.
const VALIDATION_OFFSET: usize = 1;

/// A label fraction in (0, 1], exact to one part in a million.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fraction(u32);

impl Fraction {
    /// All labels.
    pub const ALL: Fraction = Fraction(1_000_000);

    /// Returns the fraction `value`, or `None` outside (0, 1].
    pub fn new(value: f64) -> Option<Self> {
        let parts = (value * 1e6).round();
        (1.0..=1e6).contains(&parts).then_some(Self(parts as u32))
    }

    /// Returns the fraction as a number in (0, 1].
    pub fn value(self) -> f64 {
        f64::from(self.0) / 1e6
    }

    /// Returns round(f · n), computed in integers.
    pub fn of(self, n: usize) -> usize {
        ((n as u64 * u64::from(self.0) + 500_000) / 1_000_000) as usize
    }

    /// Returns the fraction in percent: `5 %`.
    pub fn percent(self) -> String {
        format!("{} %", f64::from(self.0) / 1e4)
    }
}

impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.value())
    }
}

impl FromStr for Fraction {
    type Err = String;

    /// Parses `0.05` or `5%` or `5 %`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (number, scale) = match text.trim().strip_suffix('%') {
            Some(number) => (number.trim_end(), 0.01),
            None => (text.trim(), 1.0),
        };
        let value: f64 = number.parse().map_err(|_| format!("`{text}` is not a fraction: write 0.05 or 5%"))?;
        Self::new(value * scale).ok_or_else(|| format!("fraction {text} is outside (0, 1]"))
    }
}

impl Serialize for Fraction {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.value())
    }
}

impl<'de> Deserialize<'de> for Fraction {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = f64::deserialize(deserializer)?;
        Self::new(value).ok_or_else(|| serde::de::Error::custom(format!("fraction {value} is outside (0, 1]")))
    }
}

/// The training images that a stage uses, and the seed that decides which of them validate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SplitSpec {
    /// Seed of the permutations.
    pub seed: u64,
    /// Share of each class; 1 for a pretext stage that uses all training images.
    pub fraction: Fraction,
}

/// The parts of a split, as sample ids (positions in the manifest's training list), ascending.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Split {
    /// Images that train.
    pub train: Vec<u32>,
    /// Images that validate.
    pub validation: Vec<u32>,
}

/// The reason why a split is not possible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// A class has too few images.
    #[error(transparent)]
    TooFew(#[from] TooFew),
    /// A class has images in too few groups.
    #[error(transparent)]
    OneSided(#[from] OneSided),
    /// Nothing of a class is left to train.
    #[error(transparent)]
    Untrained(#[from] Untrained),
}

/// A fraction leaves a class without training images, in a data set with a validation part of its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fraction} of the {} of class {class} is none: a class needs at least one", counted(*available, "training image"))]
pub struct Untrained {
    /// Class index.
    pub class: usize,
    /// The requested fraction.
    pub fraction: Fraction,
    /// Images of the class.
    pub available: usize,
}

/// A fraction leaves a class with fewer than one training and one validation image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{fraction} of the {} of class {class} is {taken}: a class needs at least one training and one validation image, so at least 2",
    counted(*available, "training image")
)]
pub struct TooFew {
    /// Class index.
    pub class: usize,
    /// The requested fraction.
    pub fraction: Fraction,
    /// Images of the class.
    pub available: usize,
    /// Images that the fraction takes.
    pub taken: usize,
}

/// Returns how many of a class's `available` images train and how many validate under `fraction`.
pub fn class_counts(class: usize, available: usize, fraction: Fraction) -> Result<(usize, usize), TooFew> {
    let taken = fraction.of(available);
    if taken < 2 {
        return Err(TooFew { class, fraction, available, taken });
    }
    let validation = (0..taken).filter(|position| validates(*position)).count();
    Ok((taken - validation, validation))
}

fn validates(position: usize) -> bool {
    position % VALIDATION_PERIOD == VALIDATION_OFFSET
}

/// Returns the class's permutation for `seed`: drawn from (seed, class), so classes are independent.
fn permutation(purpose: Purpose, seed: u64, class: usize, members: &[u32]) -> Vec<u32> {
    let mut order = members.to_vec();
    let place = Place { seed, purpose, epoch: 0, sample: class as u64, view: 0 };
    Draw::new(place, 0).shuffle(&mut order);
    order
}

/// Splits training samples. `members[c]` lists the sample ids of class `c`, ascending.
pub fn split(members: &[Vec<u32>], spec: SplitSpec) -> Result<Split, TooFew> {
    let mut result = Split::default();
    for (class, ids) in members.iter().enumerate() {
        let (train, validation) = class_counts(class, ids.len(), spec.fraction)?;
        for (position, id) in
            permutation(Purpose::Split, spec.seed, class, ids).into_iter().take(train + validation).enumerate()
        {
            if validates(position) {
                result.validation.push(id);
            } else {
                result.train.push(id);
            }
        }
    }
    result.train.sort_unstable();
    result.validation.sort_unstable();
    Ok(result)
}

/// Returns how many of a class's training and validation images `fraction` takes, in a data set with a validation part
/// of its own: the same share of both, and at least one validation image of a class that has any.
pub fn parted_counts(class: usize, available: (usize, usize), fraction: Fraction) -> Result<(usize, usize), Untrained> {
    let (train, validation) = available;
    match fraction.of(train) {
        0 => Err(Untrained { class, fraction, available: train }),
        taken => Ok((taken, validation_count(validation, fraction))),
    }
}

/// Returns how many of a class's images in a validation part `fraction` takes.
pub fn validation_count(available: usize, fraction: Fraction) -> usize {
    fraction.of(available).max(1).min(available)
}

/// Takes a share of training samples and of the samples of a validation part, each in the order of a seeded permutation,
/// so that smaller fractions are subsets of larger ones. Both list the sample ids of each class, ascending.
pub fn split_parted(train: &[Vec<u32>], validation: &[Vec<u32>], spec: SplitSpec) -> Result<Split, Untrained> {
    let mut result = Split { train: Vec::new(), validation: share_of_validation(validation, spec) };
    for (class, ids) in train.iter().enumerate() {
        let (taken, _) = parted_counts(class, (ids.len(), 0), spec.fraction)?;
        result.train.extend(permutation(Purpose::Split, spec.seed, class, ids).into_iter().take(taken));
    }
    result.train.sort_unstable();
    Ok(result)
}

/// Returns the samples of a validation part that a fraction uses, ascending. `members` lists the ids of each class.
pub fn share_of_validation(members: &[Vec<u32>], spec: SplitSpec) -> Vec<u32> {
    let mut taken = Vec::new();
    for (class, ids) in members.iter().enumerate() {
        let count = validation_count(ids.len(), spec.fraction);
        taken.extend(permutation(Purpose::Split, spec.seed, class, ids).into_iter().take(count));
    }
    taken.sort_unstable();
    taken
}

/// Returns how many of a class's `available` images `test_fraction` sets apart for testing.
pub fn test_count(available: usize, test_fraction: f64) -> usize {
    Fraction::new(test_fraction).map_or(0, |fraction| fraction.of(available))
}

/// Sets test samples apart if a data set has no test part: for each class, the first share of a permutation that
/// depends only on the class. Returns (training ids, test ids) of the class.
pub fn set_test_apart(class: usize, members: &[u32], test_fraction: f64) -> (Vec<u32>, Vec<u32>) {
    let order = permutation(Purpose::TestSplit, 0, class, members);
    let (test, train) = order.split_at(test_count(members.len(), test_fraction));
    let (mut train, mut test) = (train.to_vec(), test.to_vec());
    train.sort_unstable();
    test.sort_unstable();
    (train, test)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn members(sizes: &[usize]) -> Vec<Vec<u32>> {
        let mut next = 0;
        sizes
            .iter()
            .map(|n| {
                let ids = (next..next + *n as u32).collect();
                next += *n as u32;
                ids
            })
            .collect()
    }

    proptest! {
        #[test]
        fn splits_are_stratified_nested_and_disjoint(
            sizes in prop::collection::vec(2usize..80, 1..5), seed in any::<u64>(), a in 1u32..1_000_000, b in 1u32..1_000_000,
        ) {
            let members = members(&sizes);
            let (small, large) = (Fraction(a.min(b)), Fraction(a.max(b)));
            let large = split(&members, SplitSpec { seed, fraction: large });
            let small_split = split(&members, SplitSpec { seed, fraction: small });
            if let Ok(small_split) = &small_split {
                let large = large.expect("a larger fraction leaves more images");
                let set = |ids: &[u32]| ids.iter().copied().collect::<BTreeSet<_>>();
                prop_assert!(set(&small_split.train).is_subset(&set(&large.train)));
                prop_assert!(set(&small_split.validation).is_subset(&set(&large.validation)));
                prop_assert!(set(&large.train).is_disjoint(&set(&large.validation)));
                for (class, ids) in members.iter().enumerate() {
                    let of_class = |part: &[u32]| part.iter().filter(|id| ids.contains(id)).count();
                    let (train, validation) = class_counts(class, ids.len(), small).expect("checked by split");
                    prop_assert_eq!(of_class(&small_split.train), train);
                    prop_assert_eq!(of_class(&small_split.validation), validation);
                    prop_assert_eq!(train + validation, small.of(ids.len()));
                    prop_assert!(train >= 1 && validation >= 1);
                }
            } else {
                prop_assert!(sizes.iter().any(|n| small.of(*n) < 2));
            }
        }
    }

    #[test]
    fn a_validation_part_is_shared_out_like_the_training_part() {
        let (train, validation) = (members(&[40, 3]), vec![vec![43, 44, 45, 46], vec![47], vec![]]);
        let at = |parts| split_parted(&train, &validation, SplitSpec { seed: 5, fraction: Fraction(parts) });
        let (half, all) = (at(500_000).expect("enough"), at(1_000_000).expect("enough"));
        assert_eq!((half.train.len(), &half.validation[1..]), (22, &[half.validation[1], 47][..]));
        assert_eq!((all.train, all.validation.clone()), ((0..43).collect(), vec![43, 44, 45, 46, 47]));
        assert!(half.validation.iter().all(|id| all.validation.contains(id)));
        assert_eq!(
            at(100_000).expect_err("0.3 images"),
            Untrained { class: 1, fraction: Fraction(100_000), available: 3 }
        );
        for fraction in [100_000, 500_000].map(Fraction) {
            assert_eq!(parted_counts(0, (40, 4), fraction), Ok((fraction.of(40), fraction.of(4).max(1))));
        }
        assert_eq!(validation_count(0, Fraction::ALL), 0);
    }

    #[test]
    fn eight_to_two() {
        assert_eq!(class_counts(0, 1000, Fraction(250_000)), Ok((200, 50)));
        assert_eq!(class_counts(0, 2, Fraction::ALL), Ok((1, 1)));
        assert!(class_counts(0, 30, Fraction(50_000)).is_ok());
        assert_eq!(class_counts(2, 20, Fraction(50_000)).expect_err("one image").taken, 1);
    }

    #[test]
    fn fractions_read_as_people_write_them() {
        assert_eq!("5%".parse(), Ok(Fraction(50_000)));
        assert_eq!("0.05".parse(), Ok(Fraction(50_000)));
        assert_eq!(Fraction(50_000).to_string(), "0.05");
        for bad in ["0", "-5%", "101%", "1.5", "five", "NaN", "inf"] {
            assert!(bad.parse::<Fraction>().is_err(), "{bad}");
        }
    }

    #[test]
    fn test_images_are_set_apart_by_class() {
        let ids: Vec<u32> = (0..10).collect();
        let (train, test) = set_test_apart(1, &ids, 0.2);
        assert_eq!((train.len(), test.len()), (8, 2));
        assert!(test.iter().all(|id| !train.contains(id)));
    }
}
