//! Pooling on plain slices, channels last.

use pulp::Arch;
use rayon::prelude::*;

use super::geometry::Geometry;

/// Returns the taps of each output pixel inside the image: `(output pixel, input pixel)` in the order of the window.
fn taps(g: &Geometry) -> Vec<(usize, usize)> {
    let mut taps = Vec::new();
    for (y, x) in (0..g.oh()).flat_map(|y| (0..g.ow()).map(move |x| (y, x))) {
        for (ky, kx) in (0..g.k).flat_map(|ky| (0..g.k).map(move |kx| (ky, kx))) {
            let (row, column) = (y * g.stride + ky, x * g.stride + kx);
            if (g.pad..g.pad + g.h).contains(&row) && (g.pad..g.pad + g.w).contains(&column) {
                taps.push((y * g.ow() + x, (row - g.pad) * g.w + column - g.pad));
            }
        }
    }
    taps
}

/// Returns the largest value of each window, `[n, oh, ow, channels]`. `cin` and `cout` are both the number of channels.
pub(super) fn max(g: &Geometry, x: &[f32]) -> Vec<f32> {
    let (taps, c) = (taps(g), g.cin);
    let mut y = vec![f32::NEG_INFINITY; g.n * g.output()];
    y.par_chunks_exact_mut(g.output()).zip(x.par_chunks_exact(g.input())).for_each(|(y, x)| {
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for (to, from) in &taps {
                    let values = y[to * c..][..c].iter_mut().zip(&x[from * c..][..c]);
                    // A NaN is passed on.
                    values.for_each(|(y, x)| *y = if *x > *y || x.is_nan() { *x } else { *y });
                }
            },
        );
    });
    y
}

/// Returns the gradient of `x`. The gradient of each window goes to the first of its largest values, as in PyTorch, or
/// to a NaN if there is one.
pub(super) fn max_backward(g: &Geometry, x: &[f32], y: &[f32], dy: &[f32]) -> Vec<f32> {
    let (taps, c) = (taps(g), g.cin);
    let mut dx = vec![0f32; g.n * g.input()];
    let images = dx.par_chunks_exact_mut(g.input()).zip(x.par_chunks_exact(g.input()));
    let outputs = y.par_chunks_exact(g.output()).zip(dy.par_chunks_exact(g.output()));
    images.zip(outputs).for_each(|((dx, x), (y, dy))| {
        // The part of each gradient that has not found its value yet.
        let mut open = dy.to_vec();
        for (to, from) in &taps {
            let window = y[to * c..][..c].iter().zip(&mut open[to * c..][..c]);
            let values = dx[from * c..][..c].iter_mut().zip(&x[from * c..][..c]);
            for ((dx, x), (y, open)) in values.zip(window) {
                *dx += if x == y || x.is_nan() { std::mem::take(open) } else { 0.0 };
            }
        }
    });
    dx
}

/// Returns the mean of each channel, `[n, channels]`, of `x`, `[n, positions, channels]`.
pub(super) fn mean(x: &[f32], n: usize, channels: usize) -> Vec<f32> {
    let mut means = vec![0f32; n * channels];
    let positions = x.len() / (n * channels);
    means.par_chunks_exact_mut(channels).zip(x.par_chunks_exact(positions * channels)).for_each(|(means, x)| {
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for pixel in x.chunks_exact(channels) {
                    means.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += value);
                }
                means.iter_mut().for_each(|sum| *sum /= positions as f32);
            },
        );
    });
    means
}

/// Returns the gradient of `x` from the gradient of its means.
pub(super) fn mean_backward(dy: &[f32], n: usize, channels: usize, positions: usize) -> Vec<f32> {
    let mut dx = vec![0f32; n * channels * positions];
    let images = dx.par_chunks_exact_mut(positions * channels).zip(dy.par_chunks_exact(channels));
    images.for_each(|(dx, dy)| {
        for pixel in dx.chunks_exact_mut(channels) {
            pixel.iter_mut().zip(dy).for_each(|(dx, dy)| *dx = dy / positions as f32);
        }
    });
    dx
}
