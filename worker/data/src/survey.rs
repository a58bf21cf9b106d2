//! A look at every picture of a data set before any training: what cannot be read, what is ignored, sizes, colours and
//! duplicates.

use std::collections::BTreeMap;
use std::path::Path;

use pretext_shared::dataset::{DuplicatePolicy, Policies, Source, Unreadable};
use pretext_shared::survey::{Duplicates, NearPair, PictureName, Sizes, Survey, SurveyPart, UnreadableFile};
use rayon::prelude::*;

use super::decode::Decoded;
use super::duplicates::{Candidate, Side, find};
use super::error::DataError;
use super::images::set_apart;
use super::looks::{Look, Looks, Seen};
use super::manifest::{Entry, Location, Manifest, Part, scan};
use super::near::{Pair, near};
use super::pixels::Pictures;
use super::sight;

/// The longer side of an oblong picture is more than so many times the shorter one.
const OBLONG: f64 = 1.25;

/// Decodes every picture of `source` below `data_root` on all threads, and returns what it found. Findings of unchanged
/// files come from `cache` (as in [`crate::scan`]); what was decoded is kept beside it, by the hash of the file. Bad
/// pictures and leaks are findings here, not errors, and the policies of `source` change nothing. A `test_fraction`
/// decides which pictures count as test pictures.
///
/// # Errors
/// If the data set cannot be listed.
pub fn look(data_root: &Path, source: &Source, cache: Option<&Path>) -> Result<Survey, DataError> {
    let everything = Policies { unreadable: Unreadable::Refuse, duplicates: DuplicatePolicy::Keep };
    let source = source.with_policies(everything);
    if let Source::Procedural(procedural) = &source {
        let facts = procedural.facts();
        return Ok(Survey { classes: facts.classes, train: facts.train, test: facts.test, ..Survey::default() });
    }
    let manifest = scan(data_root, &source, cache)?;
    let samples = samples(&manifest, source.test_fraction());
    let seen = see(&manifest, &source, &samples, cache)?;
    Ok(report(&manifest, &samples, &seen))
}

/// A sample, and the part that it counts for.
struct Sample {
    part: SurveyPart,
    stored: Part,
    id: u32,
    entry: Entry,
}

/// Returns all samples, in the order of the manifest. Those that `test_fraction` sets apart count as test pictures.
fn samples(manifest: &Manifest, test_fraction: Option<f64>) -> Vec<Sample> {
    let apart = match test_fraction {
        Some(fraction) if manifest.test.is_empty() => set_apart(manifest, fraction).1,
        _ => Vec::new(),
    };
    let of = |stored: Part, part: SurveyPart| {
        (0u32..).zip(manifest.entries(stored)).map(move |(id, entry)| Sample { part, stored, id, entry: *entry })
    };
    let mut samples: Vec<Sample> = of(Part::Train, SurveyPart::Train).collect();
    apart.iter().for_each(|id| samples[*id as usize].part = SurveyPart::Test);
    samples.extend(of(Part::Test, SurveyPart::Test));
    samples
}

/// Returns what each sample looks like. Files that were seen before are not decoded again.
fn see(manifest: &Manifest, source: &Source, samples: &[Sample], cache: Option<&Path>) -> Result<Vec<Seen>, DataError> {
    let mut looks = Looks::beside(cache);
    if let Some(folder) = &manifest.folder {
        sight::see(folder, &manifest.files, &mut looks)?;
    }
    let of_file = |sample: &Sample| match sample.entry.location {
        Location::File(file) => looks.get(manifest.files[file as usize].hash).cloned(),
        _ => None,
    };
    let mut seen: Vec<Option<Seen>> = samples.iter().map(of_file).collect();
    looks.save();
    // What is in no file of its own has no place in the cache.
    let others: Vec<usize> = (0..samples.len()).filter(|i| seen[*i].is_none()).collect();
    if !others.is_empty() && manifest.folder.is_some() {
        let pictures = Pictures::open(manifest, source)?;
        let entries: Vec<Entry> = others.iter().map(|i| samples[*i].entry).collect();
        for run in pictures.runs(&entries).into_iter().filter(|run| !run.is_empty()) {
            let batch = pictures.batch(entries[run.start])?;
            let look = |entry: &Entry| match pictures.decoded(&batch, *entry) {
                Ok(Decoded { picture, format, several }) => Ok(Ok(Look::of(&picture, format, several))),
                Err(DataError::Decode { reason, .. }) => Ok(Err(reason)),
                Err(error) => Err(error),
            };
            let of_run: Vec<Result<Seen, DataError>> = entries[run.clone()].par_iter().map(look).collect();
            for (i, look) in others[run].iter().zip(of_run) {
                seen[*i] = Some(look?);
            }
        }
    }
    Ok(seen.into_iter().map(|seen| seen.unwrap_or_else(|| Err("it is drawn by the program".to_owned()))).collect())
}

fn report(manifest: &Manifest, samples: &[Sample], seen: &[Seen]) -> Survey {
    let classes = manifest.facts.classes.clone();
    let mut survey = Survey {
        train: vec![0; classes.len()],
        test: if samples.iter().any(|sample| sample.part == SurveyPart::Test) {
            vec![0; classes.len()]
        } else {
            Vec::new()
        },
        classes,
        ignored: manifest.ignored.files.clone(),
        ignored_total: manifest.ignored.total,
        ..Survey::default()
    };
    let name = |sample: &Sample| PictureName {
        part: sample.part,
        path: manifest.path_of(sample.stored, sample.id),
        label: sample.entry.label,
    };
    let mut sizes: BTreeMap<(u32, u32), u64> = BTreeMap::new();
    let mut formats: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut good, mut candidates) = (Vec::new(), Vec::new());
    for (sample, seen) in samples.iter().zip(seen) {
        let look = match seen {
            Ok(look) => look,
            Err(reason) => {
                let PictureName { part, path, label } = name(sample);
                survey.unreadable.push(UnreadableFile { part, path, label, reason: reason.clone() });
                continue;
            }
        };
        let counts = if sample.part == SurveyPart::Test { &mut survey.test } else { &mut survey.train };
        counts[sample.entry.label as usize] += 1;
        *sizes.entry((look.width, look.height)).or_default() += 1;
        *formats.entry(&look.format).or_default() += 1;
        survey.grey += u64::from(look.grey);
        survey.colour += u64::from(!look.grey);
        survey.several_pages += u64::from(look.several);
        let side = if sample.part == SurveyPart::Test { Side::Test } else { Side::Train };
        let group = manifest.groups.as_ref().map(|groups| groups.of(&sample.entry));
        candidates.push(Candidate { side, label: sample.entry.label, group, hash: look.pixels });
        good.push((sample, look));
    }
    survey.sizes = of_sizes(&sizes);
    survey.formats = formats.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
    survey.formats.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let named = |i: usize| name(good[i].0);
    survey.duplicates = identical(&candidates, &named);
    let prints: Vec<_> = good.iter().map(|(_, look)| look.print).collect();
    let is_identical = |pair: &Pair| good[pair.first].1.pixels == good[pair.second].1.pixels;
    let near = near(&prints).0.into_iter().filter(|pair| !is_identical(pair));
    survey.near = near
        .map(|Pair { first, second, distance }| {
            let (one, two) = (named(first), named(second));
            // The test picture first, because that is the one that counts.
            let (first, second) =
                if two.part == SurveyPart::Test && one.part != two.part { (two, one) } else { (one, two) };
            NearPair { first, second, distance }
        })
        .collect();
    survey
}

fn of_sizes(sizes: &BTreeMap<(u32, u32), u64>) -> Sizes {
    let area = |size: &(u32, u32)| u64::from(size.0) * u64::from(size.1);
    let (usual, usual_count) = sizes.iter().max_by_key(|(_, count)| **count).map(|(s, n)| (*s, *n)).unwrap_or_default();
    let is_oblong = |size: &(u32, u32)| f64::from(size.0.max(size.1)) > OBLONG * f64::from(size.0.min(size.1));
    Sizes {
        smallest: sizes.keys().copied().min_by_key(area).unwrap_or_default(),
        largest: sizes.keys().copied().max_by_key(area).unwrap_or_default(),
        usual,
        usual_count,
        distinct: sizes.len() as u64,
        oblong: sizes.iter().filter(|(size, _)| is_oblong(size)).map(|(_, count)| count).sum(),
    }
}

fn identical(candidates: &[Candidate], named: &impl Fn(usize) -> PictureName) -> Duplicates {
    let found = find(candidates);
    let tests = candidates.iter().filter(|candidate| candidate.side == Side::Test).count();
    let share = |part: u64, all: usize| if all == 0 { 0.0 } else { part as f64 / all as f64 };
    let pairs = |pairs: &[(usize, usize)]| {
        pairs.iter().take(Duplicates::MOST_PAIRS).map(|(one, two)| (named(*one), named(*two))).collect()
    };
    Duplicates {
        leaked: found.leaks.len() as u64,
        leaked_share: share(found.leaks.len() as u64, tests),
        two_labels: found.two_labels,
        two_labels_share: share(found.contradicted, candidates.len()),
        copies: found.copies.len() as u64,
        leaks: pairs(&found.leaks),
        contradictions: pairs(&found.contradictions),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::image_folder::tests::write_png;

    #[test]
    fn everything_is_found_at_once_and_nothing_is_decoded_twice() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let at = |path: &str| root.path().join("set").join(path);
        for (class, value) in [("a", 0), ("b", 100)] {
            for i in 0..4u8 {
                let part = if i < 3 { "train" } else { "test" };
                write_png(&at(&format!("{part}/{class}/{i}.png")), [value + i; 3]);
            }
        }
        fs::copy(at("train/a/0.png"), at("test/a/copy.png")).expect("a picture");
        fs::write(at("train/b/cut.jpg"), b"").expect("a file");
        fs::write(at("train/b/Thumbs.db"), b"").expect("a file");
        // A slope of colours, twice: the second is a little brighter, and larger.
        for (name, size, more) in [("slope.png", 40, 0), ("again.bmp", 60, 3)] {
            let shade = |at: u32| (at * 200 / size + more) as u8;
            let slope = image::RgbImage::from_fn(2 * size, size, |x, y| image::Rgb([shade(x / 2), shade(y), 30]));
            slope.save(at(&format!("train/a/{name}"))).expect("a picture");
        }
        let source: Source = "image-folder:set".parse().expect("a key");
        let cache = root.path().join("hashes");
        let survey = look(root.path(), &source, Some(&cache)).expect("a data set");
        assert_eq!((&survey.train[..], &survey.test[..]), (&[5, 3][..], &[2, 1][..]));
        assert_eq!((survey.grey, survey.colour, survey.pictures()), (9, 2, 11));
        assert_eq!(survey.formats, [("PNG".to_owned(), 10), ("BMP".to_owned(), 1)]);
        let Sizes { smallest, largest, usual, usual_count, distinct, oblong } = survey.sizes;
        assert_eq!((smallest, largest, usual, usual_count, distinct, oblong), ((4, 4), (120, 60), (4, 4), 9, 3, 2));
        assert_eq!(
            (&survey.unreadable[0].path[..], &survey.unreadable[0].reason[..]),
            ("train/b/cut.jpg", "it is empty")
        );
        assert_eq!(survey.unreadable_by_class(), [(0, 0), (1, 0)]);
        assert_eq!((survey.ignored_total, &survey.ignored[0].path[..]), (1, "train/b/Thumbs.db"));
        assert_eq!((survey.duplicates.leaked, &survey.duplicates.leaks[0].1.path[..]), (1, "train/a/0.png"));
        assert!((survey.duplicates.leaked_share - 1.0 / 3.0).abs() < 1e-9);
        let near: Vec<[&str; 2]> =
            survey.near.iter().map(|pair| [&pair.first.path[..], &pair.second.path[..]]).collect();
        assert_eq!(near, [["train/a/again.bmp", "train/a/slope.png"]]);
        // A second look believes the cache, also of files that were too new to be in the cache of hashes.
        let kept = root.path().join("hashes-pictures");
        let lie = fs::read_to_string(&kept).expect("the cache").replace("it is empty", "it was seen before");
        fs::write(&kept, lie).expect("the cache");
        let again = look(root.path(), &source, Some(&cache)).expect("a data set");
        assert_eq!(again.unreadable[0].reason, "it was seen before");
    }

    #[test]
    fn pictures_that_a_fraction_sets_apart_count_as_test_pictures() {
        let root = tempfile::tempdir().expect("a temporary folder");
        for (class, value) in [("a", 0), ("b", 100)] {
            (0..10u8).for_each(|i| write_png(&root.path().join(format!("set/{class}/{i}.png")), [value + i / 2, 9, 9]));
        }
        let source: Source = "image-folder:set".parse().expect("a key");
        let survey = look(root.path(), &source, None).expect("a data set");
        assert_eq!((survey.duplicates.leaked, survey.duplicates.copies, survey.test.len()), (0, 10, 0));
        let survey = look(root.path(), &source.with_test_fraction(Some(0.2)), None).expect("a data set");
        assert_eq!((&survey.train[..], &survey.test[..]), (&[8, 8][..], &[2, 2][..]));
        assert!(survey.duplicates.leaked >= 2, "{:?}", survey.duplicates);
    }

    #[test]
    fn records_are_looked_at_like_files() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str, content: Vec<u8>| fs::write(root.path().join(name), content).expect("a file");
        let images = |first: u8| {
            let head = [0x0803u32, 3, 4, 4].map(u32::to_be_bytes).concat();
            [head, (0..48).map(|i| first + i / 16).collect()].concat()
        };
        let labels = || [[0x0801u32, 3].map(u32::to_be_bytes).concat(), vec![0, 1, 2]].concat();
        write("train-images-idx3-ubyte", images(0));
        write("t10k-images-idx3-ubyte", images(2));
        write("train-labels-idx1-ubyte", labels());
        write("t10k-labels-idx1-ubyte", labels());
        let survey = look(root.path(), &"idx:.".parse().expect("a key"), None).expect("a data set");
        assert_eq!((survey.grey, survey.duplicates.leaked, survey.duplicates.two_labels), (6, 1, 1));
        assert_eq!(survey.duplicates.leaks[0].0.path, "t10k-images-idx3-ubyte#0");
    }
}
