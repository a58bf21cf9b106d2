//! Arrays of NumPy, in one `.npz` file or as `.npy` files, named as MedMNIST or Keras names them: images and labels of
//! each part.

mod file;

use std::io::Read;
use std::path::Path;

use pretext_shared::text::counted;

use super::error::DataError;
use super::labels::{Classes, Labels, Sample};
use super::listing::{ListedFile, Listing, Location, Part};
use super::records::{Layout, Order};
use crate::root::{Folder, Kind};
use file::{Header, Number, Store};

/// Limit of the pixels of all parts together, in bytes: they are in memory while they are scaled.
const MOST_PIXELS: u64 = 8 << 30;
/// The most images of a part.
const MOST_IMAGES: u64 = 10_000_000;
/// Largest width and height, in pixels.
const MAX_SIDE: u64 = 16_384;

/// The names of a part's arrays, images first. MedMNIST's, then Keras's.
const PARTS: [(Part, [[&str; 2]; 2]); 3] = [
    (Part::Train, [["train_images", "train_labels"], ["x_train", "y_train"]]),
    (Part::Validation, [["val_images", "val_labels"], ["x_val", "y_val"]]),
    (Part::Test, [["test_images", "test_labels"], ["x_test", "y_test"]]),
];

/// Returns whether a file of this name is an archive of arrays.
pub(super) fn is_archive(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npz"))
}

/// Returns the name of the only archive in `folder`; `None` if its arrays are files of their own.
fn archive_in(folder: &Folder) -> Result<Option<String>, DataError> {
    if has_images(folder) {
        return Ok(None);
    }
    let names = folder.children("")?.into_iter().filter_map(|child| child.name);
    let mut names: Vec<String> = names.filter(|name| !name.starts_with('.') && is_archive(name)).collect();
    names.sort_unstable();
    match names.as_slice() {
        [one] => Ok(Some(one.clone())),
        [] => {
            let expected = "expected one `.npz` file, or `train_images.npy`, `train_labels.npy` and so on".to_owned();
            Err(DataError::MissingFile { path: folder.shown("train_images.npy"), expected })
        }
        several => {
            let reason = format!("it has several archives ({}): write the path of one of them", several.join(", "));
            Err(DataError::Format { path: folder.shown(""), reason })
        }
    }
}

fn has_images(folder: &Folder) -> bool {
    PARTS[0].1.iter().any(|[images, _]| folder.has_file(&format!("{images}.npy")))
}

/// Returns whether `folder` holds arrays, or one archive of arrays.
pub(super) fn is_in(folder: &Folder) -> bool {
    let names = folder.children("").into_iter().flatten().filter_map(|child| child.name);
    has_images(folder) || names.filter(|name| !name.starts_with('.') && is_archive(name)).count() == 1
}

/// Lists the arrays at `path` below `root`: an archive, or a folder. Returns the folder too.
pub(super) fn list(root: &Folder, path: &str) -> Result<(Folder, Listing), DataError> {
    let (folder, archive) = match (is_archive(path), root.kind(path)?) {
        (true, Some(Kind::File)) => {
            let (folder, name) = path.rsplit_once('/').unwrap_or((".", path));
            (root.join(folder)?, Some(name.to_owned()))
        }
        (_, Some(Kind::Folder)) => {
            let folder = root.join(path)?;
            let archive = archive_in(&folder)?;
            (folder, archive)
        }
        _ => return Err(DataError::NoFolder { path: root.shown(path) }),
    };
    let store = match &archive {
        Some(name) => Store::archive(&folder, name)?,
        None => Store::Files(&folder),
    };
    let shown = folder.shown(archive.as_deref().unwrap_or_default());
    let listing =
        list_parts(store, archive.as_deref()).map_err(|reason| DataError::Format { path: shown.clone(), reason })?;
    let (classes, samples, files) = listing.finish(&shown)?;
    let mut listing = classes.listing(samples);
    listing.files = files;
    Ok((folder, listing))
}

/// What the arrays of all parts hold.
#[derive(Default)]
struct Found {
    labels: Labels,
    samples: Vec<Sample>,
    files: Vec<ListedFile>,
}

impl Found {
    fn finish(self, path: &Path) -> Result<(Classes, Vec<Sample>, Vec<ListedFile>), DataError> {
        Ok((self.labels.finish(path)?, self.samples, self.files))
    }
}

fn list_parts(mut store: Store<'_>, archive: Option<&str>) -> Result<Found, String> {
    let mut found = Found::default();
    let (mut pixels, mut before, mut shape) = (0, 0, None);
    for (part, names) in PARTS {
        let Some([images, labels]) = names.into_iter().find(|[images, _]| store.has(images)) else { continue };
        let header = store.header(images)?;
        let (count, layout) = layout(&header).map_err(|reason| format!("`{images}`: {reason}"))?;
        store.check_plausible(images, count * (layout.stride() as u64))?;
        pixels += count * (layout.stride() as u64);
        if pixels > MOST_PIXELS {
            return Err(format!(
                "its images have more than {} GiB: keep them as image files, or in shards of WebDataset",
                MOST_PIXELS >> 30
            ));
        }
        if archive.is_some() && *shape.get_or_insert(layout_of_pixels(layout)) != layout_of_pixels(layout) {
            return Err(format!("`{images}` has another size than the images of the training part"));
        }
        let numbers = numbers(&mut store, labels, count).map_err(|reason| format!("`{labels}`: {reason}"))?;
        let file = found.files.len() as u32;
        // In an archive, the records of one part follow those of the one before it.
        let first = if archive.is_some() { before } else { 0 };
        for (record, number) in (first..).zip(numbers) {
            let label =
                found.labels.add(&number.to_string(), part).map_err(|reason| format!("`{labels}`: {reason}"))?;
            let file = if archive.is_some() { 0 } else { file };
            found.samples.push(Sample { part, label, location: Location::Record { file, record } });
        }
        before += count as u32;
        if archive.is_none() {
            let listed =
                |name: &str, layout| ListedFile { part, path: format!("{name}.npy"), class: None, layout, name_at: 0 };
            found.files.push(listed(images, Some(layout)));
            found.files.push(listed(labels, None));
        }
    }
    if let (Some(name), Some(layout)) = (archive, shape) {
        let layout = Some(layout);
        found.files.push(ListedFile { part: Part::Train, path: name.to_owned(), class: None, layout, name_at: 0 });
    }
    if found.samples.iter().any(|sample| sample.part == Part::Train) {
        return Ok(found);
    }
    let names = store.names();
    let names = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    Err(format!("it has no training images: expected the arrays `train_images` and `train_labels`, found {names}"))
}

/// Returns the layout of pixels that were taken out of their archive.
fn layout_of_pixels(layout: Layout) -> Layout {
    Layout { header: 0, ..layout }
}

/// Returns the number of images, and their layout.
fn layout(header: &Header) -> Result<(u64, Layout), String> {
    let (count, height, width, channels) = match header.shape[..] {
        [count, height, width] => (count, height, width, 1),
        [count, height, width, channels @ (1 | 3)] => (count, height, width, channels),
        _ => {
            let expected = "expected [images, rows, columns] or [images, rows, columns, 1 or 3]";
            return Err(format!("its shape is {:?}, {expected}", header.shape));
        }
    };
    if header.number != Number::Byte {
        let found = &header.type_name;
        return Err(format!("its values are of the type `{found}`, expected `uint8`: scale them to 0 to 255"));
    }
    if count > MOST_IMAGES || height > MAX_SIDE || width > MAX_SIDE || height * width == 0 {
        let shape = &header.shape;
        return Err(format!(
            "its shape is {shape:?}: at most {MOST_IMAGES} images of 1 to {MAX_SIDE} pixels on a side"
        ));
    }
    let order = if channels == 1 { Order::Planes } else { Order::Pixels };
    let (channels, height, width) = (channels as usize, height as usize, width as usize);
    Ok((count, Layout { header: header.bytes, prefix: 0, channels, height, width, order }))
}

/// Returns the labels of `count` images.
fn numbers(store: &mut Store<'_>, name: &str, count: u64) -> Result<Vec<i64>, String> {
    if !store.has(name) {
        return Err("it is missing".to_owned());
    }
    let header = store.header(name)?;
    match header.shape[..] {
        [labels] | [labels, 1] if labels == count => {}
        [labels] | [labels, 1] => {
            return Err(format!("it has {} for {}", counted(labels, "label"), counted(count, "image")));
        }
        [_, several] => {
            return Err(format!("it has {several} labels for each image: this trains one class for each image"));
        }
        _ => return Err(format!("its shape is {:?}, expected [images] or [images, 1]", header.shape)),
    }
    let Some(size) = header.number.size() else {
        return Err(format!("its values are of the type `{}`, expected whole numbers", header.type_name));
    };
    let mut bytes = Vec::new();
    let length = count * size as u64;
    store.read(name, &header, |reader| reader.take(length).read_to_end(&mut bytes).map(drop))?;
    if bytes.len() as u64 != length {
        return Err(format!("it ends after {} of {length} bytes", bytes.len()));
    }
    Ok(bytes.chunks_exact(size).map(|bytes| header.number.value(bytes)).collect())
}

/// Returns the pixels of all parts of the archive `name` of `folder`, in the order of its records. `bytes` is the archive.
pub(super) fn pixels(folder: &Folder, name: &str, bytes: &[u8]) -> Result<Vec<u8>, DataError> {
    let failed = |reason| DataError::Format { path: folder.shown(name), reason };
    let mut store = Store::of_bytes(bytes).map_err(failed)?;
    let mut pixels = Vec::new();
    for (_, names) in PARTS {
        let Some([images, _]) = names.into_iter().find(|[images, _]| store.has(images)) else { continue };
        let header = store.header(images).map_err(failed)?;
        let (count, layout) = layout(&header).map_err(failed)?;
        let (before, length) = (pixels.len(), count * layout.stride() as u64);
        if before as u64 + length > MOST_PIXELS {
            return Err(failed("its images are too large".to_owned()));
        }
        store.check_plausible(images, length).map_err(failed)?;
        // The archive is long enough for it.
        pixels.reserve_exact(length as usize);
        let read = |reader: &mut dyn Read| reader.take(length).read_to_end(&mut pixels).map(drop);
        store.read(images, &header, read).map_err(failed)?;
        if (pixels.len() - before) as u64 != length {
            let found = pixels.len() - before;
            return Err(failed(format!("`{images}` ends after {found} of {length} bytes")));
        }
    }
    Ok(pixels)
}

#[cfg(test)]
mod tests;
