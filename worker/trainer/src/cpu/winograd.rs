//! 3×3 correlations at stride 1 by Winograd's minimal filtering F(2×2, 3×3) (Lavin and Gray 2016): 16 products for four
//! outputs, where the direct sum takes 36. Transforms are additions and halves, so little precision is lost. They cost
//! passes over memory, so the method pays if both sides have many channels and the maps have many pixels for each
//! weight. An infinity spreads within its tile, and its difference with itself is NaN. Training with an infinity has
//! diverged in any case.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::geometry::{Correlation, Frame, Geometry};
use super::panel::{Direction, Pass, Shape, pack, passes};
use super::scratch::with_scratch;
use super::tile::{Site, Sum, Target, Window, gather};

/// Number of products of a tile.
const POINTS: usize = 16;
/// Number of values of transformed tiles that are processed together, for each point: they stay in the second-level
/// cache.
const BLOCK: usize = 8192;
/// Largest number of tiles that are processed together.
const SITES: usize = 256;
/// Smallest number of channels on either side for which the transforms save more than they cost.
const CHANNELS: usize = 32;
/// Smallest number of output pixels for which the transform of the weights saves more than it costs. There must also be
/// one pixel for every [`WEIGHTS`] weights.
const PIXELS: usize = 512;
const WEIGHTS: usize = 8;

/// Returns whether `correlation`, from `summed` to `kept` channels over `n` images, is computed here.
pub(super) fn suits(correlation: &Correlation, n: usize, summed: usize, kept: usize) -> bool {
    let lanes = 16;
    correlation.is_dense()
        && correlation.rows.len() == 3
        && correlation.columns.len() == 3
        && summed >= CHANNELS
        && kept >= CHANNELS
        && summed.is_multiple_of(lanes)
        && kept.is_multiple_of(lanes)
        && n * correlation.sites.len() >= PIXELS.max(summed * kept / WEIGHTS)
}

/// The output of one correlation, in tiles of two by two.
struct Tiling {
    /// Output rows and columns.
    h: usize,
    w: usize,
    /// Values of a framed image, and between the starts of two of its rows.
    framed: usize,
    pitch: usize,
    summed: usize,
    kept: usize,
}

impl Tiling {
    fn columns(&self) -> usize {
        self.w.div_ceil(2)
    }

    /// Tiles of one image.
    fn count(&self) -> usize {
        self.h.div_ceil(2) * self.columns()
    }

    /// Returns image, row and column of the first output of a tile.
    fn place(&self, tile: usize) -> [usize; 3] {
        let (image, tile) = (tile / self.count(), tile % self.count());
        [image, 2 * (tile / self.columns()), 2 * (tile % self.columns())]
    }
}

/// Returns `w` transformed, `[point][panel][summed][width]`, from the result of [`pack`].
fn transform_weights(packed: &[f32], summed: usize, width: usize) -> Vec<f32> {
    let panel = summed * width;
    let panels = packed.len() / (9 * panel);
    let mut all = vec![0f32; POINTS * panels * panel];
    let points: Vec<&mut [f32]> = all.chunks_exact_mut(panels * panel).collect();
    // The part of every point, for each panel.
    let mut parts: Vec<Vec<&mut [f32]>> = (0..panels).map(|_| Vec::with_capacity(POINTS)).collect();
    for point in points {
        point.chunks_exact_mut(panel).zip(&mut parts).for_each(|(part, parts)| parts.push(part));
    }
    parts.into_par_iter().zip(packed.par_chunks_exact(9 * panel)).for_each(|(mut parts, packed)| {
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                for at in 0..panel {
                    let g = |tap: usize| packed[tap * panel + at];
                    // G g, then (G g) Gᵀ.
                    let spread = |[a, b, c]: [f32; 3]| [a, 0.5 * (a + b + c), 0.5 * (a - b + c), c];
                    let half = [0, 1, 2].map(|column| spread([g(column), g(3 + column), g(6 + column)]));
                    for row in 0..4 {
                        let points = spread(half.map(|column| column[row]));
                        for (part, point) in parts[4 * row..][..4].iter_mut().zip(points) {
                            part[at] = point;
                        }
                    }
                }
            },
        );
    });
    all
}

/// Tiles from number `first` of framed images, counted through all images.
struct Block<'a> {
    tiling: &'a Tiling,
    shape: Shape,
    passes: &'a [Pass],
    weights: &'a [f32],
    input: &'a [f32],
    output: &'a mut [f32],
    first: usize,
    count: usize,
    /// `[point][tile][summed]` and `[point][tile][width]`.
    buffers: [&'a mut [f32]; 2],
}

impl Block<'_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) {
        let Self { tiling, shape, passes, weights, input, output, first, count, buffers: [points, products] } = self;
        let (summed, width) = (tiling.summed, shape.width);
        for t in 0..count {
            let [image, row, column] = tiling.place(first + t);
            let at = image * tiling.framed + row * tiling.pitch + column * summed;
            transform_input(simd, &input[at..], tiling.pitch, summed, &mut points[t * summed..], count * summed);
        }
        let sites: [Site; SITES] =
            std::array::from_fn(|t| Site::new(t.min(count - 1) * summed, t.min(count - 1) * width));
        let window = Window { count: 1, length: summed, stride: 0 };
        let panels = tiling.kept.div_ceil(width);
        for panel in 0..panels {
            let channels = (tiling.kept - panel * width).min(width);
            for point in 0..POINTS {
                let input = &points[point * count * summed..][..count * summed];
                let target = &mut products[point * count * width..][..count * width];
                let weights = &weights[(point * panels + panel) * summed * width..][..summed * width];
                for (i, pass) in passes.iter().enumerate() {
                    let part = Window { length: pass.length, ..window };
                    let sum = if i == 0 { Sum::Begin } else { Sum::Continue };
                    let (input, weights) = (&input[pass.from..], &weights[pass.from * width..]);
                    gather::<S, V>(simd, input, part, weights, target, &sites[..count], Target { width, sum });
                }
            }
            for t in 0..count {
                let [image, row, column] = tiling.place(first + t);
                let [rows, columns] = [(tiling.h - row).min(2), (tiling.w - column).min(2)];
                let at = ((image * tiling.h + row) * tiling.w + column) * tiling.kept + panel * width;
                let target = &mut output[at..];
                let line = tiling.w * tiling.kept;
                transform_output(
                    simd,
                    &products[t * width..],
                    count * width,
                    channels,
                    target,
                    [rows, columns, line, tiling.kept],
                );
            }
        }
    }
}

impl WithSimd for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.shape.vectors {
            1 => self.run::<S, 1>(simd),
            2 => self.run::<S, 2>(simd),
            _ => self.run::<S, 3>(simd),
        }
    }
}

/// Computes Bᵀ d B of the 4×4 tile at the start of `input`, for every channel: point p goes to `points[p * apart..]`.
#[inline(always)]
fn transform_input<S: Simd>(simd: S, input: &[f32], pitch: usize, channels: usize, points: &mut [f32], apart: usize) {
    let lanes = S::F32_LANES;
    for c in (0..channels).step_by(lanes) {
        let mut half = [[simd.splat_f32s(0.0); 4]; 4];
        for column in 0..4 {
            let mut d = [simd.splat_f32s(0.0); 4];
            for row in 0..4 {
                d[row] = S::as_simd_f32s(&input[row * pitch + column * channels + c..][..lanes]).0[0];
            }
            half[0][column] = simd.sub_f32s(d[0], d[2]);
            half[1][column] = simd.add_f32s(d[1], d[2]);
            half[2][column] = simd.sub_f32s(d[2], d[1]);
            half[3][column] = simd.sub_f32s(d[1], d[3]);
        }
        for row in 0..4 {
            let d = half[row];
            let results = [
                simd.sub_f32s(d[0], d[2]),
                simd.add_f32s(d[1], d[2]),
                simd.sub_f32s(d[2], d[1]),
                simd.sub_f32s(d[1], d[3]),
            ];
            for column in 0..4 {
                let target = &mut points[(4 * row + column) * apart + c..][..lanes];
                S::as_mut_simd_f32s(target).0[0] = results[column];
            }
        }
    }
}

/// Computes Aᵀ m A of a tile, for `channels` channels. Point p comes from `products[p * apart..]`. Of the 2×2 outputs,
/// the existing `rows` × `columns` are written, `line` and `step` values apart.
#[inline(always)]
fn transform_output<S: Simd>(
    simd: S,
    products: &[f32],
    apart: usize,
    channels: usize,
    output: &mut [f32],
    [rows, columns, line, step]: [usize; 4],
) {
    let lanes = S::F32_LANES;
    for c in (0..channels).step_by(lanes) {
        let mut half = [[simd.splat_f32s(0.0); 4]; 2];
        for column in 0..4 {
            let mut m = [simd.splat_f32s(0.0); 4];
            for row in 0..4 {
                m[row] = S::as_simd_f32s(&products[(4 * row + column) * apart + c..][..lanes]).0[0];
            }
            half[0][column] = simd.add_f32s(simd.add_f32s(m[0], m[1]), m[2]);
            half[1][column] = simd.sub_f32s(simd.sub_f32s(m[1], m[2]), m[3]);
        }
        for row in 0..rows {
            let m = half[row];
            let results =
                [simd.add_f32s(simd.add_f32s(m[0], m[1]), m[2]), simd.sub_f32s(simd.sub_f32s(m[1], m[2]), m[3])];
            for column in 0..columns {
                let target = &mut output[row * line + column * step + c..][..lanes];
                S::as_mut_simd_f32s(target).0[0] = results[column];
            }
        }
    }
}

/// Computes the correlation of `input`, images of `from` values, to images of `to` values with `kept` channels.
pub(super) fn correlate(
    g: &Geometry,
    w: &[f32],
    input: &[f32],
    (frame, correlation): (&Frame, &Correlation),
    direction: Direction,
    [from, to, summed, kept]: [usize; 4],
) -> Vec<f32> {
    let shape = Shape::of(kept);
    let [h, w_out] = correlation.size;
    let frame = frame.grown([2 * h.div_ceil(2) + 2, 2 * w_out.div_ceil(2) + 2]);
    let tiling = Tiling { h, w: w_out, framed: frame.size(), pitch: frame.pitch(), summed, kept };
    let weights = transform_weights(&pack(g, w, correlation, direction, shape.width), summed, shape.width);
    let passes = passes(1, summed, shape.width);
    let block = (BLOCK / summed).clamp(16, SITES);
    let images = block.div_ceil(tiling.count()).min(g.n.div_ceil(rayon::current_num_threads())).max(1);
    let mut output = vec![0f32; g.n * to];
    output.par_chunks_mut(images * to).zip(input.par_chunks(images * from)).for_each(|(output, input)| {
        let images = input.len() / from;
        with_scratch(images * frame.size() + POINTS * block * (summed + shape.width), |scratch| {
            let (framed, rest) = scratch.split_at_mut(images * frame.size());
            let (points, products) = rest.split_at_mut(POINTS * block * summed);
            framed
                .chunks_exact_mut(frame.size())
                .zip(input.chunks_exact(from))
                .for_each(|(to, from)| frame.copy(from, to));
            for first in (0..images * tiling.count()).step_by(block) {
                let count = block.min(images * tiling.count() - first);
                shape.arch.dispatch(Block {
                    tiling: &tiling,
                    shape,
                    passes: &passes,
                    weights: &weights,
                    input: framed,
                    output: &mut *output,
                    first,
                    count,
                    buffers: [&mut *points, &mut *products],
                });
            }
        });
    });
    output
}
