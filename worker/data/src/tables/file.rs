//! One Parquet file: its columns, its labels, and the encoded images of one row group at a time. What the file says about
//! sizes is checked before memory is allocated for it.

mod pages;

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use pages::{Checked, Pages};
use parquet::basic::Type;
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use pretext_shared::text::counted;

use crate::error::DataError;
use crate::root::Folder;

/// Limit of the footer, in bytes.
const MOST_FOOTER: u64 = 256 << 20;
/// Limit of a column in a row group, in bytes after decompression.
const MOST_GROUP: i64 = 2 << 30;
/// The most rows of a row group.
const MOST_ROWS: i64 = 10_000_000;
/// The number of columns that messages name.
const NAMED: usize = 20;

/// An open file.
pub(crate) struct Table {
    file: Arc<Checked>,
    shown: PathBuf,
    metadata: ParquetMetaData,
    image: usize,
    label: usize,
    classes: Vec<String>,
    unread: Vec<String>,
}

/// Runs `read`, and turns a panic of the library on damaged content into a reason.
fn guarded<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err("the reader failed on it".to_owned()))
}

fn damaged(error: parquet::errors::ParquetError) -> String {
    format!("it is damaged or of another format: {error}")
}

impl Table {
    /// Opens the file `path` of `folder`, and finds its columns.
    pub(crate) fn open(folder: &Folder, path: &str) -> Result<Self, DataError> {
        let file = folder.open(path)?;
        let shown = folder.shown(path);
        let opened = guarded(|| Self::read(file, shown.clone()));
        opened.map_err(|reason| DataError::Shard { path: shown.clone(), reason })
    }

    fn read(file: File, shown: PathBuf) -> Result<Self, String> {
        let length = file.metadata().map_err(|error| error.to_string())?.len();
        check_footer(&file, length)?;
        let metadata = ParquetMetaDataReader::new().parse_and_finish(&file).map_err(damaged)?;
        let schema = metadata.file_metadata().schema_descr();
        let columns: Vec<String> = schema.columns().iter().map(|column| column.path().string()).collect();
        let is = |column: usize, kinds: &[Type]| kinds.contains(&schema.column(column).physical_type());
        let named = |wanted: &str| columns.iter().position(|name| name == wanted);
        let listed = || {
            let more = columns.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let names = columns.iter().take(NAMED).map(|name| name.chars().take(60).collect::<String>());
            format!("{}{more}", names.collect::<Vec<_>>().join(", "))
        };
        let bytes: Vec<usize> = (0..columns.len()).filter(|at| columns[*at].ends_with(".bytes")).collect();
        let image = match (named("image.bytes"), named("image"), bytes.as_slice()) {
            (Some(image), _, _) | (None, Some(image), _) | (None, None, &[image]) => image,
            _ => {
                return Err(format!(
                    "it has no column `image` with encoded images (`image.bytes`); its columns are: {}",
                    listed()
                ));
            }
        };
        if !is(image, &[Type::BYTE_ARRAY]) {
            return Err(format!("the column `{}` has no bytes: expected files such as PNG or JPEG", columns[image]));
        }
        let (classes, class_column) = classes(&metadata);
        let label = named("label").or_else(|| class_column.as_deref().and_then(named));
        let label = label.ok_or_else(|| {
            format!("it has no column `label`: rename the column with the class; its columns are: {}", listed())
        })?;
        if !is(label, &[Type::BYTE_ARRAY, Type::INT32, Type::INT64]) {
            return Err(format!("the column `{}` has neither text nor whole numbers", columns[label]));
        }
        for column in [image, label] {
            if schema.column(column).max_rep_level() > 0 {
                return Err(format!("the column `{}` has lists: expected one value for each row", columns[column]));
            }
        }
        for group in metadata.row_groups() {
            let size = group.column(image).uncompressed_size().max(group.column(label).uncompressed_size());
            if !(0..=MOST_ROWS).contains(&group.num_rows()) || !(0..=MOST_GROUP).contains(&size) {
                return Err(format!(
                    "a row group has {} rows and {size} bytes, more than {MOST_ROWS} rows or {} GiB: write it with a \
                     smaller `row_group_size`",
                    group.num_rows(),
                    MOST_GROUP >> 30
                ));
            }
        }
        let prefix = columns[image].split('.').next().unwrap_or_default().to_owned();
        let own = |at: usize| at == image || at == label || columns[at].starts_with(&format!("{prefix}."));
        let unread = (0..columns.len()).filter(|at| !own(*at)).take(NAMED).map(|at| columns[at].clone()).collect();
        let classes =
            if class_column.is_none_or(|column| named(&column) == Some(label)) { classes } else { Vec::new() };
        Ok(Self { file: Arc::new(Checked::new(file, length)), shown, metadata, image, label, classes, unread })
    }

    /// Returns the number of rows.
    pub(super) fn rows(&self) -> u64 {
        self.metadata.row_groups().iter().map(|group| group.num_rows().unsigned_abs()).sum()
    }

    /// Returns the names of the classes in the metadata; empty if the labels are the names.
    pub(super) fn class_names(&self) -> &[String] {
        &self.classes
    }

    /// Returns columns that are not read.
    pub(super) fn unread(&self) -> &[String] {
        &self.unread
    }

    /// Returns the labels of all rows, as texts.
    pub(super) fn labels(&self) -> Result<Vec<String>, String> {
        let mut labels = Vec::new();
        for group in 0..self.metadata.num_row_groups() {
            let texts =
                guarded(|| match self.metadata.file_metadata().schema_descr().column(self.label).physical_type() {
                    Type::INT32 => {
                        Ok(self.values::<Int32Type>(group, self.label)?.iter().map(i32::to_string).collect())
                    }
                    Type::INT64 => {
                        Ok(self.values::<Int64Type>(group, self.label)?.iter().map(i64::to_string).collect())
                    }
                    _ => {
                        self.values::<ByteArrayType>(group, self.label)?.iter().map(text).collect::<Result<Vec<_>, _>>()
                    }
                });
            labels.extend(texts.map_err(|reason| format!("the column of labels: {reason}"))?);
        }
        Ok(labels)
    }

    /// Returns the row group of a row, and the first row of that group.
    pub(crate) fn group_of(&self, row: u32) -> Option<(usize, u32)> {
        let mut first = 0;
        for (index, group) in self.metadata.row_groups().iter().enumerate() {
            let next = first + group.num_rows();
            if i64::from(row) < next {
                return Some((index, u32::try_from(first).ok()?));
            }
            first = next;
        }
        None
    }

    /// Returns the encoded images of a row group.
    pub(crate) fn images(&self, group: usize) -> Result<Vec<ByteArray>, DataError> {
        let images = guarded(|| self.values::<ByteArrayType>(group, self.image));
        let failed = |reason| DataError::Shard {
            path: self.shown.clone(),
            reason: format!("the images of row group {group}: {reason}"),
        };
        images.map_err(failed)
    }

    /// Returns the values of a column in a row group; every row has one.
    fn values<T: DataType>(&self, group: usize, column: usize) -> Result<Vec<T::T>, String> {
        let group = self.metadata.row_group(group);
        let rows = group.num_rows().unsigned_abs() as usize;
        let pages = Pages::new(&self.file, group.column(column), rows).map_err(damaged)?;
        let descriptor = self.metadata.file_metadata().schema_descr().column(column);
        let most = descriptor.max_def_level();
        let mut reader = ColumnReaderImpl::<T>::new(descriptor, Box::new(pages));
        let (mut values, mut levels) = (Vec::new(), Vec::new());
        while values.len() < rows {
            let (read, ..) =
                reader.read_records(rows - values.len(), Some(&mut levels), None, &mut values).map_err(damaged)?;
            if let Some(row) = levels.iter().position(|level| most > 0 && *level < most) {
                return Err(format!("row {row} of the group is empty: remove it"));
            }
            if read == 0 {
                break;
            }
        }
        if values.len() == rows {
            Ok(values)
        } else {
            Err(format!("it has {} for {}", counted(values.len(), "value"), counted(rows, "row")))
        }
    }
}

fn text(value: &ByteArray) -> Result<String, String> {
    std::str::from_utf8(value.data()).map(str::to_owned).map_err(|_| "a label is not UTF-8".to_owned())
}

/// Checks the end of the file, which has the length of the footer.
fn check_footer(file: &File, length: u64) -> Result<(), String> {
    let mut end = [0; 8];
    let start = length.checked_sub(12).ok_or_else(|| format!("it has {length} bytes, too few for a Parquet file"))?;
    pages::read_at(file, start + 4, &mut end).map_err(|error| error.to_string())?;
    let [a, b, c, d, magic @ ..] = end;
    let footer = u64::from(u32::from_le_bytes([a, b, c, d]));
    if &magic != b"PAR1" {
        return Err("it does not end like a Parquet file: it was not copied whole, or has another format".to_owned());
    }
    if footer > MOST_FOOTER.min(start) {
        return Err(format!("its footer is said to have {footer} bytes"));
    }
    Ok(())
}

/// Returns the class names that the metadata of `datasets` state, and the column that they belong to.
fn classes(metadata: &ParquetMetaData) -> (Vec<String>, Option<String>) {
    let pairs = metadata.file_metadata().key_value_metadata().into_iter().flatten();
    let value = pairs.filter(|pair| pair.key == "huggingface").find_map(|pair| pair.value.as_deref());
    let json: Option<serde_json::Value> = value.and_then(|text| serde_json::from_str(text).ok());
    let features = json.as_ref().and_then(|json| json.get("info")?.get("features")?.as_object());
    let labels: Vec<_> = features
        .into_iter()
        .flatten()
        .filter(|(_, feature)| feature.get("_type").is_some_and(|kind| kind == "ClassLabel"))
        .collect();
    let chosen = labels.iter().find(|(name, _)| *name == "label").or(match labels.as_slice() {
        [one] => Some(one),
        _ => None,
    });
    let Some((column, feature)) = chosen else { return (Vec::new(), None) };
    let names = feature.get("names").and_then(|names| names.as_array()).into_iter().flatten();
    (names.filter_map(|name| name.as_str().map(str::to_owned)).collect(), Some((*column).clone()))
}
