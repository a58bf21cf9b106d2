//! The sizes of a convolution, and the places that each output pixel reads and writes.
//!
//! Both the forward pass and the gradient of the input are *correlations*: every output pixel is a sum over a window of
//! an input with a border of zeros. With channels last, a row of the window is one run of consecutive values.

use super::tile::{Site, Window};

/// The shape of a square-kernel convolution of images with channels last (groups 1, dilation 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    /// Images.
    pub(super) n: usize,
    /// Input channels.
    pub(super) cin: usize,
    /// Input rows.
    pub(super) h: usize,
    /// Input columns.
    pub(super) w: usize,
    /// Output channels.
    pub(super) cout: usize,
    /// Side of the kernel.
    pub(super) k: usize,
    /// Step between output positions.
    pub(super) stride: usize,
    /// Zeros on each side.
    pub(super) pad: usize,
}

impl Geometry {
    /// Output rows.
    pub(super) fn oh(&self) -> usize {
        (self.h + 2 * self.pad - self.k) / self.stride + 1
    }

    /// Output columns.
    pub(super) fn ow(&self) -> usize {
        (self.w + 2 * self.pad - self.k) / self.stride + 1
    }

    /// Values of one input image.
    pub(super) fn input(&self) -> usize {
        self.cin * self.h * self.w
    }

    /// Values of one output image.
    pub(super) fn output(&self) -> usize {
        self.cout * self.oh() * self.ow()
    }

    /// Returns the correlation of the forward pass, over a framed input.
    pub(super) fn forward(&self) -> (Frame, Correlation) {
        let frame = Frame {
            h: self.h,
            w: self.w,
            channels: self.cin,
            top: self.pad,
            left: self.pad,
            rows: self.h + 2 * self.pad,
            columns: self.w + 2 * self.pad,
        };
        let pitch = frame.columns * self.cin;
        let sites = (0..self.oh()).flat_map(|y| (0..self.ow()).map(move |x| (y, x))).map(|(y, x)| {
            Site::new(y * self.stride * pitch + x * self.stride * self.cin, (y * self.ow() + x) * self.cout)
        });
        let taps = |x0: usize| (x0..x0 + self.k).collect::<Vec<_>>();
        let correlation = Correlation {
            rows: taps(0),
            columns: taps(0),
            window: Window { count: self.k, length: self.k * self.cin, stride: pitch },
            sites: sites.collect(),
            size: [self.oh(), self.ow()],
            dense: self.stride == 1,
        };
        (frame, correlation)
    }

    /// Returns the correlations that sum to the gradient of the input, over a framed gradient of the output. There is
    /// one for each phase of the stride, because input pixels of different phases see different taps. A phase that no
    /// tap reaches has none.
    pub(super) fn backward(&self) -> (Frame, Vec<Correlation>) {
        let (oh, ow, s) = (self.oh(), self.ow(), self.stride);
        let rows: Vec<Phase> = (0..s).map(|phase| Phase::new(phase, self.h, oh, self)).collect();
        let columns: Vec<Phase> = (0..s).map(|phase| Phase::new(phase, self.w, ow, self)).collect();
        let before = |phases: &[Phase]| phases.iter().map(|phase| phase.before).max().unwrap_or(0);
        let after = |phases: &[Phase]| phases.iter().map(|phase| phase.after).max().unwrap_or(0);
        let (top, left) = (before(&rows), before(&columns));
        let frame = Frame {
            h: oh,
            w: ow,
            channels: self.cout,
            top,
            left,
            rows: top + oh + after(&rows),
            columns: left + ow + after(&columns),
        };
        let pitch = frame.columns * self.cout;
        let pairs = rows.iter().flat_map(|row| columns.iter().map(move |column| (row, column)));
        let reached = pairs.filter(|(row, column)| !row.taps.is_empty() && !column.taps.is_empty());
        let correlations = reached.map(|(row, column)| {
            let places = (0..row.count).flat_map(|i| (0..column.count).map(move |j| (i, j)));
            let sites = places.map(|(i, j)| {
                let input =
                    (i + top + row.shift - row.before) * pitch + (j + left + column.shift - column.before) * self.cout;
                let (y, x) = (row.phase + s * i, column.phase + s * j);
                Site::new(input, (y * self.w + x) * self.cin)
            });
            Correlation {
                rows: row.taps.clone(),
                columns: column.taps.clone(),
                window: Window { count: row.taps.len(), length: column.taps.len() * self.cout, stride: pitch },
                sites: sites.collect(),
                size: [row.count, column.count],
                dense: s == 1 && row.shift + column.shift == 0 && row.before == top && column.before == left,
            }
        });
        let correlations = correlations.collect();
        (frame, correlations)
    }
}

/// One axis: the input positions `phase`, `phase + stride`, …, and the taps that reach them.
struct Phase {
    phase: usize,
    /// Number of input positions.
    count: usize,
    /// The taps, in the order in which they meet rising output positions.
    taps: Vec<usize>,
    /// Number of output positions before 0 that the first input position sees.
    before: usize,
    /// First output position that the first input position sees, or 0 if that is negative.
    shift: usize,
    /// Number of output positions past the last that the last input position sees.
    after: usize,
}

impl Phase {
    fn new(phase: usize, inputs: usize, outputs: usize, g: &Geometry) -> Self {
        let count = inputs.saturating_sub(phase).div_ceil(g.stride);
        let taps: Vec<usize> = ((phase + g.pad) % g.stride..g.k).step_by(g.stride).collect();
        let Some((&first, span)) = taps.first().map(|first| (first, taps.len() - 1)) else {
            return Self { phase, count, taps, before: 0, shift: 0, after: 0 };
        };
        // Input position phase + stride i and tap k meet at output (phase + pad - k) / stride + i. The first tap is the
        // smallest, so it meets the last output that this position sees. Taps beyond phase + pad lie before output 0.
        let last = (phase + g.pad).checked_sub(first).map_or(0, |distance| distance / g.stride);
        Self {
            phase,
            count,
            taps: taps.into_iter().rev().collect(),
            before: span.saturating_sub(last),
            shift: last.saturating_sub(span),
            after: (last + count).saturating_sub(outputs),
        }
    }
}

/// A border of zeros around the maps of an image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    h: usize,
    w: usize,
    channels: usize,
    top: usize,
    left: usize,
    rows: usize,
    columns: usize,
}

impl Frame {
    /// Values of one framed image.
    pub(super) fn size(&self) -> usize {
        self.rows * self.columns * self.channels
    }

    /// Returns the number of values between the starts of two rows.
    pub(super) fn pitch(&self) -> usize {
        self.columns * self.channels
    }

    /// Returns the frame with more zeros below and on the right, to at least `rows` by `columns`.
    pub(super) fn grown(&self, [rows, columns]: [usize; 2]) -> Self {
        Self { rows: self.rows.max(rows), columns: self.columns.max(columns), ..*self }
    }

    /// Returns whether there is no border, so that images can be used without a copy.
    pub(super) fn is_bare(&self) -> bool {
        self.rows == self.h && self.columns == self.w
    }

    /// Copies an image into `out`, `[rows, columns, channels]`, with zeros around it.
    pub(super) fn copy(&self, image: &[f32], out: &mut [f32]) {
        let (line, pitch) = (self.w * self.channels, self.columns * self.channels);
        let left = self.left * self.channels;
        let (above, out) = out.split_at_mut(self.top * pitch);
        let (inside, below) = out.split_at_mut(self.h * pitch);
        above.fill(0.0);
        below.fill(0.0);
        for (line, out) in image.chunks_exact(line).zip(inside.chunks_exact_mut(pitch)) {
            out[..left].fill(0.0);
            out[left..left + line.len()].copy_from_slice(line);
            out[left + line.len()..].fill(0.0);
        }
    }
}

/// `output[site] = Σ window(site) · weights`, with the weights of the taps `rows` × `columns`.
#[derive(Clone, Debug)]
pub(super) struct Correlation {
    /// Kernel rows, from the top of the window.
    pub(super) rows: Vec<usize>,
    /// Kernel columns, from the left of the window.
    pub(super) columns: Vec<usize>,
    /// The input values that a site sees.
    pub(super) window: Window,
    /// The output pixels of one image.
    pub(super) sites: Vec<Site>,
    /// Rows and columns of the output pixels.
    pub(super) size: [usize; 2],
    dense: bool,
}

impl Correlation {
    /// Returns whether neighbouring outputs see windows that are one pixel apart, beginning at the corner of the frame.
    pub(super) fn is_dense(&self) -> bool {
        self.dense
    }

    /// Returns the sites of `images` images that lie `input` and `output` values apart.
    pub(super) fn sites_of(&self, images: usize, input: usize, output: usize) -> Vec<Site> {
        let all =
            (0..images).flat_map(|image| self.sites.iter().map(move |site| site.moved(image * input, image * output)));
        all.collect()
    }
}
