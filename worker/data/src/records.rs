//! Pictures in a binary file, as records of one length.

use super::error::DataError;
use std::path::Path;

/// The layout of records in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// Bytes before the first record.
    pub(super) header: usize,
    /// Bytes of a record before its pixels.
    pub(super) prefix: usize,
    /// Planes of pixels: 3, or 1 for grey.
    pub(super) channels: usize,
    /// Rows.
    pub(super) height: usize,
    /// Columns.
    pub(super) width: usize,
}

impl Layout {
    /// Returns the bytes of one record.
    pub(super) fn stride(&self) -> usize {
        self.prefix + self.channels * self.height * self.width
    }

    /// Returns the planes `[3, height, width]` of `record` of the file at `path` with the content `bytes`. Grey becomes
    /// three equal planes.
    pub(super) fn planes(&self, path: &Path, bytes: &[u8], record: u32) -> Result<Vec<u8>, DataError> {
        let begin = self.header + record as usize * self.stride();
        let pixels = bytes.get(begin + self.prefix..begin + self.stride());
        // The lengths were checked when the file was listed.
        let pixels = pixels.ok_or_else(|| DataError::Changed { path: path.to_owned() })?;
        Ok(if self.channels == 1 { pixels.repeat(3) } else { pixels.to_vec() })
    }
}
