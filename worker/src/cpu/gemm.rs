//! The one matrix product behind every convolution, and the only unsafe code of the trainer.
#![allow(unsafe_code)] // The gemm crate takes raw pointers; all index ranges are checked here before the call.

use ::gemm::{Parallelism, gemm};

/// A matrix in a slice: element (r, c) is at `r * row + c * column`.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) data: &'a [f32],
    pub(super) row: usize,
    pub(super) column: usize,
}

/// What becomes of the destination's values.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Destination {
    /// They are replaced.
    Overwrite,
    /// The product is added to them.
    Add,
}

/// Who computes one product.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Threads {
    /// The calling thread: others compute other products.
    One,
    /// All threads of the pool.
    All,
}

/// `target[m, n] (+)= lhs[m, k] · rhs[k, n]`, the rows of `target` packed `n` apart. The order of the sums over `k` depends
/// on the shape alone, so the bits do not depend on the number of threads.
pub(super) fn product(
    [m, n, k]: [usize; 3],
    target: &mut [f32],
    destination: Destination,
    lhs: View<'_>,
    rhs: View<'_>,
    threads: Threads,
) {
    assert!(m > 0 && n > 0 && k > 0 && target.len() >= m * n);
    assert!(lhs.data.len() > (m - 1) * lhs.row + (k - 1) * lhs.column);
    assert!(rhs.data.len() > (k - 1) * rhs.row + (n - 1) * rhs.column);
    let parallelism = match threads {
        Threads::One => Parallelism::None,
        Threads::All => Parallelism::Rayon(0),
    };
    let add = destination == Destination::Add;
    // SAFETY: gemm reads lhs at r * row + c * column for r < m, c < k, rhs likewise for r < k, c < n, and writes
    // target at r * n + c for r < m, c < n. The largest of each index was checked against its slice above; strides are not
    // negative, so no index is below 0. `target` is borrowed exclusively, so it overlaps neither operand. Slice lengths fit
    // an isize, hence so do the strides that were checked to lie within them (a stride that is larger belongs to a
    // dimension of length one and is multiplied by 0 only).
    unsafe {
        gemm(
            m,
            n,
            k,
            target.as_mut_ptr(),
            1,
            n as isize,
            add,
            lhs.data.as_ptr(),
            lhs.column as isize,
            lhs.row as isize,
            rhs.data.as_ptr(),
            rhs.column as isize,
            rhs.row as isize,
            if add { 1.0 } else { 0.0 },
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}
