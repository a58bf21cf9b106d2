//! Random crops of an image.

use pretext_shared::draw::Place;
use pretext_shared::stage::CropFlip;

use super::{Mirror, Operation};

/// A rectangle of an image, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crop {
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// Number of tries before the whole image is used.
const TRIES: usize = 10;

/// Returns a random crop of a `size` × `size` image (Szegedy et al. 2015; torchvision's `RandomResizedCrop`). Its area
/// is in [`min_area`, 1) of the image, and its aspect ratio in [3/4, 4/3], log-uniform. A crop that does not fit is
/// drawn again; after ten tries the whole image is used.
pub fn random_resized(size: usize, min_area: f32, place: Place) -> Crop {
    let mut draws = Operation::ResizedCrop.draws(place);
    let (low, high) = ((3f32 / 4.0).ln(), (4f32 / 3.0).ln());
    for _ in 0..TRIES {
        let area = (size * size) as f32 * draws.range(min_area, 1.0);
        let aspect = draws.range(low, high).exp();
        let width = (area * aspect).sqrt().round() as usize;
        let height = (area / aspect).sqrt().round() as usize;
        if (1..=size).contains(&width) && (1..=size).contains(&height) {
            let (top, left) = (draws.below(size - height + 1), draws.below(size - width + 1));
            return Crop { top, left, height, width };
        }
    }
    Crop { top: 0, left: 0, height: size, width: size }
}

/// Pads `image` (`[3, size, size]`) with black, cuts out a random `size` × `size` window and mirrors it at random, to
/// planes in [0, 1]. This is the augmentation of labelled images and of rotations (RotNet). Pixels are only copied:
/// without padding and flip the result is the image.
pub fn crop_flip(image: &[u8], size: usize, spec: CropFlip, place: Place, out: &mut [f32]) {
    let padding = spec.padding as usize;
    let mut draws = Operation::PaddedCrop.draws(place);
    // Offsets of the window in the padded image; row `y` of the result is row `y + top - padding`.
    let (top, left) = (draws.below(2 * padding + 1), draws.below(2 * padding + 1));
    let mirror = Mirror::draw(spec.flip, place);
    // Columns of the result that lie inside the image.
    let (begin, end) = (padding.saturating_sub(left).min(size), (size + padding).saturating_sub(left).min(size));
    for (plane, target) in image.chunks_exact(size * size).zip(out.chunks_exact_mut(size * size)) {
        for (y, row) in target.chunks_exact_mut(size).enumerate() {
            let source = (y + top).checked_sub(padding).filter(|source| *source < size);
            let Some(source) = source.filter(|_| begin < end) else {
                row.fill(0.0);
                continue;
            };
            row[..begin].fill(0.0);
            row[end..].fill(0.0);
            let pixels = &plane[source * size + begin + left - padding..][..end - begin];
            for (value, byte) in row[begin..end].iter_mut().zip(pixels) {
                *value = f32::from(*byte) / 255.0;
            }
            if mirror == Mirror::Yes {
                row.reverse();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use pretext_shared::draw::Purpose;

    use super::*;

    fn place(sample: u64) -> Place {
        Place { seed: 3, purpose: Purpose::Augment, epoch: 0, sample, view: 0 }
    }

    #[test]
    fn crops_have_the_known_area_and_aspect() {
        let n = 20_000;
        let (mut area, mut log_aspect) = (0.0, 0.0);
        for sample in 0..n {
            let crop = random_resized(32, 0.08, place(sample));
            assert!(crop.top + crop.height <= 32 && crop.left + crop.width <= 32);
            area += (crop.height * crop.width) as f64 / 1024.0;
            let aspect = crop.width as f64 / crop.height as f64;
            // Crops are whole pixels: an aspect ratio of exactly 4/3 may round to a little more.
            assert!((0.65..=1.54).contains(&aspect), "{crop:?}");
            log_aspect += aspect.ln();
        }
        // .490 instead of (.08 + 1) / 2, because large crops of extreme aspect ratio do not fit.
        assert!((area / n as f64 - 0.490).abs() < 0.006, "{}", area / n as f64);
        assert!((log_aspect / n as f64).abs() < 0.006);
    }

    #[test]
    fn no_padding_and_no_flip_is_the_image() {
        let image: Vec<u8> = (0..27).collect();
        let mut out = vec![0.0; 27];
        crop_flip(&image, 3, CropFlip { padding: 0, flip: false }, place(0), &mut out);
        assert!(out.iter().zip(&image).all(|(value, byte)| *value == f32::from(*byte) / 255.0));
    }

    #[test]
    fn padded_crops_are_the_windows_of_the_padded_image() {
        let size = 3;
        let image: Vec<u8> = (1..=27).collect();
        for padding in [1, 2, 5] {
            // Every window of the padded image, and its mirror image, by the definition.
            let at = |channel: usize, y: i32, x: i32| {
                let inside = (0..3).contains(&y) && (0..3).contains(&x);
                if inside { image[channel * 9 + y as usize * 3 + x as usize] } else { 0 }
            };
            let mut windows = BTreeSet::new();
            let reach = padding as i32;
            for (top, left) in (-reach..=reach).flat_map(|top| (-reach..=reach).map(move |left| (top, left))) {
                let window = |column: fn(i32) -> i32| -> Vec<u8> {
                    let rows = (0..3).flat_map(|channel| (0..3).map(move |y| (channel, y)));
                    rows.flat_map(|(channel, y)| (0..3).map(move |x| at(channel, y + top, column(x) + left))).collect()
                };
                windows.insert(window(|x| x));
                windows.insert(window(|x| 2 - x));
            }
            let mut seen = BTreeSet::new();
            for sample in 0..4000 {
                let mut out = vec![f32::NAN; 27];
                crop_flip(&image, size, CropFlip { padding, flip: true }, place(sample), &mut out);
                seen.insert(out.iter().map(|value| (value * 255.0).round() as u8).collect::<Vec<_>>());
            }
            assert_eq!(seen, windows, "padding {padding}");
        }
    }

    #[test]
    fn half_of_the_images_are_mirrored() {
        let mirrored = (0..10_000).filter(|sample| Mirror::draw(true, place(*sample)) == Mirror::Yes).count();
        // 99.9 % bounds of a fair coin.
        assert!((4835..=5165).contains(&mirrored), "{mirrored}");
        assert!((0..100).all(|sample| Mirror::draw(false, place(sample)) == Mirror::No));
    }
}
