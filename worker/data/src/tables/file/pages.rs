//! Pages of a column, checked before they are decompressed and before their values are decoded: the sizes in a page's
//! header are only promises.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;
use pretext_shared::text::counted;

/// Limit of a page, in bytes after decompression.
const MOST_PAGE: i64 = 1 << 30;
/// The most bytes that one compressed byte becomes: Zstandard reaches tens of thousands, in blocks of one byte value.
const MOST_EXPANSION: i64 = 100_000;
/// Structures in structures of a page's header.
const DEEPEST: usize = 4;
/// Limit of a page's header, in bytes: statistics of long values make it long.
const MOST_HEADER: u64 = 1 << 20;

/// Reads `into` from the place `offset` of `file`, without a shared position.
pub(super) fn read_at(mut file: &File, offset: u64, into: &mut [u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(into)
}

/// A file whose pages are checked.
pub(super) struct Checked {
    file: Mutex<File>,
    length: u64,
}

impl Checked {
    pub(super) fn new(file: File, length: u64) -> Self {
        Self { file: Mutex::new(file), length }
    }

    fn bytes(&self, start: u64, length: usize) -> Result<Vec<u8>> {
        let whole = start.checked_add(length as u64).is_some_and(|end| end <= self.length);
        if !whole {
            return Err(ParquetError::EOF(format!("{length} bytes at {start} are beyond its end")));
        }
        let mut bytes = vec![0; length];
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        read_at(&file, start, &mut bytes)?;
        Ok(bytes)
    }
}

impl Length for Checked {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Checked {
    type T = io::Cursor<Vec<u8>>;

    /// Returns a reader of the page header at `start`, after a check of the sizes that it states.
    fn get_read(&self, start: u64) -> Result<Self::T> {
        let length = self.length.saturating_sub(start).min(MOST_HEADER);
        let bytes = self.bytes(start, length as usize)?;
        check_header(&bytes)?;
        Ok(io::Cursor::new(bytes))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        self.bytes(start, length).map(Bytes::from)
    }
}

/// Checks the sizes in a page's header, and that it promises no text longer than itself.
fn check_header(bytes: &[u8]) -> Result<()> {
    let mut sizes = [0; 2];
    let walked = Header(bytes).structure(DEEPEST, Some(&mut sizes));
    walked.ok_or_else(|| ParquetError::General("the header of a page is damaged".to_owned()))?;
    let [size, compressed] = sizes;
    let most = MOST_PAGE.min(compressed.saturating_add(64).saturating_mul(MOST_EXPANSION));
    if !(0..=most).contains(&size) || !(0..=MOST_PAGE).contains(&compressed) {
        return Err(ParquetError::General(format!("a page is said to have {size} bytes, {compressed} compressed")));
    }
    Ok(())
}

/// The rest of a header in Thrift's compact protocol.
struct Header<'a>(&'a [u8]);

impl Header<'_> {
    fn take(&mut self, length: u64) -> Option<()> {
        self.0 = self.0.get(usize::try_from(length).ok()?..)?;
        Some(())
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// Reads a number of seven bits in each byte, the lowest first.
    fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let value = self.number()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// Walks over a structure. `sizes` gets the second and the third field of a page's header: its size after and before
    /// decompression.
    fn structure(&mut self, depth: usize, mut sizes: Option<&mut [i64; 2]>) -> Option<()> {
        let mut id = 0;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Some(());
            }
            id = match head >> 4 {
                0 => self.signed()?,
                step => id.checked_add(i64::from(step))?,
            };
            match head & 0x0f {
                // A switch is its own value.
                1 | 2 => {}
                3 => self.take(1)?,
                4..=6 => {
                    let value = self.signed()?;
                    if let (Some(sizes), 2 | 3) = (sizes.as_deref_mut(), id) {
                        sizes[id as usize - 2] = value;
                    }
                }
                7 => self.take(8)?,
                8 => {
                    let length = self.number()?;
                    self.take(length)?;
                }
                12 if depth > 0 => self.structure(depth - 1, None)?,
                // No header of a page has lists.
                _ => return None,
            }
        }
    }
}

/// The pages of a column in a row group.
pub(super) struct Pages {
    pages: SerializedPageReader<Checked>,
    rows: u64,
}

impl Pages {
    pub(super) fn new(file: &Arc<Checked>, column: &ColumnChunkMetaData, rows: usize) -> Result<Self> {
        let pages = SerializedPageReader::new(Arc::clone(file), column, rows, None)?;
        Ok(Self { pages, rows: rows as u64 })
    }

    /// Checks that a page's values fit the row group, and that its bytes can hold them.
    fn checked(&self, page: Page) -> Result<Page> {
        let refuse = |reason: String| Err(ParquetError::General(reason));
        let values = u64::from(page.num_values());
        match (&page, page.encoding()) {
            // Each value of a dictionary has at least four bytes.
            (Page::DictionaryPage { buf, .. }, Encoding::PLAIN | Encoding::PLAIN_DICTIONARY) => {
                if values > buf.len() as u64 / 4 {
                    return refuse(format!("a dictionary of {values} values has {} bytes", buf.len()));
                }
            }
            (_, Encoding::PLAIN | Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY) => {
                if values > self.rows {
                    return refuse(format!(
                        "a page has {} for {}",
                        counted(values, "value"),
                        counted(self.rows, "row")
                    ));
                }
            }
            (_, other) => {
                return refuse(format!("the encoding {other} is not read: write it with version 1 of Parquet"));
            }
        }
        Ok(page)
    }
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        match self.pages.get_next_page()? {
            Some(page) => self.checked(page).map(Some),
            None => Ok(None),
        }
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_of_a_header_are_checked() {
        // Type, 100 bytes, 50 compressed, a structure with a text.
        let good = [0x15, 0, 0x15, 0xc8, 0x01, 0x15, 0x64, 0x2c, 0x15, 0x08, 0x18, 2, b'a', b'b', 0, 0];
        assert!(check_header(&good).is_ok());
        // 2 GiB in 50 bytes.
        let huge = check_header(&[0x15, 0, 0x15, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0x15, 0x64, 0]);
        assert!(huge.expect_err("a bomb").to_string().contains("2147483647 bytes, 50 compressed"));
        assert!(check_header(&[0x15, 0, 0x15, 1, 0x15, 2, 0]).is_err(), "a negative size");
        // A text of a terabyte, a header that ends early, a list, a number without end.
        for damaged in [
            &[0x15, 0, 0x18, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 0][..],
            &good[..9],
            &[0x15, 0, 0x19, 0x08, 0],
            &[0x15, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0],
            &[],
        ] {
            assert!(check_header(damaged).is_err(), "{damaged:?}");
        }
    }
}
