//! What a decoded picture file says, kept by the hash of its content, so that a second look decodes nothing. The file
//! only saves time: it may be removed at any moment.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use pretext_shared::ids::ContentHash;
use serde::{Deserialize, Serialize};

use super::decode::{self, Decoded};
use super::near::Print;

/// Format version; raise it when the meaning of the file changes.
const SCHEMA: u32 = 1;
/// Most entries of a file that is written.
const MOST: usize = 2_000_000;

/// A picture, without its pixels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Look {
    pub(super) width: u32,
    pub(super) height: u32,
    /// The name of its format.
    pub(super) format: String,
    /// Whether the file has further pages or frames.
    pub(super) several: bool,
    /// Whether the three channels are equal everywhere.
    pub(super) grey: bool,
    /// Hash of size and pixels.
    pub(super) pixels: ContentHash,
    /// The perceptual hash, if it has one.
    pub(super) print: Option<Print>,
}

/// A look, or why the file cannot be decoded.
pub(super) type Seen = Result<Look, String>;

impl Look {
    /// Decodes a file.
    pub(super) fn at(bytes: &[u8]) -> Seen {
        let Decoded { picture, format, several } = decode::read(bytes)?;
        Ok(Self::of(&picture, format, several))
    }

    /// Returns the look of a decoded picture.
    pub(super) fn of(picture: &decode::Picture, format: &str, several: bool) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(picture.width as u64).to_le_bytes()).update(&(picture.height as u64).to_le_bytes());
        hasher.update(&picture.data);
        Self {
            width: picture.width as u32,
            height: picture.height as u32,
            format: format.to_owned(),
            several,
            grey: picture.is_grey(),
            pixels: ContentHash::from_bytes(*hasher.finalize().as_bytes()),
            print: Print::of(picture),
        }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    schema: u32,
    /// [`decode::VERSION`] of the program that wrote it.
    decoder: u32,
    seen: BTreeMap<ContentHash, Seen>,
}

/// The looks in memory.
#[derive(Debug, Default)]
pub(super) struct Looks {
    path: Option<PathBuf>,
    content: Content,
    changed: bool,
}

impl Looks {
    /// Opens the looks beside the cache of hashes `cache`; there are none if the file is missing, damaged, or of another
    /// version.
    pub(super) fn beside(cache: Option<&Path>) -> Self {
        let path = cache.map(|cache| {
            let mut name = cache.file_name().unwrap_or_default().to_owned();
            name.push("-pictures");
            cache.with_file_name(name)
        });
        let content = path
            .as_deref()
            .and_then(|path| fs::read(path).ok())
            .and_then(|bytes| serde_json::from_slice::<Content>(&bytes).ok())
            .filter(|content| (content.schema, content.decoder) == (SCHEMA, decode::VERSION))
            .unwrap_or_default();
        Self { path, content, changed: false }
    }

    /// Returns what is known of a file.
    pub(super) fn get(&self, file: ContentHash) -> Option<&Seen> {
        self.content.seen.get(&file)
    }

    /// Keeps what was seen of files.
    pub(super) fn keep(&mut self, seen: impl IntoIterator<Item = (ContentHash, Seen)>) {
        for (file, seen) in seen {
            self.changed |= self.content.seen.insert(file, seen).is_none();
        }
    }

    /// Writes the looks if there are new ones, to a new file that replaces the old one at once.
    pub(super) fn save(&mut self) {
        let wanted = self.changed && self.content.seen.len() <= MOST;
        let Some(path) = self.path.as_deref().filter(|_| wanted) else { return };
        (self.content.schema, self.content.decoder) = (SCHEMA, decode::VERSION);
        let Some(folder) = path.parent() else { return };
        let temporary = folder.join(format!(".pictures-{}", std::process::id()));
        // Looks that cannot be written cost only time at the next scan.
        let written = fs::create_dir_all(folder)
            .and_then(|()| fs::write(&temporary, serde_json::to_vec(&self.content)?))
            .and_then(|()| fs::rename(&temporary, path));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_known_until_the_decoder_changes() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let cache = folder.path().join("deep/hashes");
        let (good, bad) = (ContentHash::of(b"good"), ContentHash::of(b"bad"));
        let picture = decode::Picture { data: (0..48).map(|i| 5 * i).collect(), height: 4, width: 4 };
        let look = Look::of(&picture, "PNG", false);
        let mut looks = Looks::beside(Some(&cache));
        looks.keep([(good, Ok(look.clone())), (bad, Err("why".to_owned()))]);
        looks.save();
        let looks = Looks::beside(Some(&cache));
        assert_eq!((looks.get(good), looks.get(bad)), (Some(&Ok(look)), Some(&Err("why".to_owned()))));
        let file = folder.path().join("deep/hashes-pictures");
        let older = fs::read_to_string(&file).expect("a file").replace("\"decoder\":", "\"decoder\":9");
        fs::write(&file, older).expect("a file");
        assert_eq!(Looks::beside(Some(&cache)).get(good), None);
    }
}
