//! The classes of samples that name their class in a text: a column of a list, a file of a shard.

use std::collections::HashMap;
use std::path::Path;

use pretext_shared::dataset::{Note, Role};

use super::class_names::{Match, check_distinct, find};
use super::error::DataError;
use super::listing::{Entry, Listing, Location, Part};

/// The most classes of a data set. More are a sign that the labels are something else: names of files, or numbers.
const MOST_CLASSES: usize = 10_000;

/// The labels of samples while they are read. A sample holds a number instead of its text.
#[derive(Debug, Default)]
pub(super) struct Labels {
    numbers: HashMap<String, u32>,
    /// Samples of each label in each part, by number.
    counts: Vec<[u64; 3]>,
}

/// A sample before its class is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) part: Part,
    /// From [`Labels::add`].
    pub(super) label: u32,
    pub(super) location: Location,
}

/// The classes of all samples.
#[derive(Debug)]
pub(super) struct Classes {
    /// In label order: by number if all are whole numbers, else by their bytes.
    pub(super) names: Vec<String>,
    /// The class of each number that [`Labels::add`] gave.
    pub(super) of: Vec<u32>,
    notes: Vec<Note>,
}

impl Labels {
    /// Counts a sample, and returns the number of its label.
    ///
    /// # Errors
    /// If there are too many labels, or if the label is empty.
    pub(super) fn add(&mut self, text: &str, part: Part) -> Result<u32, String> {
        let next = self.counts.len();
        let number = match self.numbers.get(text) {
            Some(known) => *known,
            None if text.is_empty() => return Err("the label is empty".to_owned()),
            None if next >= MOST_CLASSES => {
                return Err(format!("there are more than {MOST_CLASSES} different labels: they cannot be classes"));
            }
            None => {
                self.numbers.insert(text.to_owned(), next as u32);
                self.counts.push([0; 3]);
                next as u32
            }
        };
        self.counts[number as usize][part as usize] += 1;
        Ok(number)
    }

    /// Returns the classes. `path` is where a person finds the labels.
    pub(super) fn finish(self, path: &Path) -> Result<Classes, DataError> {
        let mut names = vec![String::new(); self.counts.len()];
        self.numbers.into_iter().for_each(|(name, number)| names[number as usize] = name);
        let trains = |number: &usize| self.counts[*number][Part::Train as usize] > 0;
        let mut order: Vec<usize> = (0..names.len()).filter(trains).collect();
        let value = |number: usize| names[number].parse::<u64>().ok();
        if order.iter().all(|number| value(*number).is_some()) {
            order.sort_by_key(|number| (value(*number), &names[*number]));
        } else {
            order.sort_by_key(|number| &names[*number]);
        }
        let classes: Vec<String> = order.iter().map(|number| names[*number].clone()).collect();
        match &classes[..] {
            [] => return Err(DataError::NoTraining { path: path.to_owned() }),
            [class] => return Err(DataError::OneClass { path: path.to_owned(), class: class.clone() }),
            _ => {}
        }
        check_distinct(&classes).map_err(|found| DataError::ClassNames { path: path.to_owned(), found })?;
        let mut of = vec![0; names.len()];
        order.iter().enumerate().for_each(|(label, number)| of[*number] = label as u32);
        let mut notes = Vec::new();
        for number in (0..names.len()).filter(|number| !trains(number)) {
            let role = if self.counts[number][Part::Test as usize] > 0 { Role::Test } else { Role::Validation };
            match find(&classes, &names[number]) {
                Match::OtherForm(label) => {
                    of[number] = label as u32;
                    notes.push(Note::UnicodeForm { class: classes[label].clone(), role });
                }
                Match::OtherCase(label) => {
                    let found = format!(
                        "label `{}` of {} samples and label `{}` of training samples differ in case only",
                        names[number],
                        role.as_str(),
                        classes[label]
                    );
                    return Err(DataError::ClassNames { path: path.to_owned(), found });
                }
                Match::Same(_) | Match::Nothing => {
                    let (path, class) = (path.to_owned(), names[number].clone());
                    return Err(DataError::TestOnlyClass { path, class, classes });
                }
            }
        }
        Ok(Classes { names: classes, of, notes })
    }
}

impl Classes {
    /// Returns the listing of `samples`, which are in the order of their ids. It has no files yet.
    pub(super) fn listing(self, samples: impl IntoIterator<Item = Sample>) -> Listing {
        let mut listing = Listing { notes: self.notes, ..Listing::default() };
        for Sample { part, label, location } in samples {
            let entry = Entry { label: self.of[label as usize], location };
            match part {
                Part::Train => listing.train.push(entry),
                Part::Validation => listing.validation.push(entry),
                Part::Test => listing.test.push(entry),
            }
        }
        for (entries, role) in [(&listing.test, Role::Test), (&listing.validation, Role::Validation)] {
            let mut seen = vec![entries.is_empty(); self.names.len()];
            entries.iter().for_each(|entry| seen[entry.label as usize] = true);
            let missing = self.names.iter().zip(seen).filter(|(_, seen)| !seen);
            listing.notes.extend(missing.map(|(class, _)| Note::NoImages { class: class.clone(), role }));
        }
        listing.classes = self.names;
        listing
    }
}

/// Returns the part that a text names: `train`, `val`, `test` and their usual synonyms.
pub(super) fn part_of(text: &str) -> Option<Part> {
    super::layout::role(text).map(|role| match role {
        Role::Train => Part::Train,
        Role::Validation => Part::Validation,
        Role::Test => Part::Test,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(samples: &[(&str, Part)]) -> Result<Classes, DataError> {
        let mut labels = Labels::default();
        for (text, part) in samples {
            labels.add(text, *part).expect("a label");
        }
        labels.finish(Path::new("here"))
    }

    #[test]
    fn numbers_are_ordered_as_numbers_and_words_by_their_bytes() {
        let found = classes(&[("10", Part::Train), ("9", Part::Train), ("9", Part::Test)]).expect("two classes");
        assert_eq!((found.names, found.of), (vec!["9".to_owned(), "10".to_owned()], vec![1, 0]));
        let found = classes(&[("b", Part::Train), ("10", Part::Train), ("9", Part::Train)]).expect("three classes");
        assert_eq!(found.names, ["10", "9", "b"]);
    }

    #[test]
    fn labels_without_training_samples_are_refused() {
        let refused = |samples: &[(&str, Part)]| classes(samples).expect_err("a mistake").to_string();
        let known = [("apple", Part::Train), ("pear", Part::Train)];
        assert!(refused(&[known[0], known[1], ("fig", Part::Test)]).contains("class `fig` of here has test images"));
        let case = refused(&[known[0], known[1], ("Apple", Part::Test)]);
        assert!(case.contains("`Apple`") && case.contains("`apple`") && case.contains("case only"), "{case}");
        assert!(refused(&known[..1]).contains("one class only (`apple`)"));
        assert!(refused(&[("fig", Part::Test)]).contains("no training images"));
        let mut labels = Labels::default();
        assert!(labels.add("", Part::Train).is_err());
        assert!((0..=MOST_CLASSES).any(|n| labels.add(&n.to_string(), Part::Train).is_err()));
    }
}
