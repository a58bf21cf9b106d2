//! The part of a plan that shows the data: classes, counts, groups, what a look found, and the memory that they need.

use pretext_shared::dataset::{DatasetFacts, Note, Source};
use pretext_shared::findings;
use pretext_shared::spec::Sweep;
use pretext_shared::survey::Survey;
use pretext_shared::text::{self, counted, grouped, size};
use serde::Serialize;

use crate::columns::{Align, Columns};
use crate::look::{Looked, SMALL, bytes};

/// Most classes that are listed.
const MOST_CLASSES: usize = 20;
/// Most files that are named below a finding.
const MOST_FILES: usize = 5;

/// A data set of a sweep.
#[derive(Debug, Serialize)]
pub(super) struct Data {
    key: String,
    classes: Vec<Class>,
    /// Share of the training pictures that is set apart for testing.
    test_fraction: Option<f64>,
    groups: usize,
    /// What a person should know about the way in which the data set is read.
    notes: Vec<Note>,
    image_size: u32,
    /// Bytes of the decoded pictures; each trainer holds them.
    memory: u64,
    /// Bytes that a trainer may hold on this machine, if it was asked.
    room: Option<u64>,
    survey: Option<Survey>,
    /// Why there is no survey.
    #[serde(skip)]
    unseen: Option<Unseen>,
}

/// Why nobody looked at the pictures of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unseen {
    /// They are with the workers of a coordinator.
    Elsewhere,
    /// There are more than [`SMALL`].
    Many,
}

impl Unseen {
    fn line(self) -> String {
        let why = match self {
            Unseen::Elsewhere => "this plan knows only what the workers announced".to_owned(),
            Unseen::Many => format!("a plan looks at {} at most", counted(SMALL, "picture")),
        };
        let place = match self {
            Unseen::Elsewhere => "on a machine with the data, ",
            Unseen::Many => "",
        };
        format!(
            "pictures: not looked at, because {why}; {place}`worker inspect DIR --deep` names all that cannot be read or \
             exist twice"
        )
    }
}

#[derive(Debug, Serialize)]
struct Class {
    name: String,
    train: u32,
    /// `None` if the data set has no validation part.
    validation: Option<u32>,
    /// `None` if the data set has no test part.
    test: Option<u32>,
}

impl Data {
    fn new(facts: &DatasetFacts, image_size: u32, test_fraction: Option<f64>) -> Self {
        let class = |(i, name): (usize, &String)| Class {
            name: name.clone(),
            train: facts.train.get(i).copied().unwrap_or_default(),
            validation: facts.validation.get(i).copied(),
            test: facts.test.get(i).copied(),
        };
        Self {
            key: facts.key.clone(),
            classes: facts.classes.iter().enumerate().map(class).collect(),
            test_fraction,
            groups: facts.groups.len(),
            notes: facts.notes.clone(),
            image_size,
            memory: bytes(facts, image_size),
            room: None,
            survey: None,
            unseen: None,
        }
    }

    /// Returns a data set of this machine, on which a trainer may hold `room` bytes.
    pub(super) fn here(looked: Looked, room: Option<u64>) -> Self {
        let data = Self::new(&looked.facts, looked.image_size, looked.source.test_fraction());
        let unseen =
            (looked.survey.is_none() && !matches!(looked.source, Source::Procedural(_))).then_some(Unseen::Many);
        Self { room, survey: looked.survey, unseen, ..data }
    }

    /// Returns the data sets of `sweep` with the facts that a coordinator has: the sweep's own, and the one for pretext
    /// training if it is another.
    pub(super) fn announced(sweep: &Sweep, facts: &[DatasetFacts]) -> Vec<Self> {
        let own = (&sweep.source, sweep.image_size);
        let other = sweep.pretext_dataset.as_ref().map(|other| (&other.source, other.image_size));
        let data = |(facts, (source, image_size)): (&DatasetFacts, (&Source, u32))| {
            let unseen = (!matches!(source, Source::Procedural(_))).then_some(Unseen::Elsewhere);
            Self { unseen, ..Self::new(facts, image_size, source.test_fraction()) }
        };
        facts.iter().zip(std::iter::once(own).chain(other)).map(data).collect()
    }

    /// Returns the lines for a terminal.
    pub(super) fn text(&self) -> String {
        let total =
            |count: &dyn Fn(&Class) -> u32| -> u64 { self.classes.iter().map(|class| u64::from(count(class))).sum() };
        let (train, test) = (total(&|class| class.train), total(&|class| class.test.unwrap_or_default()));
        let groups = match self.groups {
            0 => String::new(),
            n => format!(" in {}", counted(n, "group")),
        };
        let test = match self.test_fraction {
            Some(share) => format!("{share} of them set apart for testing"),
            None => counted(test, "test image"),
        };
        let key = text::line(&self.key);
        let mut out = format!(
            "data: {key} · {} · {}{groups} · {test}\n",
            counted(self.classes.len(), "class"),
            counted(train, "training image")
        );
        for line in self.classes().lines() {
            out.push_str(&format!("  {line}\n"));
        }
        let findings = self.survey.iter().flat_map(|survey| findings::lines(survey, MOST_FILES));
        // A look at every picture says more about these.
        let known = |note: &&Note| {
            self.survey.is_some() && matches!(note, Note::Ignored { .. } | Note::Leaked { .. } | Note::TwoLabels { .. })
        };
        let notes = self
            .notes
            .iter()
            .filter(|note| !known(note))
            .map(|note| format!("note: {}", text::line(&note.to_string())));
        let unseen = self.unseen.map(Unseen::line);
        for line in notes.chain(findings).chain(unseen).chain([self.memory_line()]) {
            out.push_str(&format!("  {line}\n"));
        }
        out
    }

    fn classes(&self) -> String {
        let validates = self.classes.iter().any(|class| class.validation.is_some());
        let validation = validates.then_some(("validation", Align::Right));
        let headings = [("class", Align::Left), ("train", Align::Right)].into_iter().chain(validation);
        let mut columns = Columns::new(&headings.chain([("test", Align::Right)]).collect::<Vec<_>>());
        let number = |count: Option<u32>| count.map_or_else(|| "-".to_owned(), |count| grouped(count.into()));
        let mut row = |class: &Class| {
            let validation = validates.then(|| number(class.validation));
            let counts = [text::line(&class.name), grouped(class.train.into())].into_iter().chain(validation);
            columns.row(counts.chain([number(class.test)]));
        };
        self.classes.iter().take(MOST_CLASSES).for_each(&mut row);
        let rest = self.classes.get(MOST_CLASSES..).unwrap_or_default();
        let Some(smallest) = rest.iter().min_by_key(|class| class.train) else { return columns.render() };
        // The smallest class decides which fractions are possible.
        row(smallest);
        format!("{}and {}\n", columns.render(), counted(rest.len() - 1, "more class"))
    }

    fn memory_line(&self) -> String {
        let needed = format!("memory: {} of decoded pictures in each trainer", size(self.memory));
        match self.room {
            None => needed,
            Some(room) if self.memory <= room => format!("{needed}; {} are possible here", size(room)),
            Some(room) => format!(
                "{needed}, but only {} are possible here: choose a smaller `image_size`, or use fewer pictures",
                size(room)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use pretext_shared::dataset::{Procedural, Source};

    use super::*;

    #[test]
    fn the_data_are_shown_with_their_memory() {
        let drawn = Procedural { train_per_class: 500_000, test_per_class: 10, seed: 0 };
        let looked = |image_size| Looked {
            facts: drawn.facts(),
            source: Source::Procedural(drawn.clone()),
            survey: Some(Survey { grey: 3, ..Survey::default() }),
            image_size,
        };
        let expected = "\
data: procedural · 3 classes · 1,500,000 training images · 30 test images
  class    train  test
  house  500,000    10
  tree   500,000    10
  boat   500,000    10
  pictures: all have 0×0 pixels
  colour: all pictures are grey
  memory: 210.3 GiB of decoded pictures in each trainer, but only 4.0 GiB are possible here: choose a smaller `image_size`, or use fewer pictures
";
        assert_eq!(Data::here(looked(224), Some(4 << 30)).text(), expected);
        assert!(
            Data::here(looked(16), Some(4 << 30))
                .text()
                .ends_with("memory: 1.1 GiB of decoded pictures in each trainer; 4.0 GiB are possible here\n")
        );
    }

    #[test]
    fn of_many_classes_the_smallest_is_shown() {
        let names: Vec<String> = (0..100).map(|n| format!("c{n:02}")).collect();
        let train: Vec<u32> = (0..100).map(|n| if n == 70 { 3 } else { 900 }).collect();
        let drawn = Procedural { train_per_class: 2, test_per_class: 1, seed: 0 };
        let notes = vec![Note::UnreadColumns { columns: vec!["age".to_owned()] }];
        let facts =
            DatasetFacts { classes: names, train, test: Vec::new(), groups: vec![vec![]; 7], notes, ..drawn.facts() };
        let text = Data::new(&facts, 32, Some(0.2)).text();
        assert!(
            text.starts_with(
                "data: procedural · 100 classes · 89,103 training images in 7 groups · 0.2 of them set apart"
            ),
            "{text}"
        );
        assert!(text.contains("  c70        3     -\n  and 79 more classes\n"), "{text}");
        assert!(text.contains("  note: columns that are not read: age\n"), "{text}");
        let validation = vec![5; 100];
        let text = Data::new(&DatasetFacts { validation, ..facts }, 32, Some(0.2)).text();
        assert!(text.contains("  class  train  validation  test\n  c00      900           5     -\n"), "{text}");
    }
}
