//! Rows as a Parquet file, column by column and without arrow.

use std::sync::Arc;

use ::parquet::basic::Compression;
use ::parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use ::parquet::schema::parser::parse_message_type;
use bytes::Bytes;
use pretext_shared::ids::SweepId;

use super::SCHEMA;

/// Most rows of a row group: readers take a group into memory at once, and so does the writer.
const GROUP: usize = 1 << 18;

type Getter<'a, R, T> = Box<dyn Fn(&R) -> Option<T> + 'a>;

/// A column of a table whose rows are `R`. Each field may be absent.
pub(super) struct Column<'a, R> {
    name: String,
    fields: Fields<'a, R>,
}

enum Fields<'a, R> {
    /// UTF-8.
    Text(Getter<'a, R, ByteArray>),
    /// True or false.
    Flag(Getter<'a, R, bool>),
    /// A signed integer, so that differences of two counts are right in every reader.
    Count(Getter<'a, R, u64>),
    /// An unsigned integer of 64 bits: every seed of a sweep file fits.
    Seed(Getter<'a, R, u64>),
    /// A number in double precision.
    Number(Getter<'a, R, f64>),
}

impl<'a, R> Column<'a, R> {
    /// Returns a column of text.
    pub(super) fn text(name: impl Into<String>, field: impl Fn(&R) -> Option<ByteArray> + 'a) -> Self {
        Self { name: name.into(), fields: Fields::Text(Box::new(field)) }
    }

    /// Returns a column of true and false.
    pub(super) fn flag(name: impl Into<String>, field: impl Fn(&R) -> Option<bool> + 'a) -> Self {
        Self { name: name.into(), fields: Fields::Flag(Box::new(field)) }
    }

    /// Returns a column of counts below 2⁶³.
    pub(super) fn count(name: impl Into<String>, field: impl Fn(&R) -> Option<u64> + 'a) -> Self {
        Self { name: name.into(), fields: Fields::Count(Box::new(field)) }
    }

    /// Returns a column of seeds.
    pub(super) fn seed(name: impl Into<String>, field: impl Fn(&R) -> Option<u64> + 'a) -> Self {
        Self { name: name.into(), fields: Fields::Seed(Box::new(field)) }
    }

    /// Returns a column of numbers.
    pub(super) fn number(name: impl Into<String>, field: impl Fn(&R) -> Option<f64> + 'a) -> Self {
        Self { name: name.into(), fields: Fields::Number(Box::new(field)) }
    }

    fn declaration(&self) -> String {
        let name = &self.name;
        match &self.fields {
            Fields::Text(_) => format!("optional binary {name} (STRING);"),
            Fields::Flag(_) => format!("optional boolean {name};"),
            Fields::Count(_) => format!("optional int64 {name};"),
            Fields::Seed(_) => format!("optional int64 {name} (INTEGER(64,false));"),
            Fields::Number(_) => format!("optional double {name};"),
        }
    }

    fn write(&self, rows: &[R], chunk: &mut SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        // Parquet keeps unsigned integers as the signed ones of the same bits.
        let signed = |value: u64| value as i64;
        match &self.fields {
            Fields::Text(field) => fill::<ByteArrayType>(chunk, rows.iter().map(field)),
            Fields::Flag(field) => fill::<BoolType>(chunk, rows.iter().map(field)),
            Fields::Count(field) | Fields::Seed(field) => {
                fill::<Int64Type>(chunk, rows.iter().map(|row| field(row).map(signed)))
            }
            Fields::Number(field) => fill::<DoubleType>(chunk, rows.iter().map(field)),
        }
    }
}

/// Returns text that many fields share.
pub(super) fn shared(text: &str) -> ByteArray {
    ByteArray::from(text)
}

/// Returns text that is part of the program.
pub(super) fn fixed(text: &'static str) -> ByteArray {
    ByteArray::from(Bytes::from_static(text.as_bytes()))
}

/// Returns the table `name` of a sweep as a file. The same rows always give the same bytes.
pub(super) fn table<R>(
    name: &str,
    sweep: &SweepId,
    columns: &[Column<'_, R>],
    rows: impl Iterator<Item = R>,
) -> Vec<u8> {
    write(name, sweep, columns, rows).expect("fields of the declared types can be written to memory")
}

fn write<R>(
    name: &str,
    sweep: &SweepId,
    columns: &[Column<'_, R>],
    mut rows: impl Iterator<Item = R>,
) -> Result<Vec<u8>, ParquetError> {
    let declarations: String = columns.iter().map(Column::declaration).collect();
    let schema = parse_message_type(&format!("message {name} {{ {declarations} }}"))?;
    let fact = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
    let facts = vec![fact("pretext.schema", SCHEMA.to_string()), fact("pretext.sweep", sweep.to_string())];
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(Default::default()))
        .set_key_value_metadata(Some(facts))
        .build();
    let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties))?;
    loop {
        let rows: Vec<R> = rows.by_ref().take(GROUP).collect();
        if rows.is_empty() {
            return writer.into_inner();
        }
        let mut group = writer.next_row_group()?;
        for column in columns {
            let missing = || ParquetError::General("the schema has fewer columns".to_owned());
            let mut chunk = group.next_column()?.ok_or_else(missing)?;
            column.write(&rows, &mut chunk)?;
            chunk.close()?;
        }
        group.close()?;
    }
}

/// Writes one field a row. A definition level of 0 is an absent field.
fn fill<T: DataType>(
    chunk: &mut SerializedColumnWriter<'_>,
    fields: impl Iterator<Item = Option<T::T>>,
) -> Result<(), ParquetError> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    for field in fields {
        levels.push(i16::from(field.is_some()));
        values.extend(field);
    }
    chunk.typed::<T>().write_batch(&values, Some(&levels), None).map(drop)
}

#[cfg(test)]
mod tests {
    use ::parquet::file::reader::{FileReader, SerializedFileReader};
    use ::parquet::record::Field;
    use pretext_shared::ids::ContentHash;

    use super::*;

    #[test]
    fn rows_of_several_groups_keep_their_order_and_their_gaps() {
        let sweep = SweepId::new("tissue", ContentHash::of(b"spec"));
        let columns = [
            Column::seed("seed", |row: &u64| Some(u64::MAX - *row)),
            Column::text("name", |row: &u64| row.is_multiple_of(3).then(|| shared(&format!("ü{row}")))),
        ];
        let rows = GROUP as u64 + 7;
        let reader = SerializedFileReader::new(Bytes::from(table("t", &sweep, &columns, 0..rows))).expect("a file");
        assert_eq!(reader.num_row_groups(), 2);
        let facts = reader.metadata().file_metadata().key_value_metadata().expect("facts");
        assert!(facts.iter().any(|fact| fact.key == "pretext.sweep" && fact.value.as_deref() == Some(sweep.as_str())));
        let read = reader.get_row_iter(None).expect("rows").map(|row| row.expect("a row"));
        let mut count = 0;
        for (row, n) in read.zip(0..) {
            let fields: Vec<&Field> = row.get_column_iter().map(|(_, field)| field).collect();
            let name = if n % 3 == 0 { Field::Str(format!("ü{n}")) } else { Field::Null };
            assert_eq!(fields, [&Field::ULong(u64::MAX - n), &name]);
            count = n + 1;
        }
        assert_eq!(count, rows);
    }
}
