//! Tests of data sets in memory: pixels, fingerprints, parts.

use std::fs;

use pretext_shared::dataset::Procedural;
use pretext_shared::split::Fraction;

use super::*;
use crate::image_folder::tests::write_png;

fn spec(manifest: &Manifest, test_fraction: Option<f64>) -> DataSpec {
    DataSpec {
        fingerprint: manifest.facts.fingerprint,
        classes: manifest.facts.classes.len() as u32,
        image_size: 4,
        normalize: Normalize::Train,
        test_fraction,
        fit: Fit::default(),
    }
}

fn folder(path: &str, test_fraction: Option<f64>) -> Source {
    format!("image-folder:{path}").parse::<Source>().expect("a key").with_test_fraction(test_fraction)
}

fn load(root: &Path, source: &Source, test_fraction: Option<f64>) -> Result<Dataset, DataError> {
    let manifest = scan(root, source, None)?;
    Dataset::load(root, source, &spec(&manifest, test_fraction), None)
}

#[test]
fn an_image_folder_becomes_planes_with_labels() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let at = |path: &str| root.path().join("set").join(path);
    write_png(&at("train/a/0.png"), [0, 10, 255]);
    write_png(&at("train/b/0.png"), [255, 30, 255]);
    write_png(&at("test/b/0.png"), [7, 8, 9]);
    let source = folder("set", None);
    let data = load(root.path(), &source, None).expect("a whole data set");
    assert_eq!((data.train.members(), data.test.members()), (vec![vec![0], vec![1]], vec![vec![], vec![0]]));
    assert_eq!(data.train.image(1), [[255; 16], [30; 16], [255; 16]].concat());
    assert_eq!((data.test.label(0), data.test.path_of(0)), (1, "test/b/0.png".to_owned()));
    // Over the training images only; the third channel does not vary.
    let (mean, std) = data.normalization(&Normalize::Train);
    assert_eq!((mean, std), ([0.5, 20.0 / 255.0, 1.0], [0.5, 10.0 / 255.0, 1.0]));
    assert_eq!(data.normalization(&Normalize::None), ([0.0; 3], [1.0; 3]));
    assert!(matches!(load(root.path(), &source, Some(0.5)), Err(DataError::TwoTests { .. })));
}

#[test]
fn the_fingerprint_covers_names_and_content_but_not_the_place() {
    let root = tempfile::tempdir().expect("a temporary folder");
    for set in ["one", "two"] {
        for (class, value) in [("a", 1), ("b", 2)] {
            write_png(&root.path().join(set).join("train").join(class).join("0.png"), [value; 3]);
            write_png(&root.path().join(set).join("test").join(class).join("0.png"), [10 + value; 3]);
        }
    }
    let manifest = |set| scan(root.path(), &folder(set, None), None).expect("a whole data set");
    let planned = manifest("one");
    assert_eq!(planned.facts.fingerprint, manifest("two").facts.fingerprint);
    let image = root.path().join("two/test/b/0.png");
    fs::rename(&image, image.with_file_name("1.png")).expect("a file");
    let renamed = manifest("two").facts.fingerprint;
    assert_ne!(planned.facts.fingerprint, renamed);
    write_png(&image.with_file_name("1.png"), [33; 3]);
    let changed = manifest("two").facts.fingerprint;
    assert_ne!(renamed, changed);
    let error = Dataset::load(root.path(), &folder("two", None), &spec(&planned, None), None)
        .expect_err("a mistake")
        .to_string();
    assert!(error.contains(&planned.facts.fingerprint.short()) && error.contains(&changed.short()), "{error}");
}

#[test]
fn all_files_that_do_not_decode_are_named_at_once() {
    let root = tempfile::tempdir().expect("a temporary folder");
    for (class, value) in [("a", 1), ("b", 2)] {
        write_png(&root.path().join(format!("set/train/{class}/0.png")), [value; 3]);
        write_png(&root.path().join(format!("set/test/{class}/0.png")), [10 + value; 3]);
    }
    let write = |path: &str, content: &[u8]| fs::write(root.path().join("set").join(path), content).expect("a file");
    write("train/b/bad.jpg", b"\xff\xd8\xff\xe0 not a picture");
    write("train/b/empty.png", b"");
    write("test/a/page.jpg", b"<!DOCTYPE html><html></html>");
    let error = || load(root.path(), &folder("set", None), None).expect_err("a mistake").to_string();
    let text = error();
    for part in [
        "3 of 7 pictures in",
        "train/b/bad.jpg (the JPEG ends before the picture does)",
        "train/b/empty.png (it is empty)",
        "test/a/page.jpg (it is an HTML page",
        "`unreadable: skip`",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    (0..9).for_each(|i| write(&format!("test/b/{i}.gif"), b"GIF89a"));
    let text = error();
    assert!(text.contains("12 of 16 pictures") && text.contains("and 2 more") && !text.contains("8.gif"), "{text}");
}

#[test]
fn a_cache_that_is_wrong_cannot_pass_for_the_files() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let cache = root.path().join("cache.json");
    let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let image = |class: &str| root.path().join(format!("set/{class}/0.png"));
    let write = |class: &str, value: u8| {
        write_png(&image(class), [value; 3]);
        fs::File::options().write(true).open(image(class)).and_then(|f| f.set_modified(long_ago)).expect("a time");
    };
    write("a", 1);
    write("b", 2);
    let source = folder("set", Some(0.5));
    let first = scan(root.path(), &source, Some(&cache)).expect("a whole data set");
    // New content of the same length and time: the cache cannot see the change, but loading does.
    write("b", 3);
    let second = scan(root.path(), &source, Some(&cache)).expect("a whole data set");
    assert_eq!(first.facts.fingerprint, second.facts.fingerprint, "the second scan reads no image");
    let error = Dataset::load(root.path(), &source, &spec(&second, Some(0.5)), Some(&cache)).expect_err("a mistake");
    assert!(matches!(&error, DataError::Changed { path } if path.ends_with("set/b/0.png")), "{error}");
}

#[test]
fn images_set_apart_for_testing_are_in_no_split() {
    let root = tempfile::tempdir().expect("a temporary folder");
    for i in 0..10u8 {
        write_png(&root.path().join(format!("set/a/{i}.png")), [i; 3]);
        write_png(&root.path().join(format!("set/b/{i}.png")), [100 + i; 3]);
    }
    let source = folder("set", Some(0.2));
    let data = load(root.path(), &source, Some(0.2)).expect("a whole data set");
    assert_eq!((data.train.len(), data.test.len()), (16, 4));
    assert!(data.test.ids().iter().all(|id| !data.train.ids().contains(id)));
    // Every id leads to its own picture and path, in both parts.
    for set in [&data.train, &data.test] {
        for id in set.ids() {
            let value = if *id < 10 { *id as u8 } else { 90 + *id as u8 };
            assert_eq!((set.image(*id)[0], set.label(*id)), (value, u32::from(*id >= 10)));
            assert!(set.path_of(*id).ends_with(&format!("/{}.png", id % 10)));
        }
    }
    let parts = data.train.split(SplitSpec { seed: 1, fraction: Fraction::ALL }).expect("enough images");
    assert_eq!(parts.train.len() + parts.validation.len(), 16);
    let kept: u32 = data.train.ids().iter().map(|id| u32::from(data.train.image(*id)[0])).sum();
    let (mean, _) = data.normalization(&Normalize::Train);
    assert!((mean[0] - kept as f32 / 16.0 / 255.0).abs() < 1e-6);
    assert!(matches!(load(root.path(), &source, None), Err(DataError::NoTest { .. })));
}

#[test]
fn drawn_pictures_load_without_any_file() {
    let source = Source::Procedural(Procedural { train_per_class: 3, test_per_class: 2, seed: 9 });
    let data = load(Path::new("nowhere"), &source, None).expect("nothing to read");
    assert_eq!((data.train.len(), data.test.len(), data.classes.len()), (9, 6, 3));
    assert_ne!(data.train.image(0), data.test.image(0), "the parts are drawn apart");
}

#[test]
fn too_many_pixels_are_refused_before_memory_is_taken() {
    assert!(check_memory("k", 100_000, 224, MOST_PIXELS).is_ok());
    let error = check_memory("image-folder:big", 200_000, 224, MOST_PIXELS).expect_err("a mistake").to_string();
    assert!(error.contains("image-folder:big") && error.contains("28.0 GiB") && error.contains("16.0 GiB"), "{error}");
    assert!(check_memory("k", u64::MAX, 224, MOST_PIXELS).is_err());
    // No machine of a lab holds this.
    let huge = Source::Procedural(Procedural { train_per_class: 500_000, test_per_class: 10, seed: 0 });
    let manifest = scan(Path::new("nowhere"), &huge, None).expect("nothing to read");
    let spec = DataSpec { image_size: 224, ..spec(&manifest, None) };
    let error = Dataset::load(Path::new("nowhere"), &huge, &spec, None).expect_err("too large");
    assert!(matches!(error, DataError::TooLarge { .. }), "{error}");
}

#[test]
fn cifar10_as_jpeg_files_has_ten_classes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if !root.join("cifar10").is_dir() {
        println!("skipped: there is no {}", root.join("cifar10").display());
        return;
    }
    let manifest = scan(&root, &folder("cifar10", None), None).expect("a whole data set");
    assert_eq!((&manifest.facts.train[..], &manifest.facts.test[..]), (&[1000; 10][..], &[200; 10][..]));
    assert_eq!(manifest.path_of(Part::Train, 0), "train/airplane/0000.jpg");
}
