//! Writes a sweep for a data set: a text with comments that a plan accepts.

use pretext_engine::submission::{self, Announced, SubmissionError};
use pretext_shared::dataset::{DatasetFacts, Source};
use pretext_shared::device::NumericClass;
use pretext_shared::findings;
use pretext_shared::plan::Plan;
use pretext_shared::spec;
use pretext_shared::stage::{Extent, StageKind};
use pretext_shared::survey::Survey;
use pretext_shared::text::{self, agreeing, counted, grouped};

use super::groups::Proposal;
use super::policies;
use crate::look::bytes;

/// Fractions that are tried, as percentages.
const FRACTIONS: [u32; 6] = [1, 5, 10, 25, 50, 100];
/// Those that go first if there are more than [`MOST_FRACTIONS`].
const SPARE: [u32; 2] = [50, 5];
const MOST_FRACTIONS: usize = 4;
/// Image sizes above 64 pixels that are proposed.
const LARGE: [u32; 6] = [64, 96, 128, 160, 192, 224];
/// Share of a data set without a test part that is set apart.
const TEST_FRACTION: f64 = 0.2;

/// What is known of the data and of the machine.
pub(super) struct Known<'a> {
    /// The sweep's name.
    pub(super) name: &'a str,
    /// Where the data are, relative to the data root.
    pub(super) source: &'a Source,
    /// The facts, under the key of `source`.
    pub(super) facts: &'a DatasetFacts,
    /// What a look at every picture found, if one was taken.
    pub(super) survey: Option<&'a Survey>,
    /// Groups that the names may mean.
    pub(super) groups: Option<&'a Proposal>,
    /// The class of the devices.
    pub(super) class: NumericClass,
    /// Bytes of decoded pictures that a trainer may hold.
    pub(super) room: Option<u64>,
    /// The commands to type next.
    pub(super) commands: &'a [String],
}

/// The choices of a draft.
struct Choices {
    image_size: u32,
    fractions: Vec<u32>,
    pretext_batch: u32,
    downstream_batch: u32,
    pretext_epochs: u64,
    downstream_epochs: u64,
}

/// Budgets and networks for a class of devices.
struct Means {
    encoder: &'static str,
    largest_image: u32,
    largest_batch: u32,
    seeds: &'static str,
    /// Training images that pretext training sees, in all its epochs.
    pretext_images: u64,
    downstream_images: u64,
    pretext_epochs: (u64, u64),
    downstream_epochs: (u64, u64),
    note: &'static str,
}

impl Means {
    fn of(class: NumericClass) -> Self {
        match class {
            NumericClass::Cpu => Self {
                encoder: "{kind: small-cnn, width: 16, blocks: 3}",
                largest_image: 64,
                largest_batch: 64,
                seeds: "[0]",
                pretext_images: 100_000,
                downstream_images: 50_000,
                pretext_epochs: (3, 30),
                downstream_epochs: (5, 40),
                note: "small enough for a CPU; on a GPU, take `resnet18`, larger images and more epochs",
            },
            NumericClass::Gpu => Self {
                encoder: "resnet18",
                largest_image: 128,
                largest_batch: 128,
                seeds: "[0, 1, 2]",
                pretext_images: 5_000_000,
                downstream_images: 1_000_000,
                pretext_epochs: (20, 200),
                downstream_epochs: (20, 100),
                note: "for a GPU; `resnet50` learns more and takes longer",
            },
        }
    }
}

/// Returns the text of the sweep.
///
/// # Errors
/// If the data allow no sweep, for example because a class has one image.
pub(super) fn write(known: &Known<'_>) -> Result<String, SubmissionError> {
    let means = Means::of(known.class);
    let mut choices = Choices {
        image_size: image_size(known, &means),
        fractions: vec![100],
        pretext_batch: 2,
        downstream_batch: 2,
        pretext_epochs: 1,
        downstream_epochs: 1,
    };
    // What the fractions and batches may be, the plan knows best.
    let whole = plan(&compose(known, &means, &choices), known)?;
    let train = smallest_part(&whole);
    choices.pretext_batch = power_of_two(train, means.largest_batch);
    choices.pretext_epochs = epochs(means.pretext_images, train, means.pretext_epochs);
    choices.downstream_epochs = epochs(means.downstream_images, train, means.downstream_epochs);
    let possible = |percent: &u32| {
        let one = Choices { fractions: vec![*percent], ..choices };
        *percent == 100 || plan(&compose(known, &means, &one), known).is_ok()
    };
    let mut fractions: Vec<u32> = FRACTIONS.into_iter().filter(possible).collect();
    for spare in SPARE {
        if fractions.len() > MOST_FRACTIONS {
            fractions.retain(|percent| *percent != spare);
        }
    }
    choices.fractions = fractions;
    let part = smallest_part(&plan(&compose(known, &means, &choices), known)?);
    choices.downstream_batch = power_of_two(part / 2, means.largest_batch);
    let text = compose(known, &means, &choices);
    plan(&text, known)?;
    Ok(text)
}

fn plan(text: &str, known: &Known<'_>) -> Result<Plan, SubmissionError> {
    let mut announced = Announced::new();
    if let Ok(sweep) = spec::parse(text) {
        let facts = DatasetFacts { key: sweep.source.key(), ..known.facts.clone() };
        announced.insert(sweep.source.key(), vec![Ok(facts)]);
    }
    Ok(submission::plan(text, Extent::Whole, &announced, known.class)?.plan)
}

/// Returns the training images of the smallest downstream stage.
fn smallest_part(plan: &Plan) -> u64 {
    let downstream = plan.stages.iter().filter(|stage| stage.stage.spec.kind() == StageKind::Downstream);
    downstream.map(|stage| stage.cost.train_images).min().unwrap_or(2)
}

/// Returns the largest power of two up to `images` and `most`, at least 2.
fn power_of_two(images: u64, most: u32) -> u32 {
    let images = u32::try_from(images).unwrap_or(u32::MAX).clamp(2, most);
    1 << images.ilog2()
}

fn epochs(images: u64, train: u64, (least, most): (u64, u64)) -> u64 {
    (images / train.max(1)).clamp(least, most)
}

/// Returns a size near that of the pictures, for which there is memory.
fn image_size(known: &Known<'_>, means: &Means) -> u32 {
    let usual = known.survey.map(|survey| survey.sizes.usual).filter(|(width, height)| width.min(height) > &0);
    let shorter = usual.map_or(64, |(width, height)| width.min(height));
    let near = match shorter {
        0..=64 => shorter.max(16),
        _ => LARGE.into_iter().rfind(|size| *size <= shorter).unwrap_or(64),
    };
    let fits = |size: &u32| known.room.is_none_or(|room| bytes(known.facts, *size) <= room);
    let sizes = LARGE.into_iter().rev().chain([48, 32, 24, 16]);
    let smaller = std::iter::once(near).chain(sizes.filter(|size| *size < near));
    smaller.filter(|size| *size <= means.largest_image).find(fits).unwrap_or(16)
}

fn compose(known: &Known<'_>, means: &Means, choices: &Choices) -> String {
    let Choices { pretext_batch, downstream_batch, pretext_epochs, downstream_epochs, .. } = choices;
    let fractions: Vec<String> = choices.fractions.iter().map(|percent| format!("{percent}%")).collect();
    let mut out = format!("# A label-efficiency study of {}, written by `coordinator init`.\n#\n", known.source.key());
    for command in known.commands {
        out.push_str(&format!("#     {}\n", text::line(command)));
    }
    // A folder may be called `true`.
    out.push_str(&format!("name: {}\n\n", scalar(&serde_json::Value::from(known.name))));
    out.push_str(&data(known));
    out.push_str(&dataset(known, choices.image_size));
    out.push_str(&format!(
        "
# The network: {}.
encoder: {}

# supervised trains from scratch; the others learn from all training images without labels first. See docs/recipes.md
# for more: rotation-jitter, random-init (a control).
methods: [supervised, rotation, simclr]

# Shares of the training labels.{}
fractions: [{}]

# Learning-rate policies; each is compared with the others.
lr:
  fixed: {{kind: constant, base: 1e-3}}

# Each seed draws its own fractions, weights and order. Error bars need three or more.
seeds: {}

# Learning without labels, once for all fractions.
pretext: {{data: all, epochs: {pretext_epochs}, batch: {pretext_batch}}}

# Learning with labels: the whole network (`fine-tune`), or only a head (`frozen`). `flip: false` if a mirrored picture
# is another class, as with letters or left and right.
downstream: {{mode: fine-tune, epochs: {downstream_epochs}, batch: {downstream_batch}, flip: true}}
",
        means.note,
        means.encoder,
        limit(known, &choices.fractions),
        fractions.join(", "),
        means.seeds,
    ));
    out
}

/// Returns why there are no smaller fractions, if the smallest class is the reason.
fn limit(known: &Known<'_>, fractions: &[u32]) -> String {
    let smallest = known.facts.classes.iter().zip(&known.facts.train).min_by_key(|(_, count)| **count);
    match (smallest, fractions.first()) {
        (Some((class, count)), Some(first)) if *first > FRACTIONS[0] => format!(
            " The smallest class, `{}` with {},\n# allows no much smaller ones: each class needs an image \
             to train and one to validate.",
            text::line(class),
            counted(*count, "training image")
        ),
        _ => String::new(),
    }
}

/// Returns comments on the data.
fn data(known: &Known<'_>) -> String {
    let facts = known.facts;
    let classes: Vec<String> = facts
        .classes
        .iter()
        .zip(&facts.train)
        .take(12)
        .map(|(class, count)| format!("{} {}", text::line(class), grouped(u64::from(*count))))
        .collect();
    let more = match facts.classes.len().saturating_sub(12) {
        0 => String::new(),
        n => format!(" and {}", counted(n, "more class")),
    };
    let parts = match facts.test.is_empty() {
        false => format!(
            "{} and {} in {}",
            counted(facts.train_total(), "training image"),
            counted(facts.test_total(), "test image"),
            counted(facts.classes.len(), "class")
        ),
        true => format!(
            "{} in {}, without a test part: `test_fraction` sets a share of them apart",
            counted(facts.train_total(), "image"),
            counted(facts.classes.len(), "class")
        ),
    };
    let mut lines = vec![parts, format!("training images: {}{more}", classes.join(", "))];
    lines.extend(facts.notes.iter().map(|note| text::line(&note.to_string())));
    lines.extend(known.survey.iter().flat_map(|survey| findings::lines(survey, 3)));
    lines.into_iter().map(|line| format!("# {line}\n")).collect()
}

fn dataset(known: &Known<'_>, image_size: u32) -> String {
    // A source has the keys of the section.
    let fields = serde_json::to_value(known.source).unwrap_or_default();
    let mut keys: Vec<(String, String)> =
        fields.as_object().into_iter().flatten().flat_map(|(key, value)| flat(key, value)).collect();
    if known.facts.test.is_empty() && keys.iter().all(|(key, _)| key != "test_fraction") {
        keys.push(("test_fraction".to_owned(), TEST_FRACTION.to_string()));
    }
    keys.push(("image_size".to_owned(), image_size.to_string()));
    // The kind says how to read the rest.
    keys.sort_by_key(|(key, _)| key != "kind");
    let mut out = "dataset:\n".to_owned();
    for (key, value) in keys {
        out.push_str(&format!("  {key}: {value}\n"));
    }
    out.push_str(&policies::comment(known.source.policies()));
    match (known.groups, known.facts.groups.len()) {
        (_, groups @ 1..) => {
            let divided = agreeing(groups, "is", "are");
            let groups = counted(groups, "group");
            out.push_str(&format!("  # The images are in {groups}, which {divided} never divided.\n"));
        }
        (Some(Proposal { pattern, groups, example, pictures }), _) => out.push_str(&format!(
            "  # Do the names mean groups (slide, patient, session)? Then no group may be in training and test. This finds {},\n  \
             # for example `{}` with {}:\n  # groups: \"{pattern}\"\n",
            counted(*groups, "group"),
            text::line(example),
            counted(*pictures, "picture"),
        )),
        (None, _) => {}
    }
    out
}

/// Returns the keys of a field of a source: choices about pictures stand beside the others, without the defaults.
fn flat(key: &str, value: &serde_json::Value) -> Vec<(String, String)> {
    match value.as_object() {
        Some(choices) => {
            let chosen = choices.iter().filter(|(_, choice)| choice.as_str() != Some("refuse"));
            chosen.map(|(key, choice)| (key.clone(), scalar(choice))).collect()
        }
        None => vec![(key.to_owned(), scalar(value))],
    }
}

/// Returns a value of JSON as YAML, without quotes where none are needed.
fn scalar(value: &serde_json::Value) -> String {
    let plain = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '/' | '-'))
            && !matches!(text.to_ascii_lowercase().as_str(), "true" | "false" | "null" | "yes" | "no" | "on" | "off")
    };
    match value.as_str() {
        Some(text) if plain(text) => text.to_owned(),
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use pretext_shared::ids::{ContentHash, Fingerprint};
    use pretext_shared::survey::Sizes;

    use super::*;

    fn facts(train: &[u32], test: &[u32]) -> DatasetFacts {
        DatasetFacts {
            key: "image-folder:pets".to_owned(),
            fingerprint: Fingerprint(ContentHash::of(b"pets")),
            classes: (0..train.len()).map(|i| format!("class {i}")).collect(),
            train: train.to_vec(),
            test: test.to_vec(),
            groups: Vec::new(),
            validation: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn survey(usual: (u32, u32)) -> Survey {
        Survey { sizes: Sizes { usual, distinct: 1, ..Sizes::default() }, colour: 9, ..Survey::default() }
    }

    fn drafted(path: &str, facts: &DatasetFacts, usual: (u32, u32), class: NumericClass) -> Result<String, String> {
        let source: Source = format!("image-folder:{path}").parse()?;
        let survey = survey(usual);
        let proposal = Proposal { pattern: "{*}_*", groups: 12, example: "slide7".to_owned(), pictures: 9 };
        let known = Known {
            name: "pets",
            source: &source,
            facts,
            survey: Some(&survey),
            groups: Some(&proposal),
            class,
            room: Some(1 << 30),
            commands: &["coordinator run sweep.yaml".to_owned()],
        };
        write(&known).map_err(|error| error.to_string())
    }

    #[test]
    fn a_draft_is_a_sweep_for_its_data() {
        let text =
            drafted("my pets/é", &facts(&[400, 300], &[50, 40]), (640, 480), NumericClass::Cpu).expect("a draft");
        let sweep = spec::parse(&text).unwrap_or_else(|errors| panic!("{}", errors.render("draft", &text)));
        assert_eq!((sweep.source.path(), sweep.source.test_fraction()), (Some("my pets/é"), None));
        // Larger than a CPU trains in reasonable time.
        assert_eq!((sweep.image_size, sweep.fractions.len()), (64, 4));
        assert!(text.contains("# groups: \"{*}_*\"") && sweep.source.groups().is_none(), "{text}");
        assert!(
            text.contains("#     coordinator run sweep.yaml\n")
                && text.contains("700 training images and 90 test images")
        );
        let gpu =
            drafted("pets", &facts(&[40_000, 30_000], &[50, 40]), (640, 480), NumericClass::Gpu).expect("a draft");
        let sweep = spec::parse(&gpu).expect("a sweep");
        // 1 GiB is not enough for 70,090 images of 128 or of 96 pixels.
        assert_eq!((sweep.image_size, sweep.seeds.len()), (64, 3));
    }

    #[test]
    fn small_classes_decide_on_fractions_and_batches() {
        for train in [[2, 2], [3, 9], [5, 5], [20, 400], [150, 150]] {
            for test in [&[1, 1][..], &[]] {
                let drafted = drafted("pets", &facts(&train, test), (28, 28), NumericClass::Cpu);
                // Two images of a class leave none to test.
                if test.is_empty() && train[0] == 2 {
                    assert!(drafted.is_err_and(|error| error.contains("no test images")));
                    continue;
                }
                let text = drafted.unwrap_or_else(|error| panic!("{train:?} {test:?}: {error}"));
                let sweep = spec::parse(&text).expect("a sweep");
                assert_eq!((sweep.image_size, sweep.source.test_fraction().is_some()), (28, test.is_empty()));
                assert!(text.contains("allows no much smaller ones") || train == [150, 150], "{text}");
            }
        }
        assert!(drafted("pets", &facts(&[1, 9], &[1, 1]), (28, 28), NumericClass::Cpu).is_err());
    }
}
