//! Reads `dataset`: the location of the images, their size and normalisation.

use super::error::quoted;
use super::field::{Field, Section};
use super::node::Value;
use super::sweep::PretextDataset;
use crate::dataset::{
    DuplicatePolicy, Fit, GroupPattern, Normalize, PartFolders, Policies, Procedural, Source, Unreadable,
};
use crate::methods::keys::Defaults;
use crate::split::Fraction;

/// Largest size of images that count as small, in pixels: CIFAR recipes apply to them, and the papers' recipes for
/// photographs to larger ones.
pub(super) const SMALL_IMAGE: u32 = 64;

/// The content of the section.
pub(super) struct Dataset {
    pub(super) source: Source,
    pub(super) image_size: u32,
    pub(super) normalize: Normalize,
    pub(super) fit: Fit,
}

impl Dataset {
    pub(super) fn defaults(&self) -> Defaults {
        // A mirrored or closely cropped digit is another digit, or none.
        let digits = matches!(self.source, Source::Idx { .. });
        Defaults {
            image_size: Some(self.image_size),
            padding: self.image_size / 8,
            max_padding: self.image_size,
            flip: !digits,
            strength: if self.image_size <= SMALL_IMAGE { 0.5 } else { 1.0 },
            min_crop: if digits { 0.5 } else { 0.08 },
            blur: if self.image_size <= SMALL_IMAGE { 0.0 } else { 0.5 },
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Procedural,
    ImageFolder,
    List,
    Arrays,
    Parquet,
    Webdataset,
    Cifar10,
    Cifar100,
    Idx,
}

const KINDS: [(&str, Kind); 9] = [
    ("procedural", Kind::Procedural),
    ("image-folder", Kind::ImageFolder),
    ("list", Kind::List),
    ("arrays", Kind::Arrays),
    ("parquet", Kind::Parquet),
    ("webdataset", Kind::Webdataset),
    ("cifar10", Kind::Cifar10),
    ("cifar100", Kind::Cifar100),
    ("idx", Kind::Idx),
];

/// The values that a section may omit.
#[derive(Clone, Copy)]
struct Fallback<'a> {
    /// `None` if the file must give it, as for an image folder.
    image_size: Option<u32>,
    normalize: &'a Normalize,
    fit: Fit,
}

pub(super) fn read(field: &Field<'_>) -> Option<Dataset> {
    read_with(field, Fallback { image_size: None, normalize: &Normalize::Train, fit: Fit::default() })
}

/// Reads `pretext.dataset`. Size and normalisation are those of the sweep's data set by default. A data set that could
/// not be read is absent.
pub(super) fn read_pretext(pretext: &Field<'_>, own: Option<&Dataset>) -> Option<Option<PretextDataset>> {
    let section = pretext.section()?;
    let Some(field) = section.get("dataset") else { return Some(None) };
    let fallback =
        own.map(|own| Fallback { image_size: Some(own.image_size), normalize: &own.normalize, fit: own.fit });
    let unknown = Fallback { image_size: Some(32), normalize: &Normalize::Train, fit: Fit::default() };
    let read = read_with(&field, fallback.unwrap_or(unknown));
    let (read, own) = (read?, own?);
    if read.source.overlaps(&own.source) {
        return field.refuse_with(
            "this is the sweep's data set, or shares images with it: pretext training could see its test images",
            "remove it and write `data: all`, or name a separate folder",
        );
    }
    let Dataset { source, image_size, normalize, fit } = read;
    Some(Some(PretextDataset { source, image_size, normalize, fit }))
}

fn read_with(field: &Field<'_>, fallback: Fallback<'_>) -> Option<Dataset> {
    let section = field.section()?;
    let help =
        "one of `procedural`, `image-folder`, `list`, `arrays`, `parquet`, `webdataset`, `cifar10`, `cifar100`, `idx`";
    let kind = section.need("kind", help, |field| field.choice("a kind of data set", &KINDS))?;
    let own: &[&str] = match kind {
        Kind::Procedural => &["train_per_class", "test_per_class", "seed"],
        Kind::ImageFolder => {
            &["path", "test_fraction", "groups", "train", "validation", "test", "unreadable", "duplicates", "fit"]
        }
        Kind::List => &["path", "test_fraction", "unreadable", "duplicates", "fit"],
        Kind::Arrays | Kind::Parquet | Kind::Webdataset => &["path", "test_fraction", "fit"],
        Kind::Cifar10 | Kind::Cifar100 | Kind::Idx => &["path"],
    };
    section.only(&[&["kind", "image_size", "normalize"], own].concat());

    let image_size = match (kind, fallback.image_size) {
        (_, Some(given)) => section.or("image_size", given, |field| size(&field)),
        (Kind::ImageFolder | Kind::List | Kind::Arrays | Kind::Parquet | Kind::Webdataset, None) => {
            section.need("image_size", "images are scaled to this many pixels: 16 to 224", |f| size(&f))
        }
        (_, None) => section.or("image_size", 32, |field| size(&field)),
    };
    let normalize = section.or("normalize", fallback.normalize.clone(), |field| normalize(&field));
    // Pictures of the other kinds are square, or are drawn so.
    let square = matches!(kind, Kind::Procedural | Kind::Cifar10 | Kind::Cifar100 | Kind::Idx);
    let fit = section.or("fit", if square { Fit::default() } else { fallback.fit }, |field| {
        field.choice("a way to make pictures square", &Fit::ALL)
    });
    let source = match kind {
        Kind::Procedural => procedural(&section),
        Kind::ImageFolder => {
            let (path, test_fraction) = (path(&section), test_fraction(&section));
            let groups = section.optional("groups", |field| groups(&field));
            let (folders, policies) = (part_folders(&section), policies(&section));
            let (path, test_fraction, groups, folders) = (path?, test_fraction?, groups?, folders?);
            Some(Source::ImageFolder { path, test_fraction, groups, folders, policies: policies? })
        }
        Kind::List => {
            let (located, policies) = (located(&section), policies(&section));
            let (path, test_fraction) = located?;
            Some(Source::List { path, test_fraction, policies: policies? })
        }
        Kind::Arrays => located(&section).map(|(path, test_fraction)| Source::Arrays { path, test_fraction }),
        Kind::Parquet => located(&section).map(|(path, test_fraction)| Source::Parquet { path, test_fraction }),
        Kind::Webdataset => located(&section).map(|(path, test_fraction)| Source::Webdataset { path, test_fraction }),
        Kind::Cifar10 => path(&section).map(|path| Source::Cifar10 { path }),
        Kind::Cifar100 => path(&section).map(|path| Source::Cifar100 { path }),
        Kind::Idx => path(&section).map(|path| Source::Idx { path }),
    };
    Some(Dataset { source: source?, image_size: image_size?, normalize: normalize?, fit: fit? })
}

fn size(field: &Field<'_>) -> Option<u32> {
    field.small(16..=224)
}

fn procedural(section: &Section<'_>) -> Option<Source> {
    let per_class = |key, least, help| section.need(key, help, |field: Field<'_>| field.small(least..=1_000_000));
    let train_per_class =
        per_class("train_per_class", 2, "the number of training pictures of each class, for example 400");
    let test_per_class = per_class("test_per_class", 1, "the number of test pictures of each class, for example 200");
    let seed = section.or("seed", 0, |field| field.integer(super::axes::SEEDS));
    let (train_per_class, test_per_class, seed) = (train_per_class?, test_per_class?, seed?);
    Some(Source::Procedural(Procedural { train_per_class, test_per_class, seed }))
}

fn path(section: &Section<'_>) -> Option<String> {
    section.need("path", "the folder, relative to the worker's data root", |field| path_below_root(&field))
}

fn policies(section: &Section<'_>) -> Option<Policies> {
    let unreadable = section.or("unreadable", Unreadable::default(), |field| {
        field.choice("what to do with pictures that cannot be read", &Unreadable::ALL)
    });
    let duplicates = section.or("duplicates", DuplicatePolicy::default(), |field| {
        field.choice("what to do with identical pictures", &DuplicatePolicy::ALL)
    });
    Some(Policies { unreadable: unreadable?, duplicates: duplicates? })
}

/// Reads the path and the share for testing, which all kinds with many layouts have.
fn located(section: &Section<'_>) -> Option<(String, Option<f64>)> {
    let (path, test_fraction) = (path(section), test_fraction(section));
    Some((path?, test_fraction?))
}

fn test_fraction(section: &Section<'_>) -> Option<Option<f64>> {
    section.optional("test_fraction", |field| {
        let share = field.number("a share between 0 and 1", |value| value > 0.0 && value < 1.0)?;
        // Rounded to the precision that the split uses.
        Fraction::new(share)
            .map(Fraction::value)
            .filter(|share| *share < 1.0)
            .or_else(|| field.refuse("the share is too near to 0 or 1"))
    })
}

/// Reads the folders of the parts. Two parts never share images.
fn part_folders(section: &Section<'_>) -> Option<PartFolders> {
    let train = section.optional("train", |field| part_folder(&field));
    let validation = section.optional("validation", |field| part_folder(&field));
    let test = section.optional("test", |field| part_folder(&field));
    let folders = PartFolders { train: train?, validation: validation?, test: test? };
    let named = [("train", &folders.train), ("validation", &folders.validation), ("test", &folders.test)];
    let named = || named.into_iter().filter_map(|(key, folder)| Some((key, folder.as_deref()?)));
    for (key, folder) in named() {
        // The data set's folder itself can hold the training classes beside the other parts.
        let holds =
            |outer: &str| folder.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let shared = named().find(|(other, outer)| *other != key && holds(outer));
        let refused = match shared {
            Some((other, outer)) => format!("`{other}` is `{outer}`, which has the same images: name separate folders"),
            None if folder == "." && key != "train" => "only `train` can be the data set's folder itself".to_owned(),
            None => continue,
        };
        return section.get(key).and_then(|field| field.refuse(refused));
    }
    Some(folders)
}

fn part_folder(field: &Field<'_>) -> Option<String> {
    let folder = path_below(field, "the folder of the data set")?;
    if folder.contains(['?', '&']) {
        field.refuse("the folder has `?` or `&` in its name: rename it")
    } else {
        Some(folder)
    }
}

fn groups(field: &Field<'_>) -> Option<GroupPattern> {
    let text = field.text("a pattern of names, such as \"{*}_*\"")?;
    match text.parse::<GroupPattern>() {
        Ok(pattern) => Some(pattern),
        Err(error) => field.refuse_with(
            format!("{} is not a pattern of names: {error}", quoted(text)),
            "`*` matches any characters, as few as possible, and `?` matches one: \"{*}_*\" takes the part before the first `_`",
        ),
    }
}

/// Reads a path below the worker's data root, and normalises it: `./a//b/` becomes `a/b`.
pub(super) fn path_below_root(field: &Field<'_>) -> Option<String> {
    path_below(field, "the worker's data root")
}

fn path_below(field: &Field<'_>, root: &str) -> Option<String> {
    let text = field.text("a path")?;
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if text.is_empty() {
        field.refuse("the path is empty")
    } else if text.len() > 1024 || text.chars().any(char::is_control) {
        field.refuse("the path is longer than 1024 bytes or has control characters")
    } else if text.starts_with('/') || parts.contains(&"..") {
        field.refuse_with(
            format!("the path must stay below {root}"),
            format!("give it relative to {}, without `..`", root.replace("the worker's", "the")),
        )
    } else if parts.is_empty() {
        Some(".".to_owned())
    } else {
        Some(parts.join("/"))
    }
}

fn normalize(field: &Field<'_>) -> Option<Normalize> {
    if let Value::Map(_) = field.node.value {
        let section = field.section()?;
        section.only(&["mean", "std"]);
        let mean = section
            .need("mean", "three numbers", |f| channels(&f, "a number from 0 to 1", |x| (0.0..=1.0).contains(&x)));
        let std = section
            .need("std", "three numbers", |f| channels(&f, "a number from 0.001 to 1", |x| (0.001..=1.0).contains(&x)));
        return Some(Normalize::Given { mean: mean?, std: std? });
    }
    field.choice("a normalisation", &[("train", Normalize::Train), ("none", Normalize::None)])
}

fn channels(field: &Field<'_>, what: &str, accept: impl Fn(f64) -> bool) -> Option<[f32; 3]> {
    let items = field.list("number")?;
    let numbers: Vec<Option<f32>> = items.iter().map(|item| item.number(what, &accept).map(|x| x as f32)).collect();
    match numbers[..] {
        [red, green, blue] => Some([red?, green?, blue?]),
        _ => field.refuse(format!("expected 3 numbers (red, green, blue), found {}", numbers.len())),
    }
}

#[cfg(test)]
mod tests {
    use crate::dataset::{Fit, Normalize, Policies, Source};
    use crate::spec::tests::refused_of;
    use crate::spec::{PretextData, parse};

    const GOOD: &str = "\
name: transfer
dataset: {kind: image-folder, path: breast, image_size: 64, normalize: none}
encoder: small-cnn
methods: [supervised, rotation]
fractions: [5%]
lr: {fixed: {kind: constant, base: 1e-3}}
pretext: {epochs: 10, dataset: {kind: image-folder, path: kidney, test_fraction: 0.1}}
downstream: {epochs: 20}
";

    #[track_caller]
    fn refused(from: &str, to: &str, expected: &str) {
        refused_of(GOOD, from, to, expected);
    }

    #[test]
    fn pretext_may_read_another_data_set() {
        let sweep = parse(GOOD).expect("a good file");
        let other = sweep.pretext_dataset.as_ref().expect("it names one");
        let kidney = "image-folder:kidney".parse::<Source>().expect("a key");
        assert_eq!(other.source, kidney.with_test_fraction(Some(0.1)));
        // Size and normalisation are the sweep's, and all images are used.
        assert_eq!((other.image_size, &other.normalize), (64, &Normalize::None));
        let pretext = sweep.recipes.iter().find_map(|recipe| recipe.pretext.as_ref()).expect("rotation has pretext");
        assert_eq!(pretext.data, PretextData::All);
        let stated = parse(&GOOD.replace("test_fraction: 0.1", "image_size: 32, normalize: train")).expect("good");
        let other = stated.pretext_dataset.expect("it names one");
        assert_eq!((other.image_size, other.normalize), (32, Normalize::Train));
    }

    #[test]
    fn groups_may_be_read_from_names() {
        let text = GOOD.replace("path: breast, ", "path: breast, groups: \"{*}_*_*\", ");
        let source = parse(&text).expect("a good file").source;
        assert_eq!(source.key(), "image-folder:breast?groups={*}_*_*");
        refused("path: breast, ", "path: breast, groups: \"*_*\", ", "must have one part in braces");
        refused("path: breast, ", "path: breast, groups: 3, ", "expected a pattern of names");
        let cifar = "dataset: {kind: cifar10, groups: \"{*}\", path: b, ";
        refused("dataset: {kind: image-folder, path: breast, ", cifar, "unknown key `groups`");
    }

    #[test]
    fn pictures_that_do_not_fit_are_decided_in_the_file() {
        let text =
            GOOD.replace("path: breast, ", "path: breast, unreadable: skip, duplicates: drop-from-train, fit: pad, ");
        let sweep = parse(&text).expect("a good file");
        assert_eq!(sweep.source.key(), "image-folder:breast?unreadable=skip&duplicates=drop-from-train");
        // Pretext training sees pictures of the same shape; its own folder has its own choices.
        let other = sweep.pretext_dataset.expect("it names one");
        assert_eq!((sweep.fit, other.fit, other.source.policies()), (Fit::Pad, Fit::Pad, Policies::default()));
        let plain = GOOD.replace("path: breast, ", "path: breast, unreadable: refuse, duplicates: refuse, fit: crop, ");
        assert_eq!(parse(&plain).expect("a good file"), parse(GOOD).expect("a good file"), "the defaults, written out");
        refused(
            "path: breast, ",
            "path: breast, unreadable: ignore, ",
            "is not what to do with pictures that cannot be read",
        );
        refused("path: breast, ", "path: breast, fit: cropp, ", "did you mean `crop`?");
        let list = plain
            .replace("kind: image-folder, path: breast", "kind: list, path: breast, unreadable: skip")
            .replace("unreadable: refuse, ", "");
        assert_eq!(parse(&list).expect("a good file").source.key(), "list:breast?unreadable=skip");
        let cifar = "dataset: {kind: cifar10, duplicates: keep, path: b, ";
        refused("dataset: {kind: image-folder, path: breast, ", cifar, "unknown key `duplicates`");
    }

    #[test]
    fn folders_of_parts_may_be_named() {
        let text = GOOD.replace("path: breast, ", "path: breast, train: ./Training/, test: b/Testing, ");
        let source = parse(&text).expect("a good file").source;
        assert_eq!(source.key(), "image-folder:breast?train=Training&test=b/Testing");
        assert!(parse(&GOOD.replace("path: breast, ", "path: breast, train: ., test: test, ")).is_ok());
        let with = |keys: &str, expected: &str| refused("path: breast, ", &format!("path: breast, {keys}, "), expected);
        with("train: a, test: a", "`test` is `a`, which has the same images");
        with("train: a, validation: a/b", "`train` is `a`, which has the same images");
        with("test: .", "only `train` can be the data set's folder itself");
        with("test: ../b", "the path must stay below the folder of the data set");
        with("test: b?c", "rename it");
    }

    #[test]
    fn every_kind_has_its_keys() {
        for kind in ["list", "arrays", "parquet", "webdataset"] {
            let to = format!("dataset: {{kind: {kind}, test_fraction: 0.2, path: a/b, ");
            let text = GOOD.replace("dataset: {kind: image-folder, path: breast, ", &to);
            let source = parse(&text).unwrap_or_else(|errors| panic!("{errors}")).source;
            assert_eq!((source.key(), source.test_fraction()), (format!("{kind}:a/b"), Some(0.2)));
            let grouped = to.replace("test_fraction: 0.2", "groups: \"{*}_*\"");
            refused("dataset: {kind: image-folder, path: breast, ", &grouped, "unknown key `groups`");
        }
    }

    #[test]
    fn what_would_leak_or_means_nothing_is_refused() {
        refused("path: kidney", "pth: kidney", "did you mean `path`?");
        refused("path: kidney", "path: breast", "pretext training could see its test images");
        refused("path: kidney", "path: breast/test", "pretext training could see its test images");
        refused("path: kidney", "path: .", "pretext training could see its test images");
        refused(
            "dataset: {kind: image-folder, path: k",
            "data: fraction, dataset: {kind: image-folder, path: k",
            "used whole",
        );
        refused("downstream: {", "overrides: {rotation: {pretext: {data: fraction}}}\ndownstream: {", "used whole");
        refused(
            "downstream: {",
            "overrides: {rotation: {pretext: {dataset: {}}}}\ndownstream: {",
            "unknown key `dataset`",
        );
        assert!(parse(&GOOD.replace("path: kidney", "path: breast2")).is_ok(), "a sibling is another folder");
    }
}
