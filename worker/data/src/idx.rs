//! IDX files of the MNIST family (LeCun et al. 1998): a magic number, big-endian dimensions, then bytes. Images are
//! grey, `[count, rows, columns]`; labels are `[count]`.

use std::collections::BTreeSet;
use std::io::Read;

use super::error::DataError;
use super::listing::{Entry, ListedFile, Listing, Location, Part};
use super::records::{Layout, Order};
use crate::root::Folder;

/// Unsigned bytes in one dimension.
const LABELS_MAGIC: u32 = 0x0801;
/// Unsigned bytes in three dimensions.
const IMAGES_MAGIC: u32 = 0x0803;

/// The two spellings of each name, the more common one first.
const TRAIN: [[&str; 2]; 2] =
    [["train-images-idx3-ubyte", "train-images.idx3-ubyte"], ["train-labels-idx1-ubyte", "train-labels.idx1-ubyte"]];
const TEST: [[&str; 2]; 2] =
    [["t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte"], ["t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte"]];

/// Returns whether `folder` has the training images.
pub(super) fn is_in(folder: &Folder) -> bool {
    TRAIN[0].iter().any(|name| folder.has_file(name))
}

/// Lists the pictures in `folder`. The classes are the labels of the training images.
pub(super) fn list(folder: &Folder) -> Result<Listing, DataError> {
    let train = read_part(folder, TRAIN)?;
    let test = read_part(folder, TEST)?;
    let values: Vec<u8> = train.labels.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let classes: Vec<String> = values.iter().map(u8::to_string).collect();
    match &classes[..] {
        [] => return Err(DataError::Format { path: folder.shown(train.images), reason: "it has no images".into() }),
        [class] => return Err(DataError::OneClass { path: folder.shown(train.label_file), class: class.clone() }),
        _ => {}
    }
    let mut listing = Listing::default();
    for (part, content) in [(Part::Train, train), (Part::Test, test)] {
        let file = listing.files.len() as u32;
        let entry = |(record, value): (u32, &u8)| match values.binary_search(value) {
            Ok(label) => Ok(Entry { label: label as u32, location: Location::Record { file, record } }),
            Err(_) => Err(DataError::TestOnlyClass {
                path: folder.shown(content.label_file),
                class: value.to_string(),
                classes: classes.clone(),
            }),
        };
        let entries = (0u32..).zip(&content.labels).map(entry).collect::<Result<_, _>>()?;
        match part {
            Part::Test => listing.test = entries,
            Part::Train | Part::Validation => listing.train = entries,
        }
        let listed = |path: &str, layout| ListedFile { part, path: path.to_owned(), class: None, layout, name_at: 0 };
        listing.files.push(listed(content.images, Some(content.layout)));
        listing.files.push(listed(content.label_file, None));
    }
    listing.classes = classes;
    Ok(listing)
}

/// The content of one part: its files, the layout of its images, and a label for each image.
struct PartContent {
    images: &'static str,
    label_file: &'static str,
    layout: Layout,
    labels: Vec<u8>,
}

fn read_part(folder: &Folder, [images, labels]: [[&'static str; 2]; 2]) -> Result<PartContent, DataError> {
    let (images, label_file) = (find(folder, images)?, find(folder, labels)?);
    let [count, height, width] = header::<3>(folder, images, IMAGES_MAGIC)?;
    let [label_count] = header::<1>(folder, label_file, LABELS_MAGIC)?;
    if count != label_count {
        let reason = format!("it has {label_count} labels, but {} has {count} images", folder.shown(images).display());
        return Err(DataError::Format { path: folder.shown(label_file), reason });
    }
    let mut labels = folder.read(label_file)?;
    labels.drain(..8.min(labels.len()));
    // The header is the magic number and the three dimensions.
    let (height, width) = (height as usize, width as usize);
    let layout = Layout { header: 16, prefix: 0, channels: 1, height, width, order: Order::Planes };
    Ok(PartContent { images, label_file, layout, labels })
}

fn find(folder: &Folder, names: [&'static str; 2]) -> Result<&'static str, DataError> {
    if let Some(name) = names.into_iter().find(|name| folder.has_file(name)) {
        return Ok(name);
    }
    let packed = names.into_iter().map(|name| format!("{name}.gz")).find(|name| folder.has_file(name));
    let expected = match packed {
        Some(packed) => format!("only {packed} is there: unpack it with gunzip"),
        None => "expected the four IDX files of the MNIST family, not compressed".to_owned(),
    };
    Err(DataError::MissingFile { path: folder.shown(names[0]), expected })
}

/// Returns the dimensions of an IDX file of bytes, after checks of the magic number and the file's length.
fn header<const N: usize>(folder: &Folder, name: &str, magic: u32) -> Result<[u32; N], DataError> {
    let format = |reason: String| DataError::Format { path: folder.shown(name), reason };
    let failed = DataError::io(&folder.shown(name));
    let mut file = folder.open(name)?;
    let length = file.metadata().map_err(&failed)?.len();
    let mut word = || -> Result<u32, DataError> {
        let mut bytes = [0; 4];
        match file.read_exact(&mut bytes) {
            Ok(()) => Ok(u32::from_be_bytes(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Err(format(format!("it has {length} bytes, too few for an IDX header")))
            }
            Err(error) => Err(failed(error)),
        }
    };
    let found = word()?;
    if found != magic {
        return Err(format(format!(
            "it begins with {found:#010x}, expected {magic:#010x} (IDX, bytes, {N} dimensions)"
        )));
    }
    let mut dimensions = [0; N];
    for dimension in &mut dimensions {
        *dimension = word()?;
    }
    let header = 4 + 4 * N as u64;
    let content = dimensions.iter().try_fold(1u64, |product, n| product.checked_mul(u64::from(*n)));
    let expected = content.and_then(|content| content.checked_add(header));
    if expected != Some(length) {
        let expected = expected.map_or("more than any file has".to_owned(), |expected| expected.to_string());
        return Err(format(format!("its length is {length} bytes, but its dimensions {dimensions:?} need {expected}")));
    }
    if dimensions[1..].contains(&0) {
        return Err(format(format!("its dimensions are {dimensions:?}, which is no pixel at all")));
    }
    Ok(dimensions)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn list(folder: &Path) -> Result<Listing, DataError> {
        super::list(&Folder::root(folder)?)
    }

    fn idx(magic: u32, dimensions: &[u32], content: &[u8]) -> Vec<u8> {
        let numbers = [magic].into_iter().chain(dimensions.iter().copied());
        numbers.flat_map(u32::to_be_bytes).chain(content.iter().copied()).collect()
    }

    fn digits() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str, content: Vec<u8>| fs::write(folder.path().join(name), content).expect("a file");
        write(TRAIN[0][0], idx(IMAGES_MAGIC, &[3, 2, 2], &(0..12).collect::<Vec<u8>>()));
        write(TRAIN[1][1], idx(LABELS_MAGIC, &[3], &[7, 1, 7]));
        write(TEST[0][1], idx(IMAGES_MAGIC, &[1, 2, 2], &[9, 9, 9, 9]));
        write(TEST[1][0], idx(LABELS_MAGIC, &[1], &[1]));
        folder
    }

    #[test]
    fn both_spellings_read_back() {
        let folder = digits();
        let listing = list(folder.path()).expect("whole files");
        assert_eq!(listing.classes, ["1", "7"]);
        assert_eq!(listing.train.iter().map(|entry| entry.label).collect::<Vec<_>>(), [1, 0, 1]);
        assert_eq!(listing.test, [Entry { label: 0, location: Location::Record { file: 2, record: 0 } }]);
        let path = folder.path().join(&listing.files[0].path);
        let layout = listing.files[0].layout.expect("an image file");
        let planes = layout.planes(&path, &fs::read(&path).expect("a file"), 1).expect("a record");
        assert_eq!(planes, [4, 5, 6, 7].repeat(3));
    }

    #[test]
    fn damage_is_named() {
        let folder = digits();
        let broken = |name: &str, content: Vec<u8>| {
            let path = folder.path().join(name);
            let whole = fs::read(&path).expect("a file");
            fs::write(&path, content).expect("a file");
            let message = list(folder.path()).expect_err("a mistake").to_string();
            fs::write(&path, whole).expect("a file");
            assert!(message.contains(name), "{message}");
            message
        };
        let pixels = [0; 12];
        let truncated = broken(TRAIN[0][0], idx(IMAGES_MAGIC, &[3, 2, 2], &pixels[..7]));
        assert!(truncated.contains("23 bytes") && truncated.contains("28"), "{truncated}");
        assert!(broken(TRAIN[0][0], idx(LABELS_MAGIC, &[3, 2, 2], &pixels)).contains("0x00000801"));
        assert!(broken(TRAIN[0][0], vec![0, 0]).contains("2 bytes"));
        // A header with impossible dimensions: no memory is allocated for it.
        broken(TRAIN[0][0], idx(IMAGES_MAGIC, &[u32::MAX, u32::MAX, u32::MAX], &pixels));
        assert!(broken(TRAIN[1][1], idx(LABELS_MAGIC, &[2], &[1, 7])).contains("2 labels"));
        assert!(broken(TEST[1][0], idx(LABELS_MAGIC, &[1], &[4])).contains("class `4`"));
        fs::rename(folder.path().join(TEST[1][0]), folder.path().join("t10k-labels-idx1-ubyte.gz")).expect("a file");
        assert!(list(folder.path()).expect_err("a mistake").to_string().contains("gunzip"));
    }
}
