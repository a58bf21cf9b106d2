//! Tests of arrays of NumPy: archives and files, damage, and headers that promise too much.

use std::fs;
use std::io::{Cursor, Write};

use pretext_shared::dataset::{DataSpec, Normalize, Source};
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use super::*;
use crate::{Dataset, Manifest, scan};

/// Returns an array as NumPy writes it.
fn array(kind: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}");
    let padding = 64 - (10 + text.len() + 1) % 64;
    let length = (text.len() + padding + 1) as u16;
    let header = format!("{text}{}\n", " ".repeat(padding));
    [&b"\x93NUMPY\x01\x00"[..], &length.to_le_bytes(), header.as_bytes(), values].concat()
}

fn archive(method: CompressionMethod, arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in arrays {
        let options = SimpleFileOptions::default().compression_method(method);
        writer.start_file(format!("{name}.npy"), options).expect("a name");
        writer.write_all(content).expect("memory");
    }
    writer.finish().expect("memory").into_inner()
}

/// Four training images, one for validation, two test images, of 2 × 2 pixels in colour.
fn medical() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("train_images", array("|u1", "4, 2, 2, 3", &(0..48).collect::<Vec<u8>>())),
        ("train_labels", array("|u1", "4, 1", &[1, 0, 1, 0])),
        ("val_images", array("|u1", "1, 2, 2, 3", &[7; 12])),
        ("val_labels", array("|u1", "1, 1", &[1])),
        ("test_images", array("|u1", "2, 2, 2, 3", &[9; 24])),
        ("test_labels", array("<i8", "2, 1", &[0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])),
    ]
}

fn source(key: &str) -> Source {
    key.parse().expect("a key")
}

fn load(root: &Path, key: &str) -> Result<(Manifest, Dataset), DataError> {
    let manifest = scan(root, &source(key), None)?;
    let spec = DataSpec {
        fingerprint: manifest.facts.fingerprint,
        classes: 2,
        image_size: 2,
        normalize: Normalize::Train,
        test_fraction: None,
        fit: pretext_shared::dataset::Fit::default(),
    };
    let data = Dataset::load(root, &source(key), &spec, None)?;
    Ok((manifest, data))
}

fn refused(bytes: &[u8]) -> String {
    let root = tempfile::tempdir().expect("a temporary folder");
    fs::write(root.path().join("m.npz"), bytes).expect("a file");
    load(root.path(), "arrays:m.npz").expect_err("a mistake").to_string()
}

#[test]
fn an_archive_and_its_files_hold_the_same_pictures() {
    let root = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir_all(root.path().join("files")).expect("a folder");
    fs::create_dir_all(root.path().join("packed")).expect("a folder");
    fs::write(root.path().join("m.npz"), archive(CompressionMethod::Stored, &medical())).expect("a file");
    fs::write(root.path().join("packed/m.npz"), archive(CompressionMethod::Deflated, &medical())).expect("a file");
    for (name, content) in medical() {
        fs::write(root.path().join(format!("files/{name}.npy")), content).expect("a file");
    }
    for key in ["arrays:m.npz", "arrays:packed", "arrays:files"] {
        let (manifest, data) = load(root.path(), key).expect("whole arrays");
        let facts = &manifest.facts;
        assert_eq!(
            (&facts.classes[..], &facts.train[..]),
            (&["0".to_owned(), "1".to_owned()][..], &[2, 2][..]),
            "{key}"
        );
        assert_eq!((&facts.validation[..], &facts.test[..]), (&[0, 1][..], &[1, 1][..]), "{key}");
        // Interleaved pixels become planes; sample 1 begins at byte 12.
        assert_eq!(data.train.image(1), [12, 15, 18, 21, 13, 16, 19, 22, 14, 17, 20, 23], "{key}");
        assert_eq!((data.train.image(4), data.test.image(0)), (&[7; 12][..], &[9; 12][..]), "{key}");
        let split = data
            .train
            .split(pretext_shared::split::SplitSpec { seed: 0, fraction: pretext_shared::split::Fraction::ALL });
        assert_eq!(split.expect("enough images").validation, [4], "the validation part validates");
    }
}

#[test]
fn grey_arrays_and_the_names_of_keras_are_read() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let arrays = [
        ("x_train", array("|u1", "2, 2, 2", &[1, 2, 3, 4, 5, 6, 7, 8])),
        ("y_train", array(">i2", "2,", &[0, 3, 0, 12])),
        ("x_test", array("|u1", "1, 2, 2", &[8; 4])),
        ("y_test", array("|i1", "1,", &[3])),
    ];
    fs::write(root.path().join("mnist.npz"), archive(CompressionMethod::Stored, &arrays)).expect("a file");
    let (manifest, data) = load(root.path(), "arrays:mnist.npz").expect("whole arrays");
    assert_eq!(manifest.facts.classes, ["3", "12"]);
    assert_eq!(data.train.image(0), [1, 2, 3, 4].repeat(3));
}

#[test]
fn damage_is_named_and_promises_cost_no_memory() {
    let with = |name: &str, content: Vec<u8>| {
        let mut arrays = medical();
        arrays.iter_mut().find(|(known, _)| *known == name).expect("an array").1 = content;
        refused(&archive(CompressionMethod::Stored, &arrays))
    };
    let whole = archive(CompressionMethod::Stored, &medical());
    for length in [0, 10, whole.len() / 2, whole.len() - 1] {
        assert!(refused(&whole[..length]).contains("m.npz"), "{length}");
    }
    assert!(with("train_images", array("|O", "4, 2, 2, 3", &[0; 48])).contains("Python objects"));
    assert!(with("train_images", array("<f4", "4, 2, 2, 3", &[0; 192])).contains("expected `uint8`"));
    assert!(with("train_images", array("|u1", "4, 3, 2, 2", &[0; 48])).contains("expected [images, rows"));
    assert!(with("train_images", array("|u1", "4, 2, 2, 3", &[0; 47])).contains("ends after 47 of 48 bytes"));
    assert!(with("train_labels", array("|u1", "3, 1", &[0; 3])).contains("3 labels for 4 images"));
    assert!(with("train_labels", array("|u1", "4, 14", &[0; 56])).contains("14 labels for each image"));
    assert!(with("test_labels", array("|u1", "2, 1", &[0, 9])).contains("class `9`"));
    assert!(with("val_images", array("|u1", "1, 2, 1, 3", &[0; 6])).contains("another size"));
    // Shapes that overflow, or that no file of this size holds.
    let huge = "18446744073709551615, 18446744073709551615, 2, 3";
    assert!(!with("train_images", array("|u1", huge, &[0; 48])).is_empty());
    assert!(with("train_images", array("|u1", "40000000, 2, 2, 3", &[0; 48])).contains("at most"));
    assert!(
        with("train_images", array("|u1", "40000, 200, 200, 3", &[0; 48])).contains("cannot have 4800000000 bytes")
    );
    let mut promised = array("|u1", "4, 2, 2, 3", &[0; 48]);
    promised[6..12].copy_from_slice(&[2, 0, 0xff, 0xff, 0xff, 0x7f]);
    assert!(with("train_images", promised).contains("its header has"));
    let nothing = archive(CompressionMethod::Stored, &[("images", array("|u1", "1, 2, 2", &[0; 4]))]);
    assert!(refused(&nothing).contains("found images.npy"));
}

#[test]
fn a_bomb_is_refused_before_it_bursts() {
    // A label array of 8 MB in 8 kB: deflate can do that, and no label array is that long.
    let mut arrays = medical();
    arrays[1].1 = array("|u1", "4, 1", &vec![0; 8 << 20]);
    let root = tempfile::tempdir().expect("a temporary folder");
    let bytes = archive(CompressionMethod::Deflated, &arrays);
    assert!(bytes.len() < 64 << 10);
    fs::write(root.path().join("m.npz"), bytes).expect("a file");
    let error = load(root.path(), "arrays:m.npz").expect_err("one class").to_string();
    assert!(error.contains("one class only (`0`)"), "only what the header says is read: {error}");
}
