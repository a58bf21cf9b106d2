//! The test images, and the scores of a classifier that always answers the largest class.

use pretext_shared::split::{set_test_groups_apart, test_count};
use pretext_shared::sweep::SweepView;
use serde::Serialize;

/// The test images that every cell is scored on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TestSet {
    /// Number of images.
    pub images: u64,
    /// The largest class; `None` if the class counts are not known.
    pub majority: Option<Majority>,
}

/// The largest class of the test set, and the scores of a classifier that always answers it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Majority {
    /// Name of the class.
    pub class: String,
    /// Its share of the test images, in 0–1.
    pub accuracy: f64,
    /// One over the number of classes that have test images: one is found whole, the others not at all.
    pub balanced_accuracy: f64,
    /// The F1 of that class, 2p / (1 + p), over the same number of classes.
    pub macro_f1: f64,
}

/// Returns the images of each class in the data groups that are set apart for testing.
fn whole_groups(groups: &[Vec<u32>], share: f64, classes: usize) -> Vec<u64> {
    let mut counts = vec![0; classes];
    let tested = groups.iter().zip(set_test_groups_apart(groups, share)).filter(|(_, apart)| *apart);
    tested.for_each(|(images, _)| counts.iter_mut().zip(images).for_each(|(sum, n)| *sum += u64::from(*n)));
    counts
}

impl TestSet {
    /// Returns the test set of `view`.
    pub(super) fn of(view: &SweepView) -> Self {
        let facts = &view.provenance.dataset;
        let apart = view.stages.values().find_map(|view| view.stage.spec.data().test_fraction);
        let counts: Vec<u64> = match apart {
            _ if !facts.test.is_empty() => facts.test.iter().map(|n| u64::from(*n)).collect(),
            Some(share) if !facts.groups.is_empty() => whole_groups(&facts.groups, share, facts.classes.len()),
            Some(share) => facts.train.iter().map(|n| test_count(*n as usize, share) as u64).collect(),
            None => Vec::new(),
        };
        let images = counts.iter().sum();
        // The first of equally large classes, so that the name does not depend on the order of search.
        let largest = counts.iter().enumerate().max_by_key(|(class, n)| (**n, std::cmp::Reverse(*class)));
        let present = counts.iter().filter(|n| **n > 0).count().max(1) as f64;
        let majority = largest.filter(|_| images > 0).map(|(class, n)| {
            let share = *n as f64 / images as f64;
            Majority {
                class: facts.classes.get(class).cloned().unwrap_or_else(|| format!("class {class}")),
                accuracy: share,
                balanced_accuracy: 1.0 / present,
                macro_f1: 2.0 * share / (1.0 + share) / present,
            }
        });
        Self { images, majority }
    }
}
