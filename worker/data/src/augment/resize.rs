//! Antialiased bilinear resampling: a triangle filter that widens when an image shrinks, as torchvision's `resize(...,
//! antialias=True)` and Pillow's `BILINEAR` do.

use std::cell::RefCell;
use std::ops::Range;

use super::Mirror;
use super::crop::Crop;

/// An image as three planes of bytes, `[3, height, width]`.
#[derive(Debug, Clone, Copy)]
pub struct Planes<'a> {
    /// `3 * height * width` bytes: red, green, blue; rows from top to bottom.
    pub data: &'a [u8],
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// The input positions and weights that make one output position.
#[derive(Debug, Clone, Copy)]
struct Tap {
    /// First input position.
    first: u32,
    /// First weight in [`Filter::weights`].
    start: u32,
    /// Number of weights.
    len: u32,
}

/// The triangle filter of one axis. Each output position is a weighted mean of input positions.
#[derive(Debug, Clone)]
pub struct Filter {
    taps: Vec<Tap>,
    weights: Vec<f32>,
}

impl Filter {
    /// Returns the filter from `input` to `output` positions, both at least 1.
    pub fn new(input: usize, output: usize) -> Self {
        Self::part(input, output, 0..output)
    }

    /// Returns the filter for the `wanted` output positions only: a resize followed by a crop costs only the crop.
    pub fn part(input: usize, output: usize, wanted: Range<usize>) -> Self {
        let scale = input as f64 / output as f64;
        let width = scale.max(1.0);
        let mut filter = Self { taps: Vec::with_capacity(wanted.len()), weights: Vec::new() };
        for position in wanted {
            let centre = (position as f64 + 0.5) * scale;
            let first = (centre - width + 0.5).max(0.0) as usize;
            let last = ((centre + width + 0.5) as usize).min(input);
            let weight = |j: usize| (1.0 - ((j as f64 - centre + 0.5) / width).abs()).max(0.0);
            let sum: f64 = (first..last).map(weight).sum();
            filter.taps.push(Tap {
                first: first as u32,
                start: filter.weights.len() as u32,
                len: (last - first) as u32,
            });
            filter.weights.extend((first..last).map(|j| (weight(j) / sum) as f32));
        }
        filter
    }

    /// Number of output positions.
    pub fn outputs(&self) -> usize {
        self.taps.len()
    }

    /// Returns, for each output position, the first input position and the weights from there on.
    fn iter(&self) -> impl Iterator<Item = (usize, &[f32])> {
        self.taps.iter().map(|tap| (tap.first as usize, &self.weights[tap.start as usize..][..tap.len as usize]))
    }
}

/// Resamples the `crop` of `image` to planes `[3, vertical.outputs(), horizontal.outputs()]` in [0, 1], mirrored if
/// asked. The filters must fit the crop's width and height. `scratch` keeps its memory between calls.
pub fn resized_crop(
    image: Planes,
    crop: Crop,
    (horizontal, vertical): (&Filter, &Filter),
    mirror: Mirror,
    scratch: &mut Vec<f32>,
    out: &mut [f32],
) {
    let (width, height) = (horizontal.outputs(), vertical.outputs());
    scratch.resize(crop.width + crop.height * width, 0.0);
    let (line, rows) = scratch.split_at_mut(crop.width);
    for channel in 0..3 {
        // First along rows, which are contiguous, then along columns, a whole row at a time.
        for (y, row) in rows.chunks_exact_mut(width).enumerate() {
            let from = (channel * image.height + crop.top + y) * image.width + crop.left;
            for (value, byte) in line.iter_mut().zip(&image.data[from..][..crop.width]) {
                *value = f32::from(*byte);
            }
            for (value, (first, weights)) in row.iter_mut().zip(horizontal.iter()) {
                let sum: f32 = line[first..].iter().zip(weights).map(|(pixel, weight)| weight * pixel).sum();
                *value = sum * (1.0 / 255.0);
            }
            if mirror == Mirror::Yes {
                row.reverse();
            }
        }
        let plane = &mut out[channel * height * width..][..height * width];
        for (target, (first, weights)) in plane.chunks_exact_mut(width).zip(vertical.iter()) {
            target.fill(0.0);
            for (row, weight) in rows[first * width..].chunks_exact(width).zip(weights) {
                target.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * value);
            }
        }
    }
}

thread_local! {
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// The filters of all crops of a square image to its own size, computed once.
#[derive(Debug, Clone)]
pub struct Resizer {
    size: usize,
    /// The filter of inputs of length `i + 1`.
    filters: Vec<Filter>,
}

impl Resizer {
    /// Returns the filters for images of `size` × `size` pixels.
    pub fn new(size: usize) -> Self {
        Self { size, filters: (1..=size).map(|input| Filter::new(input, size)).collect() }
    }

    /// Height and width of the images, in pixels.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Writes the `crop` of `image` (`[3, size, size]`) at full size, in [0, 1].
    pub fn resized_crop(&self, image: &[u8], crop: Crop, mirror: Mirror, out: &mut [f32]) {
        let image = Planes { data: image, height: self.size, width: self.size };
        let filters = (&self.filters[crop.width - 1], &self.filters[crop.height - 1]);
        SCRATCH.with_borrow_mut(|scratch| resized_crop(image, crop, filters, mirror, scratch, out));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(height: usize, width: usize) -> Crop {
        Crop { top: 0, left: 0, height, width }
    }

    fn close(got: &[f32], want: &[f32]) {
        assert_eq!(got.len(), want.len());
        assert!(got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-6), "{got:?}, expected {want:?}");
    }

    #[test]
    fn stretching_and_shrinking_by_hand() {
        // Pillow and torchvision: [0, 1] to four positions is 0, 1/4, 3/4, 1.
        let mut out = [0.0; 12];
        let image = Planes { data: &[0, 255, 0, 255, 255, 0], height: 1, width: 2 };
        let filters = (&Filter::new(2, 4), &Filter::new(1, 1));
        resized_crop(image, whole(1, 2), filters, Mirror::No, &mut Vec::new(), &mut out);
        close(&out[..4], &[0.0, 0.25, 0.75, 1.0]);
        resized_crop(image, whole(1, 2), filters, Mirror::Yes, &mut Vec::new(), &mut out);
        close(&out[..4], &[1.0, 0.75, 0.25, 0.0]);
        close(&out[8..], &[0.0, 0.25, 0.75, 1.0]);
        // Four positions to two: the triangle reaches two pixels to each side; weights 3, 3, 1 of 7.
        let image = Planes { data: &[255, 0, 0, 0, 0, 255, 0, 0, 0, 0, 255, 0], height: 1, width: 4 };
        let mut out = [0.0; 6];
        let filters = (&Filter::new(4, 2), &Filter::new(1, 1));
        resized_crop(image, whole(1, 4), filters, Mirror::No, &mut Vec::new(), &mut out);
        close(&out, &[3.0 / 7.0, 0.0, 3.0 / 7.0, 1.0 / 7.0, 1.0 / 7.0, 3.0 / 7.0]);
    }

    #[test]
    fn a_part_of_a_filter_is_the_filters_part() {
        let (all, part) = (Filter::new(50, 20), Filter::part(50, 20, 5..9));
        let taps =
            |filter: &Filter| filter.iter().map(|(first, weights)| (first, weights.to_vec())).collect::<Vec<_>>();
        assert_eq!(taps(&all)[5..9], taps(&part));
    }

    #[test]
    fn a_crop_is_taken_where_it_lies() {
        let data: Vec<u8> = (0..48).collect();
        let mut out = vec![0.0; 48];
        Resizer::new(4).resized_crop(&data, Crop { top: 2, left: 1, height: 1, width: 1 }, Mirror::No, &mut out);
        for (channel, plane) in out.chunks(16).enumerate() {
            close(plane, &[(channel * 16 + 9) as f32 / 255.0; 16]);
        }
    }
}
