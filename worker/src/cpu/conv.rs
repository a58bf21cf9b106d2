//! Convolution and its gradients on plain slices, channels last. Work is divided by the shape alone, and no sum
//! crosses a division but in a fixed order, so results do not depend on the number of threads.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::geometry::{Correlation, Frame, Geometry};
use super::panel::{Direction, Pass, Shape, pack, passes};
use super::scratch::with_scratch;
use super::tile::{Site, Sum, Window, gather, outer};

/// Sites of one sweep over a panel: what they read and write stays in the second-level cache.
const SITES: usize = 256;
/// The same for the gradient of the weight, whose sums go to memory after each sweep.
const WEIGHT_SITES: usize = 128;
/// Blocks of images that sum a weight gradient of their own, where it is small enough.
const BLOCKS: usize = 8;
/// Up to this many values, each block of images sums a weight gradient of its own.
const PARTIAL: usize = 1 << 16;
/// Input channels that are unpacked together.
const UNPACK: usize = 16;
/// Rows of a weight gradient that is divided by rows.
const ROWS: usize = 64;

/// Images of one block: no sum crosses a block, so the division may depend on the threads without moving a bit.
fn images_per_block(g: &Geometry, sites: usize) -> usize {
    SITES.div_ceil(sites.max(1)).min(g.n.div_ceil(rayon::current_num_threads())).max(1)
}

/// Lends `images` with their frame.
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
                    let channels = (channels - first).min(width);
                    gather::<S, V>(simd, input, part, weights, &mut output[first..], sites, channels, sum);
                }
            }
        }
    }
}

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

/// All `correlations` of `input`, images of `from` values, to images of `to` values with `channels` channels.
fn correlate(
    g: &Geometry,
    w: &[f32],
    input: &[f32],
    (frame, correlations): (Frame, Vec<Correlation>),
    direction: Direction,
    [from, to, channels]: [usize; 3],
) -> Vec<f32> {
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

/// `y[n, oh, ow, cout]` of `x[n, h, w, cin]` and `w[cout, cin, k, k]`.
pub(super) fn forward(g: &Geometry, x: &[f32], w: &[f32]) -> Vec<f32> {
    let (frame, correlation) = g.forward();
    correlate(g, w, x, (frame, vec![correlation]), Direction::Forward, [g.input(), g.output(), g.cout])
}

/// The gradient of `x`, from `w` and the gradient `dy` of the output.
pub(super) fn backward_input(g: &Geometry, w: &[f32], dy: &[f32]) -> Vec<f32> {
    correlate(g, w, dy, g.backward(), Direction::Backward, [g.output(), g.input(), g.cin])
}

/// Adds the products of a block of images to rows of one panel of a weight gradient, `[row of the window][value][width]`.
struct Accumulate<'a> {
    input: &'a [f32],
    output: &'a [f32],
    sites: &'a [Site],
    window: Window,
    /// First of the rows in `target`, counted over the whole window.
    first: usize,
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
        let Self { input, output, sites, window, first, target, channels, shape } = self;
        let rows = target.len() / shape.width;
        for sites in sites.chunks(WEIGHT_SITES) {
            let mut row = 0;
            while row < rows {
                let (line, value) = ((first + row) / window.length, (first + row) % window.length);
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

/// The gradient of `w`. A small one is summed per block of images and then over the blocks in order; a large one is
/// divided by its own rows, each summed over all images in order.
pub(super) fn backward_weight(g: &Geometry, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let (frame, correlation) = g.forward();
    let (shape, window) = (Shape::of(g.cout), correlation.window);
    let panel = window.count * window.length * shape.width;
    let size = shape.panels(g.cout) * panel;
    // Rows `first` and following of panel `i`, over the images of `input`.
    let accumulate = |input: &[f32], dy: &[f32], sites: &[Site], i: usize, first: usize, target: &mut [f32]| {
        let channels = (g.cout - i * shape.width).min(shape.width);
        let output = &dy[i * shape.width..];
        Accumulate { input, output, sites, window, first, target, channels, shape }.run();
    };
    let mut sum = vec![0f32; size];
    if size <= PARTIAL {
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
                        accumulate(input, dy, sites, i, 0, target);
                    }
                });
            }
            partial
        });
        for partial in partial.collect::<Vec<_>>() {
            sum.iter_mut().zip(&partial).for_each(|(sum, partial)| *sum += partial);
        }
    } else {
        let sites = correlation.sites_of(g.n, frame.size(), g.output());
        framed(&frame, x, g.n, |input| {
            let panels = sum.par_chunks_exact_mut(panel).enumerate();
            let parts = panels.flat_map(|(i, target)| {
                target.par_chunks_mut(ROWS * shape.width).enumerate().map(move |(j, target)| (i, j * ROWS, target))
            });
            parts.for_each(|(i, first, target)| accumulate(input, dy, &sites, i, first, target));
        });
    }
    unpack(g, &sum, shape.width)
}

/// `[panel][tap][input channel][width]` to `[cout, cin, k, k]`.
fn unpack(g: &Geometry, sum: &[f32], width: usize) -> Vec<f32> {
    let kk = g.k * g.k;
    let mut dw = vec![0f32; g.cout * g.cin * kk];
    let panels = sum.par_chunks_exact(g.cin * kk * width).zip(dw.par_chunks_mut(width * g.cin * kk));
    panels.for_each(|(sum, dw)| {
        // Small blocks, for the same reason as in packing.
        for block in (0..g.cin).step_by(UNPACK) {
            let count = UNPACK.min(g.cin - block);
            for (c, dw) in dw.chunks_exact_mut(g.cin * kk).enumerate() {
                let weights = &mut dw[block * kk..][..count * kk];
                for tap in 0..kk {
                    let sum = sum[(tap * g.cin + block) * width + c..].iter().step_by(width);
                    weights[tap..].iter_mut().step_by(kk).zip(sum).for_each(|(to, from)| *to = *from);
                }
            }
        }
    });
    dw
}
