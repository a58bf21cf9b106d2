//! Counts the images of each part, and checks that they suffice.

use std::collections::{BTreeMap, BTreeSet};

use crate::dataset::{DatasetFacts, Note, Source, SweepFacts};
use crate::spec::Sweep;
use crate::split::{
    Fraction, Role, SplitSpec, class_counts, grouped_class_counts, parted_counts, set_test_groups_apart, test_count,
    training_groups, validation_count,
};
use crate::stage::LastBatch;

use super::cost::Epoch;
use super::error::{PlanError, PlanErrors};
use super::pretext_fraction;

/// Number of training and validation images in a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Parts {
    pub(super) train: u64,
    pub(super) validation: u64,
}

/// The parts of a data set under each split. With groups, the seed decides which groups a fraction takes, so the
/// numbers depend on it.
type Partition = BTreeMap<(Fraction, u64), Parts>;

/// A data set's images after test images were set apart.
struct Available {
    /// Training images of each class.
    train: Vec<usize>,
    /// Test images of each class.
    test: Vec<usize>,
    /// Training images of each class in each group; empty if there are no groups.
    groups: Vec<Vec<u32>>,
    /// Images of each class in the validation part; `None` if validation images are drawn from the training images.
    validation: Option<Vec<usize>>,
}

/// The counts of a data set under every split that a sweep uses.
#[derive(Debug)]
pub(super) struct Counts {
    parts: Partition,
    /// Counts of the separate data set for pretext training, if any; it is used whole.
    other: Option<Partition>,
    /// Number of test images.
    pub(super) test: u64,
}

impl Counts {
    /// Returns the parts of a split that [`Counts::check`] has counted.
    pub(super) fn parts(&self, split: SplitSpec) -> Parts {
        self.parts.get(&(split.fraction, split.seed)).copied().unwrap_or_default()
    }

    /// Returns the parts of a split for pretext training.
    pub(super) fn pretext_parts(&self, split: SplitSpec) -> Parts {
        match &self.other {
            Some(other) => other.get(&(split.fraction, split.seed)).copied().unwrap_or_default(),
            None => self.parts(split),
        }
    }

    /// Counts the images for `sweep`, or returns all problems with them.
    pub(super) fn check(sweep: &Sweep, facts: SweepFacts<'_>) -> Result<Self, PlanErrors> {
        let SweepFacts { dataset: facts, pretext } = facts;
        // If the facts contradict themselves, nothing can be counted.
        let available = available(&sweep.source, facts)?;
        let mut errors = Vec::new();
        check_classes(facts, &available, &mut errors);
        let other = match &sweep.pretext_dataset {
            Some(other) => Some(whole(sweep, &other.source, pretext)?),
            None => None,
        };
        let parts = partition(splits(sweep), &available, facts, &mut errors);
        let counts = Self { parts, other, test: available.test.iter().map(|n| *n as u64).sum() };
        counts.check_company(sweep, &mut errors);
        if errors.is_empty() { Ok(counts) } else { Err(PlanErrors(errors)) }
    }

    /// Checks the images of tasks that compare images with each other: they need whole batches to train, and another
    /// image to compare with.
    fn check_company(&self, sweep: &Sweep, errors: &mut Vec<PlanError>) {
        for (key, recipe, seeds) in sweep.cells() {
            let Some(pretext) = &recipe.pretext else { continue };
            let fraction = pretext_fraction(pretext.data, key.fraction);
            let known = self.other.as_ref().unwrap_or(&self.parts);
            let Some(parts) = known.get(&(fraction, seeds.split)) else { continue };
            let (rules, method, batch) = (pretext.task.rules(), recipe.method, pretext.train.batch);
            let mut report = |error: PlanError| {
                if !errors.contains(&error) {
                    errors.push(error);
                }
            };
            if rules.last == LastBatch::Dropped && Epoch::new(parts.train, batch, rules.last).steps == 0 {
                report(PlanError::NoStep { method, fraction, images: parts.train, batch });
            }
            if parts.validation < u64::from(rules.least) {
                let (loss, least) = (rules.loss, rules.least);
                report(PlanError::NoContrast { method, fraction, images: parts.validation, loss, least });
            }
        }
    }
}

/// Returns the fractions and seeds by which stages of `sweep` split its data set.
fn splits(sweep: &Sweep) -> BTreeSet<(Fraction, u64)> {
    let mut all = BTreeSet::new();
    for (key, recipe, seeds) in sweep.cells() {
        all.insert((key.fraction, seeds.split));
        // A separate data set is not a share of this one.
        let pretext = recipe.pretext.iter().filter(|_| sweep.pretext_dataset.is_none());
        all.extend(pretext.map(|pretext| (pretext_fraction(pretext.data, key.fraction), seeds.split)));
    }
    all
}

/// Returns the parts of the data set for pretext training, which is used whole.
fn whole(sweep: &Sweep, source: &Source, facts: Option<&DatasetFacts>) -> Result<Partition, PlanErrors> {
    let Some(facts) = facts else {
        return Err(PlanErrors(vec![PlanError::OtherData { asked: source.key(), found: "nothing".to_owned() }]));
    };
    let available = available(source, facts)?;
    let mut errors = Vec::new();
    check_classes(facts, &available, &mut errors);
    let splits = sweep.cells().map(|(_, _, seeds)| (Fraction::ALL, seeds.split)).collect();
    let parts = partition(splits, &available, facts, &mut errors);
    if errors.is_empty() { Ok(parts) } else { Err(PlanErrors(errors)) }
}

/// Returns the images of each class, after test images were set apart.
fn available(source: &Source, facts: &DatasetFacts) -> Result<Available, PlanErrors> {
    let classes = facts.classes.len();
    let key = &facts.key;
    let refuse = |error| Err(PlanErrors(vec![error]));
    if *key != source.key() {
        return refuse(PlanError::OtherData { asked: source.key(), found: key.clone() });
    }
    let torn = facts.groups.iter().any(|images| images.len() != classes);
    let fits = |counts: &[u32]| counts.is_empty() || counts.len() == classes;
    if facts.train.len() != classes || !fits(&facts.test) || !fits(&facts.validation) || torn {
        let (key, train, test) = (key.clone(), facts.train.len(), facts.test.len());
        return refuse(PlanError::Contradiction { key, classes, train, test });
    }
    let train: Vec<usize> = facts.train.iter().map(|n| *n as usize).collect();
    let test: Vec<usize> = facts.test.iter().map(|n| *n as usize).collect();
    let validation: Vec<usize> = facts.validation.iter().map(|n| *n as usize).collect();
    let validation = Some(validation).filter(|counts| !counts.is_empty());
    match (source.test_fraction(), test.is_empty()) {
        (Some(_), false) => refuse(PlanError::TestPartExists { key: key.clone(), images: facts.test_total() }),
        (None, true) => refuse(PlanError::TestPartMissing { key: key.clone(), unread: unread_part(facts) }),
        (None, false) => Ok(Available { train, test, groups: facts.groups.clone(), validation }),
        (Some(share), true) if facts.groups.is_empty() => {
            let (train, test) = train.iter().map(|n| (n - test_count(*n, share), test_count(*n, share))).unzip();
            Ok(Available { train, test, groups: Vec::new(), validation })
        }
        (Some(share), true) => Ok(Available { validation, ..set_groups_apart(classes, &facts.groups, share) }),
    }
}

/// Returns the folder that is beside the training images and looks like another part.
fn unread_part(facts: &DatasetFacts) -> Option<String> {
    facts.notes.iter().find_map(|note| match note {
        Note::UnreadFolder { folder, role: Some(_) } => Some(folder.clone()),
        _ => None,
    })
}

/// Returns the images that are left when whole groups are set apart for testing.
fn set_groups_apart(classes: usize, groups: &[Vec<u32>], share: f64) -> Available {
    let mut available =
        Available { train: vec![0; classes], test: vec![0; classes], groups: Vec::new(), validation: None };
    for (images, apart) in groups.iter().zip(set_test_groups_apart(groups, share)) {
        let part = if apart { &mut available.test } else { &mut available.train };
        part.iter_mut().zip(images).for_each(|(sum, n)| *sum += *n as usize);
        // Keep groups without images, so that the positions of the others stay the same.
        available.groups.push(if apart { vec![0; classes] } else { images.clone() });
    }
    available
}

fn check_classes(facts: &DatasetFacts, available: &Available, errors: &mut Vec<PlanError>) {
    let Available { train, test, .. } = available;
    if train.len() < 2 {
        errors.push(PlanError::TooFewClasses { key: facts.key.clone(), classes: train.len() });
    }
    if test.iter().sum::<usize>() == 0 {
        errors.push(PlanError::NoTestImages { key: facts.key.clone() });
    }
    for ((class, train), test) in facts.classes.iter().zip(train).zip(test) {
        if *train == 0 && *test > 0 {
            errors.push(PlanError::ClassOnlyInTest { class: class.clone(), images: *test });
        }
    }
}

fn partition(
    splits: BTreeSet<(Fraction, u64)>,
    available: &Available,
    facts: &DatasetFacts,
    errors: &mut Vec<PlanError>,
) -> Partition {
    let mut parts = Partition::new();
    for (fraction, seed) in splits {
        let spec = SplitSpec { seed, fraction };
        let counted = match (&available.validation, available.groups.is_empty()) {
            (None, true) => split(fraction, &available.train, facts),
            (None, false) => split_groups(spec, &available.groups, facts),
            (Some(validation), _) => parted(spec, available, validation, facts),
        };
        match counted {
            Ok(counted) => drop(parts.insert((fraction, seed), counted)),
            // Every seed has the same error.
            Err(error) if errors.contains(&error) => {}
            Err(error) => errors.push(error),
        }
    }
    parts
}

fn split_groups(spec: SplitSpec, groups: &[Vec<u32>], facts: &DatasetFacts) -> Result<Parts, PlanError> {
    match grouped_class_counts(groups, spec) {
        Ok(classes) => Ok(Parts {
            train: classes.iter().map(|(train, _)| *train as u64).sum(),
            validation: classes.iter().map(|(_, validation)| *validation as u64).sum(),
        }),
        Err(error) => Err(PlanError::OneSided {
            fraction: spec.fraction,
            class: facts.classes.get(error.class).cloned().unwrap_or_default(),
            missing: if error.missing == Role::Train { "training" } else { "validation" },
        }),
    }
}

/// Counts a share of the training images and of the validation part, which is never drawn by whole groups: no group is
/// in both.
fn parted(
    spec: SplitSpec,
    available: &Available,
    validation: &[usize],
    facts: &DatasetFacts,
) -> Result<Parts, PlanError> {
    let none_left = |class: usize, available| PlanError::Untrained {
        fraction: spec.fraction,
        class: facts.classes.get(class).cloned().unwrap_or_default(),
        available,
    };
    let mut parts = Parts::default();
    if !available.groups.is_empty() {
        let mut train = vec![0; available.train.len()];
        let taken = available.groups.iter().zip(training_groups(&available.groups, spec)).filter(|(_, trains)| *trains);
        taken.for_each(|(images, _)| train.iter_mut().zip(images).for_each(|(sum, n)| *sum += u64::from(*n)));
        if let Some(class) = train.iter().position(|images| *images == 0) {
            return Err(none_left(class, available.train[class]));
        }
        parts.train = train.iter().sum();
        parts.validation = validation.iter().map(|n| validation_count(*n, spec.fraction) as u64).sum();
        return Ok(parts);
    }
    for (class, counts) in available.train.iter().copied().zip(validation.iter().copied()).enumerate() {
        let (train, validation) =
            parted_counts(class, counts, spec.fraction).map_err(|error| none_left(class, error.available))?;
        parts.train += train as u64;
        parts.validation += validation as u64;
    }
    Ok(parts)
}

/// Adds up the classes. The error names the smallest class of which `fraction` leaves too few images.
fn split(fraction: Fraction, train: &[usize], facts: &DatasetFacts) -> Result<Parts, PlanError> {
    let mut parts = Parts::default();
    let mut too_few = Vec::new();
    for (class, available) in train.iter().enumerate() {
        match class_counts(class, *available, fraction) {
            Ok((train, validation)) => {
                parts.train += train as u64;
                parts.validation += validation as u64;
            }
            Err(error) => too_few.push(error),
        }
    }
    match too_few.iter().min_by_key(|error| error.available) {
        None => Ok(parts),
        Some(worst) => Err(PlanError::TooFew {
            fraction,
            class: facts.classes.get(worst.class).cloned().unwrap_or_default(),
            available: worst.available,
            taken: worst.taken,
            others: too_few.len() - 1,
            smallest: smallest_fraction(worst.available),
        }),
    }
}

/// Returns the smallest fraction that takes two of `available` images; `None` if there are fewer than two.
fn smallest_fraction(available: usize) -> Option<Fraction> {
    if available < 2 {
        return None;
    }
    // round(f · n) >= 2 from f = 1.5 / n on, in millionths, rounded up.
    Fraction::new((1_500_000_u64.div_ceil(available as u64)) as f64 / 1e6)
}
