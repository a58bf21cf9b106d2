//! How many images there are for each part, and whether they suffice.

use std::collections::{BTreeMap, BTreeSet};

use crate::dataset::{DatasetFacts, Source, SweepFacts};
use crate::spec::Sweep;
use crate::split::{Fraction, class_counts, test_count};
use crate::stage::PretextTask;

use super::cost::{Epoch, last_batch};
use super::error::{PlanError, PlanErrors};
use super::pretext_fraction;

/// Images that a fraction leaves for training and validation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Parts {
    pub(super) train: u64,
    pub(super) validation: u64,
}

/// The counts of a data set under every fraction that a sweep uses.
#[derive(Debug)]
pub(super) struct Counts {
    parts: BTreeMap<Fraction, Parts>,
    /// Of the data set that pretext training reads whole, where it is another.
    other: Option<Parts>,
    /// Test images.
    pub(super) test: u64,
}

impl Counts {
    /// The parts of a fraction that [`Counts::check`] has seen.
    pub(super) fn parts(&self, fraction: Fraction) -> Parts {
        self.parts.get(&fraction).copied().unwrap_or_default()
    }

    /// The parts of a fraction for pretext training.
    pub(super) fn pretext_parts(&self, fraction: Fraction) -> Parts {
        self.other.unwrap_or_else(|| self.parts(fraction))
    }

    /// Counts the images for `sweep`, or says everything that is wrong with them.
    pub(super) fn check(sweep: &Sweep, facts: SweepFacts<'_>) -> Result<Self, PlanErrors> {
        let SweepFacts { dataset: facts, pretext } = facts;
        // Nothing can be counted in facts that contradict themselves.
        let (train, test) = class_parts(&sweep.source, facts)?;
        let mut errors = Vec::new();
        check_classes(facts, &train, &test, &mut errors);
        let other = match &sweep.pretext_dataset {
            Some(other) => Some(whole(&other.source, pretext)?),
            None => None,
        };

        let mut parts = BTreeMap::new();
        for fraction in fractions(sweep) {
            match split(fraction, &train, facts) {
                Ok(counted) => drop(parts.insert(fraction, counted)),
                Err(error) => errors.push(error),
            }
        }
        let counts = Self { parts, other, test: test.iter().map(|n| *n as u64).sum() };
        counts.check_contrast(sweep, &mut errors);
        if errors.is_empty() { Ok(counts) } else { Err(PlanErrors(errors)) }
    }

    /// SimCLR needs whole batches to train, and another image to contrast with.
    fn check_contrast(&self, sweep: &Sweep, errors: &mut Vec<PlanError>) {
        for (key, recipe, _) in sweep.cells() {
            let Some(pretext) = &recipe.pretext else { continue };
            let fraction = pretext_fraction(pretext.data, key.fraction);
            if self.other.is_none() && !self.parts.contains_key(&fraction) {
                continue;
            }
            let parts = self.pretext_parts(fraction);
            if !matches!(pretext.task, PretextTask::Simclr { .. }) {
                continue;
            }
            let (method, batch) = (recipe.method, pretext.train.batch);
            let mut report = |error: PlanError| {
                if !errors.contains(&error) {
                    errors.push(error);
                }
            };
            if Epoch::new(parts.train, batch, last_batch(pretext)).steps == 0 {
                report(PlanError::NoStep { method, fraction, images: parts.train, batch });
            }
            if parts.validation < 2 {
                report(PlanError::NoContrast { method, fraction, images: parts.validation });
            }
        }
    }
}

/// The fractions that stages of `sweep` are split by.
fn fractions(sweep: &Sweep) -> BTreeSet<Fraction> {
    let mut all = BTreeSet::new();
    for (key, recipe, _) in sweep.cells() {
        all.insert(key.fraction);
        // Of another data set it is no share of this one.
        let pretext = recipe.pretext.iter().filter(|_| sweep.pretext_dataset.is_none());
        all.extend(pretext.map(|pretext| pretext_fraction(pretext.data, key.fraction)));
    }
    all
}

/// The parts of a data set that pretext training reads whole.
fn whole(source: &Source, facts: Option<&DatasetFacts>) -> Result<Parts, PlanErrors> {
    let Some(facts) = facts else {
        return Err(PlanErrors(vec![PlanError::OtherData { asked: source.key(), found: "nothing".to_owned() }]));
    };
    let (train, test) = class_parts(source, facts)?;
    let mut errors = Vec::new();
    check_classes(facts, &train, &test, &mut errors);
    let parts = split(Fraction::ALL, &train, facts).map_err(|error| errors.push(error));
    match parts {
        Ok(parts) if errors.is_empty() => Ok(parts),
        _ => Err(PlanErrors(errors)),
    }
}

/// Training and test images of each class, after test images were set apart.
fn class_parts(source: &Source, facts: &DatasetFacts) -> Result<(Vec<usize>, Vec<usize>), PlanErrors> {
    let classes = facts.classes.len();
    let key = &facts.key;
    let refuse = |error| Err(PlanErrors(vec![error]));
    if *key != source.key() {
        return refuse(PlanError::OtherData { asked: source.key(), found: key.clone() });
    }
    if facts.train.len() != classes || !(facts.test.is_empty() || facts.test.len() == classes) {
        let (key, train, test) = (key.clone(), facts.train.len(), facts.test.len());
        return refuse(PlanError::Contradiction { key, classes, train, test });
    }
    let train: Vec<usize> = facts.train.iter().map(|n| *n as usize).collect();
    let test: Vec<usize> = facts.test.iter().map(|n| *n as usize).collect();
    match (source.test_fraction(), test.is_empty()) {
        (Some(_), false) => refuse(PlanError::TestPartExists { key: key.clone(), images: facts.test_total() }),
        (None, true) => refuse(PlanError::TestPartMissing { key: key.clone() }),
        (None, false) => Ok((train, test)),
        (Some(share), true) => Ok(train.iter().map(|n| (n - test_count(*n, share), test_count(*n, share))).unzip()),
    }
}

fn check_classes(facts: &DatasetFacts, train: &[usize], test: &[usize], errors: &mut Vec<PlanError>) {
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

/// Adds up the classes; the error names the smallest class that `fraction` leaves too little of.
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

/// The smallest fraction that takes two of `available` images; `None` where there are not two.
fn smallest_fraction(available: usize) -> Option<Fraction> {
    if available < 2 {
        return None;
    }
    // round(f · n) >= 2 from f = 1.5 / n on, in millionths, rounded up.
    Fraction::new((1_500_000_u64.div_ceil(available as u64)) as f64 / 1e6)
}
