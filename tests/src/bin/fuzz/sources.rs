//! Lists, archives of arrays, tables and shards as a target, from listing to pixels.

use std::io::{Cursor, Write};
use std::sync::Arc;

use image::{GrayImage, ImageFormat, Luma};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use pretext_data::{DataError, Dataset, scan};
use pretext_shared::dataset::{DataSpec, Normalize, Source};

use super::pictures::encoded;
use super::target::{Fate, Target};

/// The kinds of sources, with the name of their file.
const KINDS: [(&str, &str); 4] =
    [("list", "labels.csv"), ("arrays", "a.npz"), ("parquet", "a.parquet"), ("webdataset", "a.tar")];

/// See the module.
pub(crate) struct Sources {
    root: tempfile::TempDir,
}

fn png(value: u8) -> Vec<u8> {
    encoded(GrayImage::from_pixel(4, 4, Luma([value])), ImageFormat::Png)
}

fn list() -> Vec<u8> {
    b"path,label,split,group\n0.png,a,train,p\n1.png,b,train,q\n2.png,a,test,r\n3.png,b,val,s\n".to_vec()
}

fn arrays() -> Vec<u8> {
    let array = |kind: &str, shape: &str, values: &[u8]| {
        let text = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}\n");
        [&b"\x93NUMPY\x01\x00"[..], &(text.len() as u16).to_le_bytes(), text.as_bytes(), values].concat()
    };
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in [
        ("train_images", array("|u1", "4, 3, 3", &[7; 36])),
        ("train_labels", array("<i4", "4, 1", &[0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0])),
        ("test_images", array("|u1", "1, 3, 3", &[9; 9])),
        ("test_labels", array("|u1", "1,", &[1])),
    ] {
        let options = zip::write::SimpleFileOptions::default();
        writer.start_file(format!("{name}.npy"), options).expect("a name");
        writer.write_all(&content).expect("memory");
    }
    writer.finish().expect("memory").into_inner()
}

fn table() -> Vec<u8> {
    let schema = "message m { optional group image { optional binary bytes; } optional int64 label; }";
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let properties = WriterProperties::builder().set_compression(parquet::basic::Compression::SNAPPY).build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).expect("memory");
    let mut group = writer.next_row_group().expect("memory");
    let images: Vec<ByteArray> = (0..6).map(|value| ByteArray::from(png(value))).collect();
    let mut column = group.next_column().expect("memory").expect("a column");
    column.typed::<ByteArrayType>().write_batch(&images, Some(&[2; 6]), None).expect("memory");
    column.close().expect("memory");
    let mut column = group.next_column().expect("memory").expect("a column");
    column.typed::<Int64Type>().write_batch(&[0, 1, 0, 1, 0, 1], Some(&[1; 6]), None).expect("memory");
    column.close().expect("memory");
    group.close().expect("memory");
    writer.into_inner().expect("memory")
}

fn shard() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let long = "long/".repeat(50);
    for n in 0..4u8 {
        let (picture, label) = (png(n), format!("{{\"label\": {}}}", n % 2));
        for (name, content) in [(format!("{long}{n}.png"), &picture[..]), (format!("{long}{n}.json"), label.as_bytes())]
        {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            builder.append_data(&mut header, name, content).expect("memory");
        }
    }
    builder.into_inner().expect("memory")
}

impl Sources {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary folder");
        for (kind, _) in KINDS {
            std::fs::create_dir(root.path().join(kind)).expect("a folder");
        }
        (0..4u8).for_each(|n| std::fs::write(root.path().join(format!("list/{n}.png")), png(n)).expect("a file"));
        Self { root }
    }

    fn load(&self, source: &Source) -> Result<Dataset, DataError> {
        let manifest = scan(self.root.path(), source, None)?;
        let test_fraction = manifest.test.is_empty().then_some(0.5);
        let spec = DataSpec {
            fingerprint: manifest.facts.fingerprint,
            classes: manifest.facts.classes.len() as u32,
            image_size: 8,
            normalize: Normalize::Train,
            test_fraction,
            fit: pretext_shared::dataset::Fit::default(),
        };
        Dataset::load(self.root.path(), source, &spec, None)
    }
}

impl Target for Sources {
    fn name(&self) -> &'static str {
        "lists, arrays, tables, shards"
    }

    fn corpus(&self) -> Vec<Vec<u8>> {
        let files = [list(), arrays(), table(), shard()];
        (0u8..).zip(files).map(|(which, content)| [vec![which], content].concat()).collect()
    }

    fn words(&self) -> Vec<Vec<u8>> {
        let words: [&[u8]; 8] =
            [b"train", b"..", b"/", b"PAR1", b"ustar", b"NUMPY", b"PK\x01\x02", b"\xff\xff\xff\x7f"];
        words.iter().map(|word| word.to_vec()).collect()
    }

    fn bound(&self) -> usize {
        // A compressed page may claim to grow a hundred thousand times.
        256 << 20
    }

    fn catches_panics(&self) -> bool {
        true
    }

    fn feed(&mut self, input: &[u8]) -> Result<Fate, String> {
        let (which, content) = input.split_first().map_or((0, input), |(which, content)| (*which, content));
        let (kind, name) = KINDS[usize::from(which) % KINDS.len()];
        let path = self.root.path().join(kind).join(name);
        std::fs::write(&path, content).map_err(|error| error.to_string())?;
        let source: Source = format!("{kind}:{kind}").parse()?;
        match self.load(&source) {
            Ok(_) => Ok(Fate::Taken),
            Err(error) if error.to_string().is_empty() => Err("refused without a reason".to_owned()),
            Err(_) => Ok(Fate::Refused),
        }
    }
}
