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

/// Limit of a page, in bytes after decompression.
const MOST_PAGE: i64 = 1 << 30;
/// The most bytes that one compressed byte becomes: Zstandard reaches tens of thousands, in blocks of one byte value.
const MOST_EXPANSION: i64 = 100_000;
/// Bytes of a page's header that are looked at.
const HEAD: usize = 32;

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
        // A header is short; statistics of long values may make it longer.
        let length = (self.length.saturating_sub(start)).min(1 << 20);
        let bytes = self.bytes(start, length as usize)?;
        check_header(bytes.get(..HEAD).unwrap_or(&bytes))?;
        Ok(io::Cursor::new(bytes))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        self.bytes(start, length).map(Bytes::from)
    }
}

/// Checks the first three fields of a page's header: type, size, compressed size. Each is a zigzag number after the
/// byte 0x15 (Thrift's compact protocol: the next field, 32 bits).
fn check_header(head: &[u8]) -> Result<()> {
    let unusual = || ParquetError::General("a page has a header of unusual form".to_owned());
    let mut rest = head;
    let mut number = || -> Option<i64> {
        let (0x15, after) = rest.split_first().map(|(byte, rest)| (*byte, rest))? else { return None };
        let length = after.iter().take(5).position(|byte| *byte < 0x80)? + 1;
        let value = after[..length].iter().rev().fold(0_i64, |value, byte| value << 7 | i64::from(byte & 0x7f));
        rest = &after[length..];
        Some((value >> 1) ^ -(value & 1))
    };
    let (_, size, compressed) =
        (number().ok_or_else(unusual)?, number().ok_or_else(unusual)?, number().ok_or_else(unusual)?);
    let most = MOST_PAGE.min(compressed.saturating_add(64).saturating_mul(MOST_EXPANSION));
    if !(0..=most).contains(&size) || !(0..=MOST_PAGE).contains(&compressed) {
        return Err(ParquetError::General(format!("a page is said to have {size} bytes, {compressed} compressed")));
    }
    Ok(())
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
                    return refuse(format!("a page has {values} values for {} rows", self.rows));
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
        // Zigzag: a data page, 100 bytes, 50 compressed.
        assert!(check_header(&[0x15, 0, 0x15, 0xc8, 0x01, 0x15, 0x64, 0x2c]).is_ok());
        // 2 GiB in 50 bytes.
        let huge = check_header(&[0x15, 0, 0x15, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0x15, 0x64, 0x2c]);
        assert!(huge.expect_err("a bomb").to_string().contains("2147483647 bytes, 50 compressed"));
        assert!(check_header(&[0x15, 0, 0x15, 1, 0x15, 2]).is_err(), "a negative size");
        for unusual in [&[][..], &[0x15], &[0x05, 2, 0], &[0x15, 0, 0x15, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]] {
            assert!(check_header(unusual).is_err(), "{unusual:?}");
        }
    }
}
