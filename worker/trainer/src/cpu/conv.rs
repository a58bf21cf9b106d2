//! Convolution and its gradients on plain slices, channels last. Results do not depend on the number of threads: no sum
//! crosses a division of the work that depends on it, and the order of every other sum is a function of the shape.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::geometry::{Correlation, Frame, Geometry};
use super::panel::{Direction, Pass, Shape, pack, passes};
use super::scratch::with_scratch;
use super::tile::{Site, Sum, Target, Window, gather, outer};
use super::winograd;

/// Sites of one sweep over a panel: the data that they read and write stay in the second-level cache.
const SITES: usize = 256;
/// Sites of one sweep for the gradient of the weight, whose sums go to memory after each sweep.
const WEIGHT_SITES: usize = 128;
/// Number of blocks of images that sum a small weight gradient separately.
const BLOCKS: usize = 8;
/// Largest number of values of a weight gradient that blocks of images sum separately.
const PARTIAL: usize = 1 << 16;
/// Rows of a weight gradient that is divided by rows.
const ROWS: usize = 64;

/// Returns the number of images in one block. No sum crosses a block, so the division may depend on the threads without
/// changing a bit.
fn images_per_block(g: &Geometry, sites: usize) -> usize {
    SITES.div_ceil(sites.max(1)).min(g.n.div_ceil(rayon::current_num_threads())).max(1)
}

/// Calls `work` with `images` in their frame.
fn framed<R>(frame: &Frame, images: &[f32], count: usize, work: impl FnOnce(&[f32]) -> R) -> R {
    if frame.is_bare() {
        return work(images);
    }
    with_scratch(count * frame.size(), |scratch| {
        let pairs = scratch.par_chunks_mut(frame.size()).zip(images.par_chunks(images.len() / count));
        pairs.for_each(|(to, from)| frame.copy(from, to));
        work(scratch)
    })
}

/// One correlation over a block of framed images.
struct Correlate<'a> {
    input: &'a [f32],
    weights: &'a [f32],
    output: &'a mut [f32],
    sites: &'a [Site],
    window: Window,
    passes: &'a [Pass],
    channels: usize,
    shape: Shape,
}

impl Correlate<'_> {
    fn run(self) {
        self.shape.arch.dispatch(self);
    }

    #[inline(always)]
    fn sweep<S: Simd, const V: usize>(self, simd: S) {
        let Self { input, weights, output, sites, window, passes, channels, shape } = self;
        let (width, length) = (shape.width, window.length);
        for sites in sites.chunks(SITES) {
            for (panel, weights) in weights.chunks_exact(window.count * length * width).enumerate() {
                let first = panel * width;
                for (i, pass) in passes.iter().enumerate() {
                    let part = Window { count: pass.rows, length: pass.length, stride: window.stride };
                    let input = &input[pass.row * window.stride + pass.from..];
                    let weights = &weights[(pass.row * length + pass.from) * width..];
                    let sum = if i == 0 { Sum::Begin } else { Sum::Continue };
                    let target = Target { width: (channels - first).min(width), sum };
                    gather::<S, V>(simd, input, part, weights, &mut output[first..], sites, target);
                }
            }
        }
    }
}

// The same few lines are below and in `winograd`: one generic wrapper for all three made this kernel a fifth slower
// (the step bench, small CNN).
impl WithSimd for Correlate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.shape.vectors {
            1 => self.sweep::<S, 1>(simd),
            2 => self.sweep::<S, 2>(simd),
            _ => self.sweep::<S, 3>(simd),
        }
    }
}

/// A correlation with everything that does not depend on the images.
struct Prepared {
    correlation: Correlation,
    weights: Vec<f32>,
    passes: Vec<Pass>,
}

impl Prepared {
    fn new(g: &Geometry, w: &[f32], correlation: Correlation, direction: Direction, shape: Shape) -> Self {
        let Window { count, length, .. } = correlation.window;
        Self {
            weights: pack(g, w, &correlation, direction, shape.width),
            passes: passes(count, length, shape.width),
            correlation,
        }
    }
}

/// Applies all `correlations` to `input`. Input images have `from` values and `summed` channels; output images have
/// `to` values and `channels` channels.
fn correlate(
    g: &Geometry,
    w: &[f32],
    input: &[f32],
    (frame, correlations): (Frame, Vec<Correlation>),
    direction: Direction,
    sizes @ [from, to, summed, channels]: [usize; 4],
) -> Vec<f32> {
    if let [correlation] = &correlations[..]
        && winograd::suits(correlation, g.n, summed, channels)
    {
        return winograd::correlate(g, w, input, (&frame, correlation), direction, sizes);
    }
    let shape = Shape::of(channels);
    let sites = correlations.iter().map(|correlation| correlation.sites.len()).max().unwrap_or(0);
    let images = images_per_block(g, sites);
    let prepared: Vec<(Prepared, Vec<Site>)> = correlations
        .into_iter()
        .map(|correlation| {
            let sites = correlation.sites_of(images, frame.size(), to);
            (Prepared::new(g, w, correlation, direction, shape), sites)
        })
        .collect();
    let mut output = vec![0f32; g.n * to];
    output.par_chunks_mut(images * to).zip(input.par_chunks(images * from)).for_each(|(output, input)| {
        let images = input.len() / from;
        framed(&frame, input, images, |input| {
            for (prepared, sites) in &prepared {
                let sites = &sites[..images * prepared.correlation.sites.len()];
                let (weights, window) = (&prepared.weights[..], prepared.correlation.window);
                let passes = &prepared.passes;
                Correlate { input, weights, output: &mut *output, sites, window, passes, channels, shape }.run();
            }
        });
    });
    output
}

/// Returns `y[n, oh, ow, cout]` for `x[n, h, w, cin]` and `w[cout, cin, k, k]`.
pub(super) fn forward(g: &Geometry, x: &[f32], w: &[f32]) -> Vec<f32> {
    let (frame, correlation) = g.forward();
    correlate(g, w, x, (frame, vec![correlation]), Direction::Forward, [g.input(), g.output(), g.cin, g.cout])
}

/// Returns the gradient of `x`, from `w` and the gradient `dy` of the output.
pub(super) fn backward_input(g: &Geometry, w: &[f32], dy: &[f32]) -> Vec<f32> {
    correlate(g, w, dy, g.backward(), Direction::Backward, [g.output(), g.input(), g.cout, g.cin])
}

/// Adds the products of a block of sites to one panel of a weight gradient, `[value of the window][width]`.
struct Accumulate<'a> {
    input: &'a [f32],
    output: &'a [f32],
    sites: &'a [Site],
    window: Window,
    target: &'a mut [f32],
    /// Channels of the panel.
    channels: usize,
    shape: Shape,
}

impl Accumulate<'_> {
    fn run(self) {
        self.shape.arch.dispatch(self);
    }

    #[inline(always)]
    fn sweep<S: Simd, const V: usize>(self, simd: S) {
        let Self { input, output, sites, window, target, channels, shape } = self;
        let rows = target.len() / shape.width;
        for sites in sites.chunks(WEIGHT_SITES) {
            let mut row = 0;
            while row < rows {
                let (line, value) = (row / window.length, row % window.length);
                let at = line * window.stride + value;
                let target = &mut target[row * shape.width..];
                row += match (rows - row).min(window.length - value) {
                    8.. => outer::<S, 8, V>(simd, input, at, output, sites, channels, target),
                    4.. => outer::<S, 4, V>(simd, input, at, output, sites, channels, target),
                    _ => outer::<S, 1, V>(simd, input, at, output, sites, channels, target),
                };
            }
        }
    }
}

impl WithSimd for Accumulate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.shape.vectors {
            1 => self.sweep::<S, 1>(simd),
            2 => self.sweep::<S, 2>(simd),
            _ => self.sweep::<S, 3>(simd),
        }
    }
}

/// Returns the gradient of `w`. A small gradient is summed within each block of images and then over the blocks in
/// order. A large gradient is divided by its own rows, and each row is summed over all images in order.
pub(super) fn backward_weight(g: &Geometry, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let shape = Shape::of(g.cout);
    let rows = g.k * g.k * g.cin;
    if rows * shape.panels(g.cout) * shape.width <= PARTIAL {
        unpack(g, &by_images(g, x, dy, shape), rows, shape)
    } else {
        unpack(g, &by_rows(g, x, dy, shape), ROWS, shape)
    }
}

/// Returns `[panel][row][width]`, summed within each block of images and then over the blocks.
fn by_images(g: &Geometry, x: &[f32], dy: &[f32], shape: Shape) -> Vec<f32> {
    let (frame, correlation) = g.forward();
    let (window, width) = (correlation.window, shape.width);
    let panel = window.count * window.length * width;
    let size = shape.panels(g.cout) * panel;
    let images = g.n.div_ceil(BLOCKS);
    let at_once = images_per_block(g, correlation.sites.len());
    let sites = correlation.sites_of(at_once, frame.size(), g.output());
    let blocks = x.par_chunks(images * g.input()).zip(dy.par_chunks(images * g.output()));
    let partial = blocks.map(|(x, dy)| {
        let mut partial = vec![0f32; size];
        for (x, dy) in x.chunks(at_once * g.input()).zip(dy.chunks(at_once * g.output())) {
            let images = x.len() / g.input();
            let sites = &sites[..images * correlation.sites.len()];
            framed(&frame, x, images, |input| {
                for (i, target) in partial.chunks_exact_mut(panel).enumerate() {
                    let (output, channels) = (&dy[i * width..], (g.cout - i * width).min(width));
                    Accumulate { input, output, sites, window, target, channels, shape }.run();
                }
            });
        }
        partial
    });
    let mut sum = vec![0f32; size];
    for partial in partial.collect::<Vec<_>>() {
        sum.iter_mut().zip(&partial).for_each(|(sum, partial)| *sum += partial);
    }
    sum
}

/// Returns `[block of rows][panel][row][width]`. The values that a block reads are first copied together. In maps of
/// many channels, neighbouring sites are so far apart in memory that they would compete for the same few places in the
/// cache.
fn by_rows(g: &Geometry, x: &[f32], dy: &[f32], shape: Shape) -> Vec<f32> {
    let (frame, correlation) = g.forward();
    let (Window { count, length, stride }, width) = (correlation.window, shape.width);
    let (rows, panels) = (count * length, shape.panels(g.cout));
    let sites = correlation.sites_of(g.n, frame.size(), g.output());
    // `[panel][site][width]`
    let mut gradients = vec![0f32; panels * sites.len() * width];
    gradients.par_chunks_exact_mut(sites.len() * width).enumerate().for_each(|(i, panel)| {
        let channels = (g.cout - i * width).min(width);
        for (to, from) in panel.chunks_exact_mut(width).zip(dy.chunks_exact(g.cout)) {
            to[..channels].copy_from_slice(&from[i * width..][..channels]);
        }
    });
    let mut sum = vec![0f32; panels * rows * width];
    framed(&frame, x, g.n, |input| {
        sum.par_chunks_mut(ROWS * panels * width).enumerate().for_each(|(block, target)| {
            let first = block * ROWS;
            let rows = target.len() / (panels * width);
            let compact: Vec<Site> = (0..WEIGHT_SITES).map(|i| Site::new(i * rows, i * width)).collect();
            let window = Window { count: 1, length: rows, stride: 0 };
            with_scratch(WEIGHT_SITES * rows, |values| {
                for (i, sites) in sites.chunks(WEIGHT_SITES).enumerate() {
                    for (site, values) in sites.iter().zip(values.chunks_exact_mut(rows)) {
                        let mut row = first;
                        while row < first + rows {
                            let (line, at) = (row / length, row % length);
                            let run = (first + rows - row).min(length - at);
                            let from = &input[site.input() + line * stride + at..][..run];
                            values[row - first..][..run].copy_from_slice(from);
                            row += run;
                        }
                    }
                    for (target, panel) in
                        target.chunks_exact_mut(rows * width).zip(gradients.chunks_exact(gradients.len() / panels))
                    {
                        let output = &panel[i * WEIGHT_SITES * width..];
                        let sites = &compact[..sites.len()];
                        Accumulate { input: values, output, sites, window, target, channels: width, shape }.run();
                    }
                }
            });
        });
    });
    sum
}

/// Converts `[block of rows][panel][row][width]` to `[cout, cin, k, k]`; a row is a tap and an input channel.
fn unpack(g: &Geometry, sum: &[f32], rows: usize, shape: Shape) -> Vec<f32> {
    let (kk, width) = (g.k * g.k, shape.width);
    let padded = shape.panels(g.cout) * width;
    let mut dw = vec![0f32; g.cout * g.cin * kk];
    dw.par_chunks_mut(width * g.cin * kk).enumerate().for_each(|(panel, dw)| {
        for (block, sum) in sum.chunks(rows * padded).enumerate() {
            let (first, rows) = (block * rows, sum.len() / padded);
            let sum = &sum[panel * rows * width..][..rows * width];
            for (c, dw) in dw.chunks_exact_mut(g.cin * kk).enumerate() {
                let mut row = 0;
                while row < rows {
                    let (tap, cin) = ((first + row) / g.cin, (first + row) % g.cin);
                    let run = (rows - row).min(g.cin - cin);
                    let from = sum[row * width + c..].iter().step_by(width).take(run);
                    dw[cin * kk + tap..].iter_mut().step_by(kk).zip(from).for_each(|(to, from)| *to = *from);
                    row += run;
                }
            }
        }
    });
    dw
}
