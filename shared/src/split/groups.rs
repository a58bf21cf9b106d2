//! Splits of images that belong together (the images of a slide, of a patient): a group is on one side of every split.
//!
//! Whole groups are split in the way that single images are split elsewhere. A group belongs to the class that most of
//! its images have. The groups of a class have one seeded permutation. A fraction takes the first of them, in the
//! number that comes nearest to its share of the images, so smaller fractions are subsets of larger ones. The
//! validation groups are chosen along the permutation, for all fractions at once. The smaller of the first two groups
//! validates. Each later group validates if it brings the number of validation images nearer to a fifth.

use std::ops::Range;

use super::{Fraction, SplitSpec, permutation};
use crate::draw::Purpose;

/// Share of the images that validate: one of five, as without groups.
const VALIDATION_SHARE: f64 = 0.2;

/// The images of each class in each group, `counts[group][class]`; groups in the order of their names.
pub type GroupCounts = [Vec<u32>];

/// The role of a group in a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Its images train.
    Train,
    /// Its images validate.
    Validation,
    /// The fraction does not include it.
    Unused,
}

/// Returns the role of each group.
pub fn roles(counts: &GroupCounts, spec: SplitSpec) -> Vec<Role> {
    let mut roles = vec![Role::Unused; counts.len()];
    for stratum in strata(counts, Purpose::Split, spec.seed) {
        let validating = validating(&stratum);
        let taken = nearest(&stratum, spec.fraction.value(), 2..stratum.len());
        for ((group, _), validates) in stratum.iter().zip(validating).take(taken) {
            roles[*group] = if validates { Role::Validation } else { Role::Train };
        }
    }
    roles
}

/// Returns which groups train, in a data set with a validation part of its own: all that the fraction takes.
pub fn training_groups(counts: &GroupCounts, spec: SplitSpec) -> Vec<bool> {
    let mut trains = vec![false; counts.len()];
    for stratum in strata(counts, Purpose::Split, spec.seed) {
        let taken = nearest(&stratum, spec.fraction.value(), 1..stratum.len());
        stratum.iter().take(taken).for_each(|(group, _)| trains[*group] = true);
    }
    trains
}

/// The error for a class that has no image in one part of a split of whole groups.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fraction} of the groups leave class {class} without {} images", if *.missing == Role::Train { "training" } else { "validation" })]
pub struct OneSided {
    /// Class index.
    pub class: usize,
    /// The requested fraction.
    pub fraction: Fraction,
    /// The part that has no images of the class.
    pub missing: Role,
}

/// Returns how many images of each class train and validate: like [`super::class_counts`], for groups.
pub fn grouped_class_counts(counts: &GroupCounts, spec: SplitSpec) -> Result<Vec<(usize, usize)>, OneSided> {
    let classes = counts.iter().map(Vec::len).max().unwrap_or_default();
    let mut parts = vec![(0, 0); classes];
    for (images, role) in counts.iter().zip(roles(counts, spec)) {
        for ((train, validation), images) in parts.iter_mut().zip(images) {
            match role {
                Role::Train => *train += *images as usize,
                Role::Validation => *validation += *images as usize,
                Role::Unused => {}
            }
        }
    }
    let one_sided = |class, missing| OneSided { class, fraction: spec.fraction, missing };
    for (class, (train, validation)) in parts.iter().enumerate() {
        match (train, validation) {
            (0, _) => return Err(one_sided(class, Role::Train)),
            (_, 0) => return Err(one_sided(class, Role::Validation)),
            _ => {}
        }
    }
    Ok(parts)
}

/// Returns which groups are set apart for testing if a data set has no test part: this depends only on the groups.
pub fn set_test_groups_apart(counts: &GroupCounts, test_fraction: f64) -> Vec<bool> {
    let share = Fraction::new(test_fraction).map_or(0.0, Fraction::value);
    let mut apart = vec![false; counts.len()];
    for stratum in strata(counts, Purpose::TestSplit, 0) {
        // Each class is tested if possible, and always trained.
        let taken = nearest(&stratum, share, 1..stratum.len().saturating_sub(1));
        stratum.iter().take(taken).for_each(|(group, _)| apart[*group] = true);
    }
    apart
}

/// Returns the groups of each class in the order of its permutation, with their numbers of images. Groups without
/// images belong to no class.
fn strata(counts: &GroupCounts, purpose: Purpose, seed: u64) -> Vec<Vec<(usize, u64)>> {
    let classes = counts.iter().map(Vec::len).max().unwrap_or_default();
    let mut members = vec![Vec::new(); classes];
    for (group, images) in counts.iter().enumerate() {
        // Among classes with equally many images, the first.
        let largest = (0..images.len()).rev().max_by_key(|class| images[*class]);
        if let Some(class) = largest.filter(|class| images[*class] > 0) {
            members[class].push(group as u32);
        }
    }
    let size = |group: u32| counts[group as usize].iter().map(|n| u64::from(*n)).sum();
    let ordered = members.iter().enumerate().map(|(class, groups)| {
        let order = permutation(purpose, seed, class, groups);
        order.into_iter().map(|group| (group as usize, size(group))).collect()
    });
    ordered.collect()
}

/// Returns which groups of a stratum validate.
fn validating(stratum: &[(usize, u64)]) -> Vec<bool> {
    let (mut all, mut validation) = (0, 0);
    let second_validates = match stratum {
        [(_, first), (_, second), ..] => second <= first,
        _ => false,
    };
    let roles = stratum.iter().enumerate().map(|(position, (_, images))| {
        let validates = match position {
            0 => stratum.len() > 1 && !second_validates,
            1 => second_validates,
            // Add the group if the number is nearer to the share with it than without it.
            _ => (2 * validation + images) as f64 <= 2.0 * VALIDATION_SHARE * (all + images) as f64,
        };
        all += images;
        validation += if validates { *images } else { 0 };
        validates
    });
    roles.collect()
}

/// Returns how many groups of a stratum come nearest to `share` of its images; of equally near numbers the smallest.
/// The result is within `bounds`, both ends included, if the stratum has enough groups.
fn nearest(stratum: &[(usize, u64)], share: f64, bounds: Range<usize>) -> usize {
    let total: u64 = stratum.iter().map(|(_, images)| images).sum();
    let target = share * total as f64;
    let mut sum = 0;
    let mut best = (target, 0);
    for (position, (_, images)) in stratum.iter().enumerate() {
        sum += images;
        let distance = (sum as f64 - target).abs();
        if distance < best.0 {
            best = (distance, position + 1);
        }
    }
    best.1.max(bounds.start).min(bounds.end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spec(seed: u64, fraction: u32) -> SplitSpec {
        SplitSpec { seed, fraction: Fraction(fraction) }
    }

    fn images(counts: &GroupCounts, roles: &[Role], role: Role) -> u32 {
        counts
            .iter()
            .zip(roles)
            .filter(|(_, found)| **found == role)
            .map(|(images, _)| images.iter().sum::<u32>())
            .sum()
    }

    proptest! {
        #[test]
        fn a_group_has_one_role_whatever_the_fraction(
            counts in prop::collection::vec(prop::collection::vec(0u32..30, 3), 0..40),
            seed in any::<u64>(), a in 1u32..=1_000_000, b in 1u32..=1_000_000,
        ) {
            let (small, large) = (roles(&counts, spec(seed, a.min(b))), roles(&counts, spec(seed, a.max(b))));
            let all = roles(&counts, spec(seed, 1_000_000));
            for (group, images) in counts.iter().enumerate() {
                // Nested: the groups of a smaller fraction have the same roles in a larger one.
                prop_assert!(small[group] == Role::Unused || small[group] == large[group]);
                prop_assert!(large[group] == Role::Unused || large[group] == all[group]);
                // The full fraction includes every group.
                prop_assert_eq!(all[group] == Role::Unused, images.iter().sum::<u32>() == 0);
            }
        }

        #[test]
        fn shares_are_as_near_as_groups_allow(
            sizes in prop::collection::vec(prop::collection::vec(1u32..20, 2..40), 1..4),
            seed in any::<u64>(), fraction in 1u32..=1_000_000,
        ) {
            // Groups that have images of one class each.
            let classes = sizes.len();
            let counts: Vec<Vec<u32>> = sizes.iter().enumerate().flat_map(|(class, sizes)| {
                sizes.iter().map(move |n| (0..classes).map(|c| if c == class { *n } else { 0 }).collect())
            }).collect();
            let found = roles(&counts, spec(seed, fraction));
            let mut begin = 0;
            for sizes in &sizes {
                let (counts, roles) = (&counts[begin..begin + sizes.len()], &found[begin..begin + sizes.len()]);
                begin += sizes.len();
                let (total, largest) = (sizes.iter().sum::<u32>(), *sizes.iter().max().expect("two groups"));
                let (train, validation) = (images(counts, roles, Role::Train), images(counts, roles, Role::Validation));
                prop_assert!(train > 0 && validation > 0);
                let target = f64::from(total) * f64::from(fraction) / 1e6;
                let taken = f64::from(train + validation);
                prop_assert!((taken - target).abs() <= f64::from(largest) || roles.iter().filter(|r| **r != Role::Unused).count() == 2);
                let share = f64::from(validation) - VALIDATION_SHARE * taken;
                prop_assert!(share.abs() <= f64::from(largest), "{validation} of {taken}");
            }
        }

        #[test]
        fn test_groups_leave_something_to_train(
            counts in prop::collection::vec(prop::collection::vec(0u32..30, 2), 0..30), share in 0.01f64..0.9,
        ) {
            let apart = set_test_groups_apart(&counts, share);
            for stratum in strata(&counts, Purpose::TestSplit, 0) {
                let tested = stratum.iter().filter(|(group, _)| apart[*group]).count();
                prop_assert!(tested < stratum.len() || stratum.is_empty());
                prop_assert!(tested > 0 || stratum.len() < 2);
            }
        }
    }

    #[test]
    fn equal_groups_split_as_images_do() {
        // Fifty groups of ten images of one class.
        let counts = vec![vec![10]; 50];
        let half = roles(&counts, spec(3, 500_000));
        assert_eq!((images(&counts, &half, Role::Train), images(&counts, &half, Role::Validation)), (200, 50));
        assert_ne!(half, roles(&counts, spec(4, 500_000)), "the seed decides which");
        assert_eq!(set_test_groups_apart(&counts, 0.2).into_iter().filter(|apart| *apart).count(), 10);
    }
}
