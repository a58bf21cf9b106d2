//! What a scan leaves out or refuses: pictures that cannot be decoded, and identical ones on both sides of the test.
//! What remains is the data set, the same on every machine with the same files.

use std::collections::HashMap;
use std::path::Path;

use pretext_shared::dataset::{DuplicatePolicy, Note, Policies, Role, Unreadable};
use pretext_shared::ids::ContentHash;
use pretext_shared::survey::Duplicates;
use pretext_shared::text::{agreeing, counted};

use super::duplicates::{Candidate, Identical, Side, find};
use super::error::DataError;
use super::groups::Groups;
use super::listing::{Entry, Location, ManifestFile};
use super::looks::Looks;
use super::sight;
use crate::root::Folder;

/// The files and samples of a data set, of which some may go.
pub(super) struct Sieve<'a> {
    pub(super) folder: &'a Folder,
    pub(super) classes: &'a [String],
    pub(super) files: Vec<ManifestFile>,
    pub(super) groups: Option<Groups>,
    /// The samples that train, that validate and that test, each in the order of the files.
    pub(super) lists: [Vec<Entry>; 3],
}

/// The parts of a data set, in the order of [`Sieve::lists`].
const ROLES: [Role; 3] = [Role::Train, Role::Validation, Role::Test];

/// The side of the test that a part is on.
fn side(role: Role) -> Side {
    match role {
        Role::Train | Role::Validation => Side::Train,
        Role::Test => Side::Test,
    }
}

impl Sieve<'_> {
    /// Applies `policies`, and returns what a person should know. Decodes only if they ask for it, or if files are
    /// identical; `cache` is as in [`crate::scan`].
    pub(super) fn apply(&mut self, policies: Policies, cache: Option<&Path>) -> Result<Vec<Note>, DataError> {
        let mut notes = Vec::new();
        let decodes = policies.unreadable == Unreadable::Skip || policies.duplicates == DuplicatePolicy::DropFromTrain;
        let repeated = self.repeated();
        let mut looks = Looks::default();
        if decodes || repeated.contains(&true) {
            looks = Looks::beside(cache);
            // Without a choice that needs all, only identical files: two that cannot be read are not one picture.
            let files = self.files.iter().zip(&repeated).filter(|(_, repeated)| decodes || **repeated);
            sight::see(self.folder, files.map(|(file, _)| file), &mut looks)?;
            looks.save();
        }
        if policies.unreadable == Unreadable::Skip {
            let keep: Vec<bool> = self.files.iter().map(|file| !matches!(looks.get(file.hash), Some(Err(_)))).collect();
            for (role, class, count) in self.leaving(&keep) {
                notes.push(Note::Unreadable { class, role, count });
            }
            self.keep(&keep, "can be read; replace some, or remove the folder")?;
        }
        // Only files with one picture can be compared by their hashes.
        if self.files.iter().any(|file| file.class.is_none()) {
            return Ok(notes);
        }
        let identity = |file: &ManifestFile| match looks.get(file.hash) {
            Some(Ok(look)) if policies.duplicates == DuplicatePolicy::DropFromTrain => Some(look.pixels),
            Some(Err(_)) => None,
            _ => Some(file.hash),
        };
        let (mut candidates, mut places) = self.candidates(identity);
        let mut identical = find(&candidates);
        match policies.duplicates {
            DuplicatePolicy::Refuse => self.check(&candidates, &places, &identical)?,
            DuplicatePolicy::Keep => {}
            DuplicatePolicy::DropFromTrain => {
                let mut keep = vec![true; self.files.len()];
                identical.droppable.iter().for_each(|i| keep[places[*i]] = false);
                for (_, class, count) in self.leaving(&keep) {
                    notes.push(Note::Dropped { class, count });
                }
                self.keep(&keep, "remain after identical ones were left out; remove the folder or the policy")?;
                (candidates, places) = self.candidates(identity);
                identical = find(&candidates);
            }
        }
        let name = |i: usize| self.files[places[i]].path.clone();
        let pair = |(one, two): &(usize, usize)| [name(*one), name(*two)];
        if let Some(example) = identical.leaks.first().map(pair) {
            let all = candidates.iter().filter(|candidate| candidate.side == Side::Test).count() as u64;
            notes.push(Note::Leaked { count: identical.leaks.len() as u64, all, example });
        }
        if let Some(example) = identical.contradictions.first().map(pair) {
            notes.push(Note::TwoLabels { count: identical.two_labels, example });
        }
        Ok(notes)
    }

    /// Returns, for each file with one picture, whether another file has the same content.
    fn repeated(&self) -> Vec<bool> {
        let mut count: HashMap<ContentHash, u32> = HashMap::with_capacity(self.files.len());
        let single = |file: &&ManifestFile| file.class.is_some();
        self.files.iter().filter(single).for_each(|file| *count.entry(file.hash).or_default() += 1);
        self.files.iter().map(|file| count.get(&file.hash).is_some_and(|count| *count > 1)).collect()
    }

    /// Returns the readable samples of one file each as candidates, and their files.
    fn candidates(&self, identity: impl Fn(&ManifestFile) -> Option<ContentHash>) -> (Vec<Candidate>, Vec<usize>) {
        let mut places = Vec::new();
        let mut candidates = Vec::new();
        for (role, entries) in ROLES.into_iter().zip(&self.lists) {
            for entry in entries {
                let Location::File(file) = entry.location else { continue };
                let group = self.groups.as_ref().map(|groups| groups.of(entry));
                let Some(hash) = identity(&self.files[file as usize]) else { continue };
                candidates.push(Candidate { side: side(role), label: entry.label, group, hash });
                places.push(file as usize);
            }
        }
        (candidates, places)
    }

    /// Refuses identical pictures above the stated share.
    fn check(&self, candidates: &[Candidate], places: &[usize], identical: &Identical) -> Result<(), DataError> {
        let (all, tests) = (candidates.len() as u64, candidates.iter().filter(|c| c.side == Side::Test).count() as u64);
        let above = |part: u64, all: u64| all > 0 && part as f64 > Duplicates::REFUSED_ABOVE * all as f64;
        let pair = |(one, two): (usize, usize)| {
            let name = |i: usize| self.files[places[i]].path.clone();
            format!("{} is {}", name(one), name(two))
        };
        let leaked = identical.leaks.len() as u64;
        let mut findings = Vec::new();
        if leaked > 0 {
            findings.push(format!(
                "{leaked} of {} {} ({})",
                counted(tests, "test picture"),
                agreeing(leaked, "is also a training picture", "are also training pictures"),
                pair(identical.leaks[0])
            ));
        }
        if let Some(first) = identical.contradictions.first() {
            let have = agreeing(identical.two_labels, "has", "have");
            findings.push(format!("{} {have} two labels ({})", counted(identical.two_labels, "picture"), pair(*first)));
        }
        if tests == 0 && identical.separable > 0 {
            let copies = identical.separable;
            findings.push(format!("{copies} of {all} pictures exist more than once, and a test drawn from them would have copies in training"));
        }
        let refused = above(leaked, tests)
            || above(identical.contradicted, all)
            || (tests == 0 && above(identical.separable, all));
        if refused {
            return Err(DataError::Identical { path: self.folder.shown(""), findings: findings.join("; ") });
        }
        Ok(())
    }

    /// Returns the number of samples of each part and class whose files do not stay, without zeros.
    fn leaving(&self, keep: &[bool]) -> Vec<(Role, String, u32)> {
        let mut leaving = Vec::new();
        for (role, entries) in ROLES.into_iter().zip(&self.lists) {
            let mut counts = vec![0; self.classes.len()];
            for entry in entries {
                if let Location::File(file) = entry.location {
                    counts[entry.label as usize] += u32::from(!keep[file as usize]);
                }
            }
            let some = self.classes.iter().zip(counts).filter(|(_, count)| *count > 0);
            leaving.extend(some.map(|(class, count)| (role, class.clone(), count)));
        }
        leaving
    }

    /// Removes the files that do not stay, with their samples. A class must keep a training picture; `none` says why it
    /// has none.
    fn keep(&mut self, keep: &[bool], none: &'static str) -> Result<(), DataError> {
        if keep.iter().all(|stays| *stays) {
            return Ok(());
        }
        let mut next = 0;
        let places: Vec<Option<u32>> = keep
            .iter()
            .map(|stays| {
                let place = stays.then_some(next);
                next += u32::from(*stays);
                place
            })
            .collect();
        let mut stays = keep.iter();
        self.files.retain(|_| stays.next().copied().unwrap_or(true));
        if let Some(groups) = &mut self.groups {
            groups.keep(keep);
        }
        for entries in &mut self.lists {
            *entries = std::mem::take(entries)
                .into_iter()
                .filter_map(|entry| match entry.location {
                    Location::File(file) => Some(Entry { location: Location::File(places[file as usize]?), ..entry }),
                    Location::Record { .. } | Location::Range { .. } | Location::Drawn(_) => Some(entry),
                })
                .collect();
        }
        let mut has = vec![false; self.classes.len()];
        self.lists[0].iter().for_each(|entry| has[entry.label as usize] = true);
        match has.iter().position(|has| !has) {
            Some(class) => {
                let class = self.classes[class].clone();
                Err(DataError::NoneLeft { path: self.folder.shown(""), class, reason: none })
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use pretext_shared::dataset::Source;

    use super::*;
    use crate::image_folder::tests::write_png;
    use crate::{Manifest, scan};

    fn scanned(root: &Path, policies: Policies, test_fraction: Option<f64>) -> Result<Manifest, DataError> {
        let source: Source = "image-folder:set".parse().expect("a key");
        let source = source.with_policies(policies).with_test_fraction(test_fraction);
        scan(root, &source, Some(&root.join("hashes")))
    }

    const STRICT: Policies = Policies { unreadable: Unreadable::Refuse, duplicates: DuplicatePolicy::Refuse };
    const SKIP: Policies = Policies { unreadable: Unreadable::Skip, ..STRICT };
    const KEEP: Policies = Policies { duplicates: DuplicatePolicy::Keep, ..STRICT };
    const DROP: Policies = Policies { duplicates: DuplicatePolicy::DropFromTrain, ..STRICT };

    /// Writes two classes of ten training and five test pictures, all different.
    fn set() -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a temporary folder");
        for (class, value) in [("a", 0), ("b", 100)] {
            for i in 0..15u8 {
                let part = if i < 10 { "train" } else { "test" };
                write_png(&root.path().join(format!("set/{part}/{class}/{i}.png")), [value + i, 9, 9]);
            }
        }
        root
    }

    #[test]
    fn what_cannot_be_read_leaves_without_a_trace_but_is_counted() {
        let root = set();
        let clean = scanned(root.path(), STRICT, None).expect("a whole data set").facts;
        assert_eq!(scanned(root.path(), SKIP, None).expect("a whole data set").facts.fingerprint, clean.fingerprint);
        let write = |path: &str| fs::write(root.path().join("set").join(path), b"no picture").expect("a file");
        ["train/b/10.jpg", "train/b/x.tif", "test/a/y.webp"].into_iter().for_each(write);
        assert_ne!(scanned(root.path(), STRICT, None).expect("decodes nothing").facts.fingerprint, clean.fingerprint);
        for _ in 0..2 {
            let skipped = scanned(root.path(), SKIP, None).expect("a whole data set");
            assert_eq!((skipped.facts.fingerprint, &skipped.facts.train), (clean.fingerprint, &clean.train));
            let told: Vec<String> = skipped.facts.notes.iter().map(Note::to_string).collect();
            let of = |count: u32, part: &str, class: &str| {
                let (images, were) = if count == 1 { ("image", "was") } else { ("images", "were") };
                format!(
                    "{count} {part} {images} of class `{class}` cannot be read and {were} left out (`unreadable: skip`)"
                )
            };
            assert_eq!(told, [of(2, "train", "b"), of(1, "test", "a")]);
            assert_eq!(
                skipped.path_of(crate::Part::Train, 10),
                "train/b/0.png",
                "ids are those of the remaining files"
            );
        }
        // A class of which nothing remains is not a class.
        for i in 0..10 {
            write(&format!("train/b/{i}.png"));
        }
        let error = scanned(root.path(), SKIP, None).expect_err("nothing is left").to_string();
        assert!(error.contains("no training pictures of class `b`") && error.contains("can be read"), "{error}");
    }

    fn leaked(test: &str, train: &str, all: u64) -> Note {
        Note::Leaked { count: 1, all, example: [test, train].map(str::to_owned) }
    }

    fn two_labels(one: &str, two: &str) -> Note {
        Note::TwoLabels { count: 1, example: [one, two].map(str::to_owned) }
    }

    fn both_dropped(count: u32) -> [Note; 2] {
        ["a", "b"].map(|class| Note::Dropped { class: class.to_owned(), count })
    }

    #[test]
    fn identical_pictures_are_refused_kept_or_left_out() {
        let root = set();
        let copy = |from: &str, to: &str| {
            fs::copy(root.path().join("set").join(from), root.path().join("set").join(to)).expect("a picture");
        };
        let clean = scanned(root.path(), STRICT, None).expect("a whole data set").facts.fingerprint;
        copy("train/a/0.png", "test/a/copy.png");
        copy("train/a/5.png", "train/b/also-a.png");
        let error = scanned(root.path(), STRICT, None).expect_err("a leak").to_string();
        for part in [
            "1 of 11 test pictures is also a training picture (test/a/copy.png is train/a/0.png)",
            "1 picture has two labels (train/a/5.png is train/b/also-a.png)",
            "`duplicates: drop-from-train`",
        ] {
            assert!(error.contains(part), "{part}: {error}");
        }
        let kept = scanned(root.path(), KEEP, None).expect("accepted");
        let found = [leaked("test/a/copy.png", "train/a/0.png", 11), two_labels("train/a/5.png", "train/b/also-a.png")];
        assert_eq!((&kept.facts.train[..], &kept.facts.notes[..]), (&[10, 11][..], &found[..]));
        // Pixels decide, not bytes: the same picture as BMP.
        let bmp = root.path().join("set/test/b/same.bmp");
        image::RgbImage::from_pixel(4, 4, image::Rgb([103, 9, 9])).save(&bmp).expect("a picture");
        let dropped = scanned(root.path(), DROP, None).expect("accepted");
        assert_eq!((&dropped.facts.train[..], &dropped.facts.notes[..]), (&[8, 9][..], &both_dropped(2)[..]));
        // One in more than a hundred is named, not refused.
        ["test/a/copy.png", "train/b/also-a.png", "test/b/same.bmp"]
            .iter()
            .for_each(|path| fs::remove_file(root.path().join("set").join(path)).expect("a file"));
        assert_eq!(scanned(root.path(), DROP, None).expect("nothing to drop").facts.fingerprint, clean);
        for i in 0..110u8 {
            write_png(&root.path().join(format!("set/test/a/more{i}.png")), [200, i, 0]);
        }
        copy("train/a/0.png", "test/a/copy.png");
        let notes = scanned(root.path(), STRICT, None).expect("below the share").facts.notes;
        assert_eq!(notes, [leaked("test/a/copy.png", "train/a/0.png", 121)]);
    }

    #[test]
    fn a_list_has_the_same_choices() {
        let root = set();
        fs::write(root.path().join("set/bad.png"), b"no picture").expect("a file");
        fs::copy(root.path().join("set/train/a/0.png"), root.path().join("set/copy.png")).expect("a picture");
        let rows: String = [("a", "train", 10), ("b", "train", 10), ("a", "test", 5), ("b", "test", 5)]
            .iter()
            .flat_map(|(class, part, count)| {
                let from = if *part == "train" { 0 } else { 10 };
                (from..from + count).map(move |i| format!("{part}/{class}/{i}.png,{class},{part}\n"))
            })
            .collect();
        let list = format!("path,label,split\n{rows}bad.png,b,train\ncopy.png,b,test\n");
        fs::write(root.path().join("set/labels.csv"), list).expect("a file");
        let with = |options: &str| {
            let source: Source = format!("list:set{options}").parse().expect("a key");
            scan(root.path(), &source, None).map(|manifest| manifest.facts)
        };
        let error = with("?unreadable=skip").expect_err("a leak").to_string();
        assert!(error.contains("1 of 11 test pictures is also a training picture"), "{error}");
        let dropped = with("?unreadable=skip&duplicates=drop-from-train").expect("accepted");
        assert_eq!((&dropped.train[..], &dropped.test[..]), (&[9, 10][..], &[5, 6][..]));
        let told: Vec<String> = dropped.notes.iter().map(Note::to_string).collect();
        assert_eq!(
            told,
            [
                "1 train image of class `b` cannot be read and was left out (`unreadable: skip`)",
                "1 training image of class `a` is identical to another one and was left out (`duplicates: drop-from-train`)",
            ]
        );
    }

    #[test]
    fn a_test_drawn_from_copies_is_refused_before_it_is_drawn() {
        let root = tempfile::tempdir().expect("a temporary folder");
        for (class, value) in [("a", 0), ("b", 100)] {
            (0..10u8).for_each(|i| write_png(&root.path().join(format!("set/{class}/{i}.png")), [value + i / 2, 9, 9]));
        }
        let error = scanned(root.path(), STRICT, Some(0.2)).expect_err("a leak").to_string();
        assert!(error.contains("20 of 20 pictures exist more than once"), "{error}");
        let dropped = scanned(root.path(), DROP, Some(0.2)).expect("accepted");
        assert_eq!((&dropped.facts.train[..], &dropped.facts.notes[..]), (&[5, 5][..], &both_dropped(5)[..]));
        // Copies in one group are never torn apart.
        let rows: String = ["a", "b"]
            .iter()
            .flat_map(|class| (0..10).map(move |i| format!("{class}/{i}.png,{class}{}\n", i / 2)))
            .collect();
        fs::write(root.path().join("set/groups.csv"), format!("path,group\n{rows}")).expect("a file");
        let kept = scanned(root.path(), STRICT, Some(0.2)).expect("held together");
        assert_eq!(kept.facts.groups.len(), 10);
        let dropped = scanned(root.path(), DROP, Some(0.2)).expect("accepted");
        assert_eq!((dropped.facts.groups.len(), dropped.facts.train_total()), (10, 10));
    }
}
