//! A decoded picture, and the limits of decoding one.

/// Largest width and height, in pixels.
pub(crate) const MAX_SIDE: u32 = 16_384;
/// The largest file, in bytes.
pub(crate) const MAX_BYTES: u64 = 256 << 20;
/// Memory limit of decoding one picture, in bytes. A picture whose header asks for more is refused.
pub const MOST_MEMORY: u64 = 512 << 20;

/// A decoded picture.
#[derive(Debug, PartialEq, Eq)]
pub struct Picture {
    /// `[3, height, width]`.
    pub data: Vec<u8>,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Picture {
    /// Returns the picture with the colours that `color` returns for each pixel, row by row.
    pub(super) fn of(width: usize, height: usize, colors: impl Iterator<Item = [u8; 3]>) -> Self {
        let mut data = vec![0; 3 * width * height];
        let (red, rest) = data.split_at_mut(width * height);
        let (green, blue) = rest.split_at_mut(width * height);
        for (((red, green), blue), color) in red.iter_mut().zip(green).zip(blue).zip(colors) {
            [*red, *green, *blue] = color;
        }
        Self { data, height, width }
    }

    /// Returns whether the three channels are equal everywhere.
    pub fn is_grey(&self) -> bool {
        let (red, rest) = self.data.split_at(self.width * self.height);
        let (green, blue) = rest.split_at(self.width * self.height);
        red == green && green == blue
    }
}

/// Returns a colour with `alpha` on white; `color` is not multiplied by alpha.
pub(super) fn on_white(color: [u8; 3], alpha: u8) -> [u8; 3] {
    let alpha = u32::from(alpha);
    color.map(|value| ((u32::from(value) * alpha + 255 * (255 - alpha) + 127) / 255) as u8)
}

/// Returns the sentence for a picture that takes too much memory.
pub(super) fn too_large(width: u32, height: u32) -> String {
    format!("its {width} × {height} pixels need more than {} MiB", MOST_MEMORY >> 20)
}
