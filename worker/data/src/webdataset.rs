//! Shards of WebDataset: tar files in which the files of a sample stand beside each other and share the beginning of their
//! names. They are read in place, never unpacked.

use std::io::Read;
use std::path::Path;

use super::decode::MAX_BYTES;
use super::error::DataError;
use super::kinds::is_named_picture;
use super::labels::{Labels, Sample};
use super::listing::{ListedFile, Listing, Location, Part};
use super::shards::{self, Shard};
use crate::root::Folder;

/// The end of the names of shards.
pub(super) const ENDING: &str = ".tar";
/// The most samples of a data set.
const MOST_SAMPLES: usize = 50_000_000;
/// Limit of a file with a label, in bytes.
const MOST_LABEL: u64 = 64 << 10;
/// Limit of a name, in bytes.
const MOST_NAME: usize = 4096;
/// The keys of a label in a JSON file.
const KEYS: [&str; 3] = ["label", "cls", "class"];

/// Lists the samples of the shards at `path` below `root`: shards in the byte order of their paths, samples in the order
/// of the shard.
pub(super) fn list(root: &Folder, path: &str) -> Result<(Folder, Listing), DataError> {
    let (folder, shards) = shards::find(root, path, ENDING)?;
    let (mut labels, mut samples) = (Labels::default(), Vec::new());
    for (file, Shard { path, part }) in (0..).zip(&shards) {
        let mut reader = Reader { labels: &mut labels, samples: &mut samples, part: *part, file, record: 0 };
        reader.shard(&folder, path).map_err(|reason| DataError::Shard { path: folder.shown(path), reason })?;
    }
    let mut listing = labels.finish(&folder.shown(""))?.listing(samples);
    let listed = |Shard { path, part }| ListedFile { part, path, class: None, layout: None, name_at: 0 };
    listing.files = shards.into_iter().map(listed).collect();
    Ok((folder, listing))
}

/// Returns whether `path` names a shard.
pub(super) fn is_shard(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tar"))
}

/// A sample whose files are being read.
struct Open {
    key: String,
    image: Option<(u64, u32)>,
    /// How much the kind of file says, less is more, and the text.
    label: Option<(u8, String)>,
}

struct Reader<'a> {
    labels: &'a mut Labels,
    samples: &'a mut Vec<Sample>,
    part: Part,
    file: u32,
    record: u32,
}

impl Reader<'_> {
    fn shard(&mut self, folder: &Folder, path: &str) -> Result<(), String> {
        let file = folder.open(path).map_err(|error| error.to_string())?;
        let total = file.metadata().map_err(|error| error.to_string())?.len();
        let mut archive = tar::Archive::new(file);
        let damaged = |error: std::io::Error| format!("it is no whole tar file: {error}");
        let mut open: Option<Open> = None;
        for entry in archive.entries_with_seek().map_err(damaged)? {
            let mut entry = entry.map_err(damaged)?;
            let (offset, size) = (entry.raw_file_position(), entry.size());
            if offset.checked_add(size).is_none_or(|end| end > total) {
                return Err(format!("it ends before the file at byte {offset} does: it was not copied whole"));
            }
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let name = entry.path_bytes();
            let name = std::str::from_utf8(&name).ok().filter(|name| name.len() <= MOST_NAME);
            let name =
                name.ok_or_else(|| format!("the name of the file at byte {offset} is not UTF-8, or too long"))?;
            let Some((key, extension)) = split(name) else { continue };
            let (key, extension) = (key.to_owned(), extension.to_ascii_lowercase());
            if open.as_ref().is_none_or(|open| open.key != key) {
                self.close(open.take())?;
                open = Some(Open { key, image: None, label: None });
            }
            let Some(open) = &mut open else { continue };
            if is_named_picture(&format!("x.{extension}")) {
                if open.image.is_some() {
                    return Err(format!("sample `{}` has several images: keep one for each sample", open.key));
                }
                let fits = u32::try_from(size).ok().filter(|_| size <= MAX_BYTES);
                let length = fits.ok_or_else(|| format!("the image of sample `{}` has {size} bytes", open.key))?;
                open.image = Some((offset, length));
            } else if let Some(rank) = ["cls", "json", "txt"].iter().position(|known| extension == *known) {
                if size > MOST_LABEL {
                    return Err(format!("the label of sample `{}` has {size} bytes, more than {MOST_LABEL}", open.key));
                }
                let mut text = Vec::new();
                entry.by_ref().take(MOST_LABEL).read_to_end(&mut text).map_err(damaged)?;
                let label = label(&extension, &text).map_err(|reason| format!("sample `{}`: {reason}", open.key))?;
                let rank = rank as u8;
                if let Some(label) = label.filter(|_| open.label.as_ref().is_none_or(|(known, _)| rank < *known)) {
                    open.label = Some((rank, label));
                }
            }
        }
        self.close(open)?;
        if self.record == 0 {
            Err("it has no samples: expected files like `0001.jpg` and `0001.cls`".to_owned())
        } else {
            Ok(())
        }
    }

    /// Takes a sample whose files were read.
    fn close(&mut self, open: Option<Open>) -> Result<(), String> {
        let (key, image, label) = match open {
            None | Some(Open { image: None, label: None, .. }) => return Ok(()),
            Some(Open { key, image, label }) => (key, image, label),
        };
        let Some((offset, length)) = image else {
            return Err(format!(
                "sample `{key}` has a label and no image, or its files do not stand beside each other"
            ));
        };
        let Some((_, label)) = label else {
            return Err(format!(
                "sample `{key}` has no label: expected `{key}.cls`, `.txt`, or `.json` with a key `label`"
            ));
        };
        if self.samples.len() >= MOST_SAMPLES {
            return Err(format!("there are more than {MOST_SAMPLES} samples"));
        }
        let label = self.labels.add(&label, self.part).map_err(|reason| format!("sample `{key}`: {reason}"))?;
        let location = Location::Range { file: self.file, offset, length, record: self.record };
        self.samples.push(Sample { part: self.part, label, location });
        self.record += 1;
        Ok(())
    }
}

/// Returns the key and the extension of a file's name; `None` for files that belong to no sample.
fn split(name: &str) -> Option<(&str, &str)> {
    let base = name.rfind('/').map_or(0, |slash| slash + 1);
    let dot = base + name[base..].find('.')?;
    let extension = Path::new(name).extension()?.to_str()?;
    (dot > base).then_some((&name[..dot], extension))
}

/// Returns the label in a file; `None` for a JSON file without one.
fn label(extension: &str, bytes: &[u8]) -> Result<Option<String>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| format!("its `.{extension}` is not text"))?;
    if extension != "json" {
        return Ok(Some(text.trim().to_owned()));
    }
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| format!("its `.json`: {error}"))?;
    let found = KEYS.iter().find_map(|key| value.get(key));
    match found {
        None | Some(serde_json::Value::Null) => Ok(None),
        Some(serde_json::Value::String(text)) => Ok(Some(text.trim().to_owned())),
        Some(serde_json::Value::Number(number)) if number.is_i64() || number.is_u64() => Ok(Some(number.to_string())),
        Some(_) => Err("the label in its `.json` is neither text nor a whole number".to_owned()),
    }
}

#[cfg(test)]
mod tests;
