//! Image folders: `train/CLASS/…` and `test/CLASS/…`, or class folders directly below the data set.

use super::error::DataError;
use super::kinds::{Ignored, Kind as Content, is_named_picture, of};
use super::manifest::{Entry, ListedFile, Listing, Location, Part};
use crate::root::{Folder, Identity, Kind, RootError};

/// Number of entries of a class folder that are checked for images.
const GLANCE: usize = 1000;

/// Returns whether `folder` has a `train` folder.
pub(super) fn has_train_folder(folder: &Folder) -> bool {
    folder.has_folder("train")
}

/// Returns whether at least two folders directly below `folder` seem to hold images. A folder that leads out of the
/// data root and cannot be opened counts, so that listing the images names it.
pub(super) fn has_class_folders(folder: &Folder) -> bool {
    let holds_image = |class: &str| match folder.children(class) {
        Ok(children) => {
            children.into_iter().take(GLANCE).filter_map(|child| child.name).any(|name| is_named_picture(&name))
        }
        Err(error) => matches!(error, RootError::LeadsOut { .. }),
    };
    let names = folder.children("").into_iter().flatten().filter_map(|child| child.name);
    names.filter(|name| folder.has_folder(name) && holds_image(name)).nth(1).is_some()
}

/// Lists the images of `folder`, in the byte order of their paths.
pub(super) fn list(folder: &Folder) -> Result<Listing, DataError> {
    let mut walk = Walk { folder, above: Vec::new(), ignored: Ignored::default() };
    let (train_folder, test_folder) = (folder.shown("train"), folder.shown("test"));
    let has_test = folder.has_folder("test");
    let (train_folder, train) = match (has_train_folder(folder), has_test) {
        (true, _) => (train_folder, walk.classes("train/")?),
        (false, false) => (folder.shown(""), walk.classes("")?),
        (false, true) => {
            let expected = "add a folder `train`, with one folder per class, beside the folder `test`".into();
            return Err(DataError::MissingFile { path: train_folder, expected });
        }
    };
    if let Some(empty) = train.iter().find(|class| class.images.is_empty()) {
        return Err(DataError::EmptyClass { path: train_folder.join(&empty.name) });
    }
    let classes: Vec<String> = train.iter().map(|class| class.name.clone()).collect();
    match &classes[..] {
        [] => return Err(DataError::NoImages { path: train_folder }),
        [class] => return Err(DataError::OneClass { path: train_folder, class: class.clone() }),
        _ => {}
    }
    let mut files = Vec::new();
    for (label, class) in train.into_iter().enumerate() {
        files.extend(class.files(Part::Train, label));
    }
    if has_test {
        let train_files = files.len();
        for class in walk.classes("test/")? {
            match classes.binary_search(&class.name) {
                Ok(label) => files.extend(class.files(Part::Test, label)),
                Err(_) if class.images.is_empty() => {}
                Err(_) => return Err(DataError::TestOnlyClass { path: test_folder, class: class.name, classes }),
            }
        }
        if files.len() == train_files {
            return Err(DataError::NoImages { path: test_folder });
        }
    }
    files.sort_by(|a, b| (a.part, &a.path).cmp(&(b.part, &b.path)));
    let entries = |part: Part| {
        let of_part = files.iter().enumerate().filter(|(_, file)| file.part == part);
        of_part.filter_map(|(i, file)| Some(Entry { label: file.class?, location: Location::File(i as u32) })).collect()
    };
    Ok(Listing { train: entries(Part::Train), test: entries(Part::Test), classes, files, ignored: walk.ignored })
}

/// A class folder and the images below it, with paths relative to the data set's folder.
struct ClassFolder {
    name: String,
    images: Vec<String>,
}

impl ClassFolder {
    fn files(self, part: Part, label: usize) -> impl Iterator<Item = ListedFile> {
        self.images.into_iter().map(move |path| ListedFile { part, path, class: Some(label as u32), layout: None })
    }
}

/// A visible child of a folder.
struct Child {
    name: String,
    kind: Kind,
}

/// A walk through class folders that follows symbolic links but refuses cycles.
struct Walk<'a> {
    folder: &'a Folder,
    /// The folders from the class folder down to the current one.
    above: Vec<Identity>,
    /// Files that are not images, and files outside any class.
    ignored: Ignored,
}

impl Walk<'_> {
    /// Returns the class folders in `prefix`, sorted by name.
    fn classes(&mut self, prefix: &str) -> Result<Vec<ClassFolder>, DataError> {
        self.above.push(self.folder.identity(prefix)?);
        let mut classes = Vec::new();
        for Child { name, kind } in self.children(prefix)? {
            match kind {
                Kind::Folder => {
                    let mut images = Vec::new();
                    self.descend(&format!("{prefix}{name}/"), &mut images)?;
                    classes.push(ClassFolder { name, images });
                }
                Kind::File => self.ignored.push(format!("{prefix}{name}"), "it is in no class folder"),
            }
        }
        self.above.pop();
        Ok(classes)
    }

    fn descend(&mut self, prefix: &str, images: &mut Vec<String>) -> Result<(), DataError> {
        let identity = self.folder.identity(prefix)?;
        if self.above.contains(&identity) {
            return Err(DataError::LinkLoop { path: self.folder.shown(prefix.trim_end_matches('/')) });
        }
        self.above.push(identity);
        for Child { name, kind } in self.children(prefix)? {
            let path = format!("{prefix}{name}");
            match kind {
                Kind::Folder => self.descend(&format!("{path}/"), images)?,
                Kind::File => match of(self.folder, &path, &name) {
                    Content::Picture => images.push(path),
                    Content::Other(what) => self.ignored.push(path, what),
                },
            }
        }
        self.above.pop();
        Ok(())
    }

    /// Returns the children of the folder `prefix` by name, without hidden ones. Links are followed; a broken link is
    /// an error that names it.
    fn children(&self, prefix: &str) -> Result<Vec<Child>, DataError> {
        let mut children = Vec::new();
        for child in self.folder.children(prefix)? {
            let shown = child.shown.file_name().unwrap_or_default();
            if shown.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let name = child.name.clone().ok_or_else(|| DataError::NotUtf8 { path: child.shown.clone() })?;
            let kind = child.kind(self.folder, &format!("{prefix}{name}"))?;
            children.push(Child { name, kind });
        }
        children.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(children)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn listed(folder: &Path) -> Result<Listing, DataError> {
        list(&Folder::root(folder)?)
    }

    /// Writes a 4 × 4 picture of one colour, and the folders above it.
    pub(crate) fn write_png(path: &Path, color: [u8; 3]) {
        fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a folder");
        image::RgbImage::from_pixel(4, 4, image::Rgb(color)).save(path).expect("a picture");
    }

    fn folder(images: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a temporary folder");
        images.iter().for_each(|path| write_png(&root.path().join(path), [9, 9, 9]));
        root
    }

    fn paths(listing: &Listing, entries: &[Entry]) -> Vec<(String, u32)> {
        let path = |entry: &Entry| match entry.location {
            Location::File(file) => listing.files[file as usize].path.clone(),
            other => panic!("{other:?} in an image folder"),
        };
        entries.iter().map(|entry| (path(entry), entry.label)).collect()
    }

    #[test]
    fn parts_classes_and_order() {
        let root = folder(&[
            "train/cat/b.PNG",
            "train/cat/a.png",
            "train/cat/deep/er/c.png",
            "train/cat-like/z.png",
            "test/cat/t.png",
            "train/cat/.hidden.png",
            "train/loose.png",
        ]);
        fs::write(root.path().join("train/cat/notes.txt"), "no image").expect("a file");
        let listing = listed(root.path()).expect("a whole data set");
        assert_eq!(listing.classes, ["cat", "cat-like"]);
        // Sorted by the bytes of the whole path: `-` comes before `/`.
        let train = ["train/cat-like/z.png", "train/cat/a.png", "train/cat/b.PNG", "train/cat/deep/er/c.png"];
        assert_eq!(
            paths(&listing, &listing.train),
            train.iter().zip([1, 0, 0, 0]).map(|(p, l)| (p.to_string(), l)).collect::<Vec<_>>()
        );
        assert_eq!(paths(&listing, &listing.test), [("test/cat/t.png".to_owned(), 0)]);
        let ignored: Vec<&str> = listing.ignored.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!((listing.ignored.total, &ignored[..]), (2, &["train/cat/notes.txt", "train/loose.png"][..]));
    }

    #[test]
    fn mistakes_are_named() {
        let message = |root: &tempfile::TempDir| listed(root.path()).expect_err("a mistake").to_string();
        let test_only = message(&folder(&["train/a/0.png", "train/b/0.png", "test/a/0.png", "test/zebra/0.png"]));
        assert!(
            test_only.contains("class `zebra`") && test_only.contains("a, b") && test_only.contains("test"),
            "{test_only}"
        );
        let one = message(&folder(&["train/a/0.png"]));
        assert!(one.contains("one class only (`a`)"), "{one}");
        let empty = folder(&["train/a/0.png", "train/b/0.png"]);
        fs::create_dir(empty.path().join("train/void")).expect("a folder");
        assert!(message(&empty).contains("train/void has no images"));
        let none = folder(&[]);
        assert!(message(&none).contains(&none.path().display().to_string()));
        let no_train = message(&folder(&["test/a/0.png", "test/b/0.png"]));
        assert!(no_train.contains("train is missing"), "{no_train}");
        let empty_test = folder(&["train/a/0.png", "train/b/0.png"]);
        fs::create_dir(empty_test.path().join("test")).expect("a folder");
        assert!(message(&empty_test).contains("no images in"));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_but_not_in_circles() {
        use std::os::unix::ffi::OsStrExt;
        use std::os::unix::fs::symlink;

        let root = folder(&["elsewhere/0.png", "set/a/0.png"]);
        let set = root.path().join("set");
        // A link out of the data set but within the data root.
        symlink("../elsewhere", set.join("b")).expect("a link");
        let list = || list(&Folder::root(root.path())?.join("set")?);
        assert_eq!(list().expect("a whole data set").classes, ["a", "b"]);
        symlink("..", set.join("a/up")).expect("a link");
        let error = list().expect_err("a mistake");
        assert!(matches!(&error, DataError::LinkLoop { path } if path.ends_with("a/up")), "{error}");
        fs::remove_file(set.join("a/up")).expect("a link");
        // Some file systems refuse such names; then there is nothing to test.
        if fs::write(set.join("a").join(std::ffi::OsStr::from_bytes(b"\xff.png")), b"").is_ok() {
            assert!(matches!(list().expect_err("a mistake"), DataError::NotUtf8 { .. }));
        }
    }
}
