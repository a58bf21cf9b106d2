//! Tests of tables in Parquet files.

use std::fs;
use std::io::Cursor;
use std::sync::Arc;

use ::parquet::basic::{Compression, ZstdLevel};
use ::parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::parser::parse_message_type;
use pretext_shared::dataset::{DataSpec, Normalize, Source};

use super::*;
use crate::{Dataset, Manifest, scan};

const SCHEMA: &str = "message schema {
    optional group image { optional binary bytes; optional binary path (UTF8); }
    optional int64 label;
    optional int64 age;
}";

fn png(value: u8) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let picture = image::RgbImage::from_pixel(3, 3, image::Rgb([value; 3]));
    picture.write_to(&mut bytes, image::ImageFormat::Png).expect("memory");
    bytes.into_inner()
}

fn names(names: &str) -> KeyValue {
    let json = format!(
        r#"{{"info": {{"features": {{"image": {{"_type": "Image"}}, "label": {{"names": {names}, "_type": "ClassLabel"}}}}}}}}"#
    );
    KeyValue::new("huggingface".to_owned(), json)
}

/// Returns a table with one row group for each slice of rows: value of the picture, and label.
fn table(schema: &str, compression: Compression, names: Option<KeyValue>, groups: &[&[(u8, i64)]]) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_key_value_metadata(names.map(|names| vec![names]))
        .build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).expect("memory");
    for rows in groups {
        let images: Vec<ByteArray> = rows.iter().map(|(value, _)| ByteArray::from(png(*value))).collect();
        let texts: Vec<ByteArray> = rows.iter().map(|(_, label)| ByteArray::from(label.to_string().as_str())).collect();
        let labels: Vec<i64> = rows.iter().map(|(_, label)| *label).collect();
        let levels = |most: i16| vec![most; rows.len()];
        let mut group = writer.next_row_group().expect("memory");
        let mut at = 0;
        while let Some(mut column) = group.next_column().expect("memory") {
            match at {
                0 => column.typed::<ByteArrayType>().write_batch(&images, Some(&levels(2)), None),
                1 => column.typed::<ByteArrayType>().write_batch(&texts, Some(&levels(2)), None),
                _ => column.typed::<Int64Type>().write_batch(&labels, Some(&levels(1)), None),
            }
            .expect("memory");
            column.close().expect("memory");
            at += 1;
        }
        group.close().expect("memory");
    }
    writer.into_inner().expect("memory")
}

fn set(files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a temporary folder");
    for (name, content) in files {
        let path = root.path().join("set").join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, content).expect("a file");
    }
    root
}

fn load(root: &tempfile::TempDir, test_fraction: Option<f64>) -> Result<(Manifest, Dataset), DataError> {
    let source = "parquet:set".parse::<Source>().expect("a key").with_test_fraction(test_fraction);
    let manifest = scan(root.path(), &source, None)?;
    let spec = DataSpec {
        fingerprint: manifest.facts.fingerprint,
        classes: 2,
        image_size: 3,
        normalize: Normalize::Train,
        test_fraction,
        fit: pretext_shared::dataset::Fit::default(),
    };
    let data = Dataset::load(root.path(), &source, &spec, None)?;
    Ok((manifest, data))
}

#[test]
fn rows_of_several_groups_and_files_become_samples() {
    let zstd = Compression::ZSTD(ZstdLevel::default());
    let names = || Some(names(r#"["cat", "dog"]"#));
    let files = [
        (
            "data/train-00000-of-00001.parquet",
            table(SCHEMA, Compression::SNAPPY, names(), &[&[(1, 0), (2, 1)], &[(3, 1)]]),
        ),
        ("data/test-00000-of-00001.parquet", table(SCHEMA, zstd, names(), &[&[(9, 1), (8, 0)]])),
        ("data/validation-0.parquet", table(SCHEMA, Compression::UNCOMPRESSED, names(), &[&[(5, 0)]])),
    ];
    let (manifest, data) = load(&set(&files), None).expect("whole tables");
    let facts = &manifest.facts;
    assert_eq!(facts.classes, ["cat", "dog"]);
    assert_eq!((&facts.train[..], &facts.validation[..], &facts.test[..]), (&[1, 2][..], &[1, 0][..], &[1, 1][..]));
    let values: Vec<u8> = data.train.ids().iter().map(|id| data.train.image(*id)[0]).collect();
    assert_eq!(values, [1, 2, 3, 5]);
    assert_eq!((data.test.image(0)[0], data.test.label(0)), (9, 1));
    assert_eq!(data.train.path_of(2), "data/train-00000-of-00001.parquet#2");
    assert_eq!(
        facts.notes[..1],
        [Note::NoImages { class: "dog".to_owned(), role: pretext_shared::dataset::Role::Validation }]
    );
    assert_eq!(facts.notes[1].to_string(), "columns that are not read: age");
}

#[test]
fn test_images_come_from_every_row_group() {
    let rows: Vec<(u8, i64)> = (0..20).map(|n| (n, i64::from(n % 2))).collect();
    let file = table(SCHEMA, Compression::SNAPPY, None, &[&rows[..7], &rows[7..15], &rows[15..]]);
    let (manifest, data) = load(&set(&[("a.parquet", file)]), Some(0.2)).expect("a whole table");
    assert_eq!(
        (&manifest.facts.classes[..], data.train.len(), data.test.len()),
        (&["0".to_owned(), "1".to_owned()][..], 16, 4)
    );
    for set in [&data.train, &data.test] {
        assert!(set.ids().iter().all(|id| u32::from(set.image(*id)[0]) == *id), "every id leads to its own picture");
    }
}

#[test]
fn wrong_columns_and_damage_are_named() {
    let refused =
        |content: Vec<u8>| load(&set(&[("a.parquet", content)]), Some(0.5)).expect_err("a mistake").to_string();
    let rows: &[(u8, i64)] = &[(1, 0), (2, 1), (3, 0), (4, 1)];
    let with = |schema: &str| refused(table(schema, Compression::SNAPPY, None, &[rows]));
    let renamed = with(&SCHEMA.replace("label", "target"));
    assert!(
        renamed.contains("no column `label`") && renamed.contains("image.bytes, image.path, target, age"),
        "{renamed}"
    );
    let no_image = with(&SCHEMA.replace("binary bytes", "binary content").replace("group image", "group picture"));
    assert!(no_image.contains("no column `image`") && no_image.contains("picture.content"), "{no_image}");
    let whole = table(SCHEMA, Compression::SNAPPY, None, &[rows]);
    assert!(refused(whole[..whole.len() - 3].to_vec()).contains("not copied whole"));
    assert!(refused(whole[..7].to_vec()).contains("7 bytes, too few"));
    assert!(refused(vec![0; 100]).contains("does not end like a Parquet file"));
    let mut footer = whole.clone();
    let end = footer.len();
    footer[end - 8..end - 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(refused(footer).contains("footer is said to have 4294967295 bytes"));
    let few = table(SCHEMA, Compression::SNAPPY, Some(names(r#"["cat"]"#)), &[rows]);
    assert!(refused(few).contains("label 1, and its metadata name 1 class"));
    // Any single changed byte is refused or read, without a panic and without much memory.
    for at in (0..whole.len()).step_by(whole.len() / 60) {
        let mut changed = whole.clone();
        changed[at] ^= 0x7f;
        match load(&set(&[("a.parquet", changed)]), Some(0.5)) {
            Ok(_) => {}
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}
