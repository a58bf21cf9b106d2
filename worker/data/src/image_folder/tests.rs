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

fn named(train: Option<&str>, validation: Option<&str>, test: Option<&str>) -> PartFolders {
    let owned = |name: Option<&str>| name.map(str::to_owned);
    PartFolders { train: owned(train), validation: owned(validation), test: owned(test) }
}

/// Returns the numbers of training, validation and test images, and the classes.
fn numbers(listing: &Listing) -> ([usize; 3], Vec<&str>) {
    let counts = [listing.train.len(), listing.validation.len(), listing.test.len()];
    (counts, listing.classes.iter().map(String::as_str).collect())
}

/// Returns the texts of the notes.
fn notes(listing: &Listing) -> String {
    listing.notes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn parts_are_found_under_every_usual_name_and_place() {
    for (train, test) in [
        ("Train", "Test"),
        ("TRAIN", "TEST"),
        ("Training", "Testing"),
        ("training_set", "test_set"),
        ("train2017", "test2017"),
        ("set/train", "set/test"),
        ("a/b/Train", "a/b/Test"),
        ("images/train", "images/test"),
        ("train/images", "test/images"),
    ] {
        let files = [("a", 0), ("a", 1), ("b", 0)].map(|(class, n)| format!("{train}/{class}/{n}.png"));
        let tests = ["a", "b"].map(|class| format!("{test}/{class}/0.png"));
        let all: Vec<&str> = files.iter().chain(&tests).map(String::as_str).collect();
        let root = folder(&all);
        fs::create_dir_all(root.path().join("__MACOSX/train/a")).expect("a folder");
        fs::write(root.path().join("__MACOSX/train/a/._0.png"), b"left by an archiver").expect("a file");
        fs::create_dir_all(root.path().join("labels/train")).expect("a folder");
        let listing = listed(root.path()).unwrap_or_else(|error| panic!("{train}: {error}"));
        assert_eq!(numbers(&listing), ([3, 0, 2], vec!["a", "b"]), "{train}");
    }
    // Class folders in `images/`, and in a folder of the data set's own name.
    for place in ["images", "SET"] {
        let root = folder(&[&format!("set/{place}/a/0.png"), &format!("set/{place}/b/0.png")]);
        let set = Folder::root(root.path()).and_then(|root| root.join("set")).expect("a folder");
        let (inner, listing) = list(&set, &PartFolders::default()).expect("a whole data set");
        assert_eq!((numbers(&listing), inner.below_root()), (([2, 0, 0], vec!["a", "b"]), format!("set/{place}")));
        assert_eq!(paths(&listing, &listing.train)[0].0, "a/0.png", "as if the inner folder were named");
    }
}

#[test]
fn parts_are_never_classes() {
    let refused = |images: &[&str]| listed(folder(images).path()).map(|listing| panic!("{:?}", numbers(&listing)));
    let message = |images: &[&str]| match refused(images) {
        Err(error) => error.to_string(),
        Ok(()) => unreachable!("it panics"),
    };
    // Each of these was once a study of one part against the other.
    for (one, two) in
        [("Train", "Test"), ("training", "validation"), ("valid", "test"), ("trainA", "testA"), ("TRAIN", "VAL")]
    {
        let files = [one, two].map(|part| format!("{part}/0.png"));
        let error = message(&[&files[0], &files[1]]);
        assert!(error.contains(one) || error.contains("no class folders"), "{one}: {error}");
    }
    // But these are classes.
    let root = folder(&["valid/0.png", "invalid/0.png"]);
    assert_eq!(numbers(&listed(root.path()).expect("class folders")).1, ["invalid", "valid"]);
    let twice = message(&["Train/a/0.png", "training/a/0.png", "test/a/0.png"]);
    assert!(twice.contains("each of the folders `Train`, `training` may be the train part"), "{twice}");
    let inside = message(&["cat/train/0.png", "cat/test/0.png", "dog/train/0.png", "dog/test/0.png"]);
    assert!(inside.contains("`cat`, `dog` each have parts") && inside.contains("`train/CLASS/"), "{inside}");
    let nothing = message(&["val/a/0.png", "val/b/0.png", "test/a/0.png", "test/b/0.png"]);
    assert!(nothing.contains("none of the folders `test`, `val` is the training part"), "{nothing}");
}

#[test]
fn pictures_without_classes_are_answered_with_what_to_write() {
    let message = |images: &[&str]| listed(folder(images).path()).expect_err("a mistake").to_string();
    let loose = message(&["train/0.png", "train/1.png"]);
    assert!(loose.contains("2 images and no class folders") && loose.contains("`kind: list`"), "{loose}");
    let test = message(&["train/a/0.png", "train/b/0.png", "test/0.png"]);
    assert!(test.contains("1 image and no class folders") && test.contains("`test_fraction: 0.2`"), "{test}");
    // A class of vehicles that is called `train`.
    let vehicles = ["train/0.png", "bus/0.png", "car/0.png"];
    let error = message(&vehicles);
    assert!(error.contains("a class like `bus`, `car`, write `train: .`"), "{error}");
    let listing = listed_as(folder(&vehicles).path(), &named(Some("."), None, None)).expect("class folders");
    assert_eq!(numbers(&listing), ([3, 0, 0], vec!["bus", "car", "train"]));
    let inner = message(&["Pets/cat/0.png", "Pets/dog/0.png"]);
    assert!(inner.contains("the only class folder is `Pets`, which has the folders `cat`, `dog`"), "{inner}");
}

#[test]
fn named_folders_are_read_and_others_are_told() {
    let all = [
        "train/a/0.png",
        "train/b/0.png",
        "val/a/0.png",
        "val/b/0.png",
        "test/a/0.png",
        "test/b/0.png",
        "test/b/1.png",
        "extra/a/0.png",
    ];
    let root = folder(&all);
    let read = |named: PartFolders| listed_as(root.path(), &named).expect("a whole data set");
    let plain = read(PartFolders::default());
    assert_eq!(numbers(&plain).0, [2, 0, 3]);
    assert!(notes(&plain).contains("the folder `val` is not read: write `validation: val`"), "{}", notes(&plain));
    assert!(notes(&plain).contains("the folder `extra` is not read"), "{}", notes(&plain));
    let validated = read(named(None, Some("val"), None));
    assert_eq!(numbers(&validated).0, [2, 2, 3]);
    assert!(!notes(&validated).contains("`val`"), "{}", notes(&validated));
    assert_eq!(numbers(&read(named(None, None, Some("val")))).0, [2, 0, 2]);
    // A named training part reads nothing that is not named.
    assert_eq!(numbers(&read(named(Some("train"), None, None))).0, [2, 0, 0]);
    assert_eq!(numbers(&read(named(Some("test"), None, Some("train")))).0, [3, 0, 2]);
    let missing = listed_as(root.path(), &named(Some("Train"), None, None)).expect_err("a mistake").to_string();
    assert!(missing.contains("there is no folder `Train`, only `extra`, `test`, `train`, `val`"), "{missing}");
    let flat = folder(&["a/0.png", "b/0.png", "held/a/0.png", "held/b/0.png"]);
    let listing = listed_as(flat.path(), &named(Some("."), None, Some("held"))).expect("a whole data set");
    assert_eq!(numbers(&listing), ([2, 0, 2], vec!["a", "b"]));
}

#[test]
fn classes_of_parts_are_matched_by_name() {
    let words = ["Caf\u{e9}", "Cafe\u{301}", "The\u{301}"];
    let root = folder(&[
        &format!("train/{}/0.png", words[1]),
        &format!("train/{}/0.png", words[2]),
        &format!("test/{}/0.png", words[0]),
    ]);
    let listing = listed(root.path()).expect("one word in two forms");
    assert_eq!((listing.classes[0].as_str(), listing.test[0].label), (words[1], 0));
    assert!(notes(&listing).contains("another Unicode form"), "{}", notes(&listing));
    assert!(notes(&listing).contains(&format!("class `{}` has no test images", words[2])), "{}", notes(&listing));
    let twice = folder(&[&format!("train/{}/0.png", words[0]), &format!("train/{}/0.png", words[1])]);
    let error = listed(twice.path()).expect_err("one word twice").to_string();
    assert!(error.contains("U+00E9") && error.contains("U+0301"), "{error}");
    let case = folder(&["train/apple/0.png", "train/fig/0.png", "test/Apple/0.png"]);
    let error = listed(case.path()).expect_err("another case").to_string();
    assert!(error.contains("`Apple`") && error.contains("`apple`") && error.contains("case only"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_link_to_nothing_is_named() {
    let root = folder(&["train/a/0.png", "train/b/0.png"]);
    std::os::unix::fs::symlink("nowhere.png", root.path().join("train/a/zz.png")).expect("a link");
    let error = listed(root.path()).expect_err("a mistake").to_string();
    assert!(error.contains("train/a/zz.png leads to `nowhere.png`, which does not exist"), "{error}");
}
