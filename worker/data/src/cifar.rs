//! The binary releases of CIFAR-10 and CIFAR-100 (Krizhevsky 2009). A record has one or two label bytes and 32 × 32
//! pixels in three planes.

use pretext_shared::text::counted;

use super::error::DataError;
use super::listing::{Entry, ListedFile, Listing, Location, Part};
use super::records::{Layout, Order};
use crate::root::Folder;

const CIFAR10_CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// The files of class names of both releases.
pub(super) const NAMES: [&str; 2] = ["batches.meta.txt", "fine_label_names.txt"];

/// One of the two releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Release {
    /// CIFAR-10: one label byte.
    Ten,
    /// CIFAR-100: coarse and fine label bytes; the fine label is used.
    Hundred,
}

impl Release {
    fn train_files(self) -> &'static [&'static str] {
        match self {
            Release::Ten => {
                &["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"]
            }
            Release::Hundred => &["train.bin"],
        }
    }

    fn test_file(self) -> &'static str {
        match self {
            Release::Ten => "test_batch.bin",
            Release::Hundred => "test.bin",
        }
    }

    fn names_file(self) -> &'static str {
        match self {
            Release::Ten => NAMES[0],
            Release::Hundred => NAMES[1],
        }
    }

    fn classes(self) -> usize {
        match self {
            Release::Ten => 10,
            Release::Hundred => 100,
        }
    }

    fn layout(self) -> Layout {
        let prefix = if self == Release::Ten { 1 } else { 2 };
        Layout { header: 0, prefix, channels: 3, height: 32, width: 32, order: Order::Planes }
    }

    /// Returns whether `folder` looks like this release.
    pub(super) fn is_in(self, folder: &Folder) -> bool {
        self.train_files().iter().chain([&self.test_file()]).any(|name| folder.has_file(name))
    }
}

/// Lists the records of the release in `folder`: files by name, records in file order.
pub(super) fn list(folder: &Folder, release: Release) -> Result<Listing, DataError> {
    let mut listing = Listing { classes: class_names(folder, release)?, ..Listing::default() };
    let files =
        release.train_files().iter().map(|name| (Part::Train, *name)).chain([(Part::Test, release.test_file())]);
    for (index, (part, name)) in files.enumerate() {
        if !folder.has_file(name) {
            let expected =
                format!("the binary release has {} and {}", release.train_files().join(", "), release.test_file());
            return Err(DataError::MissingFile { path: folder.shown(name), expected });
        }
        let entries = if part == Part::Train { &mut listing.train } else { &mut listing.test };
        let labels = labels(folder, name, release)?;
        entries.extend(
            (0u32..)
                .zip(labels)
                .map(|(record, label)| Entry { label, location: Location::Record { file: index as u32, record } }),
        );
        listing.files.push(ListedFile {
            part,
            path: name.to_owned(),
            class: None,
            layout: Some(release.layout()),
            name_at: 0,
        });
    }
    Ok(listing)
}

fn labels(folder: &Folder, name: &str, release: Release) -> Result<Vec<u32>, DataError> {
    let format = |reason| DataError::Format { path: folder.shown(name), reason };
    let bytes = folder.read(name)?;
    let layout = release.layout();
    if bytes.is_empty() || bytes.len() % layout.stride() != 0 {
        let (length, stride) = (bytes.len(), layout.stride());
        return Err(format(format!(
            "its length is {length} bytes, expected a multiple of {stride}, the length of a record"
        )));
    }
    let label = |(record, bytes): (usize, &[u8])| match bytes[layout.prefix - 1] {
        label if usize::from(label) < release.classes() => Ok(u32::from(label)),
        label => Err(format(format!("record {record} has the label {label}, expected 0 to {}", release.classes() - 1))),
    };
    bytes.chunks_exact(layout.stride()).enumerate().map(label).collect()
}

/// Returns the class names in the release's file, else the known names of CIFAR-10, else numbers.
fn class_names(folder: &Folder, release: Release) -> Result<Vec<String>, DataError> {
    if !folder.has_file(release.names_file()) {
        return Ok(match release {
            Release::Ten => CIFAR10_CLASSES.map(str::to_owned).to_vec(),
            Release::Hundred => (0..release.classes()).map(|label| format!("class-{label:02}")).collect(),
        });
    }
    let format = |reason| DataError::Format { path: folder.shown(release.names_file()), reason };
    let text = String::from_utf8(folder.read(release.names_file())?).map_err(|error| format(error.to_string()))?;
    let names: Vec<String> = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if names.len() == release.classes() {
        return Ok(names);
    }
    Err(format(format!("it has {}, expected {} class names", counted(names.len(), "line"), release.classes())))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn list(folder: &Path, release: Release) -> Result<Listing, DataError> {
        super::list(&Folder::root(folder)?, release)
    }

    fn record(labels: &[u8], red: u8) -> Vec<u8> {
        let planes = [red, red + 1, red + 2].into_iter().flat_map(|value| [value; 1024]);
        labels.iter().copied().chain(planes).collect()
    }

    fn cifar10() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (i, name) in Release::Ten.train_files().iter().enumerate() {
            let content = [record(&[i as u8], 10 * i as u8), record(&[9], 100)].concat();
            fs::write(folder.path().join(name), content).expect("a file");
        }
        fs::write(folder.path().join("test_batch.bin"), record(&[3], 50)).expect("a file");
        folder
    }

    #[test]
    fn cifar10_reads_back() {
        let folder = cifar10();
        let listing = list(folder.path(), Release::Ten).expect("a whole release");
        assert_eq!(listing.classes[3], "cat");
        assert_eq!(listing.train.iter().map(|entry| entry.label).collect::<Vec<_>>(), [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]);
        assert_eq!(listing.train[4].location, Location::Record { file: 2, record: 0 });
        assert_eq!(listing.test, [Entry { label: 3, location: Location::Record { file: 5, record: 0 } }]);
        let path = folder.path().join("data_batch_3.bin");
        let bytes = fs::read(&path).expect("a file");
        let planes = Release::Ten.layout().planes(&path, &bytes, 0).expect("a record");
        assert_eq!((planes.len(), planes[0], planes[1024], planes[3071]), (3072, 20, 21, 22));
    }

    #[test]
    fn cifar100_takes_the_fine_label() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("train.bin"), [record(&[1, 99], 0), record(&[2, 5], 0)].concat()).expect("a file");
        fs::write(folder.path().join("test.bin"), record(&[0, 7], 0)).expect("a file");
        let names: Vec<String> = (0..100).map(|i| format!("name{i}")).collect();
        fs::write(folder.path().join("fine_label_names.txt"), names.join("\n") + "\n\n").expect("a file");
        let listing = list(folder.path(), Release::Hundred).expect("a whole release");
        assert_eq!(listing.train.iter().map(|entry| entry.label).collect::<Vec<_>>(), [99, 5]);
        assert_eq!((listing.test[0].label, &listing.classes[99][..]), (7, "name99"));
    }

    #[test]
    fn damage_is_named() {
        let folder = cifar10();
        let message = || list(folder.path(), Release::Ten).expect_err("a mistake").to_string();
        let batch = folder.path().join("data_batch_2.bin");
        let whole = fs::read(&batch).expect("a file");
        fs::write(&batch, &whole[..5000]).expect("a file");
        assert!(message().contains("data_batch_2.bin") && message().contains("5000 bytes"), "{}", message());
        fs::write(&batch, record(&[10], 0)).expect("a file");
        assert!(message().contains("record 0 has the label 10"), "{}", message());
        fs::remove_file(&batch).expect("a file");
        assert!(message().contains("data_batch_2.bin is missing"), "{}", message());
    }
}
