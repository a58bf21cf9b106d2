//! Fits a picture of any size to the square that a network reads.

use pretext_shared::dataset::Fit;

use crate::augment::{Crop, Filter, Mirror, Planes, resized_crop};

/// Makes `picture` the bytes `[3, size, size]` as `fit` says, with antialiasing. A picture of that size is copied
/// unchanged.
pub(super) fn fit(picture: Planes, fit: Fit, size: usize, out: &mut [u8]) {
    let Planes { data, height, width } = picture;
    if (height, width) == (size, size) {
        return out.copy_from_slice(data);
    }
    match fit {
        Fit::Crop => {
            // Only the part of each axis that remains after the crop is computed.
            let shorter = height.min(width);
            let axis = |length: usize| {
                let resized = size * length / shorter;
                let first = (resized - size) / 2;
                Filter::part(length, resized, first..first + size)
            };
            resample(picture, (&axis(width), &axis(height)), out);
        }
        Fit::Squash => resample(picture, (&Filter::new(width, size), &Filter::new(height, size)), out),
        Fit::Pad => {
            let longer = height.max(width);
            // A side of a very long picture keeps at least one pixel.
            let scaled = |length: usize| ((2 * size * length + longer) / (2 * longer)).max(1);
            let (inner_width, inner_height) = (scaled(width), scaled(height));
            let mut inner = vec![0; 3 * inner_width * inner_height];
            resample(picture, (&Filter::new(width, inner_width), &Filter::new(height, inner_height)), &mut inner);
            let (left, top) = ((size - inner_width) / 2, (size - inner_height) / 2);
            out.fill(0);
            let planes = out.chunks_exact_mut(size * size).zip(inner.chunks_exact(inner_width * inner_height));
            for (out, inner) in planes {
                let rows = out.chunks_exact_mut(size).skip(top).zip(inner.chunks_exact(inner_width));
                rows.for_each(|(out, inner)| out[left..][..inner_width].copy_from_slice(inner));
            }
        }
    }
}

/// Resamples the whole of `picture` with the filters of its two axes.
fn resample(picture: Planes, filters: (&Filter, &Filter), out: &mut [u8]) {
    let mut values = vec![0.0; out.len()];
    let whole = Crop { top: 0, left: 0, height: picture.height, width: picture.width };
    resized_crop(picture, whole, filters, Mirror::No, &mut Vec::new(), &mut values);
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
        fit(Planes { data: &data, height: 2, width: 6 }, Fit::Crop, 2, &mut out);
        assert_eq!(out, [30, 40].repeat(6)[..]);
        // The same picture turned on its side and twice as large: flat areas keep their value.
        let data = vec![77; 3 * 8 * 3];
        let mut out = [0; 3 * 36];
        fit(Planes { data: &data, height: 8, width: 3 }, Fit::Crop, 6, &mut out);
        assert_eq!(out, [77; 108]);
    }

    #[test]
    fn nothing_is_cut_off_when_padded_or_squashed() {
        // 2 rows, 6 columns, and only the left edge is bright: a crop never sees it.
        let row = [240, 0, 0, 0, 0, 0];
        let data = [row, row].concat().repeat(3);
        let fitted = |how| {
            let mut out = [7; 27];
            fit(Planes { data: &data, height: 2, width: 6 }, how, 3, &mut out);
            out
        };
        assert_eq!(fitted(Fit::Crop), [0; 27]);
        // Half of the six columns: weights 3, 3, 1 of 7 at the edge; one row of three, with black above and below.
        let line = [103, 0, 0];
        let padded = fitted(Fit::Pad);
        assert_eq!(padded[..9], [[0; 3], line, [0; 3]].concat());
        assert_eq!(padded[18..], padded[..9]);
        assert_eq!(fitted(Fit::Squash), [line; 9].concat()[..]);
        // A line of pixels remains one, in the middle.
        let data = vec![200; 3 * 1000];
        let mut out = [0; 3 * 16];
        fit(Planes { data: &data, height: 1000, width: 1 }, Fit::Pad, 4, &mut out);
        assert_eq!(out[..16], [0, 200, 0, 0].repeat(4)[..]);
    }

    #[test]
    fn the_right_size_is_not_resampled() {
        let data: Vec<u8> = (0..27).collect();
        let mut out = [0; 27];
        for how in [Fit::Crop, Fit::Pad, Fit::Squash] {
            fit(Planes { data: &data, height: 3, width: 3 }, how, 3, &mut out);
            assert_eq!(out[..], data);
        }
    }
}
