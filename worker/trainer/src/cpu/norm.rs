//! Batch normalisation with the operations after it, on plain slices with channels last. It takes one pass where
//! separate operations take three or four, because these operations wait for memory.

use pulp::Arch;
use rayon::prelude::*;

/// The operation after a normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Nothing.
    Nothing,
    /// max(0, value). A NaN stays a NaN, so that a network that has diverged does not look like one whose outputs are
    /// zero.
    Relu,
}

/// Number of values that one task works on, rounded to a multiple of the period.
const PART: usize = 1 << 16;
/// Number of values whose sums stay in f32: short sums lose little precision.
const BLOCK: usize = 1 << 12;

/// One value for each channel, repeated until the length suits vectors, so that loops can ignore channels.
#[derive(Clone)]
struct Cycle(Vec<f32>);

impl Cycle {
    /// Returns the smallest whole number of repetitions that fills vectors of 16.
    fn length(channels: usize) -> usize {
        let mut length = channels;
        while !length.is_multiple_of(16) {
            length += channels;
        }
        length * 64usize.div_ceil(length)
    }

    fn new(values: impl ExactSizeIterator<Item = f32> + Clone) -> Self {
        let length = Self::length(values.len());
        Self(values.cycle().take(length).collect())
    }

    fn zeros(channels: usize) -> Self {
        Self(vec![0.0; Self::length(channels)])
    }

    /// Returns the sum for each channel.
    fn fold(&self, channels: usize) -> Vec<f64> {
        let mut sums = vec![0f64; channels];
        for chunk in self.0.chunks_exact(channels) {
            sums.iter_mut().zip(chunk).for_each(|(sum, value)| *sum += f64::from(*value));
        }
        sums
    }
}

fn part(channels: usize) -> usize {
    let cycle = Cycle::length(channels);
    cycle * PART.div_ceil(cycle)
}

/// Mean and biased variance of each channel.
#[derive(Clone, Debug)]
pub(super) struct Moments {
    /// `[channels]`
    pub(super) mean: Vec<f32>,
    /// `[channels]`
    pub(super) variance: Vec<f32>,
}

/// Count, mean and sum of squared deviations, which can be added without cancellation (Chan, Golub and LeVeque 1983).
struct Spread {
    count: f64,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

impl Spread {
    fn add(&mut self, other: &Spread) {
        let total = self.count + other.count;
        for c in 0..self.mean.len() {
            let delta = other.mean[c] - self.mean[c];
            self.mean[c] += delta * other.count / total;
            self.squares[c] += other.squares[c] + delta * delta * self.count * other.count / total;
        }
        self.count = total;
    }

    /// Returns the spread of a short run of values: the mean first, then the deviations from it.
    fn of(block: &[f32], channels: usize) -> Self {
        let count = (block.len() / channels) as f64;
        let mut sums = Cycle::zeros(channels);
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for chunk in block.chunks(sums.0.len()) {
                    sums.0.iter_mut().zip(chunk).for_each(|(sum, x)| *sum += x);
                }
            },
        );
        let mean: Vec<f64> = sums.fold(channels).into_iter().map(|sum| sum / count).collect();
        let centre = Cycle::new(mean.iter().map(|mean| *mean as f32));
        let mut squares = Cycle::zeros(channels);
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for chunk in block.chunks(centre.0.len()) {
                    for ((square, x), centre) in squares.0.iter_mut().zip(chunk).zip(&centre.0) {
                        let deviation = x - centre;
                        *square += deviation * deviation;
                    }
                }
            },
        );
        // The centre is the mean rounded to f32; the error is about one rounding.
        Self { count, mean, squares: squares.fold(channels) }
    }
}

/// Returns the moments of `x`, `[…, channels]`.
pub(super) fn moments(x: &[f32], channels: usize) -> Moments {
    let cycle = Cycle::length(channels);
    let block = cycle * BLOCK.div_ceil(cycle);
    let parts = x.par_chunks(part(channels)).map(|part| {
        let mut blocks = part.chunks(block).map(|block| Spread::of(block, channels));
        let first = blocks.next()?;
        Some(blocks.fold(first, |mut all, block| {
            all.add(&block);
            all
        }))
    });
    let parts: Vec<Spread> = parts.flatten().collect();
    let mut all = Spread { count: 0.0, mean: vec![0.0; channels], squares: vec![0.0; channels] };
    parts.iter().for_each(|part| all.add(part));
    Moments {
        mean: all.mean.iter().map(|mean| *mean as f32).collect(),
        variance: all.squares.iter().map(|squares| (squares / all.count) as f32).collect(),
    }
}

/// Returns `after(x · scale + shift (+ skip))`, with one scale and shift for each channel.
pub(super) fn apply(x: &[f32], skip: Option<&[f32]>, scale: &[f32], shift: &[f32], after: After) -> Vec<f32> {
    match after {
        After::Nothing => apply_with(x, skip, scale, shift, |value| value),
        After::Relu => apply_with(x, skip, scale, shift, |value| if value < 0.0 { 0.0 } else { value }),
    }
}

fn apply_with(
    x: &[f32],
    skip: Option<&[f32]>,
    scale: &[f32],
    shift: &[f32],
    after: impl Fn(f32) -> f32 + Sync + Copy,
) -> Vec<f32> {
    let size = part(scale.len());
    let (scale, shift) = (Cycle::new(scale.iter().copied()), Cycle::new(shift.iter().copied()));
    let cycle = scale.0.len();
    let mut z = vec![0f32; x.len()];
    let parts = z.par_chunks_mut(size).zip(x.par_chunks(size));
    match skip {
        None => parts.for_each(|(z, x)| {
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    for (z, x) in z.chunks_mut(cycle).zip(x.chunks(cycle)) {
                        for (((z, x), scale), shift) in z.iter_mut().zip(x).zip(&scale.0).zip(&shift.0) {
                            *z = after(x * scale + shift);
                        }
                    }
                },
            );
        }),
        Some(skip) => parts.zip(skip.par_chunks(size)).for_each(|((z, x), skip)| {
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    for ((z, x), skip) in z.chunks_mut(cycle).zip(x.chunks(cycle)).zip(skip.chunks(cycle)) {
                        let values = z.iter_mut().zip(x).zip(skip).zip(&scale.0).zip(&shift.0);
                        for ((((z, x), skip), scale), shift) in values {
                            *z = after(x * scale + shift + skip);
                        }
                    }
                },
            );
        }),
    }
    z
}

/// The backward pass of an [`After`]: the gradient `dz` where the result `z` lets it pass.
trait Gate: Copy + Sync {
    fn pass(self, dz: f32, z: f32) -> f32;
}

#[derive(Clone, Copy)]
struct Open;

impl Gate for Open {
    #[inline(always)]
    fn pass(self, dz: f32, _: f32) -> f32 {
        dz
    }
}

#[derive(Clone, Copy)]
struct WherePositive;

impl Gate for WherePositive {
    #[inline(always)]
    fn pass(self, dz: f32, z: f32) -> f32 {
        if z <= 0.0 { 0.0 } else { dz }
    }
}

/// Returns, for each channel, the sums of the gradient g before `after` and of g · (x - centre).
pub(super) fn reduce(x: &[f32], z: &[f32], dz: &[f32], centre: &[f32], after: After) -> [Vec<f64>; 2] {
    match after {
        After::Nothing => reduce_with(x, z, dz, centre, Open),
        After::Relu => reduce_with(x, z, dz, centre, WherePositive),
    }
}

fn reduce_with(x: &[f32], z: &[f32], dz: &[f32], centre: &[f32], gate: impl Gate) -> [Vec<f64>; 2] {
    let channels = centre.len();
    let (size, centre) = (part(channels), Cycle::new(centre.iter().copied()));
    let cycle = centre.0.len();
    let block = cycle * BLOCK.div_ceil(cycle);
    let parts = x.par_chunks(size).zip(z.par_chunks(size)).zip(dz.par_chunks(size)).map(|((x, z), dz)| {
        let mut total = [vec![0f64; channels], vec![0f64; channels]];
        for ((x, z), dz) in x.chunks(block).zip(z.chunks(block)).zip(dz.chunks(block)) {
            let (mut plain, mut weighted) = (Cycle::zeros(channels), Cycle::zeros(channels));
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    for ((x, z), dz) in x.chunks(cycle).zip(z.chunks(cycle)).zip(dz.chunks(cycle)) {
                        let sums = plain.0.iter_mut().zip(&mut weighted.0).zip(&centre.0);
                        for ((((plain, weighted), centre), x), (z, dz)) in sums.zip(x).zip(z.iter().zip(dz)) {
                            let g = gate.pass(*dz, *z);
                            *plain += g;
                            *weighted += g * (x - centre);
                        }
                    }
                },
            );
            for (total, sums) in total.iter_mut().zip([plain, weighted]) {
                total.iter_mut().zip(sums.fold(channels)).for_each(|(total, sum)| *total += sum);
            }
        }
        total
    });
    let mut all = [vec![0f64; channels], vec![0f64; channels]];
    for part in parts.collect::<Vec<_>>() {
        for (all, part) in all.iter_mut().zip(part) {
            all.iter_mut().zip(part).for_each(|(all, part)| *all += part);
        }
    }
    all
}

/// The coefficients of dx = `slope` · g + `tilt` · (x - `centre`) + `offset`, for each channel.
pub(super) struct Backward<'a> {
    /// The factor of g.
    pub(super) slope: Vec<f32>,
    /// The factor of x - centre.
    pub(super) tilt: Vec<f32>,
    /// The centre of [`reduce`].
    pub(super) centre: &'a [f32],
    /// The constant.
    pub(super) offset: Vec<f32>,
}

/// Turns `dz` into the gradient of `x`. Writes g, the gradient before `after`, to `skip` if that is given.
pub(super) fn spread(x: &[f32], z: &[f32], dz: &mut [f32], skip: Option<&mut [f32]>, by: &Backward<'_>, after: After) {
    match after {
        After::Nothing => spread_with(x, z, dz, skip, by, Open),
        After::Relu => spread_with(x, z, dz, skip, by, WherePositive),
    }
}

fn spread_with(x: &[f32], z: &[f32], dz: &mut [f32], skip: Option<&mut [f32]>, by: &Backward<'_>, gate: impl Gate) {
    let size = part(by.centre.len());
    let cycles = [&by.slope[..], &by.tilt, by.centre, &by.offset].map(|values| Cycle::new(values.iter().copied()));
    let [slope, tilt, centre, offset] = &cycles;
    let cycle = slope.0.len();
    let parts = dz.par_chunks_mut(size).zip(x.par_chunks(size)).zip(z.par_chunks(size));
    match skip {
        None => parts.for_each(|((dz, x), z)| {
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    for ((dz, x), z) in dz.chunks_mut(cycle).zip(x.chunks(cycle)).zip(z.chunks(cycle)) {
                        let by = slope.0.iter().zip(&tilt.0).zip(&centre.0).zip(&offset.0);
                        for (((dz, x), z), (((slope, tilt), centre), offset)) in dz.iter_mut().zip(x).zip(z).zip(by) {
                            *dz = slope * gate.pass(*dz, *z) + (tilt * (x - centre) + offset);
                        }
                    }
                },
            );
        }),
        Some(skip) => parts.zip(skip.par_chunks_mut(size)).for_each(|(((dz, x), z), skip)| {
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    let chunks = dz.chunks_mut(cycle).zip(x.chunks(cycle)).zip(z.chunks(cycle));
                    for (((dz, x), z), skip) in chunks.zip(skip.chunks_mut(cycle)) {
                        let by = slope.0.iter().zip(&tilt.0).zip(&centre.0).zip(&offset.0);
                        let values = dz.iter_mut().zip(x).zip(z).zip(skip).zip(by);
                        for ((((dz, x), z), skip), (((slope, tilt), centre), offset)) in values {
                            let g = gate.pass(*dz, *z);
                            *skip = g;
                            *dz = slope * g + (tilt * (x - centre) + offset);
                        }
                    }
                },
            );
        }),
    }
}
