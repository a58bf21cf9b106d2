//! Fits a picture of any size to the square that a network reads.

use crate::augment::{Crop, Filter, Mirror, Planes, resized_crop};

/// Resizes the shorter side of `picture` to `size` with antialiasing and cuts out the middle, to bytes `[3, size,
/// size]`. A picture of that size is copied unchanged.
pub(super) fn fit(picture: Planes, size: usize, out: &mut [u8]) {
    let Planes { data, height, width } = picture;
    if (height, width) == (size, size) {
        return out.copy_from_slice(data);
    }
    // Only the part of each axis that remains after the crop is computed.
    let shorter = height.min(width);
    let axis = |length: usize| {
        let resized = size * length / shorter;
        let first = (resized - size) / 2;
        Filter::part(length, resized, first..first + size)
    };
    let (horizontal, vertical) = (axis(width), axis(height));
    let mut values = vec![0.0; 3 * size * size];
    let whole = Crop { top: 0, left: 0, height, width };
    resized_crop(picture, whole, (&horizontal, &vertical), Mirror::No, &mut Vec::new(), &mut values);
    for (byte, value) in out.iter_mut().zip(values) {
        *byte = (value * 255.0).round() as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_remains() {
        // 2 rows, 6 columns; every column has one value. The middle two columns are 30 and 40.
        let row = [10, 20, 30, 40, 50, 60];
        let data = [row, row].concat().repeat(3);
        let mut out = [0; 12];
        fit(Planes { data: &data, height: 2, width: 6 }, 2, &mut out);
        assert_eq!(out, [30, 40].repeat(6)[..]);
        // The same picture turned on its side and twice as large: flat areas keep their value.
        let data = vec![77; 3 * 8 * 3];
        let mut out = [0; 3 * 36];
        fit(Planes { data: &data, height: 8, width: 3 }, 6, &mut out);
        assert_eq!(out, [77; 108]);
    }

    #[test]
    fn the_right_size_is_not_resampled() {
        let data: Vec<u8> = (0..27).collect();
        let mut out = [0; 27];
        fit(Planes { data: &data, height: 3, width: 3 }, 3, &mut out);
        assert_eq!(out[..], data);
    }
}
