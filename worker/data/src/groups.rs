//! Groups: images of a folder that belong together (a slide, a patient), so that no split separates them. `groups.csv`
//! or the images' names state them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;

use pretext_shared::dataset::GroupPattern;
use pretext_shared::text::counted;

use super::error::DataError;
use super::listing::{Entry, ListedFile, Location, Part};
use crate::root::Folder;

/// The file, beside `train/` or the class folders: `path,group` with a line for each image. Paths are relative to the
/// file.
pub(super) const FILE: &str = "groups.csv";
/// Limit of the file's length, in bytes.
const MAX_BYTES: u64 = 1 << 30;

/// The group of each file of a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    /// Names of the groups, sorted. A group is identified by its position.
    names: Vec<String>,
    /// The group of each file, by position in the manifest's files.
    of_file: Vec<u32>,
}

impl Groups {
    /// Returns the groups of `files`, if `folder` names any. Every image must have a group, and no group may have both
    /// training and test images. Lines of other files are ignored.
    pub(super) fn read(folder: &Folder, files: &[ListedFile]) -> Result<Option<Self>, DataError> {
        if folder.kind(FILE)?.is_none() {
            return Ok(None);
        }
        let (path, file) = (folder.shown(FILE), folder.open(FILE)?);
        let bytes = file.metadata().map_err(DataError::io(&path))?.len();
        let refuse = |reason: String| DataError::Groups { path: path.clone(), reason };
        if bytes > MAX_BYTES {
            return Err(refuse(format!("it has {bytes} bytes, more than {} MiB", MAX_BYTES >> 20)));
        }
        let listed = lines(file).map_err(refuse)?;
        let refuse = |reason: String| DataError::Groups { path: path.clone(), reason };
        let mut missing = files.iter().filter(|file| !listed.contains_key(&file.path));
        if let Some(first) = missing.next() {
            let others = match missing.count() {
                0 => String::new(),
                n => format!(" and {}", counted(n, "other")),
            };
            return Err(refuse(format!("it has no line for {}{others}: every image needs a group", first.path)));
        }
        let of_file: Vec<&str> = files.iter().map(|file| listed[&file.path].as_str()).collect();
        Self::new(files, &of_file).map(Some).map_err(refuse)
    }

    /// Returns the groups that `pattern` finds in the names of `files`, the images of `folder`. Every name must match.
    /// A `groups.csv` beside the images is refused, because the two may contradict each other.
    pub(super) fn named(folder: &Folder, pattern: &GroupPattern, files: &[ListedFile]) -> Result<Self, DataError> {
        let refuse = |reason: String| DataError::Pattern {
            pattern: Box::new(pattern.clone()),
            folder: folder.shown(""),
            reason,
        };
        if folder.kind(FILE)?.is_some() {
            return Err(refuse(format!("{FILE} beside them names groups too; remove one of the two")));
        }
        let mut of_file = Vec::with_capacity(files.len());
        for file in files {
            let group = pattern.group_of(&file.path[file.name_at..]);
            of_file.push(group.ok_or_else(|| refuse(format!("{} does not match it", file.path)))?);
        }
        Self::new(files, &of_file).map_err(refuse)
    }

    /// Returns the groups; `of_file` has the group of each of `files`. No group may have images in two parts.
    pub(super) fn new(files: &[ListedFile], of_file: &[&str]) -> Result<Self, String> {
        let names: BTreeSet<&str> = of_file.iter().copied().collect();
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let place = |name: &&str| names.partition_point(|known| known.as_str() < *name) as u32;
        let of_file: Vec<u32> = of_file.iter().map(place).collect();
        let mut parts = vec![None; names.len()];
        for (file, group) in files.iter().zip(&of_file) {
            let part = parts[*group as usize].get_or_insert(file.part);
            if *part != file.part {
                let name = &names[*group as usize];
                let mut words = [*part, file.part];
                words.sort_unstable();
                let [first, second] = words.map(Part::word);
                return Err(format!(
                    "group `{name}` has {first} and {second} images (a {} image is {}): move them to one part",
                    file.part.word(),
                    file.path
                ));
            }
        }
        Ok(Self { names, of_file })
    }

    /// Keeps the files that stay, by position, and the groups that still have files.
    pub(super) fn keep(&mut self, keep: &[bool]) {
        let stay = self.of_file.iter().zip(keep).filter(|(_, stays)| **stays);
        let of_file: Vec<&str> = stay.map(|(group, _)| self.names[*group as usize].as_str()).collect();
        let names: BTreeSet<&str> = of_file.iter().copied().collect();
        let names: Vec<&str> = names.into_iter().collect();
        let of_file = of_file.iter().map(|name| names.partition_point(|known| known < name) as u32).collect();
        let names = names.into_iter().map(str::to_owned).collect();
        *self = Self { names, of_file };
    }

    /// Returns the name of the group of a file of the manifest.
    pub(super) fn name_of(&self, file: u32) -> &str {
        self.name(self.of_file[file as usize])
    }

    /// Returns the name of a group.
    pub fn name(&self, group: u32) -> &str {
        &self.names[group as usize]
    }

    /// Returns the group of a sample of the data set.
    pub fn of(&self, entry: &Entry) -> u32 {
        match entry.location {
            Location::File(file) => self.of_file[file as usize],
            location => unreachable!("{location:?} in groups: only image files have groups"),
        }
    }

    /// Returns the number of `entries` of each class, for each group.
    pub(super) fn counts<'a>(&self, entries: impl IntoIterator<Item = &'a Entry>, classes: usize) -> Vec<Vec<u32>> {
        let mut counts = vec![vec![0; classes]; self.names.len()];
        for entry in entries {
            counts[self.of(entry) as usize][entry.label as usize] += 1;
        }
        counts
    }
}

/// Returns the group of each path.
fn lines(file: File) -> Result<BTreeMap<String, String>, String> {
    let mut reader = csv::Reader::from_reader(file);
    let headings = reader.headers().map_err(|error| error.to_string())?;
    if headings.iter().collect::<Vec<_>>() != ["path", "group"] {
        let found = headings.iter().collect::<Vec<_>>().join(",");
        return Err(format!("its first line is `{}`, expected `path,group`", found.escape_debug()));
    }
    let mut groups = BTreeMap::new();
    for line in reader.into_deserialize::<(String, String)>() {
        let (image, group) = line.map_err(|error| error.to_string())?;
        if group.is_empty() {
            return Err(format!("{image} has an empty group"));
        }
        match groups.get(&image) {
            Some(other) if *other != group => return Err(format!("{image} is in group `{other}` and in `{group}`")),
            _ => drop(groups.insert(image, group)),
        }
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use pretext_shared::dataset::{DataSpec, Fit, Normalize, Source};
    use pretext_shared::split::{Fraction, SplitSpec};

    use super::*;
    use crate::image_folder::tests::write_png;
    use crate::{Dataset, scan};

    /// Writes two classes of twelve images in six groups of four, two of each class. A seventh group has one image of
    /// each class.
    fn set(root: &Path, skip: &str) -> String {
        let mut text = "path,group\n".to_owned();
        for (class, value) in [("a", 0), ("b", 100)] {
            for i in 0..12u8 {
                write_png(&root.join(format!("set/{class}/{i}.png")), [value + i; 3]);
                let group = if i == 0 { 6 } else { i % 6 };
                if skip != format!("{class}/{i}.png") {
                    text.push_str(&format!("{class}/{i}.png,patient {group}\n"));
                }
            }
        }
        text
    }

    fn source() -> Source {
        "image-folder:set".parse::<Source>().expect("a key").with_test_fraction(Some(0.2))
    }

    fn load(root: &Path) -> Result<Dataset, DataError> {
        let manifest = scan(root, &source(), None)?;
        let spec = DataSpec {
            fingerprint: manifest.facts.fingerprint,
            classes: 2,
            image_size: 4,
            normalize: Normalize::Train,
            test_fraction: Some(0.2),
            fit: Fit::default(),
        };
        Dataset::load(root, &source(), &spec, None)
    }

    #[test]
    fn no_group_is_on_two_sides() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let text = set(root.path(), "");
        let without = scan(root.path(), &source(), None).expect("a whole data set").facts;
        fs::write(root.path().join("set/groups.csv"), &text).expect("writable");
        let facts = scan(root.path(), &source(), None).expect("a whole data set").facts;
        assert_ne!(facts.fingerprint, without.fingerprint, "groups decide results");
        assert_eq!(facts.groups.iter().map(|group| group.iter().sum::<u32>()).sum::<u32>(), 24);

        let data = load(root.path()).expect("a whole data set");
        let groups = |set: &crate::ImageSet, ids: &[u32]| {
            ids.iter().map(|id| set.group_of(*id).expect("it has one").to_owned()).collect::<BTreeSet<_>>()
        };
        let tested = groups(&data.test, data.test.ids());
        assert!(!tested.is_empty());
        for seed in 0..20 {
            let at = |fraction| data.train.split(SplitSpec { seed, fraction }).expect("enough groups");
            let (half, all) = (at(Fraction::new(0.5).expect("a fraction")), at(Fraction::ALL));
            for parts in [&half, &all] {
                let (train, validation) = (groups(&data.train, &parts.train), groups(&data.train, &parts.validation));
                assert!(
                    train.is_disjoint(&validation) && train.is_disjoint(&tested) && validation.is_disjoint(&tested)
                );
            }
            assert!(half.train.iter().all(|id| all.train.contains(id)));
            assert!(half.validation.iter().all(|id| all.validation.contains(id)));
            assert_eq!(all.train.len() + all.validation.len() + data.test.len(), 24);
        }
    }

    #[test]
    fn lists_that_say_too_little_or_too_much_are_refused() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let text = set(root.path(), "b/3.png");
        let refused = |text: &str| {
            fs::write(root.path().join("set/groups.csv"), text).expect("writable");
            scan(root.path(), &source(), None).expect_err("a mistake").to_string()
        };
        let error = refused(&text);
        assert!(error.contains("groups.csv") && error.contains("no line for b/3.png: every image"), "{error}");
        assert!(refused(&text.replace("path,group", "file,patient")).contains("expected `path,group`"));
        assert!(refused(&format!("{text}b/3.png,\n")).contains("b/3.png has an empty group"));
        assert!(refused(&format!("{text}b/3.png,x\nb/3.png,y\n")).contains("in group `x` and in `y`"));
        // A test part that shares a patient with the training part.
        write_png(&root.path().join("parted/train/a/0.png"), [1; 3]);
        write_png(&root.path().join("parted/train/b/0.png"), [2; 3]);
        write_png(&root.path().join("parted/test/b/0.png"), [3; 3]);
        let lines = "path,group\ntrain/a/0.png,p\ntrain/b/0.png,q\ntest/b/0.png,p\n";
        fs::write(root.path().join("parted/groups.csv"), lines).expect("writable");
        let parted = "image-folder:parted".parse().expect("a key");
        let error = scan(root.path(), &parted, None).expect_err("a leak").to_string();
        assert!(error.contains("group `p` has training and test images"), "{error}");
    }

    #[test]
    fn names_say_what_a_list_says() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let mut list = "path,group\n".to_owned();
        for (value, (class, part)) in [(0, ("a", "train")), (50, ("b", "train")), (100, ("a", "test"))] {
            for i in 0..6u8 {
                let slide = if part == "test" { "t".to_owned() } else { format!("s-{}", i / 2) };
                let path = format!("{part}/{class}/{slide}_{i}_0.png");
                write_png(&root.path().join("set").join(&path), [value + i; 3]);
                list.push_str(&format!("{path},{slide}\n"));
            }
        }
        let by = |pattern: Option<&str>| {
            let groups = pattern.map(|text| format!("?groups={text}")).unwrap_or_default();
            let source = format!("image-folder:set{groups}").parse().expect("a key");
            scan(root.path(), &source, None)
        };
        let facts = |pattern| by(pattern).expect("a whole data set").facts;
        let named = facts(Some("{*}_*_*"));
        assert_eq!(named.key, "image-folder:set?groups={*}_*_*");
        // Three training slides with two images of each class, and one test slide.
        assert_eq!(named.groups, [vec![2, 2], vec![2, 2], vec![2, 2], vec![0, 0]]);
        assert_ne!(named.fingerprint, facts(None).fingerprint, "groups decide results");
        let refused = |pattern| by(Some(pattern)).expect_err("a mistake").to_string();
        let error = refused("{s-*}_*");
        assert!(error.contains("`groups: {s-*}_*`") && error.contains("t_0_0.png does not match it"), "{error}");
        assert!(refused("*_{*}_*").contains("group `0` has training and test images"));
        fs::write(root.path().join("set/groups.csv"), list).expect("writable");
        assert_eq!(facts(None).fingerprint, named.fingerprint, "the same groups, however they are named");
        assert!(refused("{*}_*_*").contains("groups.csv beside them"));
    }
}
