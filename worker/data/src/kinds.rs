//! Which files of a class folder are pictures: by name, or by content if the name says nothing.

use std::io::Read;
use std::path::Path;

use pretext_shared::dataset::Note;
use pretext_shared::survey::{IgnoredFile, Survey};

use super::decode::{HEAD, is_picture};
use crate::root::Folder;

/// Endings of pictures. Some are of formats that are not read: such a file is refused by name, never passed over.
const PICTURES: [&str; 42] = [
    "jpg", "jpeg", "jpe", "jfif", "jif", "png", "apng", "tif", "tiff", "webp", "bmp", "dib", "gif", "pnm", "pbm",
    "pgm", "ppm", "pam", "heic", "heif", "hif", "avif", "dcm", "dicom", "svs", "ndpi", "scn", "mrxs", "bif", "vms",
    "vmu", "jp2", "j2k", "jpx", "jxl", "psd", "exr", "ico", "dng", "cr2", "nef", "arw",
];

/// Endings of files that belong to no data set, with what they are.
const OTHERS: [(&str, &str); 8] = [
    ("txt csv tsv json jsonl xml yaml yml toml ini md rst html htm log tex", "text"),
    ("db", "a cache of thumbnails or a database"),
    ("zip tar gz tgz bz2 xz 7z rar zst", "an archive: unpack it to use the pictures in it"),
    ("npy npz parquet h5 hdf5 mat pkl pt pth safetensors tfrecord", "numbers, not a picture"),
    ("mp4 mov avi mkv webm m4v mpg mpeg", "a video: extract frames to use it"),
    ("svg pdf eps ai", "a drawing: convert it to PNG to use it"),
    ("py ipynb sh r m c cpp h rs js", "a program"),
    ("lnk url tmp bak part crdownload", "a leftover of the system"),
];

/// Files beside the pictures that are no part of the data set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ignored {
    /// Their number.
    pub total: u64,
    /// The first of them, with the reason.
    pub files: Vec<IgnoredFile>,
}

impl Ignored {
    /// Returns the note about them, if there are any.
    pub(super) fn note(&self) -> Option<Note> {
        let IgnoredFile { path, reason } = self.files.first()?.clone();
        Some(Note::Ignored { count: self.total, first: path, reason })
    }

    pub(super) fn push(&mut self, path: String, reason: &str) {
        self.total += 1;
        if self.files.len() < Survey::MOST_IGNORED {
            self.files.push(IgnoredFile { path, reason: reason.to_owned() });
        }
    }
}

/// What a file is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A picture, readable or not.
    Picture,
    /// Something else, in words.
    Other(&'static str),
}

fn ending(name: &str) -> String {
    let ending = Path::new(name).extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    ending.to_ascii_lowercase()
}

/// Returns whether the name is a visible picture's.
pub(super) fn is_named_picture(name: &str) -> bool {
    !name.starts_with('.') && PICTURES.contains(&ending(name).as_str())
}

/// Returns what the file `path` called `name` is. A name that says nothing makes the content decide.
pub(super) fn of(folder: &Folder, path: &str, name: &str) -> Kind {
    if is_named_picture(name) {
        return Kind::Picture;
    }
    let ending = ending(name);
    let known = OTHERS.iter().find(|(endings, _)| endings.split(' ').any(|known| known == ending));
    if let Some((_, what)) = known {
        return Kind::Other(what);
    }
    let mut head = Vec::new();
    let read = folder.open(path).ok().and_then(|file| file.take(HEAD).read_to_end(&mut head).ok());
    match read {
        Some(_) if is_picture(&head) => Kind::Picture,
        _ => Kind::Other("neither its name nor its content is a picture's"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn names_decide_and_then_content() {
        let place = tempfile::tempdir().expect("a temporary folder");
        let root = Folder::root(place.path()).expect("a root");
        let kind = |name: &str, content: &[u8]| {
            fs::write(place.path().join(name), content).expect("a file");
            of(&root, name, name)
        };
        let png = b"\x89PNG\r\n\x1a\n and more";
        for name in ["a.JPG", "b.jfif", "c.tif", "d.heic", "e.svs"] {
            assert_eq!(kind(name, b"whatever"), Kind::Picture, "{name}");
        }
        assert_eq!(kind("IM0001", &[&[0; 128][..], b"DICM"].concat()), Kind::Picture);
        assert_eq!(kind("photo.jpg_large", png), Kind::Picture);
        assert_eq!(kind("notes.txt", png), Kind::Other("text"));
        for (name, content) in [("README", &b"P1 is not a picture"[..]), ("Thumbs.db", png), ("x.dat", b"")] {
            assert!(matches!(kind(name, content), Kind::Other(_)), "{name}");
        }
    }
}
