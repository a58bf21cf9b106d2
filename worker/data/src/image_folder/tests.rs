//! Tests of image folders: classes, order, links, mistakes.

use std::fs;
use std::path::Path;

use super::*;

fn listed(folder: &Path) -> Result<Listing, DataError> {
    listed_as(folder, &PartFolders::default())
}

fn listed_as(folder: &Path, named: &PartFolders) -> Result<Listing, DataError> {
    list(&Folder::root(folder)?, named).map(|(_, listing)| listing)
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
    assert!(no_train.contains("none of the folders `test` is the training part"), "{no_train}");
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
    let list = || list(&Folder::root(root.path())?.join("set")?, &PartFolders::default()).map(|(_, listing)| listing);
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
