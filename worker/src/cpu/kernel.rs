//! Forward and backward passes on plain slices. Work is divided by the shape alone, so results do not depend on
//! the number of threads.

use std::cell::RefCell;

use rayon::prelude::*;

use super::gemm::{Destination, Threads, View, product};
use super::geometry::Geometry;

/// Columns of one product: the column matrix stays in the second-level cache.
const TILE: usize = 512;
/// The same for the gradient of the weight, which reads the columns of a few channels only.
const WEIGHT_TILE: usize = 1024;
/// Up to this many columns in all (late layers), threads share one product instead of taking one each.
const SINGLE: usize = 1024;
/// Columns of one block of the weight's gradient: fewer make products too narrow to be fast.
const WEIGHT_BLOCK: usize = 96;

thread_local! { static SCRATCH: RefCell<[Vec<f32>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) }; }

/// Lends two buffers that live as long as the thread. They are taken out while in use, because rayon may run
/// another of these tasks on the same thread while a product waits.
fn with_scratch<R>(lengths: [usize; 2], work: impl FnOnce(&mut [f32], &mut [f32]) -> R) -> R {
    let mut buffers = SCRATCH.with(|scratch| std::mem::take(&mut *scratch.borrow_mut()));
    for (buffer, length) in buffers.iter_mut().zip(lengths) {
        if buffer.len() < length {
            buffer.resize(length, 0.0);
        }
    }
    let [first, second] = &mut buffers;
    let result = work(&mut first[..lengths[0]], &mut second[..lengths[1]]);
    SCRATCH.with(|scratch| *scratch.borrow_mut() = buffers);
    result
}

/// How the images are divided among products.
fn division(g: &Geometry) -> (usize, Threads) {
    if g.is_pointwise() {
        (1, Threads::One)
    } else if g.n * g.positions() <= SINGLE {
        (g.n, Threads::All)
    } else {
        (g.images_for(TILE), Threads::One)
    }
}

fn packed(data: &[f32], row: usize) -> View<'_> {
    View { data, row, column: 1 }
}

fn transposed(data: &[f32], row: usize) -> View<'_> {
    View { data, row: 1, column: row }
}

/// The columns of `channels` channels from `c0`, `[channels k k, images positions]`.
fn columns(g: &Geometry, x: &[f32], c0: usize, out: &mut [f32], threads: Threads) {
    let length = x.len() / g.input() * g.positions();
    match threads {
        Threads::One => out.chunks_exact_mut(length).enumerate().for_each(|(r, row)| g.column_row(x, c0, r, row)),
        Threads::All => out.par_chunks_exact_mut(length).enumerate().for_each(|(r, row)| g.column_row(x, c0, r, row)),
    }
}

/// `[images, channels, positions]` to `[channels, images positions]`; a single image is so already.
fn gather<'a>(source: &'a [f32], images: usize, channels: usize, out: &'a mut [f32]) -> &'a [f32] {
    if images == 1 {
        return source;
    }
    let positions = source.len() / (images * channels);
    for (i, image) in source.chunks_exact(channels * positions).enumerate() {
        for (c, plane) in image.chunks_exact(positions).enumerate() {
            out[(c * images + i) * positions..][..positions].copy_from_slice(plane);
        }
    }
    out
}

/// The inverse of [`gather`].
fn scatter(source: &[f32], images: usize, channels: usize, out: &mut [f32]) {
    let positions = out.len() / (images * channels);
    for (i, image) in out.chunks_exact_mut(channels * positions).enumerate() {
        for (c, plane) in image.chunks_exact_mut(positions).enumerate() {
            plane.copy_from_slice(&source[(c * images + i) * positions..][..positions]);
        }
    }
}

/// `y[n, cout, oh, ow]` of `x[n, cin, h, w]` and `w[cout, cin, k, k]`.
pub(super) fn forward(g: &Geometry, x: &[f32], w: &[f32]) -> Vec<f32> {
    let (positions, rows) = (g.positions(), g.rows());
    let (images, threads) = division(g);
    let mut y = vec![0f32; g.n * g.output()];
    let part = |(y, x): (&mut [f32], &[f32])| {
        let images = x.len() / g.input();
        let length = images * positions;
        let shape = [g.cout, length, rows];
        if g.is_pointwise() {
            return product(shape, y, Destination::Overwrite, packed(w, rows), packed(x, length), threads);
        }
        let staged = if images > 1 { g.cout * length } else { 0 };
        with_scratch([rows * length, staged], |cols, out| {
            columns(g, x, 0, cols, threads);
            let target = if images > 1 { &mut *out } else { &mut *y };
            product(shape, target, Destination::Overwrite, packed(w, rows), packed(cols, length), threads);
            if images > 1 {
                scatter(out, images, g.cout, y);
            }
        });
    };
    let parts = y.par_chunks_mut(images * g.output()).zip(x.par_chunks(images * g.input()));
    parts.for_each(part);
    y
}

/// The gradient of `x`, from `w` and the gradient `dy` of the output.
pub(super) fn backward_input(g: &Geometry, w: &[f32], dy: &[f32]) -> Vec<f32> {
    let (positions, rows) = (g.positions(), g.rows());
    let (images, threads) = division(g);
    let mut dx = vec![0f32; g.n * g.input()];
    let part = |(dx, dy): (&mut [f32], &[f32])| {
        let images = dy.len() / g.output();
        let length = images * positions;
        let shape = [rows, length, g.cout];
        if g.is_pointwise() {
            return product(shape, dx, Destination::Overwrite, transposed(w, rows), packed(dy, length), threads);
        }
        let staged = if images > 1 { dy.len() } else { 0 };
        with_scratch([rows * length, staged], |cols, out| {
            let dy = gather(dy, images, g.cout, out);
            product(shape, cols, Destination::Overwrite, transposed(w, rows), packed(dy, length), threads);
            let cols = &*cols;
            let add = |(i, image): (usize, &mut [f32])| g.add_columns(cols, length, i * positions, image);
            match threads {
                Threads::One => dx.chunks_exact_mut(g.input()).enumerate().for_each(add),
                Threads::All => dx.par_chunks_exact_mut(g.input()).enumerate().for_each(add),
            }
        });
    };
    let parts = dx.par_chunks_mut(images * g.input()).zip(dy.par_chunks(images * g.output()));
    parts.for_each(part);
    dx
}

/// The gradient of `w`: independent blocks of input channels, each summed over the images in order.
pub(super) fn backward_weight(g: &Geometry, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let (positions, kk, rows) = (g.positions(), g.k * g.k, g.rows());
    let channels = g.cin.div_ceil(4).max(WEIGHT_BLOCK.div_ceil(kk)).min(g.cin);
    let images = g.images_for(WEIGHT_TILE);
    let starts: Vec<usize> = (0..g.cin).step_by(channels).collect();
    let block = |c0: usize| -> Vec<f32> {
        let width = channels.min(g.cin - c0) * kk;
        let mut dw = vec![0f32; g.cout * width];
        for (part, (x, dy)) in x.chunks(images * g.input()).zip(dy.chunks(images * g.output())).enumerate() {
            let images = x.len() / g.input();
            let length = images * positions;
            let staged = if images > 1 { dy.len() } else { 0 };
            let destination = if part == 0 { Destination::Overwrite } else { Destination::Add };
            with_scratch([width * length, staged], |cols, out| {
                columns(g, x, c0, cols, Threads::One);
                let dy = gather(dy, images, g.cout, out);
                let shape = [g.cout, width, length];
                product(shape, &mut dw, destination, packed(dy, length), transposed(cols, length), Threads::One);
            });
        }
        dw
    };
    let blocks: Vec<Vec<f32>> = starts.par_iter().map(|c0| block(*c0)).collect();
    let mut dw = vec![0f32; g.cout * rows];
    for (c0, block) in starts.iter().zip(&blocks) {
        let width = block.len() / g.cout;
        for (target, source) in dw.chunks_exact_mut(rows).zip(block.chunks_exact(width)) {
            target[c0 * kk..][..width].copy_from_slice(source);
        }
    }
    dw
}
