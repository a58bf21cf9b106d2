//! Pictures in a binary file, as records of one length.

use super::error::DataError;
use std::path::Path;

/// The order of the values of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// One channel after the other.
    Planes,
    /// All channels of one pixel, then the next pixel.
    Pixels,
}

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
    /// The order of the values.
    pub(super) order: Order,
}

impl Layout {
    /// Returns the bytes of one record.
    pub(super) fn stride(&self) -> usize {
        self.prefix + self.channels * self.height * self.width
    }

    /// Returns the planes `[3, height, width]` of `record` of the file at `path` with the content `bytes`. Grey becomes
    /// three equal planes.
    pub(super) fn planes(&self, path: &Path, bytes: &[u8], record: u32) -> Result<Vec<u8>, DataError> {
        let begin = (record as usize).checked_mul(self.stride()).and_then(|begin| begin.checked_add(self.header));
        let pixels = begin.and_then(|begin| bytes.get(begin + self.prefix..begin + self.stride()));
        // The lengths were checked when the file was listed.
        let pixels = pixels.ok_or_else(|| DataError::Changed { path: path.to_owned() })?;
        Ok(match (self.channels, self.order) {
            (1, _) => pixels.repeat(3),
            (_, Order::Planes) => pixels.to_vec(),
            (channels, Order::Pixels) => {
                (0..channels).flat_map(|channel| pixels.iter().skip(channel).step_by(channels).copied()).collect()
            }
        })
    }
}
