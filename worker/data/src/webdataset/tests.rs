//! Tests of shards of WebDataset.

use std::fs;
use std::io::Cursor;

use pretext_shared::dataset::{DataSpec, Normalize, Source};

use super::*;
use crate::{Dataset, Manifest, scan};

fn png(value: u8) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let picture = image::RgbImage::from_pixel(3, 3, image::Rgb([value; 3]));
    picture.write_to(&mut bytes, image::ImageFormat::Png).expect("memory");
    bytes.into_inner()
}

fn shard(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *content).expect("memory");
    }
    builder.into_inner().expect("memory")
}

fn set(shards: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a temporary folder");
    for (name, content) in shards {
        let path = root.path().join("set").join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, content).expect("a file");
    }
    root
}

fn load(root: &tempfile::TempDir, test_fraction: Option<f64>) -> Result<(Manifest, Dataset), DataError> {
    let source = "webdataset:set".parse::<Source>().expect("a key").with_test_fraction(test_fraction);
    let manifest = scan(root.path(), &source, None)?;
    let spec = DataSpec {
        fingerprint: manifest.facts.fingerprint,
        classes: 2,
        image_size: 3,
        normalize: Normalize::Train,
        test_fraction,
    };
    let data = Dataset::load(root.path(), &source, &spec, None)?;
    Ok((manifest, data))
}

#[test]
fn samples_are_read_in_place() {
    let long = format!("{}/a", "deep".repeat(60));
    let names = ["jpg", "json", "cls"].map(|extension| format!("{long}.{extension}"));
    let train = shard(&[
        ("dir/0.png", &png(10)),
        ("dir/0.cls", b"1\n"),
        ("dir/1.cls", b"0"),
        ("dir/1.txt", b"a caption"),
        ("dir/1.png", &png(20)),
        (&names[1], br#"{"label": "7"}"#),
        (&names[2], b"1"),
        (&names[0], &png(30)),
        ("readme", b"no sample"),
        ("x.json", br#"{"about": "no sample"}"#),
    ]);
    let test = shard(&[("a.b/5.png", &png(50)), ("a.b/5.json", br#"{"width": 3, "label": 0}"#)]);
    let root = set(&[("train/0.tar", train), ("test/0-test.tar", test)]);
    let (manifest, data) = load(&root, None).expect("whole shards");
    assert_eq!(manifest.facts.classes, ["0", "1"]);
    assert_eq!((&manifest.facts.train[..], &manifest.facts.test[..]), (&[1, 2][..], &[1, 0][..]));
    let first = |id| (data.train.image(id)[0], data.train.label(id), data.train.path_of(id));
    assert_eq!(first(0), (10, 1, "train/0.tar#0".to_owned()));
    assert_eq!(first(1), (20, 0, "train/0.tar#1".to_owned()));
    assert_eq!(first(2), (30, 1, "train/0.tar#2".to_owned()));
    assert_eq!(data.test.image(0)[0], 50);
}

#[test]
fn shards_without_parts_give_test_images_away() {
    let files: Vec<(String, Vec<u8>)> =
        (0..20u8).flat_map(|n| [(format!("{n}.png"), png(n)), (format!("{n}.cls"), vec![b'0' + n % 2])]).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
    let root = set(&[("a.tar", shard(&files[..20])), ("b.tar", shard(&files[20..]))]);
    let (_, data) = load(&root, Some(0.2)).expect("whole shards");
    assert_eq!((data.train.len(), data.test.len()), (16, 4));
    // A change of content with the same length is seen.
    let source = "webdataset:set".parse::<Source>().expect("a key").with_test_fraction(Some(0.2));
    let before = scan(root.path(), &source, None).expect("whole shards").facts.fingerprint;
    let mut bytes = fs::read(root.path().join("set/a.tar")).expect("a file");
    let middle = bytes.iter().position(|byte| *byte == 0x89).expect("a picture") + 60;
    bytes[middle] ^= 1;
    fs::write(root.path().join("set/a.tar"), bytes).expect("a file");
    assert_ne!(scan(root.path(), &source, None).expect("whole shards").facts.fingerprint, before);
}

#[test]
fn damage_is_named_with_its_sample() {
    let refused = |content: Vec<u8>| load(&set(&[("a.tar", content)]), Some(0.5)).expect_err("a mistake").to_string();
    let good = [("0.png", &png(1)[..]), ("0.cls", b"0"), ("1.png", &png(2)), ("1.cls", b"1")];
    let whole = shard(&good);
    assert!(refused(whole[..600].to_vec()).contains("a.tar"), "{}", refused(whole[..600].to_vec()));
    assert!(refused(vec![7; 5000]).contains("no whole tar file"));
    assert!(refused(Vec::new()).contains("no samples"));
    assert!(refused(shard(&[("0.png", &png(1)), ("1.cls", b"0")])).contains("sample `0` has no label"));
    assert!(refused(shard(&[("0.cls", b"0")])).contains("no image"));
    assert!(refused(shard(&[good[0], ("0.jpg", &png(1)), good[1]])).contains("several images"));
    assert!(refused(shard(&[good[0], ("0.json", b"{\"label\": [1]}")])).contains("neither text nor a whole number"));
    assert!(refused(shard(&[good[0], ("0.json", b"{")])).contains("`.json`"));
    assert!(refused(shard(&[good[0], ("0.cls", b"")])).contains("the label is empty"));
    assert!(refused(shard(&[good[0], ("0.txt", &[b'x'; 70_000])])).contains("70000 bytes"));
    assert!(refused(shard(&good[..2])).contains("one class only"));
    // A header that promises more than the file has.
    let mut promised = whole;
    promised[124..136].copy_from_slice(b"77777777777\0");
    let sum: u32 = promised[..512]
        .iter()
        .enumerate()
        .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) })
        .sum();
    promised[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    assert!(refused(promised).contains("was not copied whole"));
}
